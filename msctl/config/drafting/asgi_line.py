"""Command lines that run a Python application: msctl runs the application itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from msctl.config.drafting.numbering import valid_port
from msctl.config.drafting.shell import PORT
from msctl.config.drafting.sketch import Keys

_IMPORT = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_PYTHON = re.compile(r"python(\d(\.\d+)?)?")
_WRAPPERS = frozenset({"uv", "poetry", "pipenv", "pdm", "rye", "hatch"})
_SERVERS = frozenset({"uvicorn", "gunicorn", "hypercorn"})
_FLAGS = frozenset(
    {"--reload", "--factory", "--access-log", "--no-access-log", "--proxy-headers"}
    | {"--no-proxy-headers", "--use-colors", "--no-use-colors", "--preload", "--no-server-header"}
)
_SWITCHES = {"--reload": "watch", "--factory": "factory", "--access-log": "access_log"}
_PATHS = {"--app-dir": "working_dir", "--env-file": "env_file"}
_LISTENS = frozenset({"--port", "--bind"})
_SHORT: Mapping[str, str] = {"-b": "--bind", "-w": "--workers", "-k": "--worker-class"}
_NOT_NEEDED = frozenset({"--host", "--worker-class", "--no-access-log", "--proxy-headers"})
"""What msctl does anyway."""
_MOST_REPLICAS = 1000


@dataclass
class AsgiLine:
    """What a command line says of the application that it runs."""

    keys: Keys
    port: int | None = None
    notes: list[str] = field(default_factory=list)


def asgi_line(argv: list[str]) -> AsgiLine | None:
    """Read a line of uvicorn, hypercorn, or gunicorn with uvicorn's workers; None for others."""
    argv, wrapper = _unwrapped(argv)
    argv = _as_uvicorn(argv)
    if not argv or PurePosixPath(argv[0]).name not in _SERVERS:
        return None
    target, options = _options(argv[1:])
    is_gunicorn = PurePosixPath(argv[0]).name == "gunicorn"
    if target is None or (is_gunicorn and "uvicorn" not in options.get("--worker-class", "")):
        return None
    line = AsgiLine({"app": target})
    if wrapper:
        line.notes.append(
            f"{wrapper} ran this in an environment of its own: install msctl there, "
            "or name its interpreter with python:"
        )
    for option, value in options.items():
        _apply(line, option, value)
    return line


def _unwrapped(argv: list[str]) -> tuple[list[str], str | None]:
    wrapper = None
    if len(argv) > 1 and argv[0] in _WRAPPERS and argv[1] == "run":
        wrapper, argv = f"`{argv[0]} run`", argv[2:]
    if len(argv) > 1 and _PYTHON.fullmatch(PurePosixPath(argv[0]).name) and argv[1] == "-m":
        argv = argv[2:]
    return argv, wrapper


def _as_uvicorn(argv: list[str]) -> list[str]:
    """Return what `fastapi run FILE` and `fastapi dev FILE` do, as a line of uvicorn."""
    program, *rest = argv or [""]
    if program != "fastapi" or rest[:1] not in (["run"], ["dev"]):
        return argv
    reload = ["--reload"] if rest[0] == "dev" else []
    changed = [
        f"{part.removesuffix('.py').replace('/', '.').lstrip('.')}:app"
        if part.endswith(".py")
        else part
        for part in rest[1:]
    ]
    return ["uvicorn", *reload, *changed]


def _options(arguments: list[str]) -> tuple[str | None, dict[str, str]]:
    target: str | None = None
    options: dict[str, str] = {}
    rest = iter(arguments)
    for part in rest:
        if part.startswith("-"):
            option, equals, value = part.partition("=")
            option = _SHORT.get(option, option)
            takes_value = not equals and option not in _FLAGS
            options[option] = next(rest, "") if takes_value else value
        elif target is None and _IMPORT.fullmatch(part):
            target = part
        else:
            options[part] = ""
    return target, options


def _apply(line: AsgiLine, option: str, value: str) -> None:
    """Take over one option, as a key or as a note."""
    if option in _SWITCHES:
        line.keys[_SWITCHES[option]] = True
    elif option in _PATHS:
        line.keys[_PATHS[option]] = value
    elif option in _LISTENS and (port := valid_port(value.rpartition(":")[2])):
        line.port = port
    elif option == "--workers" and value.isdecimal() and 1 <= int(value) <= _MOST_REPLICAS:
        line.keys |= {"replicas": int(value)} if int(value) > 1 else {}
    elif option not in _NOT_NEEDED and not (option in _LISTENS and value.endswith(PORT)):
        line.notes.append(f"left out: {' '.join(part for part in (option, value) if part)}")
