"""When two sketches run the same program: one of them is enough."""

from dataclasses import replace
from pathlib import PurePath

from msctl.config.drafting.names import valid_name
from msctl.config.drafting.shell import arguments
from msctl.config.drafting.sketch import Sketch

_HEALTH = ("health", "health_check_path")


def same_service(one: Sketch, other: Sketch) -> bool:
    """Whether the sketches are of one service: by name, or because they run the same file."""
    return valid_name(one.name) == valid_name(other.name) or bool(_runs(one) & _runs(other))


def _runs(sketch: Sketch) -> set[PurePath]:
    """Return the Python files that it runs, without `.py`, relative to the project."""
    directory = PurePath(str(sketch.keys.get("working_dir", ".")))
    app, command = sketch.keys.get("app"), sketch.keys.get("command")
    if isinstance(app, str):
        return {directory / PurePath(*app.partition(":")[0].split("."))}
    given = command if isinstance(command, str) else [str(part) for part in command or ()]  # type: ignore[union-attr]  # a list
    argv = arguments(given)
    files = {directory / PurePath(part).with_suffix("") for part in argv if part.endswith(".py")}
    if "-m" in argv[:-1]:
        files.add(directory / PurePath(*argv[argv.index("-m") + 1].split(".")))
    return files


def with_health_of(sketch: Sketch, other: Sketch) -> Sketch:
    """Return the first with the health check of the second, where its own is only a guess."""
    if "health" not in sketch.remarks or "health" in other.remarks:
        return sketch
    keys = {key: value for key, value in sketch.keys.items() if key not in _HEALTH}
    keys |= {key: other.keys[key] for key in _HEALTH if key in other.keys}
    remarks = {key: text for key, text in sketch.remarks.items() if key not in _HEALTH}
    remarks |= {key: text for key, text in other.remarks.items() if key in _HEALTH}
    return replace(sketch, keys=keys, remarks=remarks)
