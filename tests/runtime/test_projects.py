"""What is found in a project directory: fleets that run, fleets that ran, and leftovers."""

import os
from pathlib import Path

from msctl.runtime.projects import FleetListing, document, find_fleets
from msctl.runtime.statedir import RunFile, StateDir

RUN = RunFile(4711, "other", "http://127.0.0.1:8700", "2026-01-01T00:00:00.000000Z")


def listed(project: Path) -> list[FleetListing]:
    return find_fleets(project, "shop", 3)


def test_a_directory_where_nothing_ever_ran_has_its_first_fleet(tmp_path: Path) -> None:
    (only,) = listed(tmp_path)
    assert (only.name, only.running, only.gateway) == ("shop", False, None)
    assert (only.running_services, only.total_services) == (0, 3)
    assert not (tmp_path / ".msctl").exists()


def test_those_beside_the_first_follow_by_name(tmp_path: Path) -> None:
    for name in ("shop-2", "ci"):
        StateDir.for_project(tmp_path, name).create()
    (tmp_path / ".msctl/projects/a-file").touch()
    assert [fleet.name for fleet in listed(tmp_path)] == ["shop", "ci", "shop-2"]


def test_what_a_dead_fleet_left_is_removed(tmp_path: Path) -> None:
    state = StateDir.for_project(tmp_path, "ci")
    state.create()
    state.write_run(RUN)
    state.socket.touch()
    assert [fleet.running for fleet in listed(tmp_path)] == [False, False]
    assert not state.run_file.exists()
    assert not state.socket.exists()


def test_a_fleet_that_does_not_answer_runs_all_the_same(tmp_path: Path) -> None:
    state = StateDir.for_project(tmp_path)
    state.create()
    state.write_run(RUN)
    lock = state.try_lock()
    assert lock is not None
    (only,) = listed(tmp_path)
    os.close(lock)
    assert (only.name, only.running, only.isolated) == ("other", True, None)
    assert (only.gateway, only.started_at) == (RUN.gateway, RUN.started_at)


def test_the_document_has_everything(tmp_path: Path) -> None:
    (entry,) = document(listed(tmp_path))["projects"]
    assert entry == {
        "name": "shop",
        "running": False,
        "isolated": None,
        "gateway": None,
        "running_services": 0,
        "total_services": 3,
        "started_at": None,
        "uptime": None,
        "directory": str(tmp_path / ".msctl"),
    }
