"""What an instance finds in its environment (contract.md, Config: Rules and Injected)."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from msctl.config.addresses import address_variables
from msctl.config.interpolate import expand
from msctl.config.models import ServiceConfig

_FAULTHANDLER = "PYTHONFAULTHANDLER"
"""Has Python write all stacks on the signal that ends a hanging process."""


@dataclass(frozen=True, slots=True)
class FleetFacts:
    """What every instance of a fleet is told alike."""

    project: str
    project_dir: Path
    gateway_url: str
    resolved: Callable[[str], ServiceConfig | None]
    """Looks up a service, with the port that is really in use where the config says `auto`."""


def instance_environment(
    service: ServiceConfig,
    facts: FleetFacts,
    *,
    base: Mapping[str, str],
    instance: str,
    port: int | None,
    data_dir: Path,
) -> dict[str, str]:
    """Merge, strongest last: the caller's environment, env files, `environment`, injected."""
    inherited = inheritable(base)
    if service.liveness is not None:
        inherited.setdefault(_FAULTHANDLER, "1")
    own = own_environment(service, facts, instance=instance, port=port, data_dir=data_dir)
    return inherited | own


def inheritable(base: Mapping[str, str]) -> dict[str, str]:
    """Return what an instance takes over from the environment of a command."""
    return {key: value for key, value in base.items() if key not in {"PORT", "HOST"}}


def own_environment(
    service: ServiceConfig,
    facts: FleetFacts,
    *,
    instance: str,
    port: int | None,
    data_dir: Path,
) -> dict[str, str]:
    """Merge what an instance gets whoever has started it."""
    injected = {
        "HOST": _bind_address(service),
        "PYTHONUNBUFFERED": "1",
        "MSCTL_PROJECT": facts.project,
        "MSCTL_PROJECT_DIR": str(facts.project_dir),
        "MSCTL_SERVICE": service.name,
        "MSCTL_INSTANCE": instance,
        "MSCTL_DATA_DIR": str(data_dir),
        "MSCTL_GATEWAY_URL": facts.gateway_url,
    }
    if port is not None:
        injected["PORT"] = str(port)
    for dependency in service.dependencies:
        needed = facts.resolved(dependency.name)
        if needed is not None and needed.url is not None:
            injected |= address_variables(needed.name, needed.url)
    return service.file_environment | service.environment | injected


def _bind_address(service: ServiceConfig) -> str:
    """Return where an instance listens: on loopback, unless the service port is its own."""
    own = service.binds_own_port and service.host != "localhost"
    return service.host if own else "127.0.0.1"


def expand_command(command: tuple[str, ...], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Replace the `${VAR}` forms in the arguments; raises ValueError for an unset variable."""
    return tuple(expand(argument, environment) for argument in command)


def working_dir(service: ServiceConfig, project_dir: Path) -> Path:
    """Return the directory that an instance runs in; `~` and relative paths are understood."""
    if service.working_dir is None:
        return project_dir
    return project_dir / os.path.expanduser(service.working_dir)  # noqa: PTH111  may be relative
