"""up, start, restart, stop, wait: what each says, does, and leaves behind."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msctl.errors import ConfigError, Problem
from msctl.model import Health
from msctl.runtime import ports
from msctl.runtime.commands import Goal, UpOptions
from tests.runtime.bench import api, fleet_of, worker
from tests.runtime.commanding import (
    SHOP,
    Answer,
    actions,
    begin,
    bench,
    restart,
    running,
    start,
    stop,
    up,
    wait,
)
from tests.runtime.fakes import DEGRADED, OK, REFUSED, STUBBORN, Behaviour
from tests.runtime.virtual import eventually, run_virtual, settle

# up


def test_up_starts_everything_and_returns_when_all_is_healthy(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            answer = up(parts)
            result = await answer.result()
            assert (result["exit_code"], result["message"]) == (0, "")
            assert actions(result) == dict.fromkeys(["user", "order", "mailer"], "started")
            (accepted,) = answer.said("accepted")
            assert accepted["operation"] == answer.operation.id
            rows = {row["name"]: row for row in accepted["services"]}
            assert list(rows).index("user") < list(rows).index("order")
            assert rows["order"] == {
                "name": "order", "status": "stopped", "health": "unknown", "replicas": 1,
                "ready": 0, "dependencies": ["user"], "port": rows["order"]["port"],
            }  # fmt: skip
            assert isinstance(rows["order"]["port"], int)
            events = [(e["instance"], e["to"]) for e in answer.said("event")]
            assert events.index(("user-1", "healthy")) < events.index(("order-1", "starting"))
            states = {s["name"]: (s["status"], s["health"]) for s in result["status"]["services"]}
            assert states == dict.fromkeys(["user", "order", "mailer"], ("running", "healthy"))

    run_virtual(main())


def test_up_again_changes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            await up(parts).result()
            before = running(parts), [p.pid for p in parts.spawner.living()]
            result = await up(parts).result()
            assert result["exit_code"] == 0
            assert set(actions(result).values()) == {"unchanged"}
            assert (running(parts), [p.pid for p in parts.spawner.living()]) == before

    run_virtual(main())


def test_up_with_names_starts_these_and_their_dependencies(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            await up(parts, "order").result()
            assert running(parts) == ["order-1", "user-1"]

    run_virtual(main())


def test_no_deps_starts_these_alone(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            result = await up(parts, "order", no_deps=True).result()
            assert result["exit_code"] == 0
            assert running(parts) == ["order-1"]

    run_virtual(main())


def test_up_stops_what_the_config_no_longer_has_unless_it_names_services(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            await up(parts).result()
            parts.change(*SHOP[:2])
            await up(parts, "user").result()
            assert "mailer-1" in running(parts)
            result = await up(parts).result()
            assert running(parts) == ["order-1", "user-1"]
            (stopped,) = [c for c in result["changes"] if c["action"] == "stopped"]
            assert stopped == {
                "service": "mailer", "action": "stopped", "reason": "no longer in the config"
            }  # fmt: skip

    run_virtual(main())


def test_up_restarts_what_the_config_changed_and_nothing_else(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            await up(parts).result()
            parts.change(SHOP[0], SHOP[1], worker("mailer", command="other"))
            result = await up(parts).result()
            assert actions(result) == {
                "user": "unchanged", "order": "unchanged", "mailer": "restarted"
            }  # fmt: skip
            started = {id_: parts.spawner.started(id_) for id_ in running(parts)}
            assert started == {"user-1": 1, "order-1": 1, "mailer-1": 2}

    run_virtual(main())


def test_up_fails_at_once_when_a_service_does_not_start_and_undoes_what_it_did(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            await up(parts, "user").result()
            parts.spawner.behave = lambda launch: (
                Behaviour(exit_code=1, lasts=2, says=(("stderr", b"boom\n"),))
                if launch.instance == "order-1"
                else Behaviour()
            )
            parts.lives.probes["order-1"].answer = REFUSED
            loop = asyncio.get_running_loop()
            begun = loop.time()
            result = await up(parts).result()
            assert loop.time() - begun < 2.1
            assert (result["exit_code"], result["message"]) == (1, "failed: order")
            assert result["failures"] == [
                {
                    "service": "order",
                    "instance": "order-1",
                    "reason": "exited with code 1 (it was never healthy)",
                    "logs": ["boom"],
                }
            ]
            assert running(parts) == ["user-1"]

    run_virtual(main())


def test_with_keep_a_failed_up_leaves_everything_as_it_is(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.spawner.behave = lambda launch: Behaviour(
            exit_code=1 if launch.instance == "user-1" else None
        )
        parts.lives.probes["user-1"].answer = REFUSED
        async with parts.running():
            result = await up(parts, keep=True).result()
            assert result["exit_code"] == 1
            assert running(parts) == ["mailer-1", "user-1"]
            assert parts.status_of("user-1") == "error"

    run_virtual(main())


def test_up_that_takes_too_long_is_124_and_says_what_was_missing(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.lives.probes["user-1"].answer = REFUSED
        async with parts.running():
            result = await up(parts, timeout=3).result()
            assert result["exit_code"] == 124
            assert result["message"] == "not healthy within 3 s: user, order"
            reasons = {f["service"]: f["reason"] for f in result["failures"]}
            assert reasons == {
                "user": "starting, unknown; connection refused",
                "order": "not started; it waits for user",
            }
            assert running(parts) == []

    run_virtual(main())


def test_up_that_is_interrupted_undoes_what_it_did_and_is_130(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            await up(parts, "mailer").result()
            parts.lives.probes["user-1"].answer = REFUSED
            answer = up(parts)
            await asyncio.sleep(1)
            answer.operation.cancel()
            result = await answer.result()
            assert (result["exit_code"], result["message"]) == (130, "interrupted")
            assert result["failures"] == []
            assert running(parts) == ["mailer-1"]

    run_virtual(main())


def test_without_waiting_up_returns_at_once_and_startup_failures_are_retried(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.lives.probes["user-1"].answer = REFUSED
        async with parts.running():
            result = await up(parts, wait=False).result()
            assert result["exit_code"] == 0
            await eventually(lambda: parts.spawner.started("user-1"), "it starts all the same")
            parts.spawner.last("user-1").exit(1)
            await eventually(lambda: parts.spawner.started("user-1") == 2, "it is tried again")
            parts.lives.probes["user-1"].answer = OK
            assert (await wait(parts, Goal.HEALTHY).result())["exit_code"] == 0

    run_virtual(main())


def test_a_degraded_service_is_up(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a"))
        parts.lives.probes["a-1"].answer = DEGRADED
        async with parts.running():
            assert (await up(parts, timeout=60).result())["exit_code"] == 0

    run_virtual(main())


def test_a_job_that_is_done_is_up(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("job", restart="no"), api("slow"))
        parts.spawner.behave = lambda launch: Behaviour(
            exit_code=0 if launch.instance == "job-1" else None
        )
        parts.lives.probes["slow-1"].answer = REFUSED
        async with parts.running():
            answer = up(parts, timeout=60)
            await asyncio.sleep(5)
            parts.lives.probes["slow-1"].answer = OK
            assert (await answer.result())["exit_code"] == 0

    run_virtual(main())


def test_a_taken_port_is_an_error_before_anything_is_spawned(tmp_path: Path) -> None:
    async def main() -> None:
        with ports.listen_privately(frozenset()) as held:
            port = held.getsockname()[1]
            parts = bench(tmp_path, worker("w"), api("a", port=port))
            async with parts.running():
                result = await up(parts).result()
                assert result["exit_code"] == 1
                (failure,) = result["failures"]
                assert failure["service"] == "a"
                assert f"port {port} is in use by pid" in failure["reason"]
                assert parts.spawner.order == []
                assert running(parts) == []

    run_virtual(main())


def test_a_bad_config_changes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            await up(parts).result()
            before = running(parts)
            parts.loaded = ConfigError([Problem(tmp_path / "msctl.yaml", 1, "x", "unknown key")])
            for answer in (up(parts), restart(parts)):
                result = await answer.result()
                assert result["exit_code"] == 2
                assert len(result["problems"]) == 1
            assert running(parts) == before
            assert all(parts.spawner.started(id_) == 1 for id_ in before)

    run_virtual(main())


@pytest.mark.parametrize("options", [{"services": ("usr",)}, {"scale": {"usr": 2}}])
def test_an_unknown_service_is_named_with_the_nearest(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            answer = begin(parts, lambda op: parts.commands.up(op, UpOptions(**options)))
            result = await answer.result()
            assert result["exit_code"] == 2
            assert result["message"] == "unknown service usr; did you mean user?"
            assert running(parts) == []

    run_virtual(main())


def test_scale_and_profiles(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w"), worker("debugger", profiles=["debug"]))
        async with parts.running():
            await up(parts, scale={"w": 3}).result()
            assert running(parts) == ["w-1", "w-2", "w-3"]
            await up(parts, profiles=frozenset({"debug"})).result()
            assert "debugger-1" in running(parts)

    run_virtual(main())


def test_two_who_bring_the_fleet_up_at_once_both_succeed(tmp_path: Path) -> None:
    async def main() -> None:
        with ports.listen_privately(frozenset()) as held:
            port = held.getsockname()[1]
        parts = bench(tmp_path, api("a", port=port), worker("w"))
        async with parts.running():
            results = [await answer.result() for answer in [up(parts), up(parts)]]
            assert [result["exit_code"] for result in results] == [0, 0]
            assert sorted(parts.spawner.order) == ["a-1", "w-1"]

    run_virtual(main())


# start, restart


def test_start_starts_what_does_not_run_and_leaves_the_rest_alone(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            await up(parts).result()
            await stop(parts, "order").result()
            result = await start(parts).result()
            assert actions(result) == {
                "user": "unchanged", "order": "started", "mailer": "unchanged"
            }  # fmt: skip
            assert running(parts) == ["mailer-1", "order-1", "user-1"]

    run_virtual(main())


def test_start_tries_again_what_was_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w", restart="no"))
        async with parts.running():
            await up(parts).result()
            parts.spawner.last("w-1").exit(1)
            await eventually(lambda: parts.status_of("w-1") == "error", "it has failed")
            result = await start(parts, "w").result()
            assert (result["exit_code"], actions(result)) == (0, {"w": "restarted"})

    run_virtual(main())


def test_restart_replaces_what_runs_and_nothing_else(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            await up(parts, "order").result()
            result = await restart(parts, environment={"A": "new"}).result()
            assert actions(result) == {"user": "restarted", "order": "restarted"}
            assert running(parts) == ["order-2", "user-2"]
            assert parts.spawner.last("user-2").launch.environment["A"] == "new"

    run_virtual(main())


def test_a_restart_of_one_leaves_its_dependents_and_dependencies_alone(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            await up(parts).result()
            await restart(parts, "user").result()
            assert running(parts) == ["mailer-1", "order-1", "user-2"]
            assert parts.spawner.started("order-1") == parts.spawner.started("mailer-1") == 1

    run_virtual(main())


# stop


def test_stop_without_names_stops_everything(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running() as fleet:
            await up(parts).result()
            answer = stop(parts)
            result = await answer.result()
            assert result["exit_code"] == 0
            assert actions(result) == dict.fromkeys(["user", "order", "mailer"], "stopped")
            assert running(parts) == []
            assert not parts.gateway.doors
            assert fleet.present() == []
            assert {e["to"] for e in answer.said("event")} >= {"draining", "stopping", "stopped"}

    run_virtual(main())


def test_stop_with_names_warns_of_those_that_need_them(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            await up(parts).result()
            answer = stop(parts, "user")
            await answer.result()
            assert [w["message"] for w in answer.said("warning")] == [
                "user is needed by order, still running"
            ]
            assert running(parts) == ["mailer-1", "order-1"]
            both = stop(parts, "user", "order")
            assert actions(await both.result()) == {"order": "stopped"}
            assert both.said("warning") == []

    run_virtual(main())


def test_stop_is_not_interrupted(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w"))
        parts.spawner.behave = lambda _: Behaviour(leaves_slowly=5)
        async with parts.running():
            await up(parts).result()
            answer = stop(parts)
            await asyncio.sleep(1)
            answer.operation.cancel()
            assert (await answer.result())["exit_code"] == 0
            assert running(parts) == []

    run_virtual(main())


@pytest.mark.parametrize("options", [{"timeout": 2.0}, {"kill": True}])
def test_stop_takes_no_longer_than_it_is_given(tmp_path: Path, options: dict[str, Any]) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w", stop_timeout=600))
        parts.spawner.behave = lambda _: STUBBORN
        async with parts.running():
            await up(parts).result()
            async with asyncio.timeout(2.1):
                await stop(parts, **options).result()

    run_virtual(main())


def test_a_second_stop_with_kill_ends_the_first(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w", stop_timeout=600))
        parts.spawner.behave = lambda _: STUBBORN
        async with parts.running():
            await up(parts).result()
            first = stop(parts)
            await asyncio.sleep(10)
            await stop(parts, kill=True).result()
            async with asyncio.timeout(0.1):
                assert (await first.result())["exit_code"] == 0

    run_virtual(main())


def test_what_the_config_has_lost_can_be_stopped_by_name(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            await up(parts).result()
            parts.change(*SHOP[:2])
            await up(parts, "user").result()
            assert (await stop(parts, "mailer").result())["exit_code"] == 0
            assert "mailer-1" not in running(parts)
            assert (await stop(parts, "nothing").result())["exit_code"] == 2

    run_virtual(main())


# wait


def test_wait_for_healthy(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a"))
        parts.lives.probes["a-1"].answer = REFUSED
        async with parts.running():
            await up(parts, wait=False).result()
            late = await wait(parts, Goal.HEALTHY, "a", timeout=1).result()
            assert (late["exit_code"], late["message"]) == (124, "not healthy within 1 s: a")
            waiting = wait(parts, Goal.HEALTHY, "a", timeout=30)
            await asyncio.sleep(2)
            parts.lives.probes["a-1"].answer = OK
            assert (await waiting.result())["exit_code"] == 0
            assert parts.instance("a-1").health is Health.HEALTHY

    run_virtual(main())


def test_wait_for_stopped(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w"), worker("x"))
        async with parts.running():
            await up(parts).result()
            waiting = wait(parts, Goal.STOPPED, "w")
            await settle()
            await stop(parts, "w").result()
            assert (await waiting.result())["exit_code"] == 0
            late = await wait(parts, Goal.STOPPED, "x", timeout=1).result()
            assert (late["exit_code"], late["message"]) == (124, "not stopped within 1 s: x")

    run_virtual(main())


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (1, 1)])
def test_wait_for_completed(tmp_path: Path, code: int, expected: int) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("job", restart="no"))
        async with parts.running():
            await up(parts).result()
            waiting = wait(parts, Goal.COMPLETED, "job")
            await asyncio.sleep(1)
            parts.spawner.last("job-1").exit(code)
            result = await waiting.result()
            assert result["exit_code"] == expected
            assert len(result["failures"]) == expected

    run_virtual(main())


def test_wait_can_be_interrupted(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w"))
        async with parts.running():
            await up(parts).result()
            waiting = wait(parts, Goal.STOPPED)
            await settle()
            waiting.operation.cancel()
            assert (await waiting.result())["exit_code"] == 130
            assert running(parts) == ["w-1"]

    run_virtual(main())


# What waiting cannot bring


def failing(instance: str, code: int) -> Callable[[Any], Behaviour]:
    return lambda launch: Behaviour(exit_code=code if launch.instance == instance else None)


def test_up_does_not_wait_for_a_worker_that_has_ended_by_itself(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.spawner.behave = failing("mailer-1", 0)
        parts.lives.probes["user-1"].answer = REFUSED
        async with parts.running():
            result = await up(parts).result()
            assert result["exit_code"] == 1
            assert [f["service"] for f in result["failures"]] == ["mailer"]
            assert "it ended: exited with code 0" in result["failures"][0]["reason"]

    run_virtual(main())


def test_a_restart_does_not_wait_for_a_dependency_that_was_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            await up(parts).result()
            parts.spawner.behave = failing("user-1", 1)
            parts.lives.probes["user-1"].answer = REFUSED
            assert (await restart(parts, "user", hard=True).result())["exit_code"] == 1
            result = await restart(parts, "order").result()
            assert result["exit_code"] == 1
            assert "it waits for user, which has failed" in result["failures"][0]["reason"]

    run_virtual(main())


def test_no_deps_starts_beside_a_dependency_that_was_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.spawner.behave = failing("user-1", 1)
        parts.lives.probes["user-1"].answer = REFUSED
        async with parts.running():
            assert (await up(parts, "user", keep=True).result())["exit_code"] == 1
            assert (await up(parts, "order", no_deps=True).result())["exit_code"] == 0

    run_virtual(main())


def test_a_scale_for_a_service_that_is_not_started_is_a_warning(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            answer = up(parts, "user", scale={"mailer": 3})
            await answer.result()
            assert "--scale mailer" in answer.said("warning")[0]["message"]

    run_virtual(main())


def test_a_service_that_the_config_has_lost_can_be_called_no_more(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a"), api("b"))
        async with parts.running():
            await up(parts).result()
            parts.loaded = fleet_of(tmp_path, api("a"))
            await up(parts).result()
            assert parts.router.names() == ("a",)
            await stop(parts, "a").result()
            assert parts.router.names() == ("a",), "stopped is not unknown"

    run_virtual(main())


def test_a_command_that_comes_while_the_fleet_ends_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("a"), api("b"))
        answers: list[Answer] = []
        parts.spawner.behave = lambda _: STUBBORN
        async with parts.running():
            await up(parts, "a").result()
            loop = asyncio.get_running_loop()
            loop.call_later(0.1, lambda: answers.append(up(parts)))
        result = await answers[0].result()
        assert result["exit_code"] == 1
        assert result["message"] == "the fleet is being stopped"

    run_virtual(main())
