"""What a supervisor may rely on, whoever starts the instance; the fake is held to it too."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from msctl.runtime.process import Output
from msctl.runtime.spawner import Launch, Process, Spawner, SpawnError
from tests.runtime import applications, real
from tests.runtime.fakes import RUNS, STUBBORN, Behaviour, FakeSpawner
from tests.runtime.virtual import eventually, run_virtual


class Kind(Enum):
    RUNS = "echo ready; exec sleep 100"
    STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    EXITS = "exit 3"
    WRITES = "echo one; echo two >&2; echo three"
    MISSING = "none-of-that-name"


APPLICATIONS = {
    Kind.RUNS: """
import signal, time
for number in (signal.SIGTERM, signal.SIGINT):  # not uvicorn's handlers, for an early end
    signal.signal(number, signal.SIG_DFL)
print("ready")
time.sleep(20)
""",
    Kind.STUBBORN: """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready")
while True:
    time.sleep(0.05)
""",
    Kind.EXITS: "import sys; sys.exit(3)",
    Kind.WRITES: """
import sys
print("one")
print("two", file=sys.stderr)
print("three")
sys.exit(0)
""",
}


BEHAVIOURS = {
    Kind.RUNS: Behaviour(says=((("stdout", b"ready\n")),)),
    Kind.STUBBORN: Behaviour(ignores=STUBBORN.ignores, says=((("stdout", b"ready\n")),)),
    Kind.EXITS: Behaviour(exit_code=3),
    Kind.WRITES: Behaviour(
        exit_code=0, says=(("stdout", b"one\n"), ("stderr", b"two\n"), ("stdout", b"three\n"))
    ),
    Kind.MISSING: Behaviour(error="command not found on PATH: none-of-that-name"),
}


def command(kind: Kind, _: Path) -> Launch:
    if kind is Kind.MISSING:
        return real.launch(kind.value)
    return real.launch("sh", "-c", kind.value)


def application(kind: Kind, directory: Path) -> Launch:
    if kind is Kind.MISSING:
        return applications.launch(directory / kind.value)
    return applications.written(directory, APPLICATIONS[kind])


def behave(launch: Launch) -> Behaviour:
    assert isinstance(launch.program, tuple)
    return BEHAVIOURS.get(Kind(launch.program[-1]), RUNS)


@asynccontextmanager
async def fake_spawning() -> AsyncIterator[Spawner]:
    yield FakeSpawner(behave)


@dataclass(frozen=True)
class Subject:
    run: Callable[[Coroutine[Any, Any, None]], None]
    spawning: Callable[[], Any]
    launch: Callable[[Kind, Path], Launch]
    directory: Path

    async def spawn(self, spawner: Spawner, kind: Kind, output: Output) -> Process:
        launch = self.launch(kind, self.directory)
        with launch.listener or nullcontext():
            return await spawner.spawn(launch, output)


KINDS: dict[str, tuple[Callable[[], Any], Callable[[Kind, Path], Launch]]] = {
    "exec": (real.spawning, command),
    "exec-asgi": (real.spawning, application),
    "warm": (real.warm_spawning, application),
}


@pytest.fixture(params=["fake", *KINDS])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    if request.param == "fake":
        yield Subject(run_virtual, fake_spawning, command, tmp_path)
        return
    with real.subreaper():
        yield Subject(real.run, *KINDS[request.param], tmp_path)


def in_contract(
    subject: Subject, kind: Kind, check: Callable[[Process, real.Heard], Coroutine[Any, Any, None]]
) -> None:
    """Start one process, check it, and leave nothing of it."""

    async def main() -> None:
        heard = real.Heard()
        async with subject.spawning() as spawner:
            process = await subject.spawn(spawner, kind, heard)
            try:
                await check(process, heard)
            finally:
                await process.clear(0)

    subject.run(main())


async def ready(heard: real.Heard) -> None:
    await eventually(lambda: b"ready" in heard.text(), "the program runs")


def test_the_exit_code_is_told_to_everyone_who_asks_as_often_as_they_ask(subject: Subject) -> None:
    async def check(process: Process, _: real.Heard) -> None:
        both = await asyncio.gather(process.exited(), process.exited())
        assert [*both, await process.exited()] == [3, 3, 3]

    in_contract(subject, Kind.EXITS, check)


def test_one_who_stops_asking_takes_the_exit_code_from_nobody(subject: Subject) -> None:
    async def check(process: Process, heard: real.Heard) -> None:
        await ready(heard)
        impatient = asyncio.create_task(process.exited())
        await asyncio.sleep(0)
        impatient.cancel()
        process.signal(signal.SIGTERM)
        assert await process.exited() == -signal.SIGTERM

    in_contract(subject, Kind.RUNS, check)


def test_a_signal_ends_it_and_is_its_exit_code_negated(subject: Subject) -> None:
    async def check(process: Process, heard: real.Heard) -> None:
        await ready(heard)
        process.signal(signal.SIGINT)
        assert await process.exited() == -signal.SIGINT

    in_contract(subject, Kind.RUNS, check)


def test_a_signal_to_one_that_has_gone_does_nothing(subject: Subject) -> None:
    async def check(process: Process, _: real.Heard) -> None:
        await process.exited()
        await process.clear(0)
        process.signal(signal.SIGKILL)
        assert await process.exited() == 3

    in_contract(subject, Kind.EXITS, check)


def test_clear_waits_for_one_that_was_asked_to_end(subject: Subject) -> None:
    async def check(process: Process, heard: real.Heard) -> None:
        await ready(heard)
        process.signal(signal.SIGTERM)
        await process.clear(30)
        assert await process.exited() == -signal.SIGTERM

    in_contract(subject, Kind.RUNS, check)


def test_clear_kills_after_its_grace(subject: Subject) -> None:
    async def check(process: Process, heard: real.Heard) -> None:
        await ready(heard)
        process.signal(signal.SIGTERM)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await process.clear(0.05)
        assert 0.04 < loop.time() - begun < 10
        assert await process.exited() == -signal.SIGKILL

    in_contract(subject, Kind.STUBBORN, check)


def test_clear_without_grace_kills_at_once(subject: Subject) -> None:
    async def check(process: Process, heard: real.Heard) -> None:
        await ready(heard)
        await process.clear(0)
        assert await process.exited() == -signal.SIGKILL

    in_contract(subject, Kind.STUBBORN, check)


def test_clearing_again_does_nothing(subject: Subject) -> None:
    async def check(process: Process, _: real.Heard) -> None:
        await process.clear(10)
        await process.clear(10)
        assert await process.exited() == 3

    in_contract(subject, Kind.EXITS, check)


def test_a_clear_that_is_given_up_can_be_repeated_with_less_grace(subject: Subject) -> None:
    async def check(process: Process, heard: real.Heard) -> None:
        await ready(heard)
        patient = asyncio.create_task(process.clear(100))
        await asyncio.sleep(0.01)
        patient.cancel()
        await process.clear(0)
        assert await process.exited() == -signal.SIGKILL

    in_contract(subject, Kind.STUBBORN, check)


def test_all_output_has_come_when_it_is_cleared_each_stream_by_its_name(subject: Subject) -> None:
    async def check(process: Process, heard: real.Heard) -> None:
        await process.exited()
        await process.clear(10)
        assert heard.text("stdout") == b"one\nthree\n"
        assert heard.text("stderr") == b"two\n"

    in_contract(subject, Kind.WRITES, check)


def test_it_has_a_pid(subject: Subject) -> None:
    async def check(process: Process, _: real.Heard) -> None:
        assert process.pid is not None
        assert process.pid != os.getpid()

    in_contract(subject, Kind.RUNS, check)


def test_what_cannot_be_started_is_an_error_that_names_it(subject: Subject) -> None:
    async def main() -> None:
        async with subject.spawning() as spawner:
            with pytest.raises(SpawnError, match=r"none-of-that-name"):
                await subject.spawn(spawner, Kind.MISSING, real.Heard())

    subject.run(main())
