"""What a command has to change, service by service, and the reason it gives for each."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from msctl.config.models import ServiceConfig
from msctl.core.reconcile import Wish
from msctl.runtime.planning import HOT_KEYS, Approach, Plan, make_plan, without_profile
from tests.runtime.bench import Bench, api, fleet_of, worker
from tests.runtime.fakes import Behaviour
from tests.runtime.virtual import eventually, run_virtual


@asynccontextmanager
async def fleet(directory: Path, *services: ServiceConfig, **wishes: Wish) -> AsyncIterator[Bench]:
    """A fleet in which these services run as they are wished."""
    bench = Bench(directory, fleet_of(directory, *services))
    async with bench.running() as orchestrator:
        for service in services:
            if service.name in wishes:
                orchestrator.want(service, wishes[service.name])
        await eventually(
            lambda: all(orchestrator.is_current(name) for name in wishes), "all have begun"
        )
        yield bench


def plan_of(
    bench: Bench,
    approach: Approach,
    *services: ServiceConfig,
    scale: dict[str, int] | None = None,
) -> Plan:
    config = fleet_of(bench.directory, *services)
    return make_plan(bench.orchestrator, config, config.services, approach, scale)


def said(plan: Plan) -> dict[str, tuple[str, str]]:
    return {change.service: (change.action, change.reason) for change in plan.changes}


def test_what_was_never_started_is_started(tmp_path: Path) -> None:
    async def main() -> None:
        service = worker("w", replicas=2)
        async with fleet(tmp_path, service) as bench:
            for approach in Approach:
                plan = plan_of(bench, approach, service)
                assert said(plan) == {"w": ("started", "")}
                assert plan.wishes == {"w": Wish(replicas=2, revision=1)}
                assert (plan.started(), plan.fresh()) == (["w"], ["w"])

    run_virtual(main())


def test_what_was_stopped_is_started_anew(tmp_path: Path) -> None:
    async def main() -> None:
        service = worker("w")
        async with fleet(tmp_path, service, w=Wish(replicas=0, revision=4)) as bench:
            plan = plan_of(bench, Approach.UPDATE, service)
            assert said(plan) == {"w": ("started", "")}
            assert plan.wishes["w"].revision == 5

    run_virtual(main())


def test_what_did_not_change_is_left_alone(tmp_path: Path) -> None:
    async def main() -> None:
        service = worker("w")
        async with fleet(tmp_path, service, w=Wish(replicas=1)) as bench:
            for approach in (Approach.UPDATE, Approach.MISSING):
                plan = plan_of(bench, approach, service)
                assert said(plan) == {"w": ("unchanged", "")}
                assert not plan.wishes
                assert not plan.started()

    run_virtual(main())


def test_a_restart_replaces_everything(tmp_path: Path) -> None:
    async def main() -> None:
        service = worker("w")
        async with fleet(tmp_path, service, w=Wish(replicas=1, revision=3)) as bench:
            plan = plan_of(bench, Approach.ANEW, service)
            assert said(plan) == {"w": ("restarted", "asked for")}
            assert plan.wishes["w"].revision == 4
            assert (plan.started(), plan.fresh()) == ([], ["w"])

    run_virtual(main())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"command": "other"}, "config changed: command"),
        ({"environment": {"A": "b"}}, "config changed: environment"),
        ({"file_environment": {"A": "b"}}, "config changed: file_environment"),
        ({"working_dir": "x", "command": "y"}, "config changed: command, working_dir"),
    ],
)
def test_what_only_a_new_process_can_take_up_restarts_and_is_named(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    async def main() -> None:
        async with fleet(tmp_path, worker("w"), w=Wish(replicas=1)) as bench:
            plan = plan_of(bench, Approach.UPDATE, worker("w", **change))
            assert said(plan) == {"w": ("restarted", reason)}
            assert plan.wishes["w"].revision == 2
            missing = plan_of(bench, Approach.MISSING, worker("w", **change))
            assert said(missing) == {"w": ("unchanged", "")}

    run_virtual(main())


@pytest.mark.parametrize(
    "change",
    [{"description": "x"}, {"timeout": 5}, {"balancer": "p2c"}, {"breaker": "off"},
     {"stop_timeout": 1}, {"limits": {"queue": 1}}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_what_takes_effect_without_a_restart_restarts_nothing(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    async def main() -> None:
        async with fleet(tmp_path, api("a"), a=Wish(replicas=1)) as bench:
            plan = plan_of(bench, Approach.UPDATE, api("a", **change))
            assert said(plan) == {"a": ("updated", "config changed, no restart needed")}
            assert plan.wishes["a"].revision == 1
            assert not plan.fresh()

    run_virtual(main())


def test_hot_keys_are_keys_of_a_service() -> None:
    assert ServiceConfig.model_fields.keys() >= HOT_KEYS


def test_more_or_fewer_replicas_are_a_change_of_their_own(tmp_path: Path) -> None:
    async def main() -> None:
        async with fleet(tmp_path, worker("w"), w=Wish(replicas=1)) as bench:
            plan = plan_of(bench, Approach.UPDATE, worker("w", replicas=3))
            assert said(plan) == {"w": ("scaled", "1 → 3 replicas")}
            assert plan.wishes["w"] == Wish(replicas=3, revision=1)
            asked = plan_of(bench, Approach.UPDATE, worker("w"), scale={"w": 2})
            assert said(asked) == {"w": ("scaled", "1 → 2 replicas")}

    run_virtual(main())


def test_what_had_failed_is_tried_again(tmp_path: Path) -> None:
    async def main() -> None:
        service = worker("w", restart="no")
        async with fleet(tmp_path, service, w=Wish(replicas=1)) as bench:
            bench.spawner.last("w-1").exit(1)
            await eventually(lambda: bench.orchestrator.failures("w"), "it has failed")
            for approach in (Approach.UPDATE, Approach.MISSING):
                assert said(plan_of(bench, approach, service)) == {
                    "w": ("restarted", "it had failed")
                }

    run_virtual(main())


def test_what_had_ended_well_runs_again_when_it_is_no_job(tmp_path: Path) -> None:
    async def main() -> None:
        service = worker("w")
        async with fleet(tmp_path, service, w=Wish(replicas=1)) as bench:
            bench.spawner.last("w-1").exit(0)
            await eventually(lambda: bench.status_of("w-1") == "stopped", "it has ended")
            for approach in (Approach.UPDATE, Approach.MISSING):
                assert said(plan_of(bench, approach, service)) == {
                    "w": ("restarted", "it had ended")
                }

    run_virtual(main())


def test_a_job_that_is_done_stays_done(tmp_path: Path) -> None:
    async def main() -> None:
        service = worker("w", restart="no")
        bench = Bench(tmp_path, fleet_of(tmp_path, service))
        bench.spawner.behave = lambda _: Behaviour(exit_code=0)
        async with bench.running() as orchestrator:
            orchestrator.want(service, Wish(replicas=1))
            await eventually(lambda: bench.status_of("w-1") == "completed", "it is done")
            for approach in (Approach.UPDATE, Approach.MISSING):
                assert said(plan_of(bench, approach, service)) == {"w": ("unchanged", "")}

    run_virtual(main())


def test_wishes_carry_the_dependencies_of_the_config(tmp_path: Path) -> None:
    async def main() -> None:
        services = [worker("a"), worker("b", dependencies=["a"])]
        async with fleet(tmp_path, *services) as bench:
            plan = plan_of(bench, Approach.UPDATE, *services)
            assert plan.wishes["b"].dependencies == services[1].dependencies

    run_virtual(main())


def test_services_with_a_profile_start_only_when_it_is_asked_for() -> None:
    config = fleet_of(
        Path("/p"),
        worker("a"),
        worker("debugger", profiles=["debug"]),
        worker("tracer", profiles=["debug", "trace"]),
    )
    assert without_profile(config, frozenset()) == ["a"]
    assert without_profile(config, frozenset({"debug"})) == ["a", "debugger", "tracer"]
    assert without_profile(config, frozenset({"trace"})) == ["a", "tracer"]
    assert without_profile(config, frozenset({"none"})) == ["a"]
