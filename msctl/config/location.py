"""Where the configuration is. Cheap to import: no YAML, no pydantic."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msctl.config.place import DIRECTORY_NAME, FILE_NAME, VARIABLE, find_place

__all__ = ["DIRECTORY_NAME", "FILE_NAME", "VARIABLE", "ConfigLocation", "find_config"]


@dataclass(frozen=True, slots=True)
class ConfigLocation:
    """A project's directory and the files or directories that configure it, all absolute."""

    project_dir: Path
    files: tuple[Path, ...]


def find_config(cwd: Path, files: Sequence[Path], environ: Mapping[str, str]) -> ConfigLocation:
    """Find the configuration, see `msctl.config.place.find_place`; raises UsageError."""
    directory, found = find_place(os.fspath(cwd), [os.fspath(file) for file in files], environ)
    return ConfigLocation(Path(directory), tuple(map(Path, found)))
