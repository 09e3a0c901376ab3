"""Which of a directory's modules would be imported instead of ones that are loaded already."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import FrozenImporter, all_suffixes
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class LoadedModules:
    """The top-level modules of a process that a directory of `sys.path` can take the place of."""

    files: Mapping[str, str | None]
    """The file of each."""

    @classmethod
    def now(cls) -> Self:
        """Take those of this process; built-in and frozen modules come before `sys.path`."""
        return cls(
            {
                name: getattr(module, "__file__", None)
                for name, module in sys.modules.items()
                if "." not in name
                and not name.startswith("__")
                and name not in sys.builtin_module_names
                and FrozenImporter.find_spec(name) is None
            }
        )

    def shadowed_in(self, directory: str) -> str | None:
        """Return why a program in `directory` would miss a module of its own; None if it won't."""
        try:
            entries = os.listdir(directory)  # noqa: PTH208  names
        except OSError:
            return None  # nothing can be imported from there
        for entry in entries:
            name, dot, rest = entry.partition(".")
            if name in self.files:
                source = _source(Path(directory, entry), dot + rest)
                if source and not self._is_loaded(name, source):
                    return f"{source} takes the place of a module that is loaded already"
        return None

    def _is_loaded(self, name: str, source: Path) -> bool:
        """Whether it is the very module that is loaded, or another copy of it.

        A clone of a project that is installed as well has such a copy.
        """
        file = self.files[name]
        if file is None or not Path(file).exists():
            return False
        return source.samefile(file) or _are_copies(_files_of(source), _files_of(Path(file)))


@dataclass(frozen=True, slots=True)
class _File:
    """A file of a module, as it is now."""

    path: str
    name: str
    """Below the module's own directory."""
    size: int
    changed: int
    """In nanoseconds, by the system's clock."""


def _files_of(source: Path) -> tuple[_File, ...]:
    """Return the Python files of a module: all of a package, whatever of it is loaded."""
    base = source.parent
    paths = base.rglob("*.py") if source.stem == "__init__" else [source]
    return tuple(
        _File(str(path), str(path.relative_to(base)), facts.st_size, facts.st_mtime_ns)
        for path in sorted(paths)
        if (facts := path.stat())
    )


@lru_cache(maxsize=64)
def _are_copies(files: tuple[_File, ...], others: tuple[_File, ...]) -> bool:
    """Whether both are the same text; asked again only after something has changed."""
    if [(file.name, file.size) for file in files] != [(file.name, file.size) for file in others]:
        return False
    pairs = zip(files, others, strict=True)
    return all(Path(one.path).read_bytes() == Path(two.path).read_bytes() for one, two in pairs)


def _source(path: Path, suffix: str) -> Path | None:
    """Return the file that an import of this entry would run; None if it is no module."""
    suffixes = all_suffixes()
    if suffix:
        return path if suffix in suffixes and path.is_file() else None
    packages = (path / f"__init__{suffix}" for suffix in suffixes)
    return next((package for package in packages if package.is_file()), None)
