import asyncio
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from msctl.runtime import strays
from msctl.runtime.process import READ_SIZE, LocalProcess
from msctl.runtime.proctree import descendants
from tests.runtime import real
from tests.runtime.virtual import eventually

STRAY = """
import os, sys, time
print("main", flush=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("stray", os.getpid(), flush=True)
        time.sleep(100)
    os._exit(0)
time.sleep(100)
"""


@pytest.fixture(autouse=True)
def _subreaper() -> Iterator[None]:
    with real.subreaper():
        yield


def two_lines(heard: real.Heard) -> bool:
    return heard.text().count(b"\n") == 2


def number_after(word: str, heard: real.Heard) -> int:
    return int(heard.text().split(word.encode(), 1)[1].split()[0])


def test_helpers_in_the_group_go_with_it() -> None:
    async def main() -> None:
        heard = real.Heard()
        async with real.spawning() as spawner:
            process = await spawner.spawn(
                real.launch("sh", "-c", "sleep 100 & echo helper $!; exit 0"), heard
            )
            assert await process.exited() == 0
            helper = number_after("helper", heard)
            assert real.is_alive(helper)
            await process.clear(0)
            assert not real.is_alive(helper)

    real.run(main())


def test_helpers_have_the_grace_to_end_by_themselves() -> None:
    async def main() -> None:
        heard = real.Heard()
        async with real.spawning() as spawner:
            process = await spawner.spawn(
                real.launch("sh", "-c", "(sleep 0.1; echo done) & exit 0"), heard
            )
            await process.exited()
            await process.clear(30)
        assert heard.text() == b"done\n"

    real.run(main())


def test_strays_that_left_the_group_by_setsid_are_killed_too() -> None:
    async def main() -> None:
        heard = real.Heard()
        async with real.spawning() as spawner:
            process = await spawner.spawn(real.python(STRAY), heard)
            await eventually(lambda: heard.text().count(b"\n") == 2, "the stray runs")
            stray = number_after("stray", heard)
            process.signal(signal.SIGTERM)
            await process.clear(10)
            assert not real.is_alive(stray)

    real.run(main())


def test_strays_of_another_instance_are_left_alone() -> None:
    async def main() -> None:
        mine, others = real.Heard(), real.Heard()
        async with real.spawning() as spawner:
            process = await spawner.spawn(real.python(STRAY, instance="api-1"), mine)
            other = await spawner.spawn(real.python(STRAY, instance="api-2"), others)
            for heard in (mine, others):
                await eventually(partial(two_lines, heard), "both run")
            await process.clear(0)
            assert real.is_alive(number_after("stray", others))
            await other.clear(0)
            assert not real.is_alive(number_after("stray", others))

    real.run(main())


def test_many_that_have_ended_share_the_look_for_strays(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def counted(root: int) -> list[int]:
        looks.append(root)
        return descendants(root)

    monkeypatch.setattr(strays, "descendants", counted)

    async def main() -> None:
        async with real.spawning() as spawner:
            processes = [await spawner.spawn(real.launch("true"), real.Heard()) for _ in range(20)]
            await asyncio.gather(*(process.exited() for process in processes))
            await asyncio.gather(*(process.clear(10) for process in processes))
        assert 1 <= len(looks) <= 2

    real.run(main())


def test_an_end_within_the_grace_is_not_a_kill() -> None:
    async def main() -> None:
        async with real.spawning() as spawner:
            process = await spawner.spawn(real.launch("sleep", "100"), real.Heard())
            process.signal(signal.SIGTERM)
            await process.clear(real.PATIENCE)
            assert await process.exited() == -signal.SIGTERM

    real.run(main())


def test_what_ignores_the_signal_is_killed_after_the_grace() -> None:
    async def main() -> None:
        heard = real.Heard()
        async with real.spawning() as spawner:
            script = "trap '' TERM; echo up; while :; do sleep 0.01; done"
            process = await spawner.spawn(real.launch("sh", "-c", script), heard)
            await eventually(lambda: b"up" in heard.text(), "it runs")
            process.signal(signal.SIGTERM)
            await process.clear(0.1)
            assert await process.exited() == -signal.SIGKILL

    real.run(main())


def test_a_signal_reaches_the_whole_group() -> None:
    async def main() -> None:
        heard = real.Heard()
        script = "trap 'exit 5' USR1; (trap 'echo helper; exit' USR1; echo up; while :; do sleep 0.01; done) & wait"
        async with real.spawning() as spawner:
            process = await spawner.spawn(real.launch("sh", "-c", script), heard)
            await eventually(lambda: b"up" in heard.text(), "the helper runs")
            process.signal(signal.SIGUSR1)
            assert await process.exited() == 5
            await process.clear(10)
        assert b"helper" in heard.text()

    real.run(main())


def test_output_is_taken_in_pieces_of_at_most_64_kib_until_the_last_byte() -> None:
    size = 1_000_000

    async def main() -> None:
        heard = real.Heard()
        async with real.spawning() as spawner:
            process = await spawner.spawn(
                real.python(f"import os\nn = {size}\nwhile n: n -= os.write(1, b'x' * n)"), heard
            )
            assert await process.exited() == 0
            await process.clear(10)
        assert len(heard.text()) == size
        assert max(len(data) for _, data in heard.pieces) <= READ_SIZE == 64 * 1024

    real.run(main())


def test_a_stranger_who_holds_the_pipe_does_not_hold_up_the_end() -> None:
    async def main() -> None:
        heard = real.Heard()
        process = LocalProcess(os.getpid() + 10_000_000, "api-1")
        process.set_exit_code(0)
        reader, writer = os.pipe()
        process.pump("stdout", reader, heard)
        os.write(writer, b"last words")
        begun = asyncio.get_running_loop().time()
        await process.clear(0)
        assert asyncio.get_running_loop().time() - begun < 10
        assert heard.text() == b"last words"
        with pytest.raises(BrokenPipeError):
            os.write(writer, b"too late")
        os.close(writer)

    real.run(main())


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    def open_files() -> set[str]:
        return {entry.name for entry in Path("/proc/self/fd").iterdir()}

    async def main() -> None:
        async with real.spawning() as spawner:
            before = open_files()
            for _ in range(3):
                process = await spawner.spawn(
                    real.launch("echo", "hello", directory=tmp_path), real.Heard()
                )
                await process.clear(10)
            assert len(open_files()) == len(before)

    real.run(main())
