"""Everything that a fleet keeps on disk, in one private directory (design.md, Processes)."""

import errno
import fcntl
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from msctl.errors import MsctlError
from msctl.runtime.statepaths import LOCK, LOGS, RUN_FILE, SOCKET, enclosing_root, state_root

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class RunFile:
    """`run.json`: what is true of the running daemon, for people and scripts."""

    pid: int
    project: str
    gateway: str
    started_at: str
    schema_version: int = SCHEMA_VERSION


class StateDir:
    """The `.msctl/` of a project directory, or of a fleet beside the first one, below it.

    Mode 0700 and ignored by git.
    """

    def __init__(
        self, root: Path, data_dir: Path | None = None, *, temporary: bool = False
    ) -> None:
        self.root = root
        self.temporary = temporary
        """Whether nothing of it is kept when its daemon has ended."""
        self.run_file = root / RUN_FILE
        self.lock = root / LOCK
        self.socket = root / SOCKET
        self.daemon_log = root / "daemon.log"
        self.logs = root / LOGS
        self.access_log = root / "access.log"
        """Beside `logs`, not in it: there every file is an instance's."""
        self.data_root = data_dir or root / "data"
        self._imports = root / "imports"

    @classmethod
    def for_project(cls, project_dir: Path, project: str | None = None) -> Self:
        """Return the state directory of the fleet in `project_dir`, or of one beside it."""
        return cls(Path(state_root(os.fspath(project_dir), project)))

    def data(self, service: str) -> Path:
        """Return the private data directory of a service, kept between runs."""
        return self.data_root / service

    def imports(self, instance: str) -> Path:
        """Return where an instance writes which files it has imported, a line for each."""
        return self._imports / instance

    def create(self) -> None:
        """Make the directory; raise MsctlError when the place cannot be written."""
        try:
            if enclosing := enclosing_root(str(self.root)):
                _make_private(Path(enclosing))
            _make_private(self.root)
            self.logs.mkdir(exist_ok=True)
            self._imports.mkdir(exist_ok=True)
        except OSError as error:
            raise MsctlError(f"cannot keep the fleet's state in {self.root}: {error}") from error

    def write_run(self, run: RunFile) -> None:
        """Write `run.json` whole: a reader sees the old file or the new one, never a part."""
        part = self.run_file.with_suffix(".part")
        part.write_text(json.dumps(asdict(run)) + "\n")
        part.replace(self.run_file)

    def remove_leftovers(self) -> None:
        """Remove what only a running daemon may show; `run.json` goes last."""
        for path in (self.socket, self.run_file):
            path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove all of it; whoever has the lock may."""
        shutil.rmtree(self.root, ignore_errors=True)

    def try_lock(self) -> int | None:
        """Take the lock that decides who runs the daemon; None when another process has it.

        The lock belongs to the returned descriptor and to what inherits it by fork.
        """
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in {errno.EAGAIN, errno.EACCES}:
                return None
            raise
        return descriptor

    def is_locked(self) -> bool:
        """Whether a daemon, or the guardian that cleans up after one, is still there."""
        try:
            descriptor = os.open(self.lock, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False


def _make_private(directory: Path) -> None:
    """Make a directory that is nobody else's business, nor git's."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    ignore = directory / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
