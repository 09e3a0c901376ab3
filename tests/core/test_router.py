"""Who gets a call, and what a caller hears when nobody does (router.md, One call)."""

from collections import Counter

import pytest

from msctl.config.models import ServiceConfig
from msctl.config.traffic import ScalingConfig
from msctl.core.balancer import Algorithm
from msctl.core.breaker import BreakerOptions
from msctl.core.router import (
    Again,
    CallFacts,
    LimitOptions,
    Outcome,
    Reason,
    Refusal,
    Relay,
    RetryOptions,
    RoutePolicy,
    Wait,
)
from msctl.model import Health, ServiceStatus
from tests.core.routes import GET, POST, SERVICE, World


def test_calls_go_round_the_instances_that_are_in_rotation() -> None:
    world = World(3)
    picks = Counter(world.send(200) for _ in range(30))
    assert picks == {"api-1": 10, "api-2": 10, "api-3": 10}
    world.change("api-2", health=Health.UNHEALTHY)
    assert {world.send(200) for _ in range(10)} == {"api-1", "api-3"}


def test_a_connection_counts_until_the_end_of_the_body() -> None:
    world = World(1)
    call = world.begin()
    lease = world.lease(call)
    assert world.connections() == [1]
    assert world.answer(call, lease, 200) == Relay()
    assert world.connections() == [1]
    lease.release(world.now)
    lease.release(world.now)
    assert world.connections() == [0]
    call.finish(world.now)
    assert world.connections() == [0]


def test_finish_gives_everything_back_and_may_be_repeated() -> None:
    world = World(1)
    call = world.begin()
    world.lease(call)
    assert (world.connections(), world.route.in_flight) == ([1], 1)
    for _ in range(2):
        call.finish(world.now)
        assert (world.connections(), world.route.in_flight) == ([0], 0)
    assert world.route.instance_breaker("api-1").snapshot(world.now).calls == 0
    with pytest.raises(RuntimeError, match="over"):
        call.pick(world.now)


def test_an_instance_that_drains_gets_nothing_and_a_passing_check_does_not_undo_it() -> None:
    world = World(2)
    world.change("api-1", status=ServiceStatus.DRAINING)
    world.route.health_passed("api-1", 1, world.now)
    assert {world.send(200) for _ in range(6)} == {"api-2"}


def test_degraded_instances_get_calls_only_when_no_healthy_one_is_left() -> None:
    world = World(2)
    world.change("api-1", health=Health.DEGRADED)
    assert {world.send(200) for _ in range(6)} == {"api-2"}
    world.change("api-2", health=Health.UNHEALTHY)
    assert world.send(200) == "api-1"


def test_a_service_that_starts_on_demand_may_take_as_long_as_its_start() -> None:
    config = ServiceConfig(name="api", port=8001, start_timeout=12, scaling=ScalingConfig(min=0))
    world = World(0, RoutePolicy.from_config(config))
    world.router.on_shortage(
        lambda _: world.add(1, status=ServiceStatus.STARTING, health=Health.UNKNOWN)
    )
    assert world.wait(world.begin()) == Wait(world.now + 12)


def test_a_call_waits_three_seconds_for_an_instance_that_is_starting() -> None:
    world = World(0)
    world.add(1, status=ServiceStatus.STARTING, health=Health.UNKNOWN)
    call = world.begin()
    assert world.wait(call) == Wait(world.now + 3)
    woken: list[str] = []
    call.wake = lambda: woken.append("woken")
    world.change("api-1", status=ServiceStatus.RUNNING, health=Health.HEALTHY)
    assert woken
    assert world.lease(call).instance.id == "api-1"
    call.finish(world.now)


def test_after_these_three_seconds_it_is_refused() -> None:
    world = World(0)
    world.add(1, status=ServiceStatus.STARTING, health=Health.UNKNOWN)
    call = world.begin()
    until = world.wait(call).until
    world.now += 1
    assert world.wait(call).until == until, "waiting again does not start anew"
    world.now = until
    refusal = call.pick(world.now)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.status) == (Reason.NO_INSTANCES, 503)
    assert refusal.retry_after == 1


def test_alive_but_unhealthy_instances_are_tried_when_nothing_else_is_left() -> None:
    world = World(2)
    world.change("api-1", health=Health.UNHEALTHY)
    world.change("api-2", health=Health.UNHEALTHY, status=ServiceStatus.DRAINING)
    assert {world.send(200) for _ in range(4)} == {"api-1"}


