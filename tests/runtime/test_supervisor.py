"""One instance through its lives: what follows from each thing that can happen to it."""

import asyncio
import signal
from functools import partial
from pathlib import Path

import pytest

from msctl.model import Health
from tests.runtime.bench import api, worker
from tests.runtime.fakes import (
    DEGRADED,
    NOT_FOUND,
    OK,
    REFUSED,
    UNAVAILABLE,
    Behaviour,
    FakeProbe,
)
from tests.runtime.supervised import Supervised, bench, supervised
from tests.runtime.virtual import EPOCH, START, eventually, run_virtual, settle

# Starting


def test_an_instance_runs_when_its_first_check_passes(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            one.probe.answer = REFUSED
            await asyncio.sleep(1)
            assert (one.instance.status, one.instance.health) == ("starting", "unknown")
            assert one.instance.reason == "connection refused"
            one.probe.answer = OK
            await one.until("running", within=0.1)
            instance = one.instance
            assert (instance.health, instance.reason) == ("healthy", "")
            assert instance.in_rotation
            assert instance.pid == one.process.pid
            assert instance.port == int(one.process.launch.environment["PORT"])
            assert (instance.generation, instance.restarts) == (1, 0)
            assert instance.started_at == EPOCH + START

        assert one.seen == ["starting", "running", "draining", "stopping", "stopped", "gone"]

    run_virtual(main())


def test_without_a_check_it_runs_as_soon_as_its_process_does(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, worker("w")) as one:
            await one.until("running", within=0.01)
            assert one.instance.health is Health.HEALTHY
            assert one.instance.port is None
            await asyncio.sleep(1000)
            assert one.status == "running"

    run_virtual(main())


def test_a_degraded_answer_is_enough_to_run(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            one.probe.answer = DEGRADED
            await one.until("running")
            assert one.instance.health is Health.DEGRADED
            assert "degraded" in one.instance.reason

    run_virtual(main())


def test_an_exit_before_it_was_ever_healthy_is_a_failure_with_the_evidence(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            one.probe.answer = REFUSED
            await eventually(lambda: one.starts, "it was started")
            one.process.say(b"importing\nno such module", "stderr")
            one.process.exit(1)
            await one.until("error")
            assert one.failure.service == "a"
            assert one.failure.instance == "a-1"
            assert one.failure.reason == "exited with code 1 (it was never healthy)"
            assert one.failure.logs == ("importing", "no such module")
            assert one.instance.health is Health.UNHEALTHY
            assert (one.instance.pid, one.instance.port, one.instance.exit_code) == (None, None, 1)
            await asyncio.sleep(1000)
            assert (one.status, one.starts) == ("error", 1)

    run_virtual(main())


def test_with_no_wait_a_startup_failure_is_retried(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a"), retry_startup=True) as one:
            one.probe.answer = REFUSED
            await eventually(lambda: one.starts, "it was started")
            one.process.exit(1)
            await one.until("backoff")
            assert one.instance.reason == "exited with code 1"
            one.probe.answer = OK
            await one.until("running", within=1.2)
            assert (one.instance.generation, one.instance.restarts) == (2, 1)

    run_virtual(main())


@pytest.mark.parametrize("answer", [REFUSED, None])
def test_one_that_is_not_healthy_in_time_is_ended_and_has_failed(
    tmp_path: Path, answer: object
) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a", start_timeout=7)) as one:
            one.probe.answer = REFUSED if answer else None
            await asyncio.sleep(6.9)
            assert one.status == "starting"
            await one.until("error", within=1)
            assert one.process.signals == [signal.SIGTERM]
            said = "connection refused" if answer else "no answer"
            expected = f"not healthy within 7 s; last check: {said} (it was never healthy)"
            assert one.failure.reason == expected

    run_virtual(main())


def test_one_that_does_not_even_end_when_its_time_is_over_is_killed(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.spawner.behave = lambda _: Behaviour(ignores=frozenset({signal.SIGTERM}))
        async with supervised(parts, api("a", start_timeout=1, stop_timeout=3)) as one:
            one.probe.answer = REFUSED
            await asyncio.sleep(3.9)
            assert one.process.alive
            await one.until("error", within=0.2)
            assert one.process.signals == [signal.SIGTERM, signal.SIGKILL]

    run_virtual(main())


def test_the_time_to_start_is_over_once_it_runs(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a", start_timeout=5)) as one:
            await one.until("running")
            one.probe.answer = REFUSED
            await asyncio.sleep(60)
            assert one.status == "running"  # unhealthy, but readiness restarts nobody
            assert one.starts == 1

    run_virtual(main())


def test_a_program_that_cannot_be_started_is_an_error_until_a_command(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.spawner.behave = lambda _: Behaviour(error="command not found on PATH: wrk")
        async with supervised(parts, worker("w", command="wrk")) as one:
            await one.until("error", within=0.1)
            assert one.failure.reason == "command not found on PATH: wrk"
            await asyncio.sleep(1000)
            assert one.seen == ["starting", "error"]

    run_virtual(main())


@pytest.mark.parametrize(
    "keys",
    [
        {"command": "serve ${NOPE}"},
        {"command": "serve", "health": {"command": "check ${NOPE}"}},
    ],
    ids=["command", "health"],
)
def test_a_variable_that_is_not_set_is_an_error_and_no_process_is_left(
    tmp_path: Path, keys: dict[str, object]
) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.lives.real = True
        async with supervised(parts, api("a", app=None, **keys)) as one:
            await one.until("error", within=0.1)
            assert "NOPE" in one.failure.reason
            assert one.starts == 0

    run_virtual(main())


def test_an_internal_error_is_a_failure_of_this_instance_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            await one.until("running")

            async def broken(_: float) -> None:
                one.process.clear = clear  # type: ignore[method-assign]
                raise ZeroDivisionError

            clear, one.process.clear = one.process.clear, broken  # type: ignore[method-assign, assignment]
            one.process.exit(1)
            await one.until("error")
            assert one.failure.reason == "internal error: ZeroDivisionError()"
            assert one.process.cleared
            await asyncio.sleep(1000)
            assert one.starts == 1

    run_virtual(main())
    assert "supervisor failed" in caplog.text


# After an exit


def has_started(one: Supervised, times: int) -> bool:
    return one.starts == times


async def running_for(one: Supervised, seconds: float) -> None:
    await one.until("running")
    await asyncio.sleep(seconds)


def test_a_crash_after_ten_healthy_seconds_is_followed_by_a_restart_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            await running_for(one, 11)
            before = one.instance
            one.process.exit(-signal.SIGSEGV)
            await eventually(lambda: one.starts == 2, "it is restarted", within=0.05)
            await one.until("running", within=0.05)
            after = one.instance
            assert (after.id, after.generation, after.restarts) == (before.id, 2, 1)
            assert after.pid != before.pid
            assert one.seen == ["starting", "running", "backoff", "starting", "running"]
            notes = one.notes()
        assert "killed by SIGSEGV" in notes
        assert "restarting at once" in notes

    run_virtual(main())


def test_the_dead_are_out_of_rotation_before_anything_else(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.spawner.behave = lambda _: Behaviour(leaves_slowly=5.0)
        async with supervised(parts, api("a")) as one:
            await running_for(one, 11)
            first = one.process
            changes: list[tuple[bool, bool]] = []
            one.bench.registry.subscribe(
                lambda _: changes.append((one.instance.in_rotation, first.cleared))
            )
            first.exit(1)
            await settle()
            assert changes[0] == (False, False)

    run_virtual(main())


def test_helpers_of_the_dead_are_gone_before_the_next_life(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.spawner.behave = lambda _: Behaviour(leaves_slowly=5.0)
        async with supervised(parts, api("a")) as one:
            await running_for(one, 11)
            first = one.process
            first.exit(1)
            await eventually(lambda: one.starts == 2, "it is restarted")
            assert first.signals == [signal.SIGKILL]
            assert first.cleared

    run_virtual(main())


def test_quick_crashes_are_followed_by_longer_and_longer_waits_and_five_are_an_error(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            waits = []
            for crash in range(1, 5):
                await running_for(one, 0.5)
                one.process.exit(1)
                await one.until("backoff")
                begun = asyncio.get_running_loop().time()
                await eventually(partial(has_started, one, crash + 1), "it is started again")
                waits.append(asyncio.get_running_loop().time() - begun)
            for wait, expected in zip(waits, [1, 2, 4, 8], strict=True):
                assert 0.89 * expected < wait < 1.12 * expected
            await running_for(one, 0.5)
            one.process.exit(1)
            await one.until("error")
            assert one.failure.reason == "exited with code 1 (5 quick crashes in a row)"
            assert one.starts == 5

    run_virtual(main())


def test_a_job_that_ends_well_is_completed_and_stays_so(tmp_path: Path) -> None:
    async def main() -> None:
        for service, job in [(worker("w", restart="no"), False), (worker("w"), True)]:
            async with supervised(tmp_path, service, job=job) as one:
                await one.until("running")
                one.process.exit(0)
                await one.until("completed", within=0.1)
                assert one.instance.health is Health.UNKNOWN
                assert one.instance.exit_code == 0
                assert one.supervisor.failure is None
                await asyncio.sleep(1000)
                assert one.seen == ["starting", "running", "completed"]

    run_virtual(main())


def test_a_job_that_is_done_was_never_unhealthy(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, worker("w", restart="no")) as one:
            healths: list[Health] = []
            one.bench.registry.subscribe(
                lambda event: healths.append(event.after.health) if event.after else None
            )
            await one.until("running")
            one.process.exit(0)
            await one.until("completed")
            assert Health.UNHEALTHY not in healths

    run_virtual(main())


def test_a_job_that_ends_badly_has_failed(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, worker("w", restart="no")) as one:
            await one.until("running")
            one.process.exit(3)
            await one.until("error")
            assert one.failure.reason == "exited with code 3 (restart: no)"

    run_virtual(main())


def test_a_program_that_ends_well_and_is_no_job_is_stopped(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, worker("w")) as one:
            await one.until("running")
            one.process.exit(0)
            await one.until("stopped")
            assert one.instance.reason == "exited with code 0"
            assert one.starts == 1

    run_virtual(main())


def test_with_restart_always_a_good_end_is_followed_by_a_restart_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, worker("w", restart="always")) as one:
            await running_for(one, 11)
            one.process.exit(0)
            await eventually(lambda: one.starts == 2, "it is restarted", within=0.05)

    run_virtual(main())


# A number that somebody else has


def in_use(_: object) -> Behaviour:
    says = (("stderr", b"OSError: [Errno 98] Address already in use\n"),)
    return Behaviour(exit_code=1, lasts=0.1, says=says)


def test_a_program_whose_port_was_taken_gets_another_one(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.lives.probes["a-1"] = FakeProbe(REFUSED)
        parts.spawner.behave = in_use
        async with supervised(parts, api("a", app=None, command="serve")) as one:
            await eventually(lambda: one.starts == 2, "another port is tried", within=0.2)
            parts.spawner.behave = lambda _: Behaviour()
            await eventually(lambda: one.starts == 3, "and another one", within=0.2)
            one.probe.answer = OK
            await one.until("running", within=0.1)
            assert one.instance.restarts == 0
            drawn = [p.launch.environment["PORT"] for p in parts.spawner.processes["a-1"]]
            assert len(set(drawn)) == 3
            assert one.instance.generation == 3

    run_virtual(main())


def test_one_that_says_so_every_time_is_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.lives.probes["a-1"] = FakeProbe(REFUSED)
        parts.spawner.behave = in_use
        async with supervised(parts, api("a", app=None, command="serve")) as one:
            await one.until("error")
            assert one.starts == 6
            assert "Address already in use" in one.failure.logs[-1]

    run_virtual(main())


def test_one_with_a_socket_of_its_own_has_no_other_port_to_try(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.lives.probes["a-1"] = FakeProbe(REFUSED)
        parts.spawner.behave = in_use
        async with supervised(parts, api("a")) as one:
            await one.until("error")
            assert one.starts == 1

    run_virtual(main())


def test_what_was_meant_for_the_life_before_does_not_reach_the_next(tmp_path: Path) -> None:
    """The time to start runs out while the dead process is cleared away."""

    async def main() -> None:
        parts = bench(tmp_path)
        parts.lives.probes["a-1"] = FakeProbe(REFUSED)
        parts.spawner.behave = in_use
        service = api("a", app=None, command="serve", start_timeout=0.2)
        async with supervised(parts, service) as one:
            await eventually(lambda: one.starts == 1, "it was started")
            one.process.clear = lambda _: asyncio.sleep(1)  # type: ignore[method-assign, assignment]
            parts.spawner.behave = lambda _: Behaviour()
            await eventually(lambda: one.starts == 2, "another port is tried")
            await asyncio.sleep(0.05)
            assert one.status == "starting"
            assert one.process.signals == []

    run_virtual(main())


# Health


def test_one_that_fails_its_checks_is_out_and_comes_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            await one.until("running")
            one.probe.answer = UNAVAILABLE
            await eventually(lambda: one.instance.health is Health.UNHEALTHY, "it is out")
            assert one.status == "running"
            assert one.instance.reason == "answered 503"
            one.probe.answer = OK
            await eventually(lambda: one.instance.health is Health.HEALTHY, "it is back")
            assert one.instance.reason == ""
            notes = one.notes()
        changes = [note.partition(" ")[0] for note in notes if "answered" in note]
        assert changes == ["healthy", "unhealthy", "healthy"]

    run_virtual(main())


def test_unhealthy_seconds_do_not_prove_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            await running_for(one, 3)
            one.probe.answer = UNAVAILABLE
            await asyncio.sleep(30)
            one.process.exit(1)
            await one.until("backoff")
            await asyncio.sleep(0.5)
            assert one.status == "backoff"

    run_virtual(main())


def test_a_check_that_asks_for_a_path_that_is_not_there_is_named_from_the_start(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            one.probe.answer = NOT_FOUND
            await one.until("running")
            assert one.instance.health is Health.HEALTHY
            assert "health_check_path" in one.instance.reason
            await asyncio.sleep(10)
            assert "health_check_path" in one.instance.reason
            notes = one.notes()
        assert len([note for note in notes if note.startswith("warning")]) == 1

    run_virtual(main())


def test_every_check_that_passes_is_told_to_the_router(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            one.probe.answer = REFUSED
            await asyncio.sleep(1)
            assert one.bench.traffic.passed == []
            one.probe.answer = OK
            await one.until("running")
            await asyncio.sleep(5)
            assert len(one.bench.traffic.passed) == 3

    run_virtual(main())


@pytest.mark.parametrize(
    "answer",
    [
        REFUSED,
        UNAVAILABLE,
    ],
)
def test_a_check_that_fails_is_never_told_as_passed(tmp_path: Path, answer: object) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            await running_for(one, 0.1)
            before = list(one.bench.traffic.passed)
            one.probe.answer = answer  # type: ignore[assignment]
            await eventually(lambda: one.instance.health is Health.UNHEALTHY, "it is out")
            assert one.bench.traffic.passed == before

    run_virtual(main())


def test_somebody_who_waits_has_it_checked_now(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            await running_for(one, 1)
            count = len(one.probe.times)
            one.supervisor.hurry()
            await asyncio.sleep(0.01)
            assert len(one.probe.times) == count + 1
        one.supervisor.hurry()  # one that has ended is in no hurry

    run_virtual(main())
