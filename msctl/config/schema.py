"""The JSON Schema of a configuration file, for editors and for `msctl schema`.

The models say which keys there are, what they mean and in which short forms they may be
written; this module adds what is true of files only: every scalar is text until its key says
what it means (see `nodes`), `${VAR}` may stand in it, and a key without a value is as if not
written. Nothing that loads is refused: what depends on other keys, on `defaults` or on other
files is left to `msctl validate`.

Draft 7: the newest that the YAML language server of most editors understands.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic.json_schema import models_json_schema

from msctl.config.fields import Section, switch
from msctl.config.fleet import FleetSettings
from msctl.config.service import ServiceConfig
from msctl.config.values import NAME_PATTERN

Schema = dict[str, Any]

FILE_NAME = "msctl.schema.json"
"""The schema's name beside a configuration that `msctl init` writes."""

_DIALECT = "http://json-schema.org/draft-07/schema#"
_REFERENCE = "#/definitions/{model}"
_ANNOTATIONS = ("description", "default", "examples")
_NULL: Schema = {"type": "null"}
_TEXT_FORMS: dict[str, Schema] = {
    "Variable": {"type": "string", "pattern": r"\$\{"},
    "WholeNumberText": {"type": "string", "pattern": r"^\s*[+-]?[0-9][0-9_]*(\.0*)?\s*$"},
    "NumberText": {
        "type": "string",
        "pattern": r"^\s*[+-]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)([eE][+-]?[0-9]+)?\s*$",
    },
}
"""What may stand in place of a value that is no text."""


def schema_text() -> str:
    """Return the schema as the text of its file, without the last line's end."""
    return json.dumps(file_schema(), indent=2)


def file_schema() -> Schema:
    """Return the schema of a file: one service, a list of them, or a fleet."""
    _, generated = models_json_schema(
        [(model, "validation") for model in _models(Section)], ref_template=_REFERENCE
    )
    definitions = {name: _definition(model) for name, model in generated["$defs"].items()}
    definitions |= _TEXT_FORMS
    service = _reference(ServiceConfig.__name__)
    definitions["Service"] = {"allOf": [service, {"required": ["name"]}]}
    _add_services(definitions[FleetSettings.__name__], service)
    return {
        "$schema": _DIALECT,
        "title": "msctl configuration",
        "description": "One service, a list of services, or a fleet.",
        "anyOf": [
            _reference(FleetSettings.__name__),
            _reference("Service"),
            {"type": "array", "items": _reference("Service")},
        ],
        "definitions": dict(sorted(definitions.items())),
    }


def _models(base: type[Section]) -> Iterator[type[Section]]:
    """Yield every section; early pydantic forgets those that only a short form refers to."""
    for model in base.__subclasses__():
        yield model
        yield from _models(model)


def _reference(name: str) -> Schema:
    return {"$ref": _REFERENCE.format(model=name)}


def _add_services(fleet: Schema, service: Schema) -> None:
    """Add the keys of a fleet's file that are no settings: they are made of services."""
    fleet["minProperties"] = 1
    fleet["patternProperties"] = {"^x-": {"description": "Anything; a place for YAML anchors."}}
    fleet["properties"]["defaults"] = {
        "description": "Keys that every service starts from.",
        "anyOf": [{"allOf": [service, {"properties": {"name": _NULL}}]}, _NULL],
    }
    fleet["properties"]["services"] = {
        "description": "The services, by name.",
        "anyOf": [
            {
                "type": "object",
                "propertyNames": {"pattern": NAME_PATTERN},
                "additionalProperties": {"anyOf": [service, _NULL]},
            },
            {"type": "array", "items": _reference("Service")},
            _NULL,
        ],
    }


def _definition(model: Schema) -> Schema:
    """Return a model's schema as its part of a file has it.

    Nothing is required: what is not here may be in `defaults`, which are merged key by key.
    What the classes say of themselves is for programmers, and left out.
    """
    if "properties" not in model:
        return _any_of(_forms(model))
    properties = {key: _property(schema) for key, schema in model["properties"].items()}
    left_out = {"description", "properties", "required", "title"}
    rest = {key: value for key, value in model.items() if key not in left_out}
    return {**rest, "properties": properties}


def _property(schema: Schema) -> Schema:
    about = {key: schema[key] for key in _ANNOTATIONS if schema.get(key) is not None}
    return {**about, **_any_of([*_forms(schema), _NULL])}


def _forms(schema: Schema) -> Iterator[Schema]:
    """Yield the forms in which a file may give what the schema describes."""
    if "anyOf" in schema:
        for form in schema["anyOf"]:
            yield from _forms(form)
        return
    form = {key: value for key, value in schema.items() if key not in {"title", *_ANNOTATIONS}}
    yield from _in_a_file(form)


def _in_a_file(form: Schema) -> Iterator[Schema]:
    kind = form.get("type")
    if "enum" in form or "const" in form:
        yield from _words(form.get("enum", [form.get("const")]))
    elif kind == "integer":
        yield from (form, _reference("WholeNumberText"), _reference("Variable"))
    elif kind == "number":
        yield from (form, _reference("NumberText"), _reference("Variable"))
    elif kind == "string":
        yield from _texts(form)
    elif kind == "array":
        yield {**form, "items": _any_of(_forms(form["items"]))}
    elif kind == "object" and "patternProperties" in form:
        [(pattern, value)] = form["patternProperties"].items()
        values = {pattern: _any_of([*_forms(value), _NULL])}
        yield {"type": kind, "patternProperties": values, "additionalProperties": False}
    else:
        yield form


def _words(words: list[Any]) -> Iterator[Schema]:
    texts = [word for word in words if isinstance(word, str)]
    if texts:
        yield from ({"enum": texts}, _reference("Variable"))
    # YAML 1.1 makes a boolean of `no`, which may be one of the words.
    yield from ({"const": made} for word in words if (made := switch(word)) is not None)


def _texts(form: Schema) -> Iterator[Schema]:
    """Yield text, and what YAML takes for something else though text is meant: 1.10, true."""
    form.pop("format", None)
    pattern = form.get("pattern")
    if pattern is None:
        yield {**form, "type": ["string", "number", "boolean"]}
        return
    yield form
    if re.search(pattern, "1.10"):
        yield {"type": "number"}
    if re.search(pattern, "true"):
        yield {"type": "boolean"}
    yield _reference("Variable")


def _any_of(forms: Iterable[Schema]) -> Schema:
    """Return a schema that accepts each of the forms, in few words."""
    kinds: list[str] = []
    rest: list[Schema] = []
    for form in forms:
        if form.keys() == {"type"}:
            kind = form["type"]
            kinds += [
                each for each in (kind if isinstance(kind, list) else [kind]) if each not in kinds
            ]
        elif form not in rest:
            rest.append(form)
    if "boolean" in kinds:
        rest = [form for form in rest if form.keys() != {"const"}]
    if kinds:
        rest.append({"type": kinds if len(kinds) > 1 else kinds[0]})
    return {"anyOf": rest} if len(rest) > 1 else rest[0]
