"""What services have kept in their private data directories, and its end (`stop --data`)."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from msctl.cli import streams
from msctl.errors import MsctlError, UsageError

_YES = frozenset({"y", "yes"})


def directories(root: Path, services: Sequence[str]) -> list[Path]:
    """Return the data directories that exist below `root`: of these services, or all."""
    try:
        found = sorted(entry for entry in root.iterdir() if entry.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise MsctlError(f"cannot look into {root}: {error.strerror}") from error
    return [entry for entry in found if not services or entry.name in services]


def confirm(found: Sequence[Path], *, yes: bool) -> bool:
    """Ask whether these may be deleted; raises UsageError where nobody can be asked."""
    if yes or not found:
        return True
    names = ", ".join(entry.name for entry in found)
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"--data would delete the data of {names}; say --yes to mean it")
    sys.stderr.write(f"delete the data of {names} in {found[0].parent}? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in _YES


def delete(found: Sequence[Path]) -> None:
    """Delete them; raises MsctlError with the first that cannot be deleted."""
    for entry in found:
        try:
            if entry.is_symlink():
                entry.unlink()  # what it points to is somebody else's
            else:
                shutil.rmtree(entry)
        except OSError as error:
            where = error.filename or os.fspath(entry)
            raise MsctlError(f"cannot delete {where}: {error.strerror}") from error
    if found:
        streams.say(f"deleted the data of {', '.join(entry.name for entry in found)}")
