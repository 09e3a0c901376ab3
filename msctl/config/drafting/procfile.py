"""A Procfile: a line for each process, `name: command`, which foreman and Heroku give to a shell."""

import re

from msctl.config.drafting.program import Program, program_of_line
from msctl.config.drafting.sketch import Sketch, Sketches

_LINE = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*)\s*:\s*(\S.*)")
_WEB = "web"
_RELEASE = "release"
"""Heroku runs it before everything else."""


def read_procfile(text: str, origin: str) -> Sketches:
    """Return what the lines become: services with a port where they use one, else workers."""
    sketches: list[Sketch] = []
    notes: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.fullmatch(line.strip())
        if match:
            name = match[1]
            sketches.append(_sketch(name, origin, program_of_line(match[2], is_web=name == _WEB)))
        elif line.strip() and not line.lstrip().startswith("#"):
            notes.append(f"{origin}:{number}: is no `name: command`: {line.strip()}")
    return Sketches(services=tuple(_after_release(sketches)), notes=tuple(notes))


def _sketch(name: str, origin: str, program: Program) -> Sketch:
    keys = dict(program.keys)
    if name == _RELEASE:
        keys["restart"] = "no"
    return Sketch(
        name=name,
        origin=origin,
        keys=keys,
        has_port=program.has_port,
        port=program.port,
        notes=tuple(program.notes),
        remarks=program.remarks,
    )


def _after_release(sketches: list[Sketch]) -> list[Sketch]:
    jobs = [sketch.name for sketch in sketches if sketch.name == _RELEASE][:1]
    for sketch in sketches:
        if jobs and sketch.name != _RELEASE:
            sketch.keys["dependencies"] = {_RELEASE: {"condition": "completed"}}
    return sketches
