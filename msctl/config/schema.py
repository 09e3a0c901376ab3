"""The JSON Schema of a configuration file, for editors and for `msctl schema`."""

from collections.abc import Iterable
from typing import Any

from msctl.config.fleet import FleetSettings
from msctl.config.service import ServiceConfig

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_SWITCH: Schema = {"enum": [True, False, "on", "off"]}
_SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def file_schema() -> Schema:
    """Return the schema of a file: one service, a list of them, or a fleet."""
    service = ServiceConfig.model_json_schema(ref_template="#/$defs/{model}")
    fleet = FleetSettings.model_json_schema(ref_template="#/$defs/{model}")
    definitions = {**service.pop("$defs", {}), **fleet.pop("$defs", {})}
    _accept_short_forms(service["properties"], definitions)
    fleet["properties"]["include"] = {**fleet["properties"]["include"], **_either(_TEXT, _TEXTS)}
    fleet["properties"]["include"].pop("type", None)
    fleet["properties"]["include"].pop("items", None)
    fleet["properties"]["defaults"] = {"$ref": "#/$defs/ServiceKeys"}
    fleet["properties"]["services"] = _either(
        {"type": "object", "additionalProperties": {"$ref": "#/$defs/ServiceKeys"}},
        {"type": "array", "items": {"$ref": "#/$defs/ServiceConfig"}},
    )
    fleet["patternProperties"] = {"^x-": {}}
    for model in (service, fleet, *definitions.values()):
        _accept_variables(model.get("properties", {}))
    definitions |= {
        "ServiceConfig": service,
        "ServiceKeys": {**service, "required": []},
        "Fleet": fleet,
    }
    return {
        "$schema": _DIALECT,
        "title": "msctl configuration",
        **_either(
            {"$ref": "#/$defs/Fleet"},
            {"$ref": "#/$defs/ServiceConfig"},
            {"type": "array", "items": {"$ref": "#/$defs/ServiceConfig"}},
        ),
        "$defs": definitions,
    }


def _accept_short_forms(properties: Schema, definitions: Schema) -> None:
    """Add what the models read before they validate, which pydantic's schema cannot know."""
    options = {**definitions["Dependency"], "required": []}
    options["properties"] = {
        key: value for key, value in options["properties"].items() if key != "name"
    }
    definitions["DependencyOptions"] = options
    short: dict[str, Iterable[Schema]] = {
        "balancer": [{"$ref": "#/$defs/Algorithm"}],
        "breaker": [_SWITCH],
        "command": [{**_TEXT, "minLength": 1}],
        "dependencies": [
            _TEXTS,
            {
                "type": "object",
                "additionalProperties": _either(
                    {"$ref": "#/$defs/DependencyOptions"}, {"type": "null"}
                ),
            },
        ],
        "environment": [_TEXTS, {"type": "object", "additionalProperties": _SCALAR}],
        "env_file": [_TEXT],
        "health": [{"enum": ["none", "off", False]}],
        "liveness": [{"enum": ["none", "off", False]}],
        "resources": [{"enum": ["none", "off", False]}],
        "restart": [
            {**_TEXT, "pattern": "^(no|always|on-failure(:[1-9][0-9]*)?)$"},
            {"const": False},
        ],
        "retries": [_SWITCH],
        "scaling": [{"enum": ["none", "off", False]}],
        "stop_signal": [{"type": "integer"}],
        "watch": [_TEXT],
    }
    for key, forms in short.items():
        properties[key] = _widened(properties[key], forms)
    memory = definitions["ResourcesConfig"]["properties"]
    memory["memory"] = _widened(memory["memory"], [_TEXT])
    limits = definitions["LimitsConfig"]["properties"]
    limits["per_instance"] = _widened(limits["per_instance"], [{"const": "none"}])
    health = definitions["HealthConfig"]["properties"]
    health["expect_status"] = _widened(health["expect_status"], [{"type": "integer"}])
    for section in ("HealthConfig", "LivenessConfig"):
        checks = definitions[section]["properties"]
        checks["command"] = _widened(checks["command"], [_TEXT])


def _accept_variables(properties: Schema) -> None:
    """Let a `${VAR}` stand where a number or a boolean is wanted."""
    for key, schema in properties.items():
        forms = [schema, *schema.get("anyOf", ())]
        if any(form.get("type") in {"integer", "number", "boolean"} for form in forms):
            properties[key] = _widened(schema, [{**_TEXT, "pattern": r"\$\{"}])


def _widened(schema: Schema, forms: Iterable[Schema]) -> Schema:
    """Return the schema with further forms that the value may have."""
    about: Schema = {
        key: schema[key] for key in ("default", "description", "title") if key in schema
    }
    form = {key: value for key, value in schema.items() if key not in about}
    return {**about, **_either(*form.get("anyOf", [form]), *forms)}


def _either(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}
