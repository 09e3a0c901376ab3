"""From wishes to instances: order, replacement, failures, doors, and nothing left at the end."""

import asyncio
import signal
from pathlib import Path

import pytest

from msctl.config.models import ServiceConfig
from msctl.core.reconcile import Wish
from msctl.model import Health, ServiceStatus
from msctl.runtime.orchestrator import StopOptions
from tests.runtime.bench import Bench, api, fleet_of, worker
from tests.runtime.fakes import OK, REFUSED, STUBBORN, Behaviour
from tests.runtime.virtual import eventually, run_virtual, settle

CHAIN = [worker("a"), worker("b", dependencies=["a"]), worker("c", dependencies=["b"])]


def bench(directory: Path, *services: ServiceConfig) -> Bench:
    return Bench(directory, fleet_of(directory, *services))


def want_all(bench: Bench, *, revision: int = 1) -> None:
    for service in bench.fleet.services.values():
        bench.orchestrator.want(
            service,
            Wish(replicas=service.replicas, revision=revision, dependencies=service.dependencies),
        )


async def until_running(bench: Bench, *names: str) -> None:
    await eventually(
        lambda: all(
            bench.orchestrator.summary(name).health is Health.HEALTHY
            and bench.orchestrator.is_current(name)
            for name in names or bench.fleet.services
        ),
        f"running: {bench.registry!r}",
    )


