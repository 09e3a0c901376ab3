"""An instance's log, divided into its processes."""

from pathlib import Path

from msctl.core.why_facts import Line, Run
from msctl.runtime.logline import parse
from msctl.runtime.runs import read_runs, runs_of
from tests.runtime.bench import worker
from tests.runtime.fakes import Behaviour
from tests.runtime.supervised import bench, supervised
from tests.runtime.virtual import run_virtual

EPOCH = 1_767_225_600.0


def read(*lines: str) -> tuple[Run, ...]:
    """Lines without their times, one second apart."""
    raw = [f"2026-01-01T00:00:{n:02}.000000Z {line}".encode() for n, line in enumerate(lines)]
    return runs_of([parse(line, "app-1") for line in raw])


def test_each_process_has_its_own_lines_and_its_end() -> None:
    first, second = read(
        "msctl started, pid 7",
        "stdout hello",
        "msctl healthy (answered 200)",
        "stderr boom",
        "msctl exited with code 1",
        "msctl restarting in 2.5 s",
        "msctl started, pid 8",
        "stdout again",
    )
    assert first == Run(
        pid=7,
        started=EPOCH,
        lines=(Line("stdout", "hello"), Line("stderr", "boom")),
        ended=EPOCH + 4,
        ending="exited with code 1",
        restarts_at=EPOCH + 7.5,
    )
    assert second == Run(pid=8, started=EPOCH + 6, lines=(Line("stdout", "again"),))
    assert (first.failed, second.failed) == (True, False)


def test_what_is_given_up_says_why() -> None:
    (run,) = read(
        "msctl started, pid 7",
        "msctl killed by SIGKILL",
        "msctl given up: killed by SIGKILL (restart: no)",
    )
    assert (run.ending, run.given_up) == ("killed by SIGKILL", "killed by SIGKILL (restart: no)")


def test_a_stop_that_was_asked_for_is_no_failure() -> None:
    stopped, failed = read(
        "msctl started, pid 7",
        "msctl stopped",
        "msctl given up: command not found on PATH: x",
    )
    assert (stopped.ending, stopped.failed) == ("stopped", False)
    assert (failed.pid, failed.ended, failed.given_up) == (
        None,
        EPOCH + 2,
        "command not found on PATH: x",
    )


def test_one_that_msctl_restarts_by_itself_ended_for_the_reason_before_that() -> None:
    hung, anew = read(
        "msctl started, pid 7",
        "msctl its liveness check failed 3 times",
        "msctl restarting at once",
        "msctl started, pid 8",
    )
    assert (hung.ending, hung.ended, hung.failed) == (
        "its liveness check failed 3 times",
        EPOCH + 2,
        True,
    )
    assert not anew.failed


def test_a_log_of_which_the_beginning_is_lost_still_tells_the_end() -> None:
    (run,) = read("stderr boom", "msctl exited with code 1")
    assert (run.pid, run.lines, run.ending) == (
        None,
        (Line("stderr", "boom"),),
        "exited with code 1",
    )


def test_a_torn_line_is_text_like_any_other() -> None:
    (run,) = runs_of([parse(b"half a li", "app-1")])
    assert run.lines == (Line("stdout", "half a li"),)


def test_there_is_nothing_to_read_of_what_never_ran(tmp_path: Path) -> None:
    assert read_runs(tmp_path / "logs", ["app"]) == {"app": {}}


def test_a_service_with_the_name_of_anothers_instance_has_its_own_runs(tmp_path: Path) -> None:
    for name, pid in (("app-1", 1), ("app-1-1", 2)):
        line = f"2026-01-01T00:00:00.000000Z msctl started, pid {pid}\n"
        (tmp_path / f"{name}.log").write_text(line)
    found = read_runs(tmp_path, ["app", "app-1"])
    pids = {
        name: [run.pid for run in runs] for each in found.values() for name, runs in each.items()
    }
    assert pids == {"app-1": [1], "app-1-1": [2]}
    assert found["app-1"].keys() == {"app-1-1"}


def test_what_a_supervisor_notes_is_understood(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.spawner.behave = lambda _: Behaviour(
            exit_code=3, lasts=1.0, says=(("stderr", b"boom\n"),)
        )
        async with supervised(parts, worker("job")) as one:
            await one.until("error", within=600)
            one.notes()  # everything is written
        runs = read_runs(parts.state.logs, ["job"])["job"]["job-1"]
        assert [run.ending for run in runs] == ["exited with code 3"] * one.starts
        assert all(run.pid and run.started and run.ended for run in runs)
        assert all(run.lines == (Line("stderr", "boom"),) for run in runs)
        assert all(run.restarts_at is not None for run in runs[:-1])
        assert runs[-1].given_up == "exited with code 3 (5 quick crashes in a row)"

    run_virtual(main())


def test_a_supervisors_stop_and_what_it_could_not_start_are_understood(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with supervised(parts, worker("w")) as one:
            await one.until("running")
            one.supervisor.stop()
            await one.gone(within=20)
            one.notes()
        (run,) = read_runs(parts.state.logs, ["w"])["w"]["w-1"]
        assert (run.ending, run.failed) == ("stopped", False)

    async def unstartable() -> None:
        parts = bench(tmp_path / "other")
        parts.spawner.behave = lambda _: Behaviour(error="command not found: x")
        async with supervised(parts, worker("w")) as one:
            await one.until("error")
            one.notes()
        (run,) = read_runs(parts.state.logs, ["w"])["w"]["w-1"]
        assert (run.pid, run.given_up) == (None, "command not found: x")

    run_virtual(main())
    run_virtual(unstartable())
