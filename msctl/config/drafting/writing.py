"""A draft as the lines of a file, each of which knows what it says."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from msctl.config.drafting.assemble import Draft
from msctl.config.drafting.sketch import Sketch, Value
from msctl.config.drafting.yaml_text import block, comment, scalar
from msctl.config.service import ServiceConfig

Owner = tuple[str, ...]
"""What a line belongs to: a service, a key of it, a key within that; empty for the file."""

_INDENT = "  "
_ONE_BY_ONE = frozenset({"dependencies", "environment"})
"""Keys whose entries are written, and judged, one by one."""
_ORDER = {key: index for index, key in enumerate(ServiceConfig.model_fields)}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file."""

    text: str
    owner: Owner = ()


def lines_of(draft: Draft, header: Sequence[str]) -> list[Line]:
    """Return the file's lines: header, notes, project, services."""
    lines = [Line(text) for text in header]
    if draft.notes:
        lines += [Line("")]
        lines += [Line(text) for note in draft.notes for text in comment(note)]
    if draft.project:
        lines += [Line(""), Line(f"project: {scalar(draft.project)}", ("project",))]
    lines += [Line(""), Line("services:")]
    show_origin = len(draft.origins) > 1
    for index, sketch in enumerate(draft.services.values()):
        if index:
            lines.append(Line(""))
        lines += _service(sketch, show_origin=show_origin)
    return lines


def _service(sketch: Sketch, *, show_origin: bool) -> Iterator[Line]:
    owner = (sketch.name,)
    said = [f"From {sketch.origin}."] * show_origin + [sketch.left_out] * bool(sketch.left_out)
    said += sketch.notes
    for note in said:
        yield from (Line(text, owner) for text in comment(note, _INDENT))
    body = [Line(f"{sketch.name}:", owner)]
    for key in sorted(sketch.keys, key=lambda key: _ORDER[key]):
        if key in sketch.remarks:
            remark = comment(sketch.remarks[key], _INDENT)
            body += [Line(text, owner) for text in remark]
        body += key_lines(sketch.name, key, sketch.keys[key])
    start = f"{_INDENT}# " if sketch.left_out else _INDENT
    yield from (Line(f"{start}{line.text}".rstrip(), line.owner) for line in body)


def key_lines(name: str, key: str, value: Value) -> list[Line]:
    """Return a service's key as its lines, indented by what a service's name is not."""
    owner = (name, key)
    if key == "dependencies" and isinstance(value, Mapping):
        if not any(value.values()):
            value = list(value)
        else:
            value = {each: options or {"condition": "healthy"} for each, options in value.items()}
    if key in _ONE_BY_ONE and isinstance(value, dict) and value:
        lines = [Line(f"{_INDENT}{key}:", owner)]
        for inner, item in value.items():
            first, *rest = block(item, _INDENT * 3)
            start = f"{_INDENT * 2}{scalar(inner)}:"
            lines += [Line(text, (*owner, inner)) for text in (f"{start}{first}", *rest)]
        return lines
    first, *rest = block(value, _INDENT * 2)
    return [Line(text, owner) for text in (f"{_INDENT}{key}:{first}", *rest)]
