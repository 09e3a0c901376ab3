"""A second fleet from the same configuration: nothing that only one of them could have."""

from msctl.config.fleet import FleetConfig


def under_name(fleet: FleetConfig, project: str) -> FleetConfig:
    """Return the fleet as the project of another name (`--project`)."""
    return fleet.model_copy(update={"project": project})


def isolated(fleet: FleetConfig) -> FleetConfig:
    """Return the fleet with every port drawn by the system (`--isolated`).

    Services find each other by their environment, so nothing else has to change. A command
    that names its port as a number and not as `${PORT}` cannot run twice all the same.
    """
    services = {
        name: service.model_copy(update={"port": "auto"}) if service.has_port else service
        for name, service in fleet.services.items()
    }
    gateway = fleet.gateway.model_copy(update={"port": None})
    return fleet.model_copy(update={"services": services, "gateway": gateway})
