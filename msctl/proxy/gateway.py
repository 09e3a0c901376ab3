"""Every way into the services: front doors, the gateway port, calls on the control socket."""

import asyncio
import random
import socket
from collections.abc import Sequence

from msctl.clock import Clock
from msctl.core.registry import RegistryEvent, ServiceRegistry
from msctl.core.router import Router
from msctl.model import ServiceInstance, ServiceStatus
from msctl.proxy.access import AccessLog, NoAccessLog
from msctl.proxy.context import InstanceHook, ProxyContext
from msctl.proxy.destination import control_socket, front_door, gateway
from msctl.proxy.instances import InstanceWatch, is_lost
from msctl.proxy.listener import FrontDoor, Listener
from msctl.proxy.meters import Meters
from msctl.proxy.own_page import MetricsPage
from msctl.proxy.trace import BitSource, IdSource
from msctl.proxy.upstream import UpstreamPool, key_of


def _ignore(_instance: ServiceInstance) -> None:
    """Do nothing; the hook of a gateway that nobody listens to."""


class Gateway:
    """Listeners in front of one router, and the connections behind it.

    `on_slow` is called when an attempt has had no byte for 1 s, `on_refused` when an
    instance refused a connection: both want its health looked at now. `bits` is where
    request and trace ids come from. `meters` are what `/metrics` on the gateway port shows;
    `access_log` is told of every request. `close` belongs at the end; it leaves no socket and
    no task.
    """

    def __init__(
        self,
        router: Router,
        clock: Clock,
        registry: ServiceRegistry,
        *,
        on_slow: InstanceHook = _ignore,
        on_refused: InstanceHook = _ignore,
        bits: BitSource | None = None,
        meters: Meters | None = None,
        access_log: AccessLog | None = None,
    ) -> None:
        self._registry = registry
        meters = Meters() if meters is None else meters
        self._proxy = ProxyContext(
            router=router,
            clock=clock,
            pool=UpstreamPool(clock, self._is_current),
            ids=IdSource(bits or random.Random()),  # noqa: S311 - unique is enough
            unanswered=InstanceWatch(),
            tunnels=InstanceWatch(),
            on_slow=on_slow,
            on_refused=on_refused,
            meters=meters,
            access_log=NoAccessLog() if access_log is None else access_log,
            metrics_page=MetricsPage(meters, router, registry, clock),
        )
        self._front_doors: dict[str, FrontDoor] = {}
        self._by_name = Listener(self._proxy, gateway(router.names))
        self._calls = Listener(self._proxy, control_socket(router.names))
        self._unsubscribe = registry.subscribe(self._on_event)

    async def open_front_door(self, service: str, sockets: Sequence[socket.socket]) -> FrontDoor:
        """Serve one service on these sockets, which are listening and now belong to the door.

        Raises ValueError when the service has a front door already, and OSError.
        """
        if service in self._front_doors:
            raise ValueError(f"{service} has a front door already")
        door = FrontDoor(self._proxy, front_door(service), service)
        self._front_doors[service] = door
        try:
            await door.open(sockets)
        except BaseException:
            del self._front_doors[service]
            raise
        return door

    async def close_front_door(self, service: str, *, drain_timeout: float) -> None:
        """Close one front door (see Listener.close); nothing happens when it has none."""
        door = self._front_doors.pop(service, None)
        if door is not None:
            await door.close(drain_timeout=drain_timeout)

    async def open_gateway(self, sockets: Sequence[socket.socket]) -> Listener:
        """Serve every service, by host and by prefix, on these sockets; see open_front_door."""
        await self._by_name.open(sockets)
        return self._by_name

    def call_protocol_factory(self) -> asyncio.Protocol:
        """Return the protocol for one connection that asks for `/call/<service>/<path>`."""
        return self._calls.protocol()

    def cut_tunnels(self, instance_id: str) -> int:
        """Cut the upgraded connections of an instance; returns how many that were.

        For the end of its `drain_timeout` (router.md, Retries, time, load).
        """
        tunnels = self._proxy.tunnels
        return sum(tunnels.give_up(key) for key in tunnels.keys(instance_id))

    async def close(self, *, drain_timeout: float = 0.0) -> None:
        """Close everything, all listeners at the same time; see Listener.close."""
        listeners = (*self._front_doors.values(), self._by_name, self._calls)
        self._front_doors.clear()
        try:
            await asyncio.gather(*(door.close(drain_timeout=drain_timeout) for door in listeners))
        finally:
            self._unsubscribe()
            await self._proxy.pool.close()

    def __repr__(self) -> str:
        doors = ", ".join(sorted(self._front_doors)) or "none"
        return f"<Gateway doors={doors} {self._proxy.pool!r}>"

    def _is_current(self, instance: ServiceInstance) -> bool:
        now = self._registry.get_instance(instance.id)
        return now is not None and _takes_requests(instance, now)

    def _on_event(self, event: RegistryEvent) -> None:
        before, after = event.before, event.after
        if before is None:
            return
        if after is None or not _takes_requests(before, after):
            self._proxy.pool.drop(key_of(before))
        if is_lost(event):
            self._proxy.unanswered.give_up(key_of(before))
            if (door := self._front_doors.get(event.service)) is not None:
                door.instance_lost(key_of(before))


def _takes_requests(known: ServiceInstance, now: ServiceInstance) -> bool:
    return now.generation == known.generation and now.status is ServiceStatus.RUNNING
