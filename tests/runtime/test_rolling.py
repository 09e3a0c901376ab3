"""restart, scale, and up after an edit, while the services go on serving."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from msctl.config.models import ServiceConfig
from msctl.core.outcome import Reason
from msctl.errors import FleetError
from msctl.runtime import ports
from msctl.runtime.commands import Goal
from tests.runtime.bench import Bench, api, worker
from tests.runtime.commanding import (
    SHOP,
    actions,
    bench,
    restart,
    running,
    scale,
    start,
    stop,
    up,
    wait,
)
from tests.runtime.fakes import OK, REFUSED, Behaviour
from tests.runtime.virtual import eventually, run_virtual


class Watched:
    """The fewest that ever served a service, and the most that ever lived, from now on."""

    def __init__(self, parts: Bench, service: str) -> None:
        self._parts = parts
        self._service = service
        self.fewest, self.most = 1000, 0
        parts.registry.subscribe(lambda _: self._look())
        self._look()

    def _look(self) -> None:
        instances = self._parts.registry.get_service(self._service)
        living = [p for p in self._parts.spawner.living() if p.launch.instance.startswith("a-")]
        self.fewest = min(self.fewest, sum(i.in_rotation for i in instances))
        self.most = max(self.most, len(living))


def breaks(parts: Bench, *instances: str) -> None:
    """Let these instances exit at once, with a last word; they are never healthy."""
    for name in instances:
        parts.lives.probes[name].answer = REFUSED
    parts.spawner.behave = lambda launch: (
        Behaviour(exit_code=1, lasts=0.5, says=(("stderr", b"boom\n"),))
        if launch.instance in instances
        else Behaviour()
    )


# Restart


@pytest.mark.parametrize(
    ("replicas", "parallel", "ids"),
    [(1, 1, ["a-2"]), (3, 1, ["a-1", "a-2", "a-4"]), (3, 2, ["a-1", "a-4", "a-5"])],
)
def test_all_serve_all_the_time_and_no_more_than_asked_for_are_there(
    tmp_path: Path, replicas: int, parallel: int, ids: list[str]
) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a", replicas=replicas))
        parts.spawner.behave = lambda _: Behaviour(leaves_slowly=1)
        async with parts.running():
            await up(parts).result()
            before = {p.pid for p in parts.spawner.living()}
            watched = Watched(parts, "a")
            result = await restart(parts, parallel=parallel).result()
            assert (result["exit_code"], result["message"]) == (0, "")
            assert running(parts) == ids
            assert not before & {p.pid for p in parts.spawner.living()}
            assert (watched.fewest, watched.most) == (replicas, replicas + parallel)

    run_virtual(main())


def test_an_old_instance_ends_what_it_has_begun(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a", drain_timeout=10))
        async with parts.running():
            await up(parts).result()
            parts.traffic.open_calls["a-1"] = 1
            answer = restart(parts)
            await eventually(lambda: parts.status_of("a-1") == "draining", "it is deregistered")
            assert parts.instance("a-2").in_rotation
            await asyncio.sleep(9)
            assert parts.spawner.last("a-1").signals == []
            assert parts.traffic.cuts == []
            await answer.result()
            assert parts.traffic.cuts == ["a-1"]

    run_virtual(main())


def test_a_hard_restart_stops_first(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a", replicas=2))
        async with parts.running():
            await up(parts).result()
            watched = Watched(parts, "a")
            assert (await restart(parts, hard=True).result())["exit_code"] == 0
            assert running(parts) == ["a-1", "a-2"]
            assert (watched.fewest, watched.most) == (0, 2)

    run_virtual(main())


def test_a_new_instance_that_fails_leaves_the_old_one_and_its_last_lines(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a"))
        async with parts.running():
            await up(parts).result()
            old = parts.spawner.last("a-1")
            breaks(parts, "a-2")
            answer = restart(parts)
            result = await answer.result()
            assert (result["exit_code"], result["message"]) == (1, "failed: a")
            assert answer.warnings() == ["a stays as it was"]
            (failure,) = result["failures"]
            assert (failure["instance"], failure["logs"]) == ("a-2", ["boom"])
            assert running(parts) == ["a-1"]
            assert old.alive
            assert not old.signals
            assert (await wait(parts, Goal.HEALTHY).result())["exit_code"] == 0

    run_virtual(main())


def test_one_that_keeps_crashing_is_a_failure_while_the_old_one_serves(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a", restart="always"))
        async with parts.running():
            await up(parts).result()
            breaks(parts, "a-2")
            result = await restart(parts).result()
            assert result["exit_code"] == 1
            assert result["failures"][0]["reason"] == "exited with code 1"
            assert running(parts) == ["a-1"]

    run_virtual(main())


def test_of_three_those_that_were_replaced_stay_replaced(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a", replicas=3))
        async with parts.running():
            await up(parts).result()
            breaks(parts, "a-1")
            watched = Watched(parts, "a")
            answer = restart(parts)
            assert (await answer.result())["exit_code"] == 1
            assert answer.warnings() == ["a stays as it was, but for 1 that had been replaced"]
            assert running(parts) == ["a-2", "a-3", "a-4"]
            assert watched.fewest == 3

    run_virtual(main())


@pytest.mark.parametrize(("cancels", "code"), [(True, 130), (False, 124)])
def test_a_restart_that_is_given_up_leaves_the_old_one(
    tmp_path: Path, code: int, *, cancels: bool
) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a"))
        async with parts.running():
            await up(parts).result()
            parts.lives.probes["a-2"].answer = None
            answer = restart(parts, timeout=2)
            await asyncio.sleep(1)
            if cancels:
                answer.operation.cancel()
            result = await answer.result()
            assert result["exit_code"] == code
            assert answer.warnings() == ["a stays as it was"]
            assert running(parts) == ["a-1"]

    run_virtual(main())


def test_dependencies_are_replaced_before_their_dependents(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            await up(parts).result()
            parts.spawner.order.clear()
            await restart(parts).result()
            order = parts.spawner.order
            assert order.index("user-2") < order.index("order-2")

    run_virtual(main())


def test_when_a_dependency_is_not_replaced_its_dependent_is_not_either(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            await up(parts).result()
            breaks(parts, "user-2")
            result = await restart(parts, "user", "order").result()
            assert result["exit_code"] == 1
            assert running(parts) == ["mailer-1", "order-1", "user-1"]
            assert parts.spawner.started("order-2") == 0

    run_virtual(main())


def test_a_restart_tells_what_became_of_the_requests(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a"), api("b"))
        async with parts.running():
            parts.meters.instance("a", "a-1").record(500, 20)
            assert (await up(parts).result())["requests"] is None
            parts.lives.probes["a-2"].answer = REFUSED
            answer = restart(parts, "a")
            await eventually(lambda: parts.spawner.started("a-2"), "a new one is on its way")
            parts.meters.instance("a", "a-1").record(200, 0.004)
            parts.meters.instance("a", "a-2").record(404, 0.2)
            parts.meters.service("a").refused(Reason.NO_INSTANCES, 503, 3)
            parts.meters.instance("b", "b-1").record(200, 7)
            parts.lives.probes["a-2"].answer = OK
            result = await answer.result()
            assert result["requests"] == {"served": 3, "failed": 1, "longest_stall": 5.0}

    run_virtual(main())


# Up after an edit


def test_an_edit_is_taken_up_without_a_gap_and_what_it_did_not_touch_stays(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        parts = bench(tmp_path, *SHOP)
        async with parts.running():
            await up(parts).result()
            kept = {id_: parts.spawner.last(id_).pid for id_ in ("order-1", "mailer-1")}
            parts.change(api("user", environment={"A": "new"}), *SHOP[1:])
            watched = Watched(parts, "user")
            result = await up(parts).result()
            assert actions(result) == {
                "user": "restarted", "order": "unchanged", "mailer": "unchanged"
            }  # fmt: skip
            assert result["changes"][0]["reason"] == "config changed: environment.A"
            assert watched.fewest == 1
            assert running(parts) == ["mailer-1", "order-1", "user-2"]
            assert {id_: parts.spawner.last(id_).pid for id_ in kept} == kept

    run_virtual(main())


def test_a_broken_edit_leaves_what_runs_and_is_seen_by_the_next_up(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a", timeout=3))
        async with parts.running() as fleet:
            await up(parts).result()
            parts.change(api("a", timeout=4, environment={"A": "broken"}))
            breaks(parts, "a-2")
            for _ in range(2):
                result = await up(parts).result()
                assert result["exit_code"] == 1
                assert result["changes"][0]["reason"] == "config changed: environment.A"
                assert running(parts) == ["a-1"]
                route = fleet.router.route("a")
                assert route is not None
                assert route.policy.timeout == 3
            parts.change(api("a", timeout=3))
            assert actions(await up(parts).result()) == {"a": "unchanged"}

    run_virtual(main())


def test_an_edit_that_took_hold_in_part_is_not_taken_for_done(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a", replicas=2))
        async with parts.running():
            await up(parts).result()
            parts.change(api("a", replicas=2, environment={"A": "new"}))
            breaks(parts, "a-1")
            assert (await up(parts).result())["exit_code"] == 1
            assert running(parts) == ["a-2", "a-3"]
            parts.change(api("a", replicas=2))
            result = await up(parts).result()
            assert result["changes"][0]["reason"] == "config changed: environment.A"

    run_virtual(main())


def test_a_front_door_goes_back_to_its_former_port_with_the_rest(tmp_path: Path) -> None:
    async def main() -> None:
        with ports.listen_privately(frozenset()) as one, ports.listen_privately(set()) as two:
            first, second = one.getsockname()[1], two.getsockname()[1]
        parts = bench(tmp_path, api("a", port=first))
        async with parts.running() as fleet:
            await up(parts).result()
            parts.change(api("a", port=second))
            breaks(parts, "a-2")
            answer = up(parts)
            await eventually(
                lambda: parts.gateway.doors["a"][0].getsockname()[1] == second, "moved"
            )
            assert (await answer.result())["exit_code"] == 1
            assert parts.gateway.doors["a"][0].getsockname()[1] == first
            resolved = fleet.resolved("a")
            assert resolved is not None
            assert resolved.port == first

    run_virtual(main())


# Scale


def test_scaling_up_starts_together_and_down_drains_the_newest(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a", replicas=3))
        async with parts.running():
            await up(parts).result()
            await restart(parts).result()
            await asyncio.sleep(1)
            result = await scale(parts, a=5).result()
            assert result["changes"] == [
                {"service": "a", "action": "scaled", "reason": "3 → 5 replicas"}
            ]
            assert running(parts) == ["a-1", "a-2", "a-3", "a-4", "a-5"]
            newest = sorted(running(parts), key=lambda id_: parts.instance(id_).started_at or 0)[2:]
            parts.traffic.open_calls = dict.fromkeys(newest, 1)
            answer = scale(parts, a=2)
            await asyncio.sleep(1)
            assert {parts.status_of(id_) for id_ in newest} == {"draining"}
            assert (await answer.result())["exit_code"] == 0
            assert not set(newest) & set(running(parts))

    run_virtual(main())


def test_a_service_without_instances_keeps_its_front_door(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running() as fleet:
            await up(parts).result()
            answer = scale(parts, user=0)
            assert actions(await answer.result()) == {"user": "scaled"}
            assert answer.warnings() == ["user is needed by order, still running"]
            assert "user" in parts.gateway.doors
            assert "user" in fleet.wanted()
            (service,) = (await parts.status.document(["user"]))["services"]
            assert (service["status"], service["replicas"]) == ("stopped", 0)
            assert actions(await start(parts, "user").result()) == {"user": "scaled"}
            assert "user-1" in running(parts)
            await scale(parts, user=0).result()
            assert (await stop(parts).result())["exit_code"] == 0

    run_virtual(main())


def test_a_scale_holds_through_a_restart_and_until_an_up(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a"))
        async with parts.running():
            await up(parts).result()
            await scale(parts, a=3).result()
            await restart(parts).result()
            assert len(running(parts)) == 3
            assert actions(await up(parts, scale={"a": 3}).result()) == {"a": "unchanged"}
            assert actions(await up(parts).result()) == {"a": "scaled"}
            assert len(running(parts)) == 1
        scaled = [(e.before, e.after, e.reason) for e in parts.events.kept() if e.kind == "scale"]
        assert scaled == [("1", "3", "asked for"), ("3", "1", "the configuration")]

    run_virtual(main())


def test_scaling_what_does_not_run_starts_it_and_what_it_needs(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            result = await scale(parts, order=2).result()
            assert actions(result) == {"user": "started", "order": "started"}
            assert running(parts) == ["order-1", "order-2", "user-1"]

    run_virtual(main())


CACHE = ServiceConfig(name="cache", service_type="cache", port=1, command="redis")


def test_one_that_binds_its_port_itself_cannot_be_there_twice(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, CACHE)
        async with parts.running():
            for answer in (scale(parts, cache=2), up(parts, scale={"cache": 2})):
                result = await answer.result()
                assert result["exit_code"] == 2
                assert "binds its port itself" in result["message"]
            assert running(parts) == []

    run_virtual(main())


def test_an_up_that_fails_gives_back_the_instances_it_added(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a"))
        async with parts.running():
            await up(parts).result()
            breaks(parts, "a-3")
            assert (await up(parts, scale={"a": 3}).result())["exit_code"] == 1
            assert running(parts) == ["a-1"]

    run_virtual(main())


# By itself


def test_a_renewal_is_a_rolling_restart_with_the_same_configuration(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a", replicas=2))
        async with parts.running():
            await up(parts, environment={"FROM": "up"}).result()
            parts.change(api("a", replicas=2, environment={"B": "edited"}))
            watched = Watched(parts, "a")
            await parts.commands.renew("a", "a.py changed")
            assert (watched.fewest, watched.most) == (2, 3)
            environments = [p.launch.environment for p in parts.spawner.living()]
            assert [(e["FROM"], e.get("B")) for e in environments] == [("up", None)] * 2

    run_virtual(main())


def test_a_renewal_that_fails_raises_and_leaves_the_old_ones(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a"))
        async with parts.running():
            await parts.commands.renew("a", "it does not run")
            await up(parts).result()
            breaks(parts, "a-2")
            with pytest.raises(FleetError) as caught:
                await parts.commands.renew("a", "a.py changed")
            assert [f.logs for f in caught.value.failures] == [("boom",)]
            assert running(parts) == ["a-1"]

    run_virtual(main())


def test_an_adjustment_is_an_event_with_its_figures_and_holds_until_an_up(tmp_path: Path) -> None:
    async def main() -> None:
        scaling = {"min": 0, "max": 4}
        parts = bench(tmp_path, api("a", scaling=scaling), api("b"))
        async with parts.running():
            await parts.commands.adjust("a", 3, "it does not run")
            await up(parts).result()
            for name in ("a", "b"):
                await parts.commands.adjust(name, 3, "31 calls at 1 instance")
            await eventually(lambda: len(running(parts)) == 6, "there are more")
            assert actions(await up(parts).result()) == {"a": "unchanged", "b": "scaled"}
            await parts.commands.adjust("a", 0, "no call for 30 s")
            await eventually(lambda: running(parts) == ["b-1"], "there is none")
            assert "a" in parts.gateway.doors
        scaled = [(e.before, e.after, e.reason) for e in parts.events.kept() if e.service == "a"]
        assert ("1", "3", "31 calls at 1 instance") in scaled
        assert ("3", "0", "no call for 30 s") in scaled

    run_virtual(main())


# Two commands at once


def overtaken(result: dict[str, Any]) -> str:
    assert result["exit_code"] == 1
    message: str = result["message"]
    return message.partition("overtaken by another command: ")[2]


def test_the_later_wish_wins_and_the_earlier_command_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a"))
        async with parts.running():
            await up(parts).result()
            answers = [scale(parts, a=5), restart(parts), scale(parts, a=2)]
            results = [await answer.result() for answer in answers]
            # it ends as soon as the restart is wanted, or when that has been overtaken too
            assert overtaken(results[0]) in {"a (changed again)", "a (now 2 replicas)"}
            assert overtaken(results[1]) == "a (now 2 replicas)"
            assert results[2]["exit_code"] == 0
            assert len(running(parts)) == 2

    run_virtual(main())


def test_a_restart_that_is_overtaken_by_another_one(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a"), api("b"))
        async with parts.running():
            await up(parts).result()
            parts.lives.probes["a-2"].answer = None
            first = restart(parts)
            await eventually(lambda: parts.status_of("a-2") == "starting", "it has begun")
            parts.lives.probes["a-2"].answer = None
            parts.lives.probes["a-3"].answer = None
            second = restart(parts, "a", environment={"N": "2"})
            assert overtaken(await first.result()) == "a (changed again)"
            for probe in ("a-2", "a-3"):
                parts.lives.probes[probe].answer = OK
            assert (await second.result())["exit_code"] == 0
            (last,) = [p for p in parts.spawner.living() if p.launch.instance.startswith("a")]
            assert last.launch.environment["N"] == "2"
            assert [p.launch.instance for p in parts.spawner.living()].count("b-2") == 1

    run_virtual(main())


def test_a_stop_that_comes_in_between_is_the_end_of_an_up(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.lives.probes["user-1"].answer = REFUSED
        async with parts.running():
            first = up(parts, "order")
            await eventually(lambda: parts.status_of("user-1") == "starting", "it has begun")
            assert (await stop(parts).result())["exit_code"] == 0
            assert overtaken(await first.result()) == "user (stopped), order (stopped)"
            assert running(parts) == []

    run_virtual(main())


def test_what_is_wanted_again_while_it_stops_is_not_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w"))
        parts.spawner.behave = lambda _: Behaviour(leaves_slowly=5)
        async with parts.running():
            await up(parts).result()
            first = stop(parts)
            await asyncio.sleep(1)
            second = up(parts)
            assert overtaken(await first.result()) == "w (wanted again)"
            assert (await second.result())["exit_code"] == 0
            assert running(parts) == ["w-1"]

    run_virtual(main())


def test_what_others_want_by_now_is_not_undone(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a"), api("b"))
        parts.lives.probes["b-1"].answer = REFUSED
        async with parts.running():
            first = up(parts, timeout=5)
            await eventually(lambda: parts.status_of("a-1") == "running", "a runs")
            await scale(parts, a=2).result()
            result = await first.result()
            assert result["exit_code"] == 124
            assert overtaken(result | {"exit_code": 1}) == "a (now 2 replicas)"
            assert running(parts) == ["a-1", "a-2"]

    run_virtual(main())
