"""What an instance of a service would find around it, for a command that takes its place."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from msctl.config.models import ServiceConfig
from msctl.config.naming import choose_services
from msctl.errors import MsctlError, UsageError
from msctl.runtime import ports
from msctl.runtime.environment import FleetFacts, own_environment, working_dir


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The environment, without what it would inherit, and the directory it would run in."""

    environment: Mapping[str, str]
    working_dir: Path


def one_service(name: str, services: Mapping[str, ServiceConfig]) -> ServiceConfig:
    """Return the service that is named; a pattern that only one matches will do."""
    chosen = choose_services([name], services)
    if len(chosen) > 1:
        raise UsageError(f"{name} matches {', '.join(chosen)}; name one of them")
    return services[chosen[0]]


def surroundings(service: ServiceConfig, facts: FleetFacts, data_root: Path) -> Surroundings:
    """Return those of one more instance, called NAME-run, and make its data directory.

    PORT is what it could listen on: the service port where instances bind that, else one
    that is free now. Raises MsctlError when the directory cannot be made.
    """
    data_dir = data_root / service.name
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MsctlError(f"cannot make its data directory {data_dir}: {error.strerror}") from error
    environment = own_environment(
        service,
        facts,
        instance=f"{service.name}-run",
        port=_port(service, facts),
        data_dir=data_dir,
    )
    return Surroundings(environment, working_dir(service, facts.project_dir))


def _port(service: ServiceConfig, facts: FleetFacts) -> int | None:
    if service.binds_own_port:
        resolved = facts.resolved(service.name) or service
        if isinstance(resolved.port, int):
            return resolved.port
    elif not service.has_port and service.command is not None:
        return None  # as with an instance of it
    named = {port for port in (service.port,) if isinstance(port, int)}
    with ports.reserve(named) as free:
        port: int = free.getsockname()[1]
    return port
