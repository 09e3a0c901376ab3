"""Questions about paths that have an answer for every path, however odd. Cheap to import."""

from pathlib import Path


def is_file(path: Path) -> bool:
    """Whether there is a regular file; one that cannot be looked at counts as none."""
    try:
        return path.is_file()
    except OSError:  # a directory that may not be searched, a name that is too long
        return False


def is_dir(path: Path) -> bool:
    """Whether there is a directory; one that cannot be looked at counts as none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def absolute(path: Path, base: Path) -> Path:
    """Return the path below `base` unless it is absolute or in a home; links are kept."""
    try:
        return base / path.expanduser()
    except RuntimeError:  # `~name` of nobody
        return base / path
