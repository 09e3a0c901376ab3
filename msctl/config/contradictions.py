"""What the keys of one service may not say together, whatever each of them says alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msctl.config.environment import why_injected
from msctl.config.health import DEFAULT_HEALTH_PATH, HealthConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msctl.config.service import ServiceConfig


class Contradiction(NamedTuple):
    """A rule that the service breaks."""

    path: tuple[str, ...]
    """The key to change."""
    message: str


def contradictions(service: ServiceConfig) -> Iterator[Contradiction]:
    """All of them, in no particular order."""
    yield from _port(service)
    yield from _program(service)
    yield from _instances(service)
    yield from _checks(service)
    yield from _environment(service)
    seen: set[str] = set()
    for dependency in service.dependencies:
        if dependency.name in seen:
            yield Contradiction(("dependencies",), f"names {dependency.name} twice; remove one")
        seen.add(dependency.name)


def _port(service: ServiceConfig) -> Iterator[Contradiction]:
    kind = service.service_type
    if service.has_port and service.port is None:
        message = f"required for service_type {kind}: a number from 1 to 65535, or auto"
        yield Contradiction(("port",), message)
    if not service.has_port and service.port is not None:
        message = "a worker has no port; remove it, or the service_type if this answers requests"
        yield Contradiction(("port",), message)


def _program(service: ServiceConfig) -> Iterator[Contradiction]:
    if service.command is None:
        if service.binds_own_port:
            message = f"a {service.service_type} binds its port itself; give its command"
            yield Contradiction(("command",), message)
        return
    if service.app is not None:
        message = "app and command exclude each other; keep the one that starts this service"
        yield Contradiction(("app",), message)
    if service.factory:
        message = "says how an app is made, but this service runs a command; remove it"
        yield Contradiction(("factory",), message)
    if service.python is not None:
        message = "is the interpreter of an app, but this service runs a command; put it there"
        yield Contradiction(("python",), message)


def _instances(service: ServiceConfig) -> Iterator[Contradiction]:
    own_port = f"a {service.service_type} binds its port itself, so there can be only one instance"
    if service.binds_own_port and service.replicas > 1:
        yield Contradiction(("replicas",), f"{own_port}; set it to 1")
    scaling = service.scaling
    if scaling is None:
        return
    if service.binds_own_port:
        yield Contradiction(("scaling",), f"{own_port}; remove this key")
    elif not service.is_http:
        message = "follows requests, and a worker gets none; set replicas instead"
        yield Contradiction(("scaling",), message)
    elif service.replicas > 1 and not scaling.allows(service.replicas):
        message = f"is outside scaling, {scaling.min} to {scaling.max}; change one of the two"
        yield Contradiction(("replicas",), message)


def _checks(service: ServiceConfig) -> Iterator[Contradiction]:
    health = service.health
    portless = not service.has_port and service.command is not None
    no_port = "a worker that runs a command has no port to ask; use health.command"
    # Compared with the default, not "was it given": a dumped service must load again.
    own_path = service.health_check_path != DEFAULT_HEALTH_PATH
    if portless and own_path:
        yield Contradiction(("health_check_path",), no_port)
    if service.liveness and service.liveness.path is not None and portless:
        message = "a worker that runs a command has no port to ask; use liveness.command"
        yield Contradiction(("liveness", "path"), message)
    if not isinstance(health, HealthConfig):
        return
    if service.is_http and health.tcp is not False:
        message = "a connection is accepted for a hung process too; use path for an HTTP service"
        yield Contradiction(("health", "tcp"), message)
    if not service.has_port and health.tcp is True:
        message = "a worker has no port of its own; name the port to connect to"
        yield Contradiction(("health", "tcp"), message)
    if portless and health.path is not None:
        yield Contradiction(("health", "path"), no_port)
    if own_path and health.path not in {None, service.health_check_path}:
        message = f"health_check_path says {service.health_check_path}; keep one of the two"
        yield Contradiction(("health", "path"), message)


def _environment(service: ServiceConfig) -> Iterator[Contradiction]:
    dependencies = [dependency.name for dependency in service.dependencies]
    for variable in service.environment:
        why = why_injected(variable, dependencies)
        if why:
            yield Contradiction(("environment", variable), f"{why}; remove it")
