"""Drafts first configurations of directories that a test makes, and loads them."""

from collections.abc import Mapping
from pathlib import Path

from msctl.config.drafting.first import FirstConfig, first_config
from msctl.config.loader import load_fleet
from msctl.config.location import ConfigLocation
from msctl.config.models import FleetConfig, ServiceConfig
from tests.config.editor import complaints, read
from tests.config.support import write


def draft(
    directory: Path,
    files: Mapping[str, str],
    *,
    source: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> FirstConfig:
    write(directory, files)
    return first_config(directory, environ or {}, directory / source if source else None)


def load_draft(directory: Path, first: FirstConfig) -> FleetConfig:
    """What msctl makes of it; that it loads, and that editors accept it, is asserted each time."""
    file = directory / "msctl.yaml"
    file.write_text(first.text, encoding="utf-8")
    assert complaints(read(first.text)) == []
    return load_fleet(ConfigLocation(directory.resolve(), (file.resolve(),)), {})


def services(
    directory: Path, files: Mapping[str, str], *, source: str | None = None
) -> dict[str, ServiceConfig]:
    return load_draft(directory, draft(directory, files, source=source)).services
