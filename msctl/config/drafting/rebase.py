"""Paths of a file that lies elsewhere, as seen from the project's directory."""

import os
from dataclasses import replace
from pathlib import Path, PurePath

from msctl.config.drafting.sketch import Sketch, Sketches, Value

_HERE = PurePath()


def seen_from(project: Path, place: Path, sketches: Sketches) -> Sketches:
    """Return the sketches of a file in `place`, whose paths and programs are at home there."""
    between = PurePath(os.path.relpath(place, project))
    if between == _HERE:
        return sketches
    moved = tuple(_moved(sketch, between) for sketch in sketches.services)
    return replace(sketches, services=moved)


def _moved(sketch: Sketch, between: PurePath) -> Sketch:
    directory = sketch.keys.get("working_dir", ".")
    keys = {**sketch.keys, "working_dir": _under(between, directory)}
    if "env_file" in keys:
        files = keys["env_file"]
        keys["env_file"] = (
            [_under(between, file) for file in files]
            if isinstance(files, list)
            else _under(between, files)
        )
    return replace(sketch, keys=keys)


def _under(between: PurePath, path: Value) -> str:
    return str(between / str(path))
