"""The Python files of a project, within bounds: a first look must not take minutes."""

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from msctl.clock import Clock, SystemClock

_SKIPPED = frozenset(
    {"__pycache__", "build", "dist", "env", "node_modules", "site-packages", "test", "tests"}
    | {"testing", "venv", "virtualenv", "wheels", "migrations"}
)
_LARGEST = 512 * 1024
_VENV_MARK = "pyvenv.cfg"


@dataclass
class PythonTree:
    """A walk through a project, nearest files first; `cut_short` says that it did not see all."""

    root: Path
    most_files: int = 5000
    most_entries: int = 100_000
    seconds: float = 3.0
    clock: Clock = field(default_factory=SystemClock)
    cut_short: bool = False

    def files(self) -> Iterator[tuple[Path, bytes]]:
        """Yield the files and what is in them; tests, hidden and foreign code left out."""
        ends = self.clock.now() + self.seconds
        entries = files = 0
        waiting = deque([self.root])
        while waiting:
            for entry in _entries(waiting.popleft()):
                entries += 1
                if entries > self.most_entries or files >= self.most_files or self._is_over(ends):
                    self.cut_short = True
                    return
                if _is_directory(entry):
                    waiting.append(Path(entry.path))
                elif _is_python(entry):
                    files += 1
                    content = _content(Path(entry.path))
                    if content is not None:
                        yield Path(entry.path), content

    def _is_over(self, ends: float) -> bool:
        return self.clock.now() > ends


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:  # it may not be listed: it has nothing for us
        return []
    return [] if any(entry.name == _VENV_MARK for entry in entries) else entries


def _is_directory(entry: os.DirEntry[str]) -> bool:
    name = entry.name
    try:
        is_directory = entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
    return is_directory and not name.startswith(".") and name.lower() not in _SKIPPED


def _is_python(entry: os.DirEntry[str]) -> bool:
    name = entry.name
    if not name.endswith(".py") or name.startswith((".", "test_")) or name == "conftest.py":
        return False
    if name.endswith("_test.py"):
        return False
    try:
        return entry.is_file() and entry.stat().st_size <= _LARGEST
    except OSError:
        return False


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None
