"""The end of an instance that was asked for: deregister, drain, signal, kill, nothing left."""

import asyncio
import signal
from pathlib import Path

import pytest

from msctl.model import Health, ServiceStatus
from tests.runtime.bench import api, worker
from tests.runtime.fakes import OK, REFUSED, STUBBORN, Behaviour
from tests.runtime.supervised import bench, supervised
from tests.runtime.virtual import eventually, run_virtual, settle

TERM, KILL = signal.SIGTERM, signal.SIGKILL


def test_the_registry_hears_of_it_before_the_process_does(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            await one.until("running")
            statuses: list[ServiceStatus] = []
            process = one.process
            signal_ = process.signal

            def noted(number: int) -> None:
                statuses.append(one.instance.status)
                signal_(number)

            process.signal = noted  # type: ignore[method-assign]
            one.supervisor.stop()
            await one.task
            assert statuses == [ServiceStatus.STOPPING]
            assert process.signals == [TERM]
            assert process.cleared
        assert one.seen == ["starting", "running", "draining", "stopping", "stopped", "gone"]

    run_virtual(main())


def test_calls_under_way_are_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            await one.until("running")
            calls = one.bench.traffic.open_calls
            calls["a-1"] = 2
            one.supervisor.stop()
            await asyncio.sleep(5)
            assert one.status == "draining"
            assert not one.instance.in_rotation
            assert one.process.signals == []
            assert one.bench.traffic.cuts == []
            calls["a-1"] = 0
            await one.gone(within=0.1)
            assert one.bench.traffic.cuts == ["a-1"]

    run_virtual(main())


def test_calls_without_end_are_cut_when_the_time_to_drain_is_over(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a", drain_timeout=4)) as one:
            await one.until("running")
            one.bench.traffic.open_calls["a-1"] = 1
            one.supervisor.stop()
            await asyncio.sleep(3.9)
            assert (one.process.signals, one.bench.traffic.cuts) == ([], [])
            await asyncio.sleep(0.2)
            assert (one.process.signals, one.bench.traffic.cuts) == ([TERM], ["a-1"])

    run_virtual(main())


def test_a_check_that_passes_does_not_undo_the_end(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            await one.until("running")
            one.probe.answer = None
            await asyncio.sleep(2.1)  # a check is under way
            one.bench.traffic.open_calls["a-1"] = 1
            one.supervisor.stop()
            one.probe.answer = OK
            checks = len(one.probe.times)
            await asyncio.sleep(5)
            assert one.status == "draining"
            assert len(one.probe.times) == checks
        assert one.seen[2:] == ["draining", "stopping", "stopped", "gone"]

    run_virtual(main())


def test_one_that_does_not_end_is_killed_after_its_time(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.spawner.behave = lambda _: STUBBORN
        async with supervised(parts, api("a", stop_timeout=6)) as one:
            await one.until("running")
            one.supervisor.stop()
            await asyncio.sleep(5.9)
            assert one.process.alive
            await one.gone(within=0.2)
            assert one.process.signals == [TERM, KILL]

    run_virtual(main())


def test_the_command_may_give_it_another_time(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.spawner.behave = lambda _: STUBBORN
        async with supervised(parts, api("a", stop_timeout=600)) as one:
            await one.until("running")
            one.supervisor.stop(timeout=2)
            await one.gone(within=2.1)

    run_virtual(main())


def test_a_new_time_in_the_config_holds_without_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.spawner.behave = lambda _: STUBBORN
        async with supervised(parts, api("a", stop_timeout=600)) as one:
            await one.until("running")
            changed = api("a", stop_timeout=2, stop_signal="INT")
            one.supervisor.release = one.supervisor.release.with_hot_keys(changed)
            one.supervisor.stop()
            await one.gone(within=2.1)
            assert one.process.signals == [signal.SIGINT, KILL]

    run_virtual(main())


def test_a_kill_does_without_draining_and_without_grace(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            await one.until("running")
            one.bench.traffic.open_calls["a-1"] = 1
            one.supervisor.stop(kill=True)
            await one.gone(within=0.1)
            assert one.process.signals == [KILL]

    run_virtual(main())


@pytest.mark.parametrize("stage", ["draining", "stopping"])
def test_a_kill_escalates_a_stop_that_is_under_way(tmp_path: Path, stage: str) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.spawner.behave = lambda _: STUBBORN
        async with supervised(parts, api("a", stop_timeout=600, drain_timeout=600)) as one:
            await one.until("running")
            one.bench.traffic.open_calls["a-1"] = int(stage == "draining")
            one.supervisor.stop()
            await asyncio.sleep(100)
            assert one.status == stage
            one.supervisor.stop(kill=True)
            await one.gone(within=0.1)
            assert one.process.signals[-1] == KILL
            assert (TERM in one.process.signals) is (stage == "stopping")

    run_virtual(main())


def test_helpers_have_their_grace_too(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.spawner.behave = lambda _: Behaviour(leaves_slowly=3.0)
        async with supervised(parts, api("a", stop_timeout=10)) as one:
            await one.until("running")
            one.supervisor.stop()
            await asyncio.sleep(2.9)
            assert one.status == "stopping"
            await one.gone(within=0.2)
            assert one.process.signals == [TERM]

    run_virtual(main())


def test_one_that_starts_has_nothing_to_drain(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            one.probe.answer = REFUSED
            await asyncio.sleep(1)
            one.supervisor.stop()
            await one.gone(within=0.1)
            assert one.process.signals == [TERM]
        assert one.seen == ["starting", "stopping", "stopped", "gone"]

    run_virtual(main())


def test_one_that_waits_for_its_restart_does_not_come_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, worker("w")) as one:
            await one.until("running")
            one.process.exit(1)
            await one.until("backoff")
            one.supervisor.stop()
            await one.gone(within=0.1)
            assert one.starts == 1

    run_virtual(main())


@pytest.mark.parametrize(("code", "ended"), [(1, "error"), (0, "completed")])
def test_one_that_has_ended_leaves_at_once(tmp_path: Path, code: int, ended: str) -> None:
    async def main() -> None:
        async with supervised(tmp_path, worker("w", restart="no")) as one:
            await one.until("running")
            one.process.exit(code)
            await one.until(ended)
            one.supervisor.stop()
            await one.gone(within=0.1)
        assert one.seen == ["starting", "running", ended, "gone"]

    run_virtual(main())


def test_one_that_was_never_begun_never_begins(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, worker("w")) as one:
            one.supervisor.stop()
            await one.task
            assert one.starts == 0

    run_virtual(main())


def test_a_crash_in_the_midst_of_the_end_is_the_end(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            await one.until("running")
            one.bench.traffic.open_calls["a-1"] = 1
            one.supervisor.stop()
            await asyncio.sleep(1)
            one.process.exit(1)
            one.bench.traffic.open_calls["a-1"] = 0
            await one.gone(within=0.1)
            assert one.starts == 1

    run_virtual(main())


def test_an_exit_and_a_stop_at_once_are_an_end(tmp_path: Path) -> None:
    async def main() -> None:
        for first in ("exit", "stop"):
            async with supervised(tmp_path, api("a")) as one:
                await one.until("running")
                if first == "exit":
                    one.process.exit(1)
                    await settle()
                one.supervisor.stop()
                one.process.exit(1)
                await one.gone(within=1)
                assert one.starts == 1

    run_virtual(main())


def test_its_last_words_are_in_the_log_before_msctls(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            await one.until("running")
            one.process.say(b"bye")
            one.supervisor.stop()
            await one.task
        lines = one.bench.log("a-1")
        assert lines[-2:] == ["stdout bye", "msctl stopped"]

    run_virtual(main())


def test_the_next_instance_of_this_id_has_a_generation_of_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with supervised(parts, worker("w")) as one:
            await one.until("running")
            assert one.instance.generation == 1
        again = bench(tmp_path)
        again.registry = parts.registry
        async with supervised(again, worker("w")) as one:
            await one.until("running")
            assert one.instance.generation == 2
            stale = parts.registry.update("w-1", 1, health=Health.UNHEALTHY)
            assert stale is None
            assert one.instance.health is Health.HEALTHY

    run_virtual(main())


def test_its_reservation_is_given_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a", app=None, command="serve")) as one:
            await one.until("running")
            life = one.supervisor._life
            assert life is not None
            reservation = life.reservation
            assert reservation is not None
            assert reservation.getsockname()[1] == one.instance.port
            one.supervisor.stop()
            await one.task
            assert reservation.fileno() == -1

    run_virtual(main())


def test_a_socket_is_handed_down_and_not_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, api("a")) as one:
            await eventually(lambda: one.starts, "it was started")
            listener = one.process.launch.listener
            assert listener is not None
            assert listener.fileno() == -1

    run_virtual(main())
