"""The check that restarts a process, alone and under a supervisor, in virtual time."""

import asyncio
import signal
from pathlib import Path

from msctl.config.health import LivenessConfig
from msctl.runtime.liveness import Liveness
from tests.runtime.bench import api
from tests.runtime.fakes import OK, REFUSED, UNAVAILABLE, Behaviour, FakeProbe
from tests.runtime.supervised import bench, supervised
from tests.runtime.virtual import eventually, run_virtual

CONFIG = LivenessConfig(path="/alive", interval=10, timeout=2, fall=3)


def test_only_so_many_failures_in_a_row_count() -> None:
    async def main() -> None:
        probe, told = FakeProbe(), list[str]()
        liveness = Liveness(probe, CONFIG, told.append)
        began = asyncio.get_running_loop().time()
        liveness.start()
        liveness.start()
        for answers in ((REFUSED, REFUSED, OK), (UNAVAILABLE, REFUSED)):
            for answer in answers:
                probe.answer = answer
                await asyncio.sleep(10)
        assert told == []
        await asyncio.sleep(11)
        assert told == ["liveness check failed 3 times in a row: connection refused"]
        assert [round(at - began) for at in probe.times] == [10, 20, 30, 40, 50, 60]
        assert set(probe.timeouts) == {2}
        await asyncio.sleep(100)
        assert len(probe.times) == 6

    run_virtual(main())


def test_after_stop_nothing_is_told() -> None:
    async def main() -> None:
        probe, told = FakeProbe(answer=None), list[str]()
        liveness = Liveness(probe, CONFIG, told.append)
        liveness.start()
        await asyncio.sleep(11)  # one check is under way
        liveness.stop()
        await asyncio.sleep(100)
        assert told == []
        assert len(probe.times) == 1

    run_virtual(main())


def test_a_process_that_hangs_is_told_to_dump_its_stacks_killed_and_started_again(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        service = api("a", liveness={"path": "/alive", "interval": 5, "timeout": 1, "fall": 2})
        parts = bench(tmp_path)
        parts.spawner.behave = lambda _: Behaviour(ignores=frozenset({signal.SIGABRT}))
        probes = parts.lives.liveness_probes
        async with supervised(parts, service) as one:
            await one.until("running")
            await asyncio.sleep(20)
            assert one.starts == 1, "a living one is left alone"
            first = one.process
            probes[one.id].answer = REFUSED
            await eventually(lambda: one.starts == 2, "started again", within=20)
            assert first.signals == [signal.SIGABRT, signal.SIGKILL]
            assert first.launch.environment["PYTHONFAULTHANDLER"] == "1"
            assert one.instance.restarts == 1
            probes[one.id].answer = OK
            await one.until("running")
            notes = one.notes()
        assert "liveness check failed 2 times in a row: connection refused; killing it" in notes

    run_virtual(main())


def test_an_instance_that_was_never_healthy_is_not_checked(tmp_path: Path) -> None:
    async def main() -> None:
        service = api("a", liveness={"path": "/alive", "interval": 1}, start_timeout=25)
        parts = bench(tmp_path)
        parts.lives.probes["a-1"].answer = REFUSED
        async with supervised(parts, service) as one:
            await asyncio.sleep(20)
            assert one.status == "starting"
            assert parts.lives.liveness_probes[one.id].times == []

    run_virtual(main())
