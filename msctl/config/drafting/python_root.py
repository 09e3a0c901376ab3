"""Which directory a Python file is imported from, and under which name."""

from collections.abc import Sequence
from pathlib import Path, PurePath

_PACKAGE_MARK = "__init__.py"


def import_place(
    file: Path, project: Path, imports: Sequence[str], level: int
) -> tuple[PurePath, str] | None:
    """Return the directory to import from, relative to the project, and the module's name.

    Of the directories above the file that can be it (its own, or that of its packages), the
    one where most of the file's own imports are found; of several, the nearest. None for a
    file that has no importable name. `level` is how far its relative imports go up.
    """
    parts = file.relative_to(project).with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1]
        level = max(0, level - 1)
    nearest = len(parts) - 1
    while nearest > 0 and (Path(project, *parts[:nearest]) / _PACKAGE_MARK).is_file():
        nearest -= 1
    nearest = min(nearest, len(parts) - 1 - level)
    candidates = [
        depth
        for depth in range(nearest, -1, -1)
        if all(part.isidentifier() for part in parts[depth:])
    ]
    if not parts or not candidates:
        return None
    first_names = {name.partition(".")[0] for name in imports}
    best = max(candidates, key=lambda depth: _known(Path(project, *parts[:depth]), first_names))
    return PurePath(*parts[:best]), ".".join(parts[best:])


def _known(directory: Path, names: set[str]) -> int:
    """Count the names that are modules or packages of the directory."""
    return sum(
        (directory / f"{name}.py").is_file() or (directory / name).is_dir() for name in names
    )
