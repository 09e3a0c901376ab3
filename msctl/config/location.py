"""Where the configuration is. Cheap to import: no YAML, no pydantic."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msctl.config.paths import is_dir, is_file
from msctl.errors import UsageError

FILE_NAME = "msctl.yaml"
DIRECTORY_NAME = "configs"
VARIABLE = "MSCTL_CONFIG"


@dataclass(frozen=True, slots=True)
class ConfigLocation:
    """A project's directory and the files or directories that configure it, all absolute."""

    project_dir: Path
    files: tuple[Path, ...]


def find_config(cwd: Path, files: Sequence[Path], environ: Mapping[str, str]) -> ConfigLocation:
    """Find the configuration in the order of contract.md, Config.

    `files` are those of `-f`, relative to `cwd`; without any, `$MSCTL_CONFIG` counts (several
    are separated as in `$PATH`), then what the nearest directory from `cwd` upward has. The
    project directory is that of the first one, where `configs` counts as part of its parent.
    Raises UsageError when there is none.
    """
    named = list(files) or [
        Path(part) for part in environ.get(VARIABLE, "").split(os.pathsep) if part
    ]
    if named:
        origin = "" if files else f"${VARIABLE} names "
        located = [_named(cwd, path.expanduser(), origin) for path in named]
        found = tuple(dict.fromkeys(file for each in located for file in each.files))
        return ConfigLocation(located[0].project_dir, found)
    for directory in (cwd.resolve(), *cwd.resolve().parents):
        location = _in_project(directory)
        if location:
            return location
    raise UsageError(
        f"no configuration here or in any parent directory: write {FILE_NAME} or "
        f"{DIRECTORY_NAME}/NAME.yaml, or name one with --file"
    )


def _named(cwd: Path, path: Path, origin: str) -> ConfigLocation:
    # The last part of the path is kept as it was given: the name `configs` counts, and a
    # linked file belongs to the project that links to it.
    given = cwd / path
    place = given.resolve() if given.name == ".." else given.parent.resolve() / given.name
    if is_dir(place):
        if place.name == DIRECTORY_NAME:
            return ConfigLocation(place.parent, (place,))
        directory = place.resolve()
        return _in_project(directory) or ConfigLocation(directory, (directory,))
    if is_file(place):
        parent = place.parent
        return ConfigLocation(parent.parent if parent.name == DIRECTORY_NAME else parent, (place,))
    problem = "is neither a file nor a directory" if os.path.lexists(place) else "does not exist"
    raise UsageError(f"{origin}{path}, which {problem}" if origin else f"{path} {problem}")


def _in_project(directory: Path) -> ConfigLocation | None:
    """Return what a project in this directory would be configured by."""
    file, configs = directory / FILE_NAME, directory / DIRECTORY_NAME
    if is_file(file):
        return ConfigLocation(directory, (file,))
    if is_dir(configs):
        return ConfigLocation(directory, (configs,))
    return None
