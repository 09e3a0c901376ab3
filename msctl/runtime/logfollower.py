"""Follows the logs as they grow, across rotation, truncation and new instances."""

import os

from msctl.runtime.logfiles import InstanceFiles, find
from msctl.runtime.logline import LogLine, parse

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than `logs` may
if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path
    from types import TracebackType
    from typing import BinaryIO, Self

_PIECE = 1 << 18


class _Open:
    """The file of one instance that is being read, and how far."""

    __slots__ = ("file", "inode", "offset", "partial")

    def __init__(self, file: "BinaryIO", inode: int, offset: int) -> None:
        self.file = file
        self.inode = inode
        self.offset = offset
        self.partial = b""


class LogFollower:
    """Gives the lines that were written since the last `poll`.

    It begins at the end of what exists now; `limits` says where that is, so that what is
    before can be read separately with nothing lost or read twice.
    """

    def __init__(self, directory: "Path | str", wanted: "Collection[str]" = ()) -> None:
        self._directory = directory
        self._wanted = wanted
        self._open: dict[str, _Open] = {}
        self._time = ""
        for files in find(directory, wanted):
            self._begin(files, at_end=True)

    def __enter__(self) -> "Self":
        """Use it as a context: leaving closes the files."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: "TracebackType | None",
    ) -> None:
        """Close the files."""
        self.close()

    @property
    def limits(self) -> dict[int, int]:
        """Inode to offset from which this follower reads."""
        return {source.inode: source.offset for source in self._open.values()}

    def poll(self) -> list[LogLine]:
        """Return what has been written since the last call, by time; never waits."""
        lines: list[LogLine] = []
        for files in find(self._directory, self._wanted):
            lines += self._advance(files)
        return sorted(lines, key=lambda line: line.time)

    def close(self) -> None:
        """Close the files."""
        for source in self._open.values():
            source.file.close()
        self._open.clear()

    def _begin(self, files: InstanceFiles, *, at_end: bool) -> _Open | None:
        inode = files.inodes[-1] if at_end else files.inodes[0]
        return self._switch(files, inode, at_end=at_end)

    def _switch(self, files: InstanceFiles, inode: int, *, at_end: bool) -> _Open | None:
        if (file := files.open(inode)) is None:
            return None
        if (previous := self._open.get(files.instance)) is not None:
            previous.file.close()
        source = _Open(file, inode, _last_line_end(file) if at_end else 0)
        self._open[files.instance] = source
        return source

    def _advance(self, files: InstanceFiles) -> list[LogLine]:
        if not files.inodes:
            return []
        source = self._open.get(files.instance) or self._begin(files, at_end=False)
        if source is None:
            return []
        lines = self._read(source, files.instance)
        # Renamed since: `files` was listed first, so what was read above is all of it.
        for inode in _newer(files, source.inode):
            if (newer := self._switch(files, inode, at_end=False)) is not None:
                lines += self._read(newer, files.instance)
        return lines

    def _read(self, source: _Open, instance: str) -> list[LogLine]:
        if os.fstat(source.file.fileno()).st_size < source.offset:
            source.offset, source.partial = 0, b""  # truncated
        lines = []
        while piece := os.pread(source.file.fileno(), _PIECE, source.offset):
            source.offset += len(piece)
            *whole, source.partial = (source.partial + piece).split(b"\n")
            for raw in whole:
                line = parse(raw, instance, self._time)
                self._time = max(self._time, line.time)
                lines.append(line)
        return lines


def _newer(files: InstanceFiles, inode: int) -> tuple[int, ...]:
    """Return the inodes after this one; all of them when it is gone already."""
    if inode in files.inodes:
        return files.inodes[files.inodes.index(inode) + 1 :]
    return files.inodes


def _last_line_end(file: "BinaryIO") -> int:
    """Return the offset after the last complete line."""
    end = os.fstat(file.fileno()).st_size
    while end > 0:
        start = max(0, end - _PIECE)
        found = os.pread(file.fileno(), end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
