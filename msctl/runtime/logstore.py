"""Takes the instances' output line by line and keeps it in rotated files.

A child is never blocked: what comes out of it is taken at once, and a thread writes it. When
the disk cannot keep up, or is full, lines are dropped and counted rather than held for ever.

Line format: `2026-01-01T00:00:00.000000Z stdout message`; the streams are `stdout`, `stderr`
and `msctl` for msctl's own words.
"""

import queue
import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from msctl.clock import Clock, timestamp

MAX_FILE = 10 * 1024 * 1024
KEPT_FILES = 3
"""The live file and two older ones: NAME.log, NAME.log.1, NAME.log.2."""
MAX_LINE = 64 * 1024
MAX_PENDING = 16 * 1024 * 1024
"""Bytes that may wait for the disk, all instances together."""
TAIL = 20
"""Last lines of each instance that are kept in memory, for failure messages."""
_END = None


class LogStore:
    """Owns the log directory and the thread that writes to it."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._queue: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self._queued = 0  # bytes; only the loop's thread writes it
        self._written = 0  # bytes; only the writer thread writes it
        self._dropped: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._write_all, name="log-writer", daemon=True)
        self._logs: dict[str, InstanceLog] = {}

    def open(self) -> None:
        """Start the writer."""
        self._thread.start()

    def close(self) -> None:
        """Write what is pending and end the writer."""
        for instance in list(self._dropped):
            self._own_up(instance)
        self._queue.put(_END)
        self._thread.join()

    def instance(self, instance: str) -> "InstanceLog":
        """Return the log of one instance, the same object each time."""
        if instance not in self._logs:
            self._logs[instance] = InstanceLog(instance, self)
        return self._logs[instance]

    def append(self, instance: str, stream: str, lines: list[bytes]) -> None:
        """Queue whole lines; drop them when too much is pending already."""
        if self._queued - self._written > MAX_PENDING:
            self._dropped[instance] += len(lines)
            return
        self._own_up(instance)
        self._put(instance, stream, lines)

    def write(self, path: Path, block: bytes) -> bool:
        """Queue bytes for another rotated file as they are; False when too much is pending."""
        if self._queued - self._written > MAX_PENDING:
            return False
        self._queued += len(block)
        self._queue.put((str(path), block))
        return True

    def _own_up(self, instance: str) -> None:
        """Say how many of its lines are missing at this place."""
        if dropped := self._dropped.pop(instance, 0):
            self._put(
                instance, "msctl", [b"[%d lines dropped: the disk did not keep up]" % dropped]
            )

    def _put(self, instance: str, stream: str, lines: list[bytes]) -> None:
        prefix = f"{timestamp(self._clock.wall())} {stream} ".encode()
        block = b"".join(prefix + line + b"\n" for line in lines)
        self._queued += len(block)
        self._queue.put((f"{self._directory}/{instance}.log", block))

    def _write_all(self) -> None:
        files: dict[str, RotatingFile] = {}
        while (entry := self._queue.get()) is not _END:
            path, block = entry
            if path not in files:
                files[path] = RotatingFile(Path(path))
            files[path].write(block)
            self._written += len(block)
        for file in files.values():
            file.close()


class RotatingFile:
    """A log file that is renamed when it has grown; the oldest one is dropped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def write(self, block: bytes) -> None:
        """Append; a full or vanished disk costs the block, never the service."""
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("ab", buffering=0)
            if self._file.tell() and self._file.tell() + len(block) > MAX_FILE:
                self._rotate()
            self._file.write(block)
        except OSError:
            self.close()

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rotate(self) -> None:
        self.close()
        names = [self._path, *(Path(f"{self._path}.{n}") for n in range(1, KEPT_FILES))]
        for older, newer in zip(reversed(names), list(reversed(names))[1:], strict=False):
            if newer.exists():
                newer.replace(older)
        self._file = self._path.open("ab", buffering=0)


@dataclass(slots=True)
class InstanceLog:
    """The output of one instance, over all its generations."""

    instance: str
    _store: LogStore
    _tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL))
    _partial: dict[str, bytes] = field(default_factory=dict)

    def feed(self, stream: str, data: bytes) -> None:
        """Take a piece of output as it came; lines are recorded when they are complete."""
        *lines, rest = (self._partial.pop(stream, b"") + data).split(b"\n")
        if len(rest) > MAX_LINE:
            *pieces, rest = _pieces(rest)
            lines += pieces
        if rest:
            self._partial[stream] = rest
        if lines:
            self._record(stream, lines)

    def flush(self) -> None:
        """Record a last line that has no end; the process is gone."""
        for stream, rest in self._partial.items():
            self._record(stream, [rest])
        self._partial.clear()

    def note(self, message: str) -> None:
        """Record a line of msctl's own."""
        self._store.append(self.instance, "msctl", [message.encode()])

    def new_life(self) -> None:
        """Forget the last lines of the process before."""
        self._tail.clear()

    def tail(self) -> tuple[str, ...]:
        """Return the last lines that the process wrote, oldest first."""
        return tuple(self._tail)

    def _record(self, stream: str, lines: list[bytes]) -> None:
        lines = [line.removesuffix(b"\r") for line in lines]
        if max(map(len, lines)) > MAX_LINE:
            lines = [piece for line in lines for piece in _pieces(line)]
        self._store.append(self.instance, stream, lines)
        self._tail.extend(line.decode(errors="replace") for line in lines[-TAIL:])


def _pieces(line: bytes) -> list[bytes]:
    """Cut a line that is too long for one."""
    return [line[start : start + MAX_LINE] for start in range(0, len(line), MAX_LINE)] or [line]
