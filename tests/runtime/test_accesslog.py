"""The router's access log on disk."""

import json
from pathlib import Path

import pytest

from msctl.proxy.access import Access
from msctl.runtime import logstore
from msctl.runtime.accesslog import AccessLogFile
from msctl.runtime.logreader import read_logs
from msctl.runtime.logstore import LogStore
from msctl.runtime.statedir import StateDir
from tests.core.fake_clock import FakeClock

ACCESS = Access(
    service="api",
    instance="api-1",
    method="GET",
    path='/a"b\x01é',
    status=200,
    seconds=0.25,
    attempts=1,
    request_id="r",
    trace_id="t",
    reason=None,
    client=None,
)


def written(tmp_path: Path, count: int, *, enabled: bool = True) -> tuple[StateDir, AccessLogFile]:
    state, clock = StateDir(tmp_path), FakeClock()
    state.create()
    store = LogStore(state.logs, clock)
    log = AccessLogFile(state.access_log, store, clock, lambda: enabled)
    store.open()
    for _ in range(count):
        log.record(ACCESS)
    store.close()
    return state, log


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_is_one_json_object_with_its_time_first(tmp_path: Path) -> None:
    state, _ = written(tmp_path, 1)
    [line] = lines(state.access_log)
    assert list(line) == [
        "time", "service", "instance", "method", "path", "status", "seconds", "attempts",
        "request_id", "trace_id", "reason", "client",
    ]  # fmt: skip
    assert line["time"] == "1970-01-01T00:16:40.000000Z"
    assert line["path"] == ACCESS.path


def test_it_is_no_instances_log(tmp_path: Path) -> None:
    state, _ = written(tmp_path, 1)
    assert [*read_logs(state.logs)] == []
    assert list(state.logs.iterdir()) == []


def test_it_is_rotated_like_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logstore, "MAX_FILE", 500)
    written(tmp_path, 100)
    kept = sorted(path.name for path in tmp_path.glob("access.log*"))
    assert kept == ["access.log", "access.log.1", "access.log.2"]
    assert all(path.stat().st_size <= 500 for path in tmp_path.glob("access.log*"))


def test_lines_that_the_disk_cannot_take_are_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, clock = LogStore(tmp_path / "logs", FakeClock()), FakeClock()
    log = AccessLogFile(tmp_path / "access.log", store, clock, lambda: True)
    monkeypatch.setattr(logstore, "MAX_PENDING", 100)
    for _ in range(4):  # the writer does not run yet: the first line is all that may wait
        log.record(ACCESS)
    monkeypatch.undo()
    log.record(ACCESS)
    store.open()
    store.close()
    first, missing, last = lines(tmp_path / "access.log")
    assert missing == {"time": "1970-01-01T00:16:40.000000Z", "dropped": 3}
    assert first["path"] == last["path"] == ACCESS.path


def test_whether_it_is_wanted_is_asked_anew_each_time(tmp_path: Path) -> None:
    assert written(tmp_path / "on", 0, enabled=True)[1].enabled
    assert not written(tmp_path / "off", 0, enabled=False)[1].enabled
