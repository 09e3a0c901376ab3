"""A fleet as an object of a program: MicroserviceOrchestrator."""

import asyncio
import inspect
from pathlib import Path
from typing import Any, Self

from msctl.config.models import ServiceConfig
from msctl.errors import MsctlError, UsageError
from msctl.model import ServiceStatus
from msctl.runtime.privatefleet import PrivateFleet
from msctl.service.microservice import Microservice


class MicroserviceOrchestrator:
    """Runs services as `msctl up` does, for as long as this program lives.

    The daemon behind it is private: its state lies in a temporary directory, and it ends
    with the program, by whatever means that dies. Only the services' data stay, in the
    project's `.msctl/data`; the project is the directory `project_dir`, by default the
    current one. `async with` starts all services that were added, and stops them.
    """

    def __init__(self, project_dir: Path | str = ".") -> None:
        self._project_dir = Path(project_dir).resolve()
        self._services: dict[str, ServiceConfig] = {}
        self._fleet: PrivateFleet | None = None
        self._gateway_url: str | None = None
        self._changing = asyncio.Lock()

    def add_service(self, service: ServiceConfig | Microservice) -> None:
        """Add a service, to be started by the next `start_all_services`.

        Of a Microservice the class is what counts: each instance is a process that imports
        and constructs it, without arguments. Raises UsageError when that cannot be done,
        and for a name that is there already.
        """
        config = service if isinstance(service, ServiceConfig) else _config_of(service)
        if config.name in self._services:
            raise UsageError(f"there is a service {config.name} already; give this one a new name")
        self._services[config.name] = config

    @property
    def gateway_url(self) -> str:
        """Where every service is reached under `/NAME/`; UsageError unless started."""
        if self._gateway_url is None:
            raise UsageError("nothing is started yet; await start_all_services() first")
        return self._gateway_url

    async def start_all_services(self, timeout: float | None = None) -> None:
        """Start what does not run yet, dependencies first, until all are healthy.

        Raises ConfigError, FleetError when one does not become healthy, TimeLimitExpired
        after `timeout` seconds; what this call started has been stopped again by then. When
        it is cancelled everything is stopped.
        """
        if not self._services:
            raise UsageError("there is nothing to start; add_service() first")
        async with self._changing:
            is_first = self._fleet is None
            fleet = self._fleet or PrivateFleet(self._project_dir)
            self._fleet = fleet
            work = asyncio.ensure_future(
                asyncio.to_thread(fleet.up, tuple(self._services.values()), timeout)
            )
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                fleet.abandon()
                await asyncio.wait({work})
                work.exception()
                await self._close()
                raise
            except MsctlError:
                if is_first:
                    await self._close()
                raise
            status = await asyncio.to_thread(fleet.status)
            self._gateway_url = status["gateway"] if status else None

    async def stop_all_services(self) -> None:
        """Stop everything, dependents before dependencies; nothing to do when nothing runs."""
        async with self._changing:
            await self._close()

    def get_service_status(self) -> dict[str, Any]:
        """Tell how many services there are and run, and of each its name, status and port.

        Keys: total_services, running_services, registered_services (instances), services.
        It may be asked at any time, before the start and after the stop too.
        """
        found = self._fleet.status() if self._fleet else None
        known = {service["name"]: service for service in found["services"]} if found else {}
        return {
            "total_services": len(self._services),
            "running_services": found["running_services"] if found else 0,
            "registered_services": found["registered_services"] if found else 0,
            "services": [
                {
                    "name": name,
                    "status": known.get(name, {}).get("status", ServiceStatus.STOPPED.value),
                    "port": known.get(name, {}).get("port", config.port),
                }
                for name, config in self._services.items()
            ],
        }

    async def __aenter__(self) -> Self:
        """Start all services."""
        await self.start_all_services()
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Stop all services."""
        await self.stop_all_services()

    async def _close(self) -> None:
        fleet, self._fleet, self._gateway_url = self._fleet, None, None
        if fleet is not None:
            await asyncio.to_thread(fleet.close)


def _config_of(service: Microservice) -> ServiceConfig:
    """Return the service's config with its class as the app."""
    kind = type(service)
    if kind.__module__ == "__main__":
        raise UsageError(
            f"{kind.__name__} is defined in the program itself, which its processes cannot "
            "import; move it to a module of its own"
        )
    if "<locals>" in kind.__qualname__:
        raise UsageError(
            f"{kind.__name__} is defined inside a function, where its processes cannot find it; "
            "move it to the top of a module"
        )
    try:
        inspect.signature(kind).bind()
    except TypeError as error:
        raise UsageError(
            f"{kind.__name__} cannot be constructed without arguments ({error}), as its "
            "processes do; give them defaults"
        ) from None
    app = f"{kind.__module__}:{kind.__qualname__}"
    return service.config.model_copy(update={"app": app, "factory": True})
