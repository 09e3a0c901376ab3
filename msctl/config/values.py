"""The values that only a service's keys have, and the forms that people write them in."""

import keyword
import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from msctl.config.fields import TextList, bad_value, none_word, one_or_more, switch
from msctl.config.forms import FLAG, HOST, IMPORT_STRING, OFF, SWITCH
from msctl.config.health import HealthConfig, LivenessConfig
from msctl.config.process import ResourcesConfig
from msctl.config.traffic import (
    Algorithm,
    BalancerConfig,
    BreakerConfig,
    RetryConfig,
    ScalingConfig,
)

RESERVED_NAMES = frozenset({"metrics"})

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_PROFILE = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
_HIGHEST_PORT = 65535

NAME_PATTERN = rf"^(?!({'|'.join(sorted(RESERVED_NAMES))})$){_NAME.pattern}$"
"""What `service_name` accepts, as JSON Schema has it."""


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


ServiceName = Annotated[
    str,
    BeforeValidator(service_name),
    WithJsonSchema({"type": "string", "pattern": NAME_PATTERN}),
]
ServicePort = Annotated[
    Annotated[int, Field(ge=1, le=_HIGHEST_PORT)] | Literal["auto"] | None, BeforeValidator(_port)
]
ListenHost = Annotated[str, BeforeValidator(_host, json_schema_input_type=HOST)]
ImportString = Annotated[str, BeforeValidator(_import_string, json_schema_input_type=IMPORT_STRING)]
Health = Annotated[
    HealthConfig | Literal["none"] | None,
    BeforeValidator(_health, json_schema_input_type=HealthConfig | SWITCH | None),
]
Liveness = Annotated[
    LivenessConfig | None, BeforeValidator(none_word, json_schema_input_type=LivenessConfig | OFF)
]
Scaling = Annotated[
    ScalingConfig | None, BeforeValidator(none_word, json_schema_input_type=ScalingConfig | OFF)
]
Balancer = Annotated[
    BalancerConfig, BeforeValidator(_balancer, json_schema_input_type=BalancerConfig | Algorithm)
]
Breaker = Annotated[
    BreakerConfig | None,
    BeforeValidator(_breaker, json_schema_input_type=BreakerConfig | SWITCH),
]
Retries = Annotated[
    RetryConfig | None, BeforeValidator(_retries, json_schema_input_type=RetryConfig | SWITCH)
]
Resources = Annotated[
    ResourcesConfig | None,
    BeforeValidator(none_word, json_schema_input_type=ResourcesConfig | OFF),
]
Watch = Annotated[
    bool | tuple[str, ...],
    BeforeValidator(_watch, json_schema_input_type=FLAG | TextList),
]
Profile = Annotated[str, StringConstraints(pattern=_PROFILE)]
