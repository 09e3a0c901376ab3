"""ServiceConfig: what one service is, as configuration says it."""

import keyword
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import InitErrorDetails

from msctl.config.contradictions import contradictions
from msctl.config.environment import Environment
from msctl.config.fields import (
    Argv,
    Count,
    Flag,
    Seconds,
    SecondsOrZero,
    Section,
    Text,
    UrlPath,
    bad_value,
    none_word,
    one_or_more,
    switch,
    text_of,
)
from msctl.config.health import (
    DEFAULT_HEALTH_PATH,
    Check,
    CheckKind,
    HealthConfig,
    LivenessConfig,
    check_of,
)
from msctl.config.process import (
    Dependency,
    ResourcesConfig,
    RestartConfig,
    StartMode,
    parse_dependencies,
    parse_restart,
    parse_signal,
)
from msctl.config.traffic import (
    BalancerConfig,
    BreakerConfig,
    LimitsConfig,
    RetryConfig,
    ScalingConfig,
)
from msctl.model import ServiceType

RESERVED_NAMES = frozenset({"metrics"})
COLLECT_CONTRADICTIONS = "msctl.collect_contradictions"
"""Validation context: leave the rules between keys to the caller, who has more to report."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_PROFILE = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
_HIGHEST_PORT = 65535
_ANY_ADDRESS = frozenset({"0.0.0.0", "::", "[::]"})  # noqa: S104 - compared with, never bound


def service_name(value: object) -> object:
    """Return the value, if it is a service's name; raises what is wrong with it."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        likely = re.sub(r"[^a-z0-9]+", "-", str(value).strip().lower()).strip("-")
        hint = f" (did you mean {likely}?)" if _NAME.fullmatch(likely) else ""
        raise bad_value(
            "expected a name of up to 63 lower-case letters, digits and hyphens, "
            f"the first one a letter{hint}"
        )
    if value in RESERVED_NAMES:
        raise bad_value(f"{value} is a reserved name; choose another one")
    return value


def _port(value: object) -> object:
    if value is None or value == "auto":
        return value
    try:
        port = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else 0
    except ValueError:
        port = 0
    if not 1 <= port <= _HIGHEST_PORT:
        mapped = re.fullmatch(r"(\d{1,5}):\d{1,5}", value) if isinstance(value, str) else None
        hint = f" (did you mean {mapped[1]}? ports are not mapped)" if mapped else ""
        raise bad_value(f"expected a port from 1 to 65535, or auto{hint}")
    return port


def _host(value: object) -> object:
    if isinstance(value, str) and (not value or re.search(r"[\s/\0]", value) or "://" in value):
        raise bad_value("expected an address to listen on, such as localhost or 0.0.0.0")
    return value


def _import_string(value: object) -> object:
    if not isinstance(value, str):
        return value
    module, colon, attribute = value.partition(":")
    names = [*module.split("."), *attribute.split(".")]
    if colon and all(name.isidentifier() and not keyword.iskeyword(name) for name in names):
        return value
    guess = re.sub(r"\.py(?=:|$)", "", value.strip()).replace("/", ".").strip(".")
    guess = guess if ":" in guess else f"{guess}:app"
    likely = re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", guess)
    hint = f" (did you mean {guess}?)" if likely else ""
    raise bad_value(f"expected module.path:attribute, such as services.user_service:app{hint}")


def _balancer(value: object) -> object:
    return {"algorithm": value} if isinstance(value, str) else value


def _breaker(value: object) -> object:
    chosen = _switch_or_mapping(value)
    return value if chosen is None else (BreakerConfig() if chosen else None)


def _retries(value: object) -> object:
    chosen = _switch_or_mapping(value)
    return value if chosen is None else (RetryConfig() if chosen else None)


def _switch_or_mapping(value: object) -> bool | None:
    chosen = switch(value)
    if chosen is None and isinstance(value, str):
        raise bad_value("expected on, off or a mapping of keys to values")
    return chosen


def _health(value: object) -> object:
    chosen = _switch_or_mapping(value)
    if chosen is not None:
        return HealthConfig() if chosen else "none"
    # Validated here, not by the union: its messages would be those of every member.
    return value if value is None else HealthConfig.model_validate(value)


def _watch(value: object) -> object:
    chosen = switch(value)
    if chosen is not None:
        return chosen
    globs = one_or_more(value)
    if not isinstance(globs, list | tuple) or not all(isinstance(g, str) and g for g in globs):
        raise bad_value("expected true, false or a list of globs")
    return tuple(globs)


