"""The checks of interpreter and machine, each from facts that a test has written down."""

from dataclasses import replace
from pathlib import Path

import pytest

from msctl.runtime.doctor import Finding, Level
from msctl.runtime.doctor_look import look_at_disk, look_at_machine, look_at_python, size_of
from msctl.runtime.doctor_machine import (
    DiskFacts,
    FleetSize,
    MachineFacts,
    PythonFacts,
    check_disk,
    check_machine,
    check_python,
)
from msctl.runtime.statedir import StateDir
from tests.runtime.bench import api, fleet_of, worker

NOW = 1_767_225_600.0
PYTHON = PythonFacts(
    version=(3, 11, 7), executable="/venv/bin/python", in_venv=True, packages={"uvloop": "0.21"}
)
MACHINE = MachineFacts(
    platform="linux",
    open_files=65536,
    processes_left=None,
    backlog=4096,
    now=NOW,
    newest_file=NOW - 5,
    setpriv=True,
    reads_proc=True,
    sees_others=True,
    controllers={"memory": True, "cpu": True},
)
SMALL = FleetSize(services=3, instances=5)


def machine(what: str, *, size: FleetSize = SMALL, **facts: object) -> Finding:
    """The finding of this name when these facts are other ones."""
    found = check_machine(replace(MACHINE, **facts), size)  # type: ignore[arg-type]
    return next(finding for finding in found if finding.what == what)


def test_a_machine_as_it_should_be_has_nothing_but_ok() -> None:
    found = [*check_python(PYTHON), *check_machine(MACHINE, SMALL)]
    assert {finding.level for finding in found} == {Level.OK}
    assert all(finding.message and not finding.hint for finding in found)


def test_an_old_python_and_a_missing_package_fail() -> None:
    old = [*check_python(replace(PYTHON, version=(3, 10, 1), packages={"uvloop": None}))]
    assert [finding.level for finding in old] == [Level.FAIL, Level.FAIL]
    assert "3.11" in old[0].hint
    (interpreter, _) = check_python(replace(PYTHON, in_venv=False))
    assert (interpreter.level, interpreter.message) == (
        Level.OK,
        "3.11.7, /venv/bin/python, not in a virtual environment",
    )


@pytest.mark.parametrize(
    ("hard", "level"),
    [(None, Level.OK), (65536, Level.OK), (1024, Level.WARN), (281, Level.FAIL)],
)
def test_open_files_are_counted_for_every_instance(hard: int | None, level: Level) -> None:
    assert machine("open files", open_files=hard).level is level


def test_what_is_needed_of_open_files_is_said() -> None:
    finding = machine("open files", open_files=200, size=FleetSize(services=10, instances=50))
    assert (finding.level, finding.message) == (Level.FAIL, "200 at most, 476 needed")
    assert "LimitNOFILE" in finding.hint


@pytest.mark.parametrize(
    ("left", "level"),
    [(None, Level.OK), (500, Level.OK), (19, Level.WARN), (4, Level.FAIL), (-3, Level.FAIL)],
)
def test_processes_are_counted_with_their_threads(left: int | None, level: Level) -> None:
    assert machine("processes", processes_left=left).level is level


def test_a_short_queue_of_connections_is_a_warning() -> None:
    assert machine("somaxconn", backlog=128).level is Level.WARN
    assert not [
        f for f in check_machine(replace(MACHINE, backlog=None), SMALL) if "somax" in f.what
    ]


def test_without_setpriv_it_works_with_a_warning() -> None:
    assert machine("setpriv", setpriv=False).level is Level.WARN


def test_proc_has_to_be_readable_and_better_shows_others() -> None:
    assert machine("/proc", reads_proc=False).level is Level.FAIL
    assert machine("/proc", sees_others=False).level is Level.WARN


def test_control_groups_matter_where_a_service_has_resources() -> None:
    limited = FleetSize(services=1, instances=1, limited=["cache"])
    finding = machine("control groups", controllers={"memory": False}, size=limited)
    assert finding.level is Level.WARN
    assert "rlimits and affinity (of cache)" in finding.message
    assert machine("control groups", controllers={}).level is Level.OK
    able = machine("control groups", controllers={"memory": True, "cpu": False}, size=limited)
    assert (able.level, able.message) == (
        Level.OK,
        "can be made for memory; `resources` are enforced by them",
    )


def test_a_clock_that_is_wrong_fails_and_one_that_was_set_back_is_a_warning() -> None:
    assert machine("clock", now=0.0, newest_file=0.0).level is Level.FAIL
    back = machine("clock", newest_file=NOW + 3600)
    assert (back.level, "set back" in back.message) == (Level.WARN, True)
    assert machine("clock", newest_file=NOW + 1).level is Level.OK


def test_another_system_is_told_what_it_does_without() -> None:
    assert machine("system", platform="darwin").level is Level.WARN
    assert machine("system", platform="win32").level is Level.FAIL
    names = {f.what for f in check_machine(replace(MACHINE, platform="darwin"), SMALL)}
    assert not names & {"/proc", "setpriv", "control groups"}


@pytest.mark.parametrize(
    ("writable", "free", "level"),
    [
        (True, 10 << 30, Level.OK),
        (True, 100 << 20, Level.WARN),
        (True, 1 << 20, Level.FAIL),
        (False, 10 << 30, Level.FAIL),
    ],
)
def test_the_state_needs_a_place_that_can_be_written_with_room_for_the_logs(
    writable: bool,  # noqa: FBT001
    free: int,
    level: Level,
) -> None:
    facts = DiskFacts(place=Path("/shop/.msctl"), writable=writable, free=free)
    (finding,) = check_disk(facts, SMALL)
    assert finding.level is level


# What is found out here


def test_this_machine_can_be_looked_at(tmp_path: Path) -> None:
    python = look_at_python()
    assert python.version >= (3, 11)
    assert all(python.packages[name] for name in ("uvloop", "uvicorn", "fastapi"))
    state = StateDir(tmp_path / "not" / "there")
    facts = look_at_machine(state)
    assert facts.now > NOW - 3e8
    assert facts.newest_file == 0.0
    assert facts.open_files is None or facts.open_files > 0
    disk = look_at_disk(state)
    assert (disk.place, disk.writable) == (tmp_path, True)
    assert disk.free > 0


def test_the_newest_log_tells_when_the_last_run_was(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    state.create()
    log = state.logs / "app-1.log"
    log.write_text("x")
    assert look_at_machine(state).newest_file == log.stat().st_mtime


def test_a_fleet_is_as_large_as_it_can_get(tmp_path: Path) -> None:
    fleet = fleet_of(
        tmp_path,
        api("user", replicas=2, scaling={"min": 1, "max": 5, "target_connections": 10}),
        worker("mailer", replicas=3, resources={"memory": "64M"}),
    )
    assert size_of(fleet) == FleetSize(services=2, instances=8, limited=["mailer"])
    assert size_of(None) == FleetSize()
