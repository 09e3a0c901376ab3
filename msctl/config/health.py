"""How msctl asks a service whether it is ready, and whether it is still alive."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from msctl.config.fields import (
    Argv,
    Count,
    Interval,
    Seconds,
    Section,
    UrlPath,
    bad_value,
    switch,
)
from msctl.config.forms import FLAG, exclusive

DEFAULT_HEALTH_PATH = "/health"

_LOWEST_STATUS, _HIGHEST_STATUS = 100, 599
_HIGHEST_PORT = 65535

_Status = Annotated[int, Field(ge=_LOWEST_STATUS, le=_HIGHEST_STATUS)]
_Statuses = Annotated[tuple[_Status, ...], Field(min_length=1)]


class CheckKind(StrEnum):
    """How the question is put."""

    HTTP = "http"
    TCP = "tcp"
    COMMAND = "command"


def _statuses(value: object) -> object:
    given = list(value) if isinstance(value, list | tuple) else [value]
    try:
        codes = [int(str(code)) for code in given]
    except ValueError:
        codes = []
    in_range = all(_LOWEST_STATUS <= code <= _HIGHEST_STATUS for code in codes)
    if not codes or not in_range:
        raise bad_value("expected an HTTP status such as 200, or a list of them")
    return codes


def _tcp(value: object) -> object:
    chosen = switch(value)
    if chosen is not None:
        return chosen
    try:
        port = int(value) if isinstance(value, int | str) else 0
    except ValueError:
        port = 0
    if not 1 <= port <= _HIGHEST_PORT:
        raise bad_value("expected true (the service's port) or a port from 1 to 65535")
    return port


class HealthConfig(Section):
    """The readiness check of a service; the defaults are those of router.md."""

    model_config = ConfigDict(json_schema_extra=exclusive("path", "command"))

    path: UrlPath | None = None
    """Ask over HTTP for this path; also `health_check_path`."""
    interval: Interval = 2.0
    """Seconds between two checks while the verdict stands."""
    fast_interval: Interval = 0.25
    """Seconds between two checks while it does not: after a failure, and before the first success."""
    timeout: Seconds = 1.0
    """Seconds that an answer may take."""
    rise: Count = 2
    """Good answers in a row until an unhealthy instance is healthy again."""
    fall: Count = 3
    """Failures in a row until a healthy instance is unhealthy."""
    expect_status: (
        Annotated[
            tuple[int, ...],
            BeforeValidator(_statuses, json_schema_input_type=_Statuses | _Status),
        ]
        | None
    ) = None
    """The HTTP statuses that are good; without it, any 2xx or 3xx."""
    tcp: Annotated[
        bool | int,
        BeforeValidator(
            _tcp, json_schema_input_type=FLAG | Annotated[int, Field(ge=1, le=_HIGHEST_PORT)]
        ),
    ] = False
    """True, or a port: a connection that is accepted is good. For services that open their port themselves."""
    command: Argv | None = None
    """A program whose exit code 0 is good; it gets the instance's environment."""

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        asked = [self.path is not None, self.tcp is not False, self.command is not None]
        if sum(asked) > 1:
            raise bad_value("path, tcp and command exclude each other; keep one of them")
        if self.expect_status is not None and (self.tcp is not False or self.command is not None):
            raise bad_value("expect_status is for a check over HTTP; remove it, tcp or command")
        return self


class LivenessConfig(Section):
    """The check whose failure restarts a process (off unless asked for)."""

    model_config = ConfigDict(json_schema_extra=exclusive("path", "command"))

    path: UrlPath | None = None
    """Ask over HTTP for this path."""
    command: Argv | None = None
    """A program whose exit code 0 is good; it gets the instance's environment."""
    interval: Interval = 10.0
    """Seconds between two checks."""
    timeout: Seconds = 2.0
    """Seconds that an answer may take."""
    fall: Count = 3
    """Failures in a row until the process is restarted."""

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if (self.path is None) == (self.command is None):
            raise bad_value("needs either path or command")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The health check that is really made, defaults filled in; durations in seconds."""

    kind: CheckKind
    path: str | None = None
    command: tuple[str, ...] | None = None
    tcp: int | None = None
    """The port to connect to when it is not the instance's own."""
    interval: float = 2.0
    fast_interval: float = 0.25
    timeout: float = 1.0
    rise: int = 2
    fall: int = 3
    expect_status: tuple[int, ...] | None = None


def check_of(health: HealthConfig, kind: CheckKind, path: str) -> Check:
    """Return the check that `health` describes; `kind` and `path` hold where it names none itself."""
    if health.command is not None:
        kind = CheckKind.COMMAND
    elif health.tcp is not False:
        kind = CheckKind.TCP
    elif health.path is not None:
        kind = CheckKind.HTTP
    return Check(
        kind=kind,
        path=(health.path or path) if kind is CheckKind.HTTP else None,
        command=health.command,
        tcp=None if isinstance(health.tcp, bool) else health.tcp,
        interval=health.interval,
        fast_interval=health.fast_interval,
        timeout=health.timeout,
        rise=health.rise,
        fall=health.fall,
        expect_status=health.expect_status,
    )
