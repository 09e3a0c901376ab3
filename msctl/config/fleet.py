"""FleetConfig: a whole project, and the keys beside the services that say what it is."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from msctl.config.fields import Flag, Section, TextList, bad_value
from msctl.config.service import ServiceConfig

_PROJECT = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"
_MODULE = r"^[^\W\d]\w*(\.[^\W\d]\w*)*$"
_HIGHEST_PORT = 65535

GATEWAY_PORT = 8700
"""The gateway's port where none is set; the next free one if that is taken (contract.md, HTTP)."""


def _loopback(value: object) -> object:
    if value == "localhost":
        return value
    try:
        is_loopback = ipaddress.ip_address(str(value)).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise bad_value("the gateway binds loopback only; use 127.0.0.1, ::1 or localhost")
    return value


def _gateway_port(value: object) -> object:
    digits = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    port = int(digits) if re.fullmatch(r"[0-9]{1,5}", digits.strip()) else 0
    if value is not None and not 1 <= port <= _HIGHEST_PORT:
        raise bad_value("expected a port from 1 to 65535")
    return port or None


class GatewayConfig(Section):
    """Where the gateway listens, and what it writes down."""

    host: Annotated[str, BeforeValidator(_loopback)] = "127.0.0.1"
    """The address it binds: loopback only."""
    port: Annotated[
        Annotated[int, Field(ge=1, le=_HIGHEST_PORT)] | None, BeforeValidator(_gateway_port)
    ] = None
    """Without it 8700, or the next one that is free."""
    access_log: Flag = False
    """Whether every request through the router is a line of JSON in `.msctl/access.log`."""


class FleetSettings(Section):
    """What a file may say beside its services, for the whole fleet."""

    project: Annotated[str, StringConstraints(pattern=_PROJECT)] | None = None
    """The project's name; without it, that of its directory."""
    gateway: GatewayConfig = GatewayConfig()
    """The one listener that serves every service by prefix and by host."""
    preload: tuple[Annotated[str, StringConstraints(pattern=_MODULE)], ...] = ()
    """Modules that the template imports, so that services start with them loaded."""
    include: TextList = ()
    """More configuration: files, directories, globs, relative to this file."""


class FleetConfig(BaseModel):
    """A project: its services in the order of the files, and what they share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    project: str
    project_dir: Path
    gateway: GatewayConfig = GatewayConfig()
    services: dict[str, ServiceConfig] = Field(default_factory=dict)
    preload: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    """The configuration files that were read, absolute."""
    isolated: bool = False
    """Whether it is to have nothing that only one fleet of the project can have."""
    left_ports: frozenset[int] = frozenset()
    """Ports that the files name and that this fleet leaves to another one."""

    @property
    def named_ports(self) -> frozenset[int]:
        """Every port that the files name: nothing that is drawn may be one of them."""
        own = {self.gateway.port, *(service.port for service in self.services.values())}
        return self.left_ports | {port for port in own if isinstance(port, int)}
