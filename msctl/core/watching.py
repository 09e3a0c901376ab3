"""Which services a changed file concerns."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath
from typing import Final

_SKIPPED_DIRECTORIES: Final = frozenset(
    {"__pycache__", "node_modules", "site-packages", "venv", "env", "build", "dist"}
)
"""Nobody edits what lies in them; neither in hidden ones."""
_SKIPPED_FILES: Final = re.compile(r"\..*|.*~|#.*#|.*\.(py[cod]|sw.|tmp|log|___jb_.*)|4913")
"""Hidden and temporary files, and those that editors write beside the real one."""
_PYTHON: Final = ".py"
_TOKENS: Final = re.compile(r"(\*\*/|\*\*|\*|\?|\[!?[^\]/]+\])")
_MEANING: Final = {"**/": r"(?:[^/]+/)*", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}


def is_skipped_directory(name: str) -> bool:
    """Whether nothing below a directory of this name is watched."""
    return name.startswith(".") or name in _SKIPPED_DIRECTORIES


def is_skipped_file(name: str) -> bool:
    """Whether changes of a file of this name mean nothing."""
    return _SKIPPED_FILES.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Watched:
    """What makes a service restart."""

    service: str
    root: PurePath
    """Its working directory: patterns are relative to it."""
    patterns: tuple[str, ...] = ()
    """Empty: the Python files that it has imported, or those below `root` when that is unknown."""

    def concerning(
        self, changed: Iterable[PurePath], imported: Collection[PurePath] | None
    ) -> list[PurePath]:
        """Return which of the changed files concern it."""
        return [path for path in changed if self._concerns(path, imported)]

    def _concerns(self, path: PurePath, imported: Collection[PurePath] | None) -> bool:
        if self.patterns:
            return path.is_relative_to(self.root) and matches(
                path.relative_to(self.root), self.patterns
            )
        if path.suffix != _PYTHON:
            return False
        return path.is_relative_to(self.root) if imported is None else path in imported


def matches(path: PurePath, patterns: Iterable[str]) -> bool:
    """Whether a relative path matches a glob; `**` stands for any number of directories."""
    return any(_compiled(pattern).fullmatch(path.as_posix()) for pattern in patterns)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Translate a glob; fnmatch has no `**`, and its `*` crosses slashes."""
    parts = _TOKENS.split(pattern.removeprefix("./"))
    text = "".join(_MEANING.get(part) or _literal(part) for part in parts)
    return re.compile(text + ("[^/]+" if pattern.endswith("**/") else ""))


def _literal(part: str) -> str:
    if part.startswith("[") and part.endswith("]"):
        return f"[^{part[2:-1]}]" if part.startswith("[!") else part
    return re.escape(part)
