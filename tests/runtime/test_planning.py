"""What a command has to change, service by service, and the reason it gives for each."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from msctl.config.models import ServiceConfig
from msctl.core.reconcile import Wish
from msctl.errors import UsageError
from msctl.runtime.planning import (
    Approach,
    Manner,
    Plan,
    check_scale,
    make_plan,
    without_profile,
)
from msctl.runtime.release import HOT_KEYS
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
    **manner: Any,
) -> Plan:
    config = fleet_of(bench.directory, *services)
    how = Manner(approach=approach, **manner)
    return make_plan(bench.orchestrator, config, config.services, how)


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
                assert plan.started() == ["w"]

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
        service = api("a")
        async with fleet(tmp_path, service, a=Wish(replicas=1, revision=3)) as bench:
            plan = plan_of(bench, Approach.ANEW, service)
            assert said(plan) == {"a": ("restarted", "asked for")}
            assert plan.wishes["a"].revision == 4
            assert (plan.started(), plan.replaced()) == ([], ["a"])

    run_virtual(main())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"command": "other"}, "config changed: command"),
        ({"environment": {"A": "b", "SAME": "x"}}, "config changed: environment.A"),
        ({"environment": {}}, "config changed: environment.SAME"),
        ({"file_environment": {"A": "b"}}, "config changed: env_file.A"),
        ({"working_dir": "x", "command": "y"}, "config changed: command, working_dir"),
    ],
)
def test_what_only_a_new_process_can_take_up_restarts_and_is_named(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    async def main() -> None:
        before = worker("w", replicas=2, environment={"SAME": "x"})
        after = before.model_copy(update=dict(worker("w", **change)) | {"replicas": 2})
        if "environment" not in change:
            after = after.model_copy(update={"environment": before.environment})
        async with fleet(tmp_path, before, w=Wish(replicas=2)) as bench:
            plan = plan_of(bench, Approach.UPDATE, after)
            assert said(plan) == {"w": ("restarted", reason)}
            assert plan.wishes["w"].revision == 2
            missing = plan_of(bench, Approach.MISSING, after)
            assert said(missing) == {"w": ("unchanged", "")}

    run_virtual(main())


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"description": "x"}, "description"),
        ({"timeout": 5}, "timeout"),
        ({"balancer": "p2c"}, "balancer.algorithm"),
        ({"breaker": "off"}, "breaker"),
        ({"stop_timeout": 1}, "stop_timeout"),
        ({"limits": {"queue": 1}}, "limits.queue"),
    ],
)
def test_what_takes_effect_without_a_restart_restarts_nothing(
    tmp_path: Path, change: dict[str, Any], key: str
) -> None:
    async def main() -> None:
        async with fleet(tmp_path, api("a"), a=Wish(replicas=1)) as bench:
            plan = plan_of(bench, Approach.UPDATE, api("a", **change))
            reason = f"config changed, no restart needed: {key}"
            assert said(plan) == {"a": ("updated", reason)}
            assert plan.wishes["a"].revision == 1
            assert not plan.replaced()

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


def test_who_was_told_another_address_of_its_dependency_is_touched_too(tmp_path: Path) -> None:
    async def main() -> None:
        def services(port: int) -> list[ServiceConfig]:
            return [api("a", port=port), api("b", dependencies=["a"]), api("c")]

        wishes = {name: Wish(replicas=1) for name in "abc"}
        async with fleet(tmp_path, *services(8001), **wishes) as bench:
            assert {
                v[0] for v in said(plan_of(bench, Approach.UPDATE, *services(8001))).values()
            } == {"unchanged"}
            assert said(plan_of(bench, Approach.UPDATE, *services(8002))) == {
                "a": ("restarted", "config changed: port"),
                "b": ("restarted", "config changed: address of a"),
                "c": ("unchanged", ""),
            }

    run_virtual(main())


# Replacing


CACHE = ServiceConfig(name="c", service_type="cache", port=6379, command="redis")


@pytest.mark.parametrize(
    ("service", "surge", "said_so"),
    [
        (api("s"), 2, "asked for"),
        (api("s", replicas=3), 2, "asked for"),
        (worker("s", replicas=3), 2, "asked for"),
        (worker("s"), 0, "asked for; stopped first: it is a worker with one replica"),
        (CACHE, 0, "asked for; stopped first: it binds its port itself"),
    ],
)
def test_what_can_run_beside_itself_is_replaced_while_it_serves(
    tmp_path: Path, service: ServiceConfig, surge: int, said_so: str
) -> None:
    async def main() -> None:
        wish = Wish(replicas=service.replicas)
        async with fleet(tmp_path, service, **{service.name: wish}) as bench:
            plan = plan_of(bench, Approach.ANEW, service, parallel=2)
            assert said(plan) == {service.name: ("restarted", said_so)}
            assert plan.wishes[service.name].surge == surge
            assert plan.replaced() == [service.name] * bool(surge)
            hard = plan_of(bench, Approach.ANEW, service, hard=True)
            assert said(hard) == {service.name: ("restarted", "asked for")}
            assert hard.wishes[service.name].surge == 0

    run_virtual(main())


def test_what_a_command_has_scaled_stays_so_until_an_up(tmp_path: Path) -> None:
    async def main() -> None:
        service = worker("w", replicas=2)
        async with fleet(tmp_path, service, w=Wish(replicas=5)) as bench:
            assert plan_of(bench, Approach.MISSING, service).wishes == {}
            assert plan_of(bench, Approach.ANEW, service).wishes["w"].replicas == 5
            edited = worker("w", replicas=3)
            assert plan_of(bench, Approach.ANEW, edited).wishes["w"].replicas == 3
            up = plan_of(bench, Approach.UPDATE, service)
            assert said(up) == {"w": ("scaled", "5 → 2 replicas")}

    run_virtual(main())


def test_what_is_scaled_to_nothing_is_there_still(tmp_path: Path) -> None:
    async def main() -> None:
        service = worker("w")
        async with fleet(tmp_path, service, w=Wish(replicas=1)) as bench:
            none = plan_of(bench, Approach.MISSING, service, scale={"w": 0})
            assert said(none) == {"w": ("scaled", "1 → 0 replicas")}
            assert none.wishes["w"] == Wish(replicas=0, standby=True, surge=0)
            bench.orchestrator.want(service, none.wishes["w"])
            assert said(plan_of(bench, Approach.ANEW, service))["w"][0] == "restarted"
            for approach in (Approach.MISSING, Approach.UPDATE):
                assert said(plan_of(bench, approach, service)) == {
                    "w": ("scaled", "0 → 1 replicas")
                }

    run_virtual(main())


def test_of_what_has_failed_in_part_only_that_part_is_replaced(tmp_path: Path) -> None:
    async def main() -> None:
        service = worker("w", replicas=2, restart="no")
        async with fleet(tmp_path, service, w=Wish(replicas=2)) as bench:
            bench.spawner.last("w-2").exit(1)
            await eventually(lambda: bench.orchestrator.failures("w"), "one has failed")
            for approach in (Approach.UPDATE, Approach.MISSING):
                plan = plan_of(bench, approach, service)
                assert said(plan) == {"w": ("restarted", "only w-2, which had failed")}
                assert (plan.retried, plan.replaced()) == (["w"], [])
                assert plan.wishes["w"].revision == 1

    run_virtual(main())


def test_scaling_a_running_service_takes_up_nothing_new(tmp_path: Path) -> None:
    async def main() -> None:
        service = worker("w")
        async with fleet(tmp_path, service, w=Wish(replicas=1)) as bench:
            plan = plan_of(bench, Approach.MISSING, worker("w", command="new"), scale={"w": 3})
            assert plan.services == {"w": service}

    run_virtual(main())


@pytest.mark.parametrize(
    ("scale", "words"), [({"x": 1}, "unknown service x"), ({"c": 2}, "binds its port itself"),
                         ({"w": -1}, "0 or more")],
)  # fmt: skip
def test_a_number_of_instances_that_cannot_be_is_a_wrong_use(
    scale: dict[str, int], words: str
) -> None:
    services = {"w": worker("w"), "c": CACHE}
    with pytest.raises(UsageError, match=words):
        check_scale(services, scale)
    check_scale(services, {"c": 0, "w": 0})
    check_scale(services, {"c": 1, "w": 9})
