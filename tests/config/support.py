"""Loads configurations that a test writes, and shows problems as a user sees them."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from msctl.config.loader import load_fleet
from msctl.config.location import find_config
from msctl.config.models import FleetConfig, ServiceConfig
from msctl.errors import ConfigError

Files = Mapping[str, str] | str


def write(directory: Path, files: Files) -> Path:
    """Write the files; a single text is msctl.yaml."""
    for name, text in ({"msctl.yaml": files} if isinstance(files, str) else files).items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
    return directory


def load(directory: Path, files: Files, environ: Mapping[str, str] | None = None) -> FleetConfig:
    write(directory, files)
    return load_fleet(find_config(directory, [], {}), environ or {})


def load_one(directory: Path, keys: str, environ: Mapping[str, str] | None = None) -> ServiceConfig:
    """The service of a file that says `name`, `port` and these keys."""
    text = "name: a\nport: 8001\n" + dedent(keys)
    return load(directory, {"configs/a.yaml": text}, environ).services["a"]


def problems(directory: Path, files: Files, environ: Mapping[str, str] | None = None) -> list[str]:
    """All problems, with paths relative to the directory; empty when there are none."""
    try:
        load(directory, files, environ)
    except ConfigError as error:
        root = f"{directory.resolve()}/"
        return [str(problem).replace(root, "") for problem in error.problems]
    return []


def problems_of(directory: Path, keys: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """The problems of a file that says `name: a`, `port` and these keys, from line 3 on."""
    text = "name: a\nport: 8001\n" + dedent(keys)
    found = problems(directory, {"configs/a.yaml": text}, environ)
    return [each.removeprefix("configs/a.yaml:") for each in found]