def test_services_start_one_after_the_other_as_their_dependencies_get_healthy(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        parts = bench(tmp_path, *(api(s.name, dependencies=s.dependencies) for s in CHAIN))
        parts.lives.probes["a-1"].answer = REFUSED
        async with parts.running() as fleet:
            want_all(parts)
            await asyncio.sleep(5)
            assert parts.spawner.order == ["a-1"]
            assert (fleet.waits_for("b"), fleet.waits_for("c")) == (["a"], ["b"])
            parts.lives.probes["a-1"].answer = OK
            await until_running(parts)
            assert parts.spawner.order == ["a-1", "b-1", "c-1"]
            assert fleet.waits_for("c") == []

    run_virtual(main())


def test_a_chain_costs_its_starts_and_no_waiting_in_between(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, *CHAIN)
        async with parts.running():
            begun = asyncio.get_running_loop().time()
            want_all(parts)
            await until_running(parts)
            assert asyncio.get_running_loop().time() - begun < 0.01

    run_virtual(main())


def test_they_stop_in_the_reverse_order(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, *CHAIN)
        parts.spawner.behave = lambda _: Behaviour(leaves_slowly=2.0)
        gone: list[str] = []
        async with parts.running():
            want_all(parts)
            await until_running(parts)
            parts.registry.subscribe(
                lambda event: None if event.after else gone.append(event.instance_id)
            )
        assert gone == ["c-1", "b-1", "a-1"]

    run_virtual(main())


def test_the_end_comes_whatever_state_they_are_in(tmp_path: Path) -> None:
    async def main() -> None:
        services = [
            worker("runs"), api("starts"), worker("waits", dependencies=["starts"]),
            worker("failed", restart="no"), worker("crashed"), worker("done", restart="no"),
        ]  # fmt: skip
        parts = bench(tmp_path, *services)
        parts.lives.probes["starts-1"].answer = REFUSED
        async with parts.running():
            want_all(parts)
            await until_running(parts, "runs", "failed", "crashed", "done")
            for name, code in [("failed", 1), ("crashed", 1), ("done", 0)]:
                parts.spawner.last(f"{name}-1").exit(code)
            await settle()
            states = {i: parts.status_of(f"{i}-1") for i in ("failed", "crashed", "done", "waits")}
            assert states == {
                "failed": "error", "crashed": "backoff", "done": "completed", "waits": "gone"
            }  # fmt: skip

    run_virtual(main())


@pytest.mark.parametrize(("surge", "ids", "most"), [(1, ["w-1", "w-3"], 3), (0, ["w-1", "w-2"], 2)])
def test_a_new_revision_replaces_every_instance(
    tmp_path: Path, surge: int, ids: list[str], most: int
) -> None:
    async def main() -> None:
        service = worker("w")
        parts = bench(tmp_path, service)
        living: list[int] = []
        async with parts.running() as fleet:
            fleet.want(service, Wish(replicas=2))
            await until_running(parts)
            before = {i.pid for i in fleet.instances("w")}
            parts.registry.subscribe(lambda _: living.append(len(parts.spawner.living())))
            fleet.want(service, Wish(replicas=2, revision=2, surge=surge))
            assert not fleet.is_current("w")
            await until_running(parts)
            after = {i.id: i.pid for i in fleet.instances("w")}
            assert list(after) == ids
            assert not before & set(after.values())
            assert max(living) == most
            assert (min(living) >= 2) == bool(surge)

    run_virtual(main())


def test_scaling_moves_only_what_it_has_to(tmp_path: Path) -> None:
    async def main() -> None:
        service = worker("w")
        parts = bench(tmp_path, service)
        async with parts.running() as fleet:
            for replicas in (1, 3, 2):
                fleet.want(service, Wish(replicas=replicas))
                await until_running(parts)
            assert [i.id for i in fleet.instances("w")] == ["w-1", "w-2"]
            assert parts.spawner.order == ["w-1", "w-2", "w-3"]

    run_virtual(main())


def test_a_failure_is_known_until_it_is_asked_for_anew(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w", restart="no"))
        async with parts.running() as fleet:
            want_all(parts)
            await until_running(parts)
            parts.spawner.last("w-1").exit(1)
            await eventually(lambda: fleet.failures("w"), "it has failed")
            assert [failure.instance for failure in fleet.failures("w")] == ["w-1"]
            want_all(parts, revision=2)
            assert fleet.failures("w") == []
            await until_running(parts)
            assert parts.spawner.started("w-1") == 2

    run_virtual(main())


def test_a_new_config_holds_for_the_next_life(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w", command="old"))
        async with parts.running() as fleet:
            want_all(parts)
            await until_running(parts)
            fleet.want(worker("w", command="new"), Wish(replicas=1, revision=2))
            await until_running(parts)
            programs = [parts.spawner.last(id_).launch.program for id_ in ("w-1", "w-2")]
            assert programs == [("old",), ("new",)]

    run_virtual(main())


def test_the_environment_is_that_of_the_command_that_started_it(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w"))
        async with parts.running() as fleet:
            service = parts.fleet.services["w"]
            fleet.want(service, Wish(replicas=1), environment={"FROM": "the caller"})
            await until_running(parts)
            fleet.want(service, Wish(replicas=2), environment={"FROM": "one who scales"})
            await until_running(parts)
            fleet.want(service, Wish(replicas=2, revision=2))
            await until_running(parts)
            launches = [p[0].launch for p in parts.spawner.processes.values()]
            assert {launch.environment["FROM"] for launch in launches} == {"the caller"}
            fleet.want(service, Wish(replicas=2, revision=3), environment={"FROM": "another"})
            await until_running(parts)
            assert parts.spawner.last("w-1").launch.environment["FROM"] == "another"

    run_virtual(main())


@pytest.mark.parametrize(("awaited", "status"), [(True, "completed"), (False, "stopped")])
def test_who_is_waited_for_to_complete_is_a_job(
    tmp_path: Path, *, awaited: bool, status: str
) -> None:
    async def main() -> None:
        condition = {"migrate": {"condition": "completed"}} if awaited else {}
        parts = bench(tmp_path, worker("migrate"), worker("app", dependencies=condition))
        async with parts.running():
            want_all(parts)
            await eventually(lambda: parts.spawner.started("migrate-1"), "it was started")
            assert parts.spawner.started("app-1") == (not awaited)
            parts.spawner.last("migrate-1").exit(0)
            await eventually(lambda: parts.status_of("migrate-1") == status, status)
            await until_running(parts, "app")

    run_virtual(main())


def test_what_happens_is_in_the_events(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w"))
        async with parts.running():
            want_all(parts)
            await until_running(parts)
            parts.spawner.last("w-1").exit(1)
            await eventually(lambda: parts.status_of("w-1") == "backoff", "it has crashed")
        kept = parts.events.kept()
        assert [(e.kind, e.before, e.after) for e in kept if e.instance == "w-1"] == [
            ("status", "stopped", "starting"),
            ("status", "starting", "running"),
            ("health", "unknown", "healthy"),
            ("health", "healthy", "unhealthy"),
            ("status", "running", "backoff"),
            ("status", "backoff", "stopped"),
            ("health", "unhealthy", "unknown"),
        ]
        assert kept[4].reason == "exited with code 1"

    run_virtual(main())


# Stopping


def test_a_stop_by_name_leaves_the_others_alone(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, *CHAIN)
        async with parts.running() as fleet:
            want_all(parts)
            await until_running(parts)
            fleet.unwant(["b"], StopOptions())
            await eventually(lambda: fleet.is_gone("b"), "it is gone")
            assert fleet.present() == fleet.wanted() == ["a", "c"]
            assert parts.spawner.order == ["a-1", "b-1", "c-1"]

    run_virtual(main())


def test_how_a_stop_goes_about_it_is_a_matter_of_that_stop_alone(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("a"), worker("b"))
        async with parts.running() as fleet:
            want_all(parts)
            await until_running(parts)
            fleet.unwant(["a"], StopOptions(kill=True))
            await eventually(lambda: fleet.is_gone("a"), "it is gone")
            assert parts.spawner.last("a-1").signals == [signal.SIGKILL]
            first = parts.spawner.last("b-1")
            want_all(parts, revision=2)
            await until_running(parts)
            assert first.signals == [signal.SIGTERM]

    run_virtual(main())


def test_two_stops_at_once_each_have_their_own_time(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("a", stop_timeout=50), worker("b", dependencies=["a"]))
        parts.spawner.behave = lambda _: STUBBORN
        async with parts.running() as fleet:
            want_all(parts)
            await until_running(parts)
            fleet.unwant(["a", "b"], StopOptions(timeout=5))
            await settle()
            fleet.unwant([], StopOptions())
            await asyncio.sleep(4.9)
            assert len(parts.spawner.living()) == 2
            await asyncio.sleep(5)
            assert len(parts.spawner.living()) == 1
            await eventually(lambda: fleet.is_gone("a"), "it is gone", within=0.2)

    run_virtual(main())


def test_a_kill_escalates_the_stops_of_its_services(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("a", stop_timeout=500), worker("b", stop_timeout=500))
        parts.spawner.behave = lambda _: STUBBORN
        async with parts.running() as fleet:
            want_all(parts)
            await until_running(parts)
            fleet.unwant(["a", "b"], StopOptions())
            await asyncio.sleep(100)
            fleet.unwant(["a"], StopOptions(kill=True))
            await eventually(lambda: fleet.is_gone("a"), "it is gone", within=0.1)
            assert not fleet.is_gone("b")
            fleet.unwant(["b"], StopOptions(kill=True))

    run_virtual(main())


def test_one_that_is_wanted_again_while_it_stops_comes_back(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("a"))
        parts.spawner.behave = lambda _: Behaviour(leaves_slowly=5)
        async with parts.running() as fleet:
            want_all(parts)
            await until_running(parts)
            fleet.unwant(["a"], StopOptions())
            await asyncio.sleep(1)
            want_all(parts, revision=2)
            await until_running(parts)

    run_virtual(main())


# Doors


def test_a_door_is_closed_when_the_last_instance_is_gone(tmp_path: Path) -> None:
    async def main() -> None:
        service = api("a", drain_timeout=7)
        parts = bench(tmp_path, service)
        parts.spawner.behave = lambda _: Behaviour(leaves_slowly=3)
        async with parts.running() as fleet:
            await parts.doors.open_all([service], set())
            want_all(parts)
            await until_running(parts)
            resolved = fleet.resolved("a")
            assert resolved is not None
            assert isinstance(resolved.port, int)
            fleet.unwant(["a"], StopOptions())
            await asyncio.sleep(2.9)
            assert list(parts.gateway.doors) == ["a"]
            await eventually(lambda: fleet.is_gone("a"), "it is gone", within=0.2)
            assert not parts.gateway.doors
            assert parts.gateway.drain_timeouts == {"a": 7}

    run_virtual(main())


def test_a_door_stays_open_while_its_service_is_replaced_or_failed(tmp_path: Path) -> None:
    async def main() -> None:
        service = api("a")
        parts = bench(tmp_path, service)
        async with parts.running():
            await parts.doors.open_all([service], set())
            want_all(parts)
            await until_running(parts)
            door = parts.gateway.doors["a"]
            want_all(parts, revision=2)
            await until_running(parts)
            parts.lives.probes["a-1"].answer = REFUSED
            parts.spawner.behave = lambda _: Behaviour(exit_code=1)
            want_all(parts, revision=3)
            await eventually(lambda: parts.status_of("a-1") == "error", "it has failed")
            assert parts.gateway.doors["a"] is door

    run_virtual(main())


def test_a_service_that_is_wanted_again_as_its_door_closes_keeps_it(tmp_path: Path) -> None:
    async def main() -> None:
        service = api("a")
        parts = bench(tmp_path, service)
        async with parts.running() as fleet:
            await parts.doors.open_all([service], set())
            want_all(parts)
            await until_running(parts)
            fleet.unwant(["a"], StopOptions())
            await eventually(lambda: parts.status_of("a-1") == "gone", "it is gone", poll=0)
            await eventually(
                lambda: "a" in fleet._unused_doors._closing, "it is about to close", poll=0
            )
            # the door is still open at this moment, so a command does not open it again
            assert await parts.doors.open_all([service], set()) in ([], ["a"])
            want_all(parts, revision=2)
            await until_running(parts)
            assert list(parts.gateway.doors) == ["a"]

    run_virtual(main())


def test_what_is_scaled_to_nothing_keeps_its_door(tmp_path: Path) -> None:
    async def main() -> None:
        service = api("a")
        parts = bench(tmp_path, service)
        async with parts.running() as fleet:
            await parts.doors.open_all([service], set())
            want_all(parts)
            await until_running(parts)
            fleet.want(service, Wish(replicas=0, standby=True))
            await eventually(lambda: parts.status_of("a-1") == "gone", "it is gone")
            await asyncio.sleep(60)
            assert list(parts.gateway.doors) == fleet.wanted() == fleet.present() == ["a"]
            fleet.want(service, Wish(replicas=2))
            await until_running(parts)

    run_virtual(main())


# Replacing


def test_what_is_left_of_the_old_revision_keeps_its_configuration(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w", command="old", stop_timeout=600))
        parts.spawner.behave = lambda launch: (
            STUBBORN if launch.program == ("old",) else Behaviour(error="no such program")
        )
        async with parts.running() as fleet:
            want_all(parts)
            await until_running(parts)
            new = worker("w", command="new", stop_timeout=1)
            fleet.want(new, Wish(replicas=1, revision=2))
            await eventually(lambda: fleet.is_held("w"), "the new one has failed")
            await asyncio.sleep(20)
            parts.spawner.last("w-1").exit(1)
            await eventually(lambda: parts.spawner.started("w-1") == 2, "it is restarted")
            assert parts.spawner.last("w-1").launch.program == ("old",)

    run_virtual(main())


def test_going_back_keeps_what_serves_and_removes_the_rest(tmp_path: Path) -> None:
    async def main() -> None:
        service = api("a", replicas=2)
        parts = bench(tmp_path, service)
        async with parts.running() as fleet:
            want_all(parts)
            await until_running(parts)
            before = fleet.statement("a")
            assert before is not None
            # a-3 replaces a-1, whose number the next one gets
            parts.spawner.behave = lambda launch: Behaviour(
                exit_code=1 if launch.instance == "a-1" else None
            )
            parts.lives.probes["a-1"].answer = REFUSED
            fleet.want(api("a", environment={"B": "x"}), Wish(replicas=2, revision=2))
            await eventually(lambda: fleet.is_held("a"), "the second new one has failed")
            assert {i.id for i in fleet.instances("a") if i.in_rotation} == {"a-2", "a-3"}
            assert fleet.go_back("a", before) == 1
            await eventually(lambda: fleet.is_current("a"), "it is as it was")
            assert [i.id for i in fleet.instances("a")] == ["a-2", "a-3"]
            assert not fleet.failures("a")
            environments = [each.service.environment for each in fleet.releases("a")]
            assert environments == [{}, {}, {"B": "x"}]
            assert fleet.next_revision("a") == 3

    run_virtual(main())


def test_only_what_had_failed_is_retried(tmp_path: Path) -> None:
    async def main() -> None:
        service = worker("w", replicas=3, restart="no")
        parts = bench(tmp_path, service)
        async with parts.running() as fleet:
            want_all(parts)
            await until_running(parts)
            parts.spawner.last("w-2").exit(1)
            await eventually(lambda: fleet.failures("w"), "it has failed")
            fleet.retry("w")
            await until_running(parts)
            started = {id_: parts.spawner.started(id_) for id_ in ("w-1", "w-2", "w-3")}
            assert started == {"w-1": 1, "w-2": 2, "w-3": 1}

    run_virtual(main())


def test_more_or_fewer_instances_are_an_event_with_its_reason(tmp_path: Path) -> None:
    async def main() -> None:
        service = worker("w")
        parts = bench(tmp_path, service)
        async with parts.running() as fleet:
            for replicas in (1, 3, 3, 0, 2):
                wish = Wish(replicas=replicas, standby=replicas == 0)
                fleet.want(service, wish, reason="asked for")
            await until_running(parts)
        scaled = [e for e in parts.events.kept() if e.kind == "scale"]
        assert [(e.before, e.after) for e in scaled] == [("1", "3"), ("3", "0"), ("0", "2")]
        assert {(e.service, e.instance, e.reason) for e in scaled} == {("w", None, "asked for")}

    run_virtual(main())


# Trouble


def test_a_supervisor_that_breaks_takes_nobody_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("a"), worker("b"))

        def behave(_: object) -> Behaviour:
            if parts.spawner.order:
                raise ZeroDivisionError
            return Behaviour()

        parts.spawner.behave = behave
        async with parts.running() as fleet:
            want_all(parts)
            await until_running(parts, "a")
            await eventually(lambda: fleet.failures("b"), "b has failed")
            await asyncio.sleep(100)
            assert parts.status_of("b-1") == "error"
            assert parts.instance("a-1").status is ServiceStatus.RUNNING

    run_virtual(main())
    assert caplog.text.count("supervisor failed") == 1


def test_somebody_in_a_hurry_about_one_that_has_gone_is_no_trouble(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("a"), api("b"))
        async with parts.running() as fleet:
            want_all(parts)
            await until_running(parts)
            gone = parts.instance("a-1")
            fleet.unwant(["a"], StopOptions())
            await eventually(lambda: fleet.is_gone("a"), "it is gone")
            fleet.hurry(gone)
            count = len(parts.lives.probes["b-1"].times)
            await asyncio.sleep(1)
            fleet.hurry(parts.instance("b-1"))
            await asyncio.sleep(0.01)
            assert len(parts.lives.probes["b-1"].times) == count + 1

    run_virtual(main())
