"""When two data stores are one and the same."""

import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

_LOCAL = frozenset({"127.0.0.1", "::1", "0.0.0.0", ""})  # noqa: S104 - compared with, never bound
_SCHEMES = {"postgres": "postgresql", "sqlite3": "sqlite", "rediss": "redis", "mariadb": "mysql"}
_PORTS = {"postgresql": 5432, "mysql": 3306, "redis": 6379, "mongodb": 27017, "amqp": 5672}
_FILE_SCHEMES = frozenset({"sqlite", "file", "duckdb"})
_IN_MEMORY = frozenset({"", "/", "/:memory:", ":memory:"})


def store_identity(store: str, project_dir: Path) -> str | None:
    """Return what two names of one store have in common; None for a store that lives in a process.

    A path counts as the file or directory that it leads to, links followed. A URL counts
    without user, password, query and fragment; a driver (`postgresql+asyncpg`), the usual
    port and the spelling of localhost make no difference (contract.md, Config).
    """
    match = re.match(r"([A-Za-z][A-Za-z0-9.-]*)(?:\+[A-Za-z0-9.+-]*)?:(?=//|:?memory:)", store)
    if not match:
        return None if store == ":memory:" else _path(store, project_dir)
    scheme = _SCHEMES.get(match[1].lower(), match[1].lower())
    try:
        parts = urlsplit(f"x:{store[match.end() :]}")
        port = parts.port or _PORTS.get(scheme)
    except ValueError:
        # Not a URL after all, such as one with a port of letters: its text is all there is.
        return re.sub(r"//[^/]*@", "//", store).partition("?")[0]
    if scheme in _FILE_SCHEMES:
        return _file(scheme, parts, project_dir)
    host = (parts.hostname or "").rstrip(".")
    host = "localhost" if host in _LOCAL else host
    return f"{scheme}://{host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def _file(scheme: str, parts: SplitResult, project_dir: Path) -> str | None:
    path = unquote(parts.path)
    if path in _IN_MEMORY:
        return None
    # sqlite:///name is relative and sqlite:////name absolute, as SQLAlchemy has it.
    return _path(path if scheme == "file" else path[1:], project_dir)


def _path(store: str, project_dir: Path) -> str:
    try:
        return str((project_dir / Path(store).expanduser()).resolve())
    except (OSError, RuntimeError, ValueError):  # a loop of links, no home, a NUL
        return str(project_dir / store)
