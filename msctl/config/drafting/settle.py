"""What the loader refuses becomes a comment, with the loader's own words for it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from msctl.config.drafting.assemble import Draft
from msctl.config.drafting.sketch import Keys, Sketch
from msctl.config.drafting.writing import Line, Owner, key_lines, lines_of
from msctl.config.envfiles import default_files
from msctl.config.loader import load_fleet
from msctl.config.location import FILE_NAME, ConfigLocation
from msctl.config.paths import absolute
from msctl.errors import ConfigError, Problem


@dataclass(frozen=True, slots=True)
class Settled:
    """A text that loads, but for what other files get wrong."""

    text: str
    draft: Draft
    elsewhere: tuple[Problem, ...] = ()
    """What is wrong in `.env`, which counts for every configuration here."""


def settle(
    draft: Draft, header: Sequence[str], project_dir: Path, environ: Mapping[str, str]
) -> Settled:
    """Return the draft's text, without what cannot be loaded from `project_dir`.

    A draft of which nothing can be loaded gives a text without services.
    """
    while True:
        lines = lines_of(draft, header)
        text = "".join(f"{line.text}\n" for line in lines)
        own, other = _problems(text, project_dir, environ)
        smaller = draft
        for owner, message in _refused(draft, lines, own, other, project_dir):
            smaller = _without(smaller, owner, message)
        if smaller == draft and own and (last := _last(draft)):
            smaller = _without(draft, (last,), own[0].message)
        if smaller == draft:
            return Settled(text, draft, tuple(other))
        draft = smaller


def _last(draft: Draft) -> str | None:
    running = [name for name, sketch in draft.services.items() if not sketch.left_out]
    return running[-1] if running else None


def _problems(
    text: str, project_dir: Path, environ: Mapping[str, str]
) -> tuple[list[Problem], list[Problem]]:
    """Return the loader's problems with this text, and with other files because of it."""
    file = project_dir / FILE_NAME
    try:
        load_fleet(ConfigLocation(project_dir, (file,)), environ, {file: text})
    except ConfigError as error:
        own = [problem for problem in error.problems if problem.file == file]
        return own, [problem for problem in error.problems if problem.file != file]
    return [], []


def _refused(
    draft: Draft,
    lines: Sequence[Line],
    own: Sequence[Problem],
    other: Sequence[Problem],
    project_dir: Path,
) -> Iterator[tuple[Owner, str]]:
    """Yield what the problems are about, each once, with the first thing that is wrong with it."""
    seen: set[Owner] = set()
    for problem in own:
        owner = lines[problem.line - 1].owner if problem.line else ()
        if owner not in seen:
            seen.add(owner)
            yield owner, problem.message
    for problem in other:
        for name, sketch in draft.services.items():
            owner = (name, "env_file")
            if owner not in seen and problem.file in _env_files(sketch, project_dir):
                seen.add(owner)
                yield owner, f"line {problem.line}: {problem.where}: {problem.message}"


def _env_files(sketch: Sketch, project_dir: Path) -> list[Path]:
    """Return the files that a service names, but for `.env`, which is read anyway."""
    given = sketch.keys.get("env_file", [])
    named = given if isinstance(given, list) else [given]
    files = [absolute(Path(str(name)), project_dir) for name in named]
    return [file for file in files if file not in default_files(project_dir)]


def _without(draft: Draft, owner: Owner, message: str) -> Draft:
    if owner == ("project",):
        notes = (*draft.notes, f"project: {draft.project}: {message}")
        return replace(draft, project=None, notes=notes)
    name, *path = owner or ("",)
    sketch = draft.services.get(name)
    if sketch is None or sketch.left_out:
        return draft
    changed = _without_key(sketch, path, message) if path else _left_out(sketch, message)
    return replace(draft, services={**draft.services, name: changed})


def _left_out(sketch: Sketch, message: str) -> Sketch:
    return replace(sketch, left_out=message)


def _without_key(sketch: Sketch, path: Sequence[str], message: str) -> Sketch:
    """Return the sketch with a key as a comment, or with one entry of it."""
    key, *inner = path
    value = sketch.keys.get(key)
    keys: Keys = {each: kept for each, kept in sketch.keys.items() if each != key}
    removed = value
    if inner and isinstance(value, dict):
        removed = {inner[0]: value[inner[0]]}
        rest = {each: kept for each, kept in value.items() if each != inner[0]}
        if rest:
            keys[key] = rest
    if removed is None:
        return sketch
    shown = "\n".join(line.text for line in key_lines(sketch.name, key, removed))
    return replace(sketch, keys=keys, notes=(*sketch.notes, f"{message}:\n{shown}"))