def test_without_any_instance_the_call_is_refused_at_once() -> None:
    refusal = World(0).refused()
    assert (refusal.reason, refusal.status, refusal.retry_after) == (Reason.NO_INSTANCES, 503, 1)


def test_whoever_listens_for_shortage_may_start_an_instance() -> None:
    world = World(0)

    def raises(service: str) -> None:
        raise RuntimeError(service)

    world.router.on_shortage(raises)
    world.router.on_shortage(
        lambda _: world.add(1, status=ServiceStatus.STARTING, health=Health.UNKNOWN)
    )
    assert isinstance(world.begin().pick(world.now), Wait)


def test_a_call_waits_for_an_instance_that_is_promised() -> None:
    world = World(0)
    summoned: list[str] = []

    def promise(service: str) -> bool:
        summoned.append(service)
        return True

    world.router.on_shortage(promise)
    call = world.begin()
    assert world.wait(call) == Wait(world.now + 3)
    assert summoned == [SERVICE]
    world.add(1)
    assert world.lease(call).instance.id == "api-1"
    pinned = world.refused(CallFacts(idempotent=True, instance="api-9"))
    assert pinned.reason is Reason.NO_INSTANCES


def test_a_pinned_call_goes_to_its_instance_or_nowhere() -> None:
    world = World(3)
    assert {world.send(200, only="api-2") for _ in range(5)} == {"api-2"}
    for name in ("api-9", "api-3"):
        world.change("api-3", health=Health.UNHEALTHY, status=ServiceStatus.STARTING)
        refusal = world.refused(CallFacts(idempotent=True, instance=name))
        assert (refusal.reason, refusal.detail) == (Reason.NO_INSTANCES, f"{name} is not ready")


def test_a_pinned_call_is_not_sent_elsewhere() -> None:
    world = World(3)
    call = world.begin(CallFacts(idempotent=True, instance="api-1"))
    assert world.answer(call, world.lease(call), 503) == Relay()
    call.finish(world.now)


def test_a_spent_deadline_is_refused_without_sending() -> None:
    refusal = World(1).refused(CallFacts(idempotent=True, timeout=0))
    assert (refusal.reason, refusal.status) == (Reason.TIMEOUT, 504)


def test_a_callers_own_time_limit_replaces_that_of_the_service() -> None:
    world = World(1, RoutePolicy(timeout=9))
    assert world.begin().deadline == world.now + 9
    call = world.begin(CallFacts(idempotent=True, timeout=2))
    assert call.deadline == world.now + 2
    world.now += 2
    refusal = call.pick(world.now)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.TIMEOUT


def test_local_refusals_count_in_no_breaker() -> None:
    world = World(1, RoutePolicy(limits=LimitOptions(in_flight=1, queue=0)))
    world.change("api-1", status=ServiceStatus.STOPPED)
    for _ in range(50):
        assert world.refused().reason is Reason.NO_INSTANCES
    holder = world.begin()
    for _ in range(50):
        assert world.refused().reason is Reason.OVERLOADED
    holder.finish(world.now)
    assert world.route.breaker.snapshot(world.now).calls == 0


def test_a_new_generation_is_another_process() -> None:
    world = World(1)
    call = world.begin()
    lease = world.lease(call)
    breaker = world.route.instance_breaker("api-1")
    world.add(1, generation=2)
    assert world.connections() == [0]
    assert world.route.instance_breaker("api-1") is not breaker
    assert isinstance(world.fail(call, lease, Outcome.LOST), Again)
    assert world.lease(call).instance.generation == 2, "same id, and yet not tried before"
    assert world.route.instance_breaker("api-1").snapshot(world.now).calls == 0
    call.finish(world.now)
    assert world.connections() == [0]


def test_the_router_knows_its_routes() -> None:
    world = World(1)
    world.router.configure("other", RoutePolicy())
    assert world.router.names() == (SERVICE, "other")
    assert world.router.route(SERVICE) is world.route
    world.router.remove("other")
    world.router.remove("other")
    assert world.router.route("other") is None
    with pytest.raises(KeyError):
        world.route.instance_breaker("api-7")


