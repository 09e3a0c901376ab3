"""A second fleet from the same configuration: nothing that only one of them could have."""

from msctl.config.fleet import FleetConfig
from msctl.config.health import HealthConfig
from msctl.config.service import ServiceConfig


def under_name(fleet: FleetConfig, project: str) -> FleetConfig:
    """Return the fleet as the project of another name (`--project`)."""
    return fleet.model_copy(update={"project": project})


def isolated(fleet: FleetConfig) -> FleetConfig:
    """Return the fleet with every port drawn by the system (`--isolated`).

    Services find each other by their environment, so nothing else has to change. A command
    that names its port as a number and not as `${PORT}` cannot run twice all the same.
    """
    return fleet.model_copy(
        update={
            "services": {name: _with_any_port(each) for name, each in fleet.services.items()},
            "gateway": fleet.gateway.model_copy(update={"port": None}),
            "isolated": True,
            "left_ports": fleet.named_ports,
        }
    )


def _with_any_port(service: ServiceConfig) -> ServiceConfig:
    if not service.has_port:
        return service
    changes: dict[str, object] = {"port": "auto"}
    health = service.health
    if isinstance(health, HealthConfig) and health.tcp is not False and health.tcp == service.port:
        # The number was its own port's, which is another one now.
        changes["health"] = health.model_copy(update={"tcp": True})
    return service.model_copy(update=changes)
