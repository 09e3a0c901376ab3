"""Reads what is kept of the logs: all instances and rotated files, merged by time."""

import os
from itertools import chain

from msctl.runtime.logfiles import InstanceFiles, find
from msctl.runtime.logline import LogLine, parse

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than `logs` may
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    Limits = Mapping[int, int]
    """Inode to the offset at which reading ends, where someone else reads on."""

_BLOCK = 1 << 16


def read_logs(
    directory: "Path | str",
    wanted: "Collection[str]" = (),
    *,
    count: int | None = None,
    since: str | None = None,
    limits: "Limits | None" = None,
) -> "Iterator[LogLine]":
    """Yield the lines of these services (all when none is named), merged by time.

    `count` keeps the last lines of the merged whole; `since` is a time as in the files.
    """
    stop = limits or {}
    sources = [_instance(files, count, since, stop) for files in find(directory, wanted)]
    merged = _merge(sources)
    if count is None:
        yield from merged
    else:  # each source has no more than that
        lines = [*merged]
        yield from lines[max(0, len(lines) - count) :]


def _merge(sources: "list[Iterator[LogLine]]") -> "Iterable[LogLine]":
    if len(sources) < 2:  # noqa: PLR2004
        return chain(*sources)
    from heapq import merge  # noqa: PLC0415 - for start-up time

    return merge(*sources, key=lambda line: line.time)


def _instance(
    files: InstanceFiles, count: int | None, since: str | None, limits: "Limits"
) -> "Iterator[LogLine]":
    raw = _all(files, limits) if count is None else _last(files, count, limits)
    earlier = since or ""
    for piece in raw:
        line = parse(piece, files.instance, earlier)
        earlier = line.time
        if since is None or line.time >= since:
            yield line


def _all(files: InstanceFiles, limits: "Limits") -> "Iterator[bytes]":
    for inode in files.inodes:
        if (file := files.open(inode)) is None:
            continue
        with file:
            position, end = 0, _end(file, inode, limits)
            for piece in file:
                position += len(piece)
                if position > end:
                    break
                yield piece.rstrip(b"\n")


def _last(files: InstanceFiles, count: int, limits: "Limits") -> list[bytes]:
    """Return the last `count` lines, reading from the end: a log may be long."""
    found: list[list[bytes]] = []
    missing = count
    for inode in reversed(files.inodes):
        if missing <= 0 or (file := files.open(inode)) is None:
            break
        with file:
            found.append(last_lines(file, _end(file, inode, limits), missing))
        missing -= len(found[-1])
    return [*chain.from_iterable(reversed(found))]


def last_lines(file: "BinaryIO", end: int, count: int) -> list[bytes]:
    """Return up to `count` lines that end before the offset `end`."""
    data, start = b"", end
    while start > 0 and data.count(b"\n") <= count:
        step = min(_BLOCK, start)
        start -= step
        data = os.pread(file.fileno(), step, start) + data
    lines = data.split(b"\n")
    if start > 0:
        del lines[0]  # its beginning was not read
    if lines and not lines[-1]:
        del lines[-1]
    return lines[-count:] if count else []


def _end(file: "BinaryIO", inode: int, limits: "Limits") -> int:
    size = os.fstat(file.fileno()).st_size
    return min(size, limits.get(inode, size))