def test_a_new_policy_keeps_the_route_its_connections_and_its_breakers() -> None:
    world = World(2)
    call = world.begin()
    world.lease(call)
    breaker = world.route.breaker
    policy = RoutePolicy(algorithm=Algorithm.LEAST_CONNECTIONS, timeout=5)
    assert world.router.configure(SERVICE, policy) is world.route
    assert world.route.balancer.algorithm is Algorithm.LEAST_CONNECTIONS
    assert world.route.breaker is breaker
    assert sum(world.connections()) == 1
    assert world.begin().deadline == world.now + 5
    call.finish(world.now)
    assert sum(world.connections()) == 0


def test_other_breaker_numbers_begin_anew() -> None:
    world = World(1)
    breaker = world.route.instance_breaker("api-1")
    world.router.configure(SERVICE, RoutePolicy(breaker=BreakerOptions(failure_threshold=2)))
    renewed = world.route.instance_breaker("api-1")
    assert renewed is not breaker
    assert renewed.options.failure_threshold == 2
    assert world.route.breaker.options.probes == 3


def test_a_policy_says_what_the_user_configured() -> None:
    policy = RoutePolicy.from_config(ServiceConfig(name="users", port=8001))
    assert policy == RoutePolicy()
    policy = RoutePolicy.from_config(
        ServiceConfig.model_validate(
            {
                "name": "users",
                "port": 8001,
                "timeout": 7,
                "balancer": {"algorithm": "p2c", "slow_start": 1},
                "breaker": {"failure_threshold": 2, "minimum_calls": 4},
                "retries": {"attempts": 2, "idempotency_key": True},
                "limits": {"in_flight": 5, "per_instance": 2},
            }
        )
    )
    assert policy == RoutePolicy(
        timeout=7,
        algorithm=Algorithm.P2C,
        slow_start=1,
        breaker=BreakerOptions(failure_threshold=2, minimum_calls=4),
        retries=RetryOptions(attempts=2, idempotency_key=True),
        limits=LimitOptions(in_flight=5, per_instance=2),
    )
    off = RoutePolicy.from_config(
        ServiceConfig.model_validate(
            {"name": "users", "port": 8001, "breaker": "off", "retries": "off"}
        )
    )
    assert (off.breaker, off.retries) == (None, None)


def test_a_probe_is_given_to_an_idempotent_call_when_there_is_a_choice() -> None:
    world = World(2)
    for _ in range(5):
        world.send(500, POST, only="api-1")
    world.now += 8
    assert {world.send(200, POST) for _ in range(10)} == {"api-1", "api-2"}, "a second has passed"
    for _ in range(5):
        world.send(500, POST, only="api-1")
    breaker = world.route.instance_breaker("api-1")
    wait = breaker.retry_after(world.now)
    assert wait is not None
    world.now += wait
    assert {world.send(200, POST) for _ in range(10)} == {"api-2"}
    assert {world.send(200, GET) for _ in range(10)} == {"api-1", "api-2"}


def test_a_route_that_is_removed_wakes_those_who_wait() -> None:
    world = World(0)
    world.add(1, status=ServiceStatus.STARTING, health=Health.UNKNOWN)
    call = world.begin()
    world.wait(call)
    woken: list[str] = []
    call.wake = lambda: woken.append("woken")
    world.router.remove(SERVICE)
    assert woken == ["woken"]


def test_a_router_that_is_closed_hears_no_more_of_the_registry() -> None:
    world = World(0)
    world.add(1, status=ServiceStatus.STARTING, health=Health.UNKNOWN)
    call = world.begin()
    world.wait(call)
    woken: list[str] = []
    call.wake = lambda: woken.append("woken")
    world.router.close()
    world.change("api-1", status=ServiceStatus.RUNNING, health=Health.HEALTHY)
    assert woken == []


def test_repr_shows_the_state() -> None:
    world = World(1)
    call = world.begin()
    lease = world.lease(call)
    assert repr(world.route) == (
        "<ServiceRoute api <Bulkhead 1/1024 in flight, 0 queued> "
        "<LoadBalancer round_robin api-1: 1> <CircuitBreaker api closed generation 0>>"
    )
    assert repr(lease) == "<Lease api-1@1 held>"
    assert repr(call) == "<Call api attempts 1 until 130>"
    call.finish(world.now)
    assert repr(lease) == "<Lease api-1@1 released>"
    assert repr(call) == "<Call api attempts 1 finished>"
