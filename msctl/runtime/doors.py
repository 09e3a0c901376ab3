"""The front doors: who holds which service port, and what it really is where it says `auto`."""

import asyncio
import socket
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Protocol

from msctl.config.models import ServiceConfig
from msctl.errors import MsctlError
from msctl.runtime import ports


class Gateway(Protocol):
    """What serves the listening sockets: the proxy."""

    async def open_front_door(self, service: str, sockets: Sequence[socket.socket]) -> object:
        """Accept calls for the service on these sockets."""
        ...

    async def close_front_door(self, service: str, *, drain_timeout: float) -> None:
        """Stop accepting; calls under way may end within `drain_timeout` seconds."""
        ...


class Doors:
    """Owns the front door of every service that has been started."""

    def __init__(self, gateway: Gateway, named_ports: Container[int] = ()) -> None:
        self._gateway = gateway
        self._named_ports = named_ports
        """What is drawn is none of these."""
        self._open: dict[str, ServiceConfig] = {}
        self._configured: dict[str, ServiceConfig] = {}
        self._reserved: dict[str, Sequence[socket.socket]] = {}
        """Of services that bind a port themselves which the system has chosen."""
        self._opening = asyncio.Lock()  # or two commands would take each other's ports for taken

    def resolved(self, service: ServiceConfig) -> ServiceConfig:
        """Return the service with the port that it really has."""
        opened = self._open.get(service.name)
        if service.port == "auto" and opened is not None:
            return service.model_copy(update={"port": opened.port})
        return service

    def names(self) -> list[str]:
        """Return the services whose front door is open."""
        return list(self._open)

    async def open_all(self, services: Iterable[ServiceConfig], running: set[str]) -> list[str]:
        """Open what is missing and return the names; all of it or nothing.

        Services that bind their port themselves, and do not run yet, are checked for a free
        one. Raises an ExceptionGroup with one PortInUse for each port that somebody else has.
        """
        async with self._opening:
            missing = {each.name: each for each in services if not self._is_open(each)}
            bound = await self._bind_all(missing.values(), running)
            served: list[str] = []
            try:
                for name in bound:
                    await self._serve(missing[name], bound[name])
                    served.append(name)
            except BaseException:
                for name in served:
                    await self.close(name)
                _close_all(bound)
                raise
            return served

    async def close(self, service: str) -> None:
        """Close one front door; nothing when it is not open."""
        opened = self._open.pop(service, None)
        if service in self._reserved:
            _close_all({service: self._reserved.pop(service)})
        elif opened is not None:
            await self._gateway.close_front_door(service, drain_timeout=opened.drain_timeout)

    def _is_open(self, service: ServiceConfig) -> bool:
        configured = self._configured.get(service.name)
        return (
            service.name in self._open
            and configured is not None
            and (configured.host, configured.port) == (service.host, service.port)
        )

    async def _serve(self, service: ServiceConfig, sockets: list[socket.socket]) -> None:
        await self.close(service.name)  # at another port, after a change of the config
        port = sockets[0].getsockname()[1]
        if service.is_http:
            await self._gateway.open_front_door(service.name, sockets)
        else:
            self._reserved[service.name] = sockets
        self._open[service.name] = service.model_copy(update={"port": port})
        self._configured[service.name] = service

    async def _bind_all(
        self, services: Iterable[ServiceConfig], running: set[str]
    ) -> dict[str, list[socket.socket]]:
        bound: dict[str, list[socket.socket]] = {}
        taken: list[MsctlError] = []
        for service in services:
            try:
                sockets = await asyncio.to_thread(self._bind, service, service.name in running)
            except MsctlError as error:
                taken.append(error)
            else:
                if sockets:
                    bound[service.name] = sockets
        if taken:
            _close_all(bound)
            raise ExceptionGroup("ports in use", taken)
        return bound

    def _bind(self, service: ServiceConfig, runs_already: bool) -> list[socket.socket]:  # noqa: FBT001  for to_thread
        name, host, port = service.name, service.host, service.port
        if port == "auto":
            if service.is_http:
                return ports.draw_front_door(name, host, self._named_ports)
            return [ports.reserve(self._named_ports)]
        if not isinstance(port, int):
            return []
        if service.is_http:
            return ports.bind_front_door(name, host, port)
        if not runs_already:
            ports.check_free(name, host, port)
        return []


def _close_all(bound: Mapping[str, Sequence[socket.socket]]) -> None:
    for listener in (each for sockets in bound.values() for each in sockets):
        listener.close()