class ServiceConfig(Section):
    """One service. All short forms of the configuration files work from Python too.

    Raises pydantic.ValidationError with everything that is wrong, each under its key.
    """

    name: Annotated[str, BeforeValidator(service_name)]
    """Lower-case letters, digits and hyphens; unique in the fleet."""
    description: str = ""
    """Its one responsibility, in a line."""
    port: Annotated[int | Literal["auto"] | None, BeforeValidator(_port)] = None
    """The service port, its stable front door: 1 to 65535, or auto."""
    host: Annotated[str, BeforeValidator(_host)] = "localhost"
    """The address that the front door binds."""
    service_type: ServiceType = ServiceType.API
    """What it is; decides who binds its port and how it is checked."""
    app: Annotated[str, BeforeValidator(_import_string)] | None = None
    """ASGI import string, `module:attribute`; without it, `services.<name>:app`."""
    factory: Flag = False
    """Whether `app` is a function that makes the application."""
    command: Argv | None = None
    """The program to run instead of an app, in any language; `${PORT}` becomes its port."""
    start: StartMode = StartMode.AUTO
    """auto: forked from a warm process where possible; exec: always a fresh one."""
    python: Annotated[Text, BeforeValidator(text_of)] | None = None
    """Another Python interpreter for `app`."""
    working_dir: Path | None = None
    """Where it runs; without it, the project directory."""
    dependencies: Annotated[tuple[Dependency, ...], BeforeValidator(parse_dependencies)] = ()
    """Services that must be there first: names, or a mapping of names to conditions."""
    environment: Environment = Field(default_factory=dict, repr=False)
    """Variables for its processes, over those of `env_file`."""
    env_file: Annotated[tuple[Path, ...], BeforeValidator(one_or_more)] = ()
    """Files of `K=V` lines, later ones over earlier ones; `.env` comes before them all."""
    file_environment: SkipJsonSchema[dict[str, str]] = Field(default_factory=dict, repr=False)
    """What the env files hold together; filled by the loader."""
    health_check_path: UrlPath = DEFAULT_HEALTH_PATH
    """The path of the HTTP health check."""
    health: Annotated[HealthConfig | Literal["none"] | None, BeforeValidator(_health)] = None
    """More about the health check, or none."""
    liveness: Annotated[LivenessConfig | None, BeforeValidator(none_word)] = None
    """A check whose failure restarts the process."""
    timeout: Seconds = 30.0
    """Seconds from a request's head to its response's head, retries and queueing included."""
    start_timeout: Seconds = 30.0
    """Seconds within which it must be healthy after its start."""
    stop_timeout: SecondsOrZero = 10.0
    """Seconds between the stop signal and SIGKILL."""
    drain_timeout: SecondsOrZero = 10.0
    """Seconds that requests under way are given to end before the stop signal."""
    stop_signal: Annotated[str, BeforeValidator(parse_signal)] = "TERM"
    """The signal that asks it to stop."""
    replicas: Annotated[Count, Field(le=1000)] = 1
    """How many instances run."""
    scaling: Annotated[ScalingConfig | None, BeforeValidator(none_word)] = None
    """Instances by load."""
    balancer: Annotated[BalancerConfig, BeforeValidator(_balancer)] = BalancerConfig()
    """Which instance gets the next request: an algorithm's name, or a mapping."""
    breaker: Annotated[BreakerConfig | None, BeforeValidator(_breaker)] = BreakerConfig()
    """When a failing instance gets no requests; off for never."""
    retries: Annotated[RetryConfig | None, BeforeValidator(_retries)] = RetryConfig()
    """How often a failed request is sent again; off for never."""
    limits: LimitsConfig = LimitsConfig()
    """How much it takes on at once."""
    resources: Annotated[ResourcesConfig | None, BeforeValidator(none_word)] = None
    """What each instance may use."""
    restart: Annotated[RestartConfig, BeforeValidator(parse_restart)] = RestartConfig()
    """What follows an exit: no, always, on-failure, on-failure:N."""
    watch: Annotated[bool | tuple[str, ...], BeforeValidator(_watch)] = False
    """Restart when files change: true, or globs."""
    access_log: Flag = False
    """Whether uvicorn writes a line for every request."""
    data: tuple[Text, ...] = ()
    """The data stores that it owns, and no other service."""
    profiles: tuple[Annotated[str, StringConstraints(pattern=_PROFILE)], ...] = ()
    """It is started only when one of these is asked for, or as a dependency."""

    if TYPE_CHECKING:
        # The short forms, which the types of the fields do not show, are valid arguments too.
        def __init__(self, *, name: str, **keys: Any) -> None: ...

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Self:
        if info.context and COLLECT_CONTRADICTIONS in info.context:
            return self
        errors: list[InitErrorDetails] = [
            {"type": bad_value(message), "loc": path, "input": None}
            for path, message in contradictions(self)
        ]
        if errors:
            raise ValidationError.from_exception_data(type(self).__name__, errors)
        return self

    @property
    def is_http(self) -> bool:
        """Whether it answers HTTP behind a front door that the gateway holds."""
        return self.service_type is ServiceType.API

    @property
    def has_port(self) -> bool:
        """Whether it has a service port at all; workers have none."""
        return self.service_type is not ServiceType.WORKER

    @property
    def binds_own_port(self) -> bool:
        """Whether it opens its service port itself (design.md, Ports)."""
        return self.has_port and not self.is_http

    @property
    def effective_app(self) -> str | None:
        """The import string of its application; None when it runs a command."""
        if self.command is not None:
            return None
        return self.app or f"services.{self.name.replace('-', '_')}:app"

    @property
    def url(self) -> str | None:
        """Where others reach it; None without a port, or while that is still `auto`."""
        if not isinstance(self.port, int):
            return None
        host = "localhost" if self.host in _ANY_ADDRESS else self.host
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"{'http' if self.is_http else 'tcp'}://{host}:{self.port}"

    @property
    def stop_signal_number(self) -> int:
        """The number of `stop_signal` on this system."""
        return signal.Signals[f"SIG{self.stop_signal}"].value

    @property
    def effective_check(self) -> Check | None:
        """The health check that is made, defaults filled in; None where there is none.

        HTTP for whatever runs an app or is an API, TCP for what binds its port itself, none
        for a worker that runs a command (contract.md: then it is healthy while it runs).
        """
        if self.health == "none":
            return None
        default = CheckKind.TCP if self.binds_own_port else CheckKind.HTTP
        health = self.health if isinstance(self.health, HealthConfig) else HealthConfig()
        check = check_of(health, default, self.health_check_path)
        portless = not self.has_port and self.command is not None
        if portless and health.command is None and health.tcp is False:
            return None
        return check
