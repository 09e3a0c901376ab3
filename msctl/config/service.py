"""ServiceConfig: what one service is, as configuration says it."""

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
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
    Flag,
    PathList,
    Seconds,
    SecondsOrZero,
    Section,
    Text,
    UrlPath,
    bad_value,
    number,
    text_of,
)
from msctl.config.forms import OFF, RESTART, SIGNAL, exclusive
from msctl.config.health import DEFAULT_HEALTH_PATH, Check, CheckKind, HealthConfig, check_of
from msctl.config.process import (
    Dependency,
    DependencyOptions,
    RestartConfig,
    StartMode,
    parse_dependencies,
    parse_restart,
    parse_signal,
)
from msctl.config.traffic import BalancerConfig, BreakerConfig, LimitsConfig, RetryConfig
from msctl.config.values import (
    Balancer,
    Breaker,
    Health,
    ImportString,
    ListenHost,
    Liveness,
    Profile,
    Resources,
    Retries,
    Scaling,
    ServiceName,
    ServicePort,
    Watch,
)
from msctl.model import ServiceType

COLLECT_CONTRADICTIONS = "msctl.collect_contradictions"
"""Validation context: leave the rules between keys to the caller, who has more to report."""

_ANY_ADDRESS = frozenset({"0.0.0.0", "::", "[::]"})  # noqa: S104 - compared with, never bound


class ServiceConfig(Section):
    """One service. All short forms of the configuration files work from Python too.

    Raises pydantic.ValidationError with everything that is wrong, each under its key.
    """

    model_config = ConfigDict(json_schema_extra=exclusive("app", "command"))

    name: ServiceName
    """Lower-case letters, digits and hyphens; unique in the fleet."""
    description: str = ""
    """Its one responsibility, in a line."""
    port: ServicePort = None
    """The service port, its stable front door: 1 to 65535, or auto."""
    host: ListenHost = "localhost"
    """The address that the front door binds."""
    service_type: ServiceType = ServiceType.API
    """What it is; decides who binds its port and how it is checked."""
    app: ImportString | None = None
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
    dependencies: Annotated[
        tuple[Dependency, ...],
        BeforeValidator(
            parse_dependencies,
            json_schema_input_type=tuple[Text | Dependency, ...]
            | dict[ServiceName, DependencyOptions | None],
        ),
    ] = ()
    """Services that must be there first: names, or a mapping of names to conditions."""
    environment: Environment = Field(default_factory=dict, repr=False)
    """Variables for its processes, over those of `env_file`."""
    env_file: PathList = ()
    """Files of `K=V` lines, later ones over earlier ones; `.env` comes before them all."""
    file_environment: SkipJsonSchema[dict[str, str]] = Field(default_factory=dict, repr=False)
    """What the env files hold together; filled by the loader."""
    health_check_path: UrlPath = DEFAULT_HEALTH_PATH
    """The path of the HTTP health check."""
    health: Health = None
    """More about the health check, or none."""
    liveness: Liveness = None
    """A check whose failure restarts the process."""
    timeout: Seconds = 30.0
    """Seconds from a request's head to its response's head, retries and queueing included."""
    start_timeout: Seconds = 30.0
    """Seconds within which it must be healthy after its start."""
    stop_timeout: SecondsOrZero = 10.0
    """Seconds between the stop signal and SIGKILL."""
    drain_timeout: SecondsOrZero = 10.0
    """Seconds that requests under way are given to end before the stop signal."""
    stop_signal: Annotated[str, BeforeValidator(parse_signal, json_schema_input_type=SIGNAL)] = (
        "TERM"
    )
    """The signal that asks it to stop."""
    replicas: Annotated[int, Field(ge=1, le=1000), BeforeValidator(number)] = 1
    """How many instances run."""
    scaling: Scaling = None
    """Instances by load."""
    balancer: Balancer = BalancerConfig()
    """Which instance gets the next request: an algorithm's name, or a mapping."""
    breaker: Breaker = BreakerConfig()
    """When a failing instance gets no requests; off for never."""
    retries: Retries = RetryConfig()
    """How often a failed request is sent again; off for never."""
    limits: LimitsConfig = LimitsConfig()
    """How much it takes on at once."""
    resources: Resources = None
    """What each instance may use."""
    restart: Annotated[
        RestartConfig,
        BeforeValidator(parse_restart, json_schema_input_type=RestartConfig | OFF | RESTART),
    ] = RestartConfig()
    """What follows an exit: no, always, on-failure, on-failure:N."""
    watch: Watch = False
    """Restart when files change: true, or globs."""
    access_log: Flag = False
    """Whether uvicorn writes a line for every request."""
    data: tuple[Text, ...] = ()
    """The data stores that it owns, and no other service."""
    profiles: tuple[Profile, ...] = ()
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
