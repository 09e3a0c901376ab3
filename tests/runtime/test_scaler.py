"""Autoscaling of a whole fleet, the load being what the test says."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msctl.core.router import Call, CallFacts, ServiceRoute
from msctl.runtime.scaler import Scaler
from tests.runtime.bench import Bench, api
from tests.runtime.commanding import bench, running, scale, up
from tests.runtime.virtual import eventually, run_virtual


@dataclass
class Callers:
    """Holds so many calls open at a service."""

    parts: Bench
    calls: list[Call]

    @property
    def route(self) -> ServiceRoute:
        route = self.parts.router.route("a")
        assert route is not None
        return route

    def hold(self, number: int) -> None:
        now = self.parts.orchestrator.clock.now()
        while self.calls:
            self.calls.pop().finish(now)
        for _ in range(number):
            call = self.route.begin(CallFacts(idempotent=True), now)
            assert isinstance(call, Call), call
            call.enter(now)
            self.calls.append(call)


def scaled(directory: Path, **scaling: Any) -> tuple[Bench, Scaler, Callers]:
    parts = bench(directory, api("a", scaling=scaling))
    scaler = Scaler(parts.orchestrator, parts.meters, parts.commands.adjust, cores=8)
    parts.router.on_shortage(scaler.summon)
    return parts, scaler, Callers(parts, [])


def scale_events(parts: Bench) -> list[tuple[str | None, str | None, str]]:
    return [(e.before, e.after, e.reason) for e in parts.events.kept() if e.kind == "scale"]


def test_a_step_of_load_is_followed_up_and_down_with_an_event_for_each(tmp_path: Path) -> None:
    async def main() -> None:
        parts, scaler, callers = scaled(tmp_path, max=6, target_connections=10, down_after=5)
        async with parts.running(), scaler.running():
            await up(parts).result()
            callers.hold(45)
            await eventually(lambda: len(running(parts)) == 5, "five", within=3.5)
            callers.hold(5)
            await eventually(lambda: running(parts) == ["a-1"], "one again", within=8)
            await asyncio.sleep(60)
            assert [event[:2] for event in scale_events(parts)] == [("1", "5"), ("5", "1")]
            assert "above 10 each for 2 s" in scale_events(parts)[0][2]
            callers.hold(0)

    run_virtual(main())


def test_without_calls_it_goes_to_none_and_a_call_brings_one_back(tmp_path: Path) -> None:
    async def main() -> None:
        parts, scaler, callers = scaled(tmp_path, min=0, max=4, idle=20)
        async with parts.running(), scaler.running():
            await up(parts).result()
            await eventually(lambda: running(parts) == [], "none", within=25)
            assert parts.gateway.doors, "its front door stays open"
            callers.hold(1)
            now = parts.orchestrator.clock.now()
            callers.calls[0].pick(now)
            await eventually(lambda: running(parts) == ["a-1"], "one", within=1)
            callers.hold(0)

    run_virtual(main())


def test_one_that_is_on_its_way_is_promised_until_it_is_there(tmp_path: Path) -> None:
    async def main() -> None:
        parts, scaler, _ = scaled(tmp_path, min=0, max=4)
        async with parts.running():
            await up(parts).result()
            await parts.commands.adjust("a", 0, "idle")
            await eventually(lambda: running(parts) == [], "none")
            await parts.commands.adjust("a", 1, "somebody calls")
            assert scaler.summon("a"), "wanted, and not registered yet"
            await eventually(lambda: running(parts) == ["a-1"], "one")
            assert not scaler.summon("a")

    run_virtual(main())


def test_a_service_that_was_stopped_is_not_brought_back(tmp_path: Path) -> None:
    async def main() -> None:
        parts, scaler, _ = scaled(tmp_path, min=0, max=4)
        async with parts.running(), scaler.running():
            assert not scaler.summon("a")
            assert not scaler.summon("unknown")
            await up(parts).result()
            assert not scaler.summon("a"), "it runs"

    run_virtual(main())


def test_after_a_command_has_scaled_the_load_decides_anew(tmp_path: Path) -> None:
    async def main() -> None:
        parts, scaler, callers = scaled(tmp_path, max=6, target_connections=10, down_after=5)
        async with parts.running(), scaler.running():
            await up(parts).result()
            await scale(parts, a=4).result()
            assert len(running(parts)) == 4
            await asyncio.sleep(4)
            assert len(running(parts)) == 4
            await eventually(lambda: running(parts) == ["a-1"], "one again", within=4)
            callers.hold(0)

    run_virtual(main())
