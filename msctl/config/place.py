"""Where a project is, found with strings only: what every command does first.

`msctl.config.location` gives the same answer as paths.
"""

import os

from msctl.errors import UsageError

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FILE_NAME = "msctl.yaml"
DIRECTORY_NAME = "configs"
VARIABLE = "MSCTL_CONFIG"

Place = tuple[str, tuple[str, ...]]
"""A project's directory and the files or directories that configure it, all absolute."""


def find_place(cwd: str, files: "Sequence[str]", environ: "Mapping[str, str]") -> Place:
    """Find the configuration in the order of contract.md, Config.

    `files` are those of `-f`, relative to `cwd`; without any, `$MSCTL_CONFIG` counts (several
    are separated as in `$PATH`), then what the nearest directory from `cwd` upward has. The
    project directory is that of the first one, where `configs` counts as part of its parent.
    Raises UsageError when there is none.
    """
    named = files or [part for part in environ.get(VARIABLE, "").split(os.pathsep) if part]
    if named:
        origin = "" if files else f"${VARIABLE} names "
        located = [_named(cwd, file, origin) for file in named]
        found = dict.fromkeys(file for _, each in located for file in each)
        return located[0][0], tuple(found)
    for directory in upward(cwd):
        if place := _in_project(directory):
            return place
    raise UsageError(
        f"no configuration here or in any parent directory: write {FILE_NAME} or "
        f"{DIRECTORY_NAME}/NAME.yaml (msctl init does), or name one with --file"
    )


def upward(cwd: str) -> "list[str]":
    """Return the directory, links resolved, and all that it is in."""
    directories = [os.path.realpath(cwd)]
    while directories[-1] != "/":
        directories.append(os.path.dirname(directories[-1]))
    return directories


def _named(cwd: str, file: str, origin: str) -> Place:
    # The last part of the path is kept as it was given: the name `configs` counts, and a
    # linked file belongs to the project that links to it.
    path = _plain(os.path.expanduser(file))
    if "\0" in path:
        raise UsageError(f"{origin}{path!r} does not exist")
    given = _plain(os.path.join(cwd, path))
    parent, name = os.path.split(given)
    place = os.path.realpath(given)
    if name != "..":
        place = os.path.join(os.path.realpath(parent), name)
        parent, name = os.path.split(place)
    if os.path.isdir(place):
        if os.path.basename(place) == DIRECTORY_NAME:
            return os.path.dirname(place), (place,)
        directory = os.path.realpath(place)
        return _in_project(directory) or (directory, (directory,))
    if os.path.isfile(place):
        inside = os.path.basename(parent) == DIRECTORY_NAME
        return os.path.dirname(parent) if inside else parent, (place,)
    problem = "is neither a file nor a directory" if os.path.lexists(place) else "does not exist"
    raise UsageError(f"{origin}{path}, which {problem}" if origin else f"{path} {problem}")


def _plain(path: str) -> str:
    """Drop what says nothing, as `pathlib` does: doubled and last slashes, single dots."""
    parts = "/".join(part for part in path.split("/") if part not in {"", "."})
    return f"/{parts}" if path.startswith("/") else parts or "."


def _in_project(directory: str) -> "Place | None":
    """Return what a project in this directory would be configured by."""
    file, configs = os.path.join(directory, FILE_NAME), os.path.join(directory, DIRECTORY_NAME)
    if os.path.isfile(file):
        return directory, (file,)
    if os.path.isdir(configs):
        return directory, (configs,)
    return None
