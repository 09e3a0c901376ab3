"""What pydantic found, in words that say what to do, with file and line."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from msctl.config.fleet import FleetSettings, GatewayConfig
from msctl.config.health import HealthConfig, LivenessConfig
from msctl.config.nodes import Mark, Node, Scalar, Steps, locate, written
from msctl.config.process import Dependency, ResourcesConfig
from msctl.config.secrets import is_secret, mask_urls
from msctl.config.service import ServiceConfig
from msctl.config.suggestions import ADVICE, did_you_mean, suggest_key, suggest_value
from msctl.config.traffic import (
    BalancerConfig,
    BreakerConfig,
    LimitsConfig,
    RetryConfig,
    ScalingConfig,
)
from msctl.errors import Problem

_SECTIONS: Mapping[str, type[BaseModel]] = {
    "balancer": BalancerConfig,
    "breaker": BreakerConfig,
    "dependencies": Dependency,
    "gateway": GatewayConfig,
    "health": HealthConfig,
    "limits": LimitsConfig,
    "liveness": LivenessConfig,
    "resources": ResourcesConfig,
    "retries": RetryConfig,
    "scaling": ScalingConfig,
}
_MESSAGES: Mapping[str, str] = {
    "int_parsing": "expected a whole number",
    "int_parsing_size": "expected a whole number of a sensible size",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "finite_number": "expected a finite number",
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "string_type": "expected text",
    "string_too_short": "is empty; give it a value",
    "path_type": "expected a path",
    "tuple_type": "expected a list",
    "dict_type": "expected a mapping of keys to values",
    "model_type": "expected a mapping of keys to values",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "missing": "required; give it a value",
}
_FORMS: Mapping[str, str] = {
    "profiles": "expected a word of letters, digits, '.', '_' and '-'",
    "project": "expected up to 63 letters, digits, '.', '_' and '-', the first a letter or digit",
    "preload": "expected the name of a module, such as sqlalchemy.orm",
}
_WITHOUT_VALUE = frozenset({"missing", "extra_forbidden", "string_too_short"})
_INTERNAL = frozenset({"file_environment"})
_LONGEST_VALUE = 60

FLEET_KEYS = frozenset({*FleetSettings.model_fields, "defaults", "services"})
SERVICE_KEYS = frozenset(ServiceConfig.model_fields) - _INTERNAL


def problem_at(root: Node, label: str, path: Steps, message: str) -> Problem:
    """Return a problem with what the path leads to in a tree; `label` is the tree's own path."""
    mark, found, _ = locate(root, path)
    rest = (step for step in path[len(found) :] if isinstance(step, str))
    return Problem(mark.file, mark.line, where(mark, label, (*found, *rest)), message)


def where(mark: Mark, label: str, path: Steps) -> str:
    """Return the key's path as problems show it; what was inherited is shown where it stands."""
    shown = written(path)
    label = mark.section or label
    return f"{label}.{shown}" if label and shown and shown[0] != "[" else label + shown


def explain(error: ErrorDetails, root: Node, label: str) -> tuple[Problem, Steps]:
    """Return the problem that a validation error stands for, and the path that it invalidates."""
    kind, context = error["type"], error.get("ctx", {})
    mark, path, node = locate(root, error["loc"])
    named = path
    if kind == "missing":
        named = (*path, error["loc"][-1])
        message = _MESSAGES[kind]
    elif kind == "extra_forbidden":
        message = unknown_key(str(path[-1]), path[:-1], label)
    else:
        message = _value_message(kind, context, error["msg"], named, node)
    if kind not in _WITHOUT_VALUE:
        message += shown_value(node, path)
    return Problem(mark.file, mark.line, where(mark, label, named), message), path


def _value_message(
    kind: str, context: Mapping[str, Any], default: str, path: Steps, node: Node
) -> str:
    if kind in {"enum", "literal_error"}:
        known = re.findall(r"'([^']*)'", str(context["expected"]))
        text = node.text if isinstance(node, Scalar) else ""
        hint = did_you_mean(suggest_value(text, known)) if text else ""
        return f"expected one of {', '.join(known)}{hint}"
    if kind == "string_pattern_mismatch":
        return _FORMS.get(str(path[0]), default)
    if kind in _MESSAGES:
        return _MESSAGES[kind].format(**context)
    return default


def unknown_key(key: str, parents: Steps, label: str) -> str:
    """Return what to say of a key that does not exist at this place."""
    section = str(parents[0]) if parents else None
    if section is not None:
        model = _SECTIONS.get(section)
        known: Iterable[str] = model.model_fields if model else ()
        hint = did_you_mean(suggest_key(key, known, section))
        return f"unknown key{hint}" if hint else f"unknown key; there are {', '.join(known)}"
    if not label:
        return _advised(key, FLEET_KEYS, "")
    if key in FLEET_KEYS:
        return "unknown key; it belongs to the whole fleet: move it beside services"
    return _advised(key, SERVICE_KEYS, None)


def _advised(key: str, known: Iterable[str], section: str | None) -> str:
    if key in ADVICE:
        return f"unknown key; {ADVICE[key]}"
    hint = did_you_mean(suggest_key(key, known, section))
    return f"unknown key{hint}" if hint else "unknown key; `msctl schema` lists the keys"


def shown_value(node: Node, path: Steps) -> str:
    """Return the value as the end of a message, unless there is none or it may be a secret."""
    if not isinstance(node, Scalar) or any(is_secret(str(step)) for step in path):
        return ""
    if node.null:
        return "; got nothing"
    if node.source is None:
        return f"; got {_short(node.text)}"
    if is_secret(node.source):
        return f"; got {_short(node.source)}"
    return f"; got {_short(node.text)} from {node.source}"


def _short(text: str) -> str:
    text = mask_urls(text)
    return repr(text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…")
