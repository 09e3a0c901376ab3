"""`msctl doctor` from end to end: gathers the facts and has every check look at its own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from msctl.config.isolation import isolated
from msctl.config.loader import load_fleet
from msctl.config.location import ConfigLocation
from msctl.config.models import FleetConfig
from msctl.errors import ConfigError
from msctl.runtime.doctor import Finding
from msctl.runtime.doctor_fleet import (
    ConfigFacts,
    check_config,
    check_ports,
    check_programs,
    check_state,
)
from msctl.runtime.doctor_look import (
    look_at_disk,
    look_at_machine,
    look_at_python,
    size_of,
)
from msctl.runtime.doctor_look_fleet import (
    look_at_ports,
    look_at_programs,
    look_at_state,
    look_at_warm_start,
)
from msctl.runtime.doctor_machine import check_disk, check_machine, check_python
from msctl.runtime.doctor_warm import check_warm_start
from msctl.runtime.statedir import StateDir


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is to be examined."""

    location: ConfigLocation | None
    missing: str = ""
    """Why there is no configuration, where there is none."""
    state: StateDir | None
    environ: Mapping[str, str]
    here: Path
    """Files are named as seen from this directory."""
    isolated: bool = False
    """Whether it is a fleet whose ports are drawn."""


def examine(patient: Patient) -> Iterator[Finding]:
    """Yield what was found, of everything that can be looked at."""
    fleet, config = _read(patient)
    size = size_of(fleet)
    yield from check_python(look_at_python())
    yield from check_machine(look_at_machine(patient.state), size)
    yield from check_config(config)
    if patient.state is not None:
        state = look_at_state(patient.state)
        yield from check_state(state)
        yield from check_disk(look_at_disk(patient.state), size)
        if fleet is not None:
            yield from check_ports(look_at_ports(fleet, state))
    if fleet is not None:
        yield from check_programs(look_at_programs(fleet, patient.environ))
        yield from check_warm_start(look_at_warm_start(fleet, patient.environ))


def _read(patient: Patient) -> tuple[FleetConfig | None, ConfigFacts]:
    if patient.location is None:
        return None, ConfigFacts(missing=patient.missing)
    files = [_seen(file, patient.here) for file in patient.location.files]
    try:
        fleet = load_fleet(patient.location, patient.environ)
    except ConfigError as error:
        seen = [replace(p, file=Path(_seen(p.file, patient.here))) for p in error.problems]
        return None, ConfigFacts(files=files, problems=seen)
    facts = ConfigFacts(files=files, services=len(fleet.services))
    return isolated(fleet) if patient.isolated else fleet, facts


def _seen(file: Path, here: Path) -> str:
    return str(file.relative_to(here) if file.is_relative_to(here) else file)
