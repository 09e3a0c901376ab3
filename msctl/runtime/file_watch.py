"""Tells which files change below some directories, without those that nobody edits.

Every directory is watched by itself: a recursive watch would take in `node_modules` and the
like, for which the system has neither the watches nor the time.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from pathlib import Path
from typing import Final

from watchfiles import Change, awatch

from msctl.core.watching import is_skipped_directory, is_skipped_file

QUIET: Final = 25
"""Milliseconds without a change after which a burst of them is over; an editor saves in less."""
LONGEST: Final = 250
"""Milliseconds of a burst that does not end, after which it is told anyway."""
MOST_DIRECTORIES: Final = 20_000
"""What is beyond is not watched: more than this is not a project but a disk."""


async def changes(
    roots: Iterable[Path], end: asyncio.Event, beside: Iterable[Path] = ()
) -> AsyncGenerator[set[Path], None]:
    """Yield the files that were made, written or moved here, a burst at a time, until `end`.

    That is below the `roots`, and right in the directories `beside` them. What does not exist
    is left out.
    """
    roots, beside = tuple(roots), tuple(beside)
    while not end.is_set():
        directories = await asyncio.to_thread(_directories, roots)
        directories += [each for each in beside if each not in directories and each.is_dir()]
        if not directories:
            return
        async for changed in _until_new_directory(directories, end):
            yield changed


async def _until_new_directory(
    directories: list[Path], end: asyncio.Event
) -> AsyncIterator[set[Path]]:
    """Yield changed files until there is a directory that is not among the watched ones."""
    watched = set(directories)
    async for events in awatch(
        *directories,
        watch_filter=_is_wanted,
        debounce=LONGEST,
        step=QUIET,
        stop_event=end,
        recursive=False,
        ignore_permission_denied=True,
    ):
        paths = {Path(name) for change, name in events if change is not Change.deleted}
        made = await asyncio.to_thread(_new_directories, paths, watched)
        files = await asyncio.to_thread(_files, paths, made)
        if files:
            yield files
        if made:
            return


def _is_wanted(_: Change, name: str) -> bool:
    base = os.path.basename(name)  # noqa: PTH119  called for every change, from another thread
    return not is_skipped_file(base) and not is_skipped_directory(base)


def _directories(roots: Iterable[Path]) -> list[Path]:
    found: dict[Path, None] = {}
    for root in roots:
        for name, below, _ in os.walk(root):
            below[:] = sorted(each for each in below if not is_skipped_directory(each))
            found[Path(name)] = None
            if len(found) >= MOST_DIRECTORIES:
                return list(found)
    return list(found)


def _new_directories(paths: set[Path], watched: set[Path]) -> set[Path]:
    return {path for path in paths - watched if path.is_dir()}


def _files(paths: set[Path], made: set[Path]) -> set[Path]:
    """Return the files among what changed, and all that came with a new directory."""
    found = {path for path in paths - made if path.is_file()}
    for directory in _directories(made):
        found |= {
            path
            for path in directory.iterdir()
            if path.is_file() and not is_skipped_file(path.name)
        }
    return found
