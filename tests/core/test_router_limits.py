"""How much a service takes on at once, and who waits (router.md, Retries, time, load)."""

from functools import partial

from msctl.core.router import (
    Call,
    CallFacts,
    Lease,
    LimitOptions,
    Reason,
    Refusal,
    RoutePolicy,
    Wait,
)
from tests.core.routes import World

STREAM = CallFacts(idempotent=True, counts_against_limits=False)


def limited(instances: int = 1, **limits: int) -> World:
    return World(instances, RoutePolicy(limits=LimitOptions(**limits)))


def queued(world: World, count: int, woken: list[int]) -> list[Call]:
    calls = []
    for number in range(count):
        call = world.begin()
        call.wake = partial(woken.append, number)
        assert world.wait(call).until == call.deadline
        calls.append(call)
    return calls


def end(world: World, call: Call, lease: Lease) -> None:
    world.answer(call, lease, 200)
    lease.release(world.now)
    call.finish(world.now)


def test_over_the_limit_calls_queue_and_over_the_queue_they_are_refused() -> None:
    world = limited(in_flight=2, queue=3)
    inside = [world.begin() for _ in range(2)]
    waiting = queued(world, 3, [])
    assert (world.route.in_flight, world.route.queued) == (2, 3)
    refusal = world.refused()
    assert (refusal.reason, refusal.status) == (Reason.OVERLOADED, 503)
    assert refusal.retry_after == 1
    for call in inside + waiting:
        call.finish(world.now)
    assert (world.route.in_flight, world.route.queued) == (0, 0)


def test_places_in_the_service_are_handed_on_first_in_first_out() -> None:
    world, woken = limited(in_flight=1, queue=10), list[int]()
    call = world.begin()
    lease = world.lease(call)
    waiting = queued(world, 4, woken)
    end(world, call, lease)
    assert woken == [0]
    latecomer = world.begin()
    assert isinstance(latecomer.pick(world.now), Wait), "the place is the first waiter's already"
    assert isinstance(waiting[1].pick(world.now), Wait)
    end(world, waiting[0], world.lease(waiting[0]))
    assert woken == [0, 1]


def test_a_waiter_that_gives_up_leaves_its_turn_to_the_next() -> None:
    world, woken = limited(in_flight=1, queue=10), list[int]()
    call = world.begin()
    waiting = queued(world, 3, woken)
    waiting[0].finish(world.now)
    call.finish(world.now)
    assert woken == [1]
    waiting[1].finish(world.now)
    assert woken == [1, 2]
    assert isinstance(waiting[2].pick(world.now), Lease)


def test_calls_queue_until_their_deadline() -> None:
    world = limited(in_flight=1, queue=10)
    world.lease(world.begin())
    (waiter,) = queued(world, 1, [])
    world.now = waiter.deadline
    refusal = waiter.pick(world.now)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.status) == (Reason.TIMEOUT, 504)
    assert world.route.queued == 0
    assert world.route.breaker.snapshot(world.now).calls == 0


def test_a_full_instance_gets_no_more_and_its_room_goes_to_who_waits_longest() -> None:
    world, woken = limited(instances=2, per_instance=1), list[int]()
    busy = [world.begin() for _ in range(2)]
    leases = [world.lease(call) for call in busy]
    assert world.connections() == [1, 1]
    waiting = queued(world, 3, woken)
    assert world.route.queued == 3
    leases[1].release(world.now)
    assert woken == [0]
    assert isinstance(world.begin().pick(world.now), Wait), "nobody overtakes the waiter"
    assert world.lease(waiting[0]).instance.id == leases[1].instance.id
    assert max(world.connections()) == 1


def test_a_lease_granted_to_a_waiter_that_gives_up_goes_to_the_next() -> None:
    world, woken = limited(per_instance=1), list[int]()
    call = world.begin()
    lease = world.lease(call)
    waiting = queued(world, 2, woken)
    end(world, call, lease)
    waiting[0].finish(world.now)
    assert woken == [0, 1]
    assert isinstance(waiting[1].pick(world.now), Lease)


def test_a_new_instance_wakes_those_who_wait_in_their_order() -> None:
    world, woken = limited(per_instance=1), list[int]()
    world.lease(world.begin())
    waiting = queued(world, 3, woken)
    world.add(2)
    assert woken[:3] == [0, 1, 2]
    assert isinstance(waiting[1].pick(world.now), Wait), "the first one is first"
    assert world.lease(waiting[0]).instance.id == "api-2"


def test_those_who_wait_for_room_fill_the_same_queue() -> None:
    world = limited(per_instance=1, queue=2)
    world.lease(world.begin())
    queued(world, 2, [])
    assert world.refused().reason is Reason.OVERLOADED


def test_streams_and_tunnels_are_connections_but_not_under_the_limits() -> None:
    world = limited(in_flight=1, per_instance=1, queue=0)
    streams = [world.begin(STREAM) for _ in range(5)]
    for stream in streams:
        world.lease(stream)
    assert (world.connections(), world.route.in_flight) == ([5], 0)
    assert isinstance(world.begin().pick(world.now), Lease)
    for stream in streams:
        stream.finish(world.now)
    assert world.connections() == [1]


def test_a_call_that_turns_into_a_stream_gives_its_place_back() -> None:
    world, woken = limited(in_flight=1, per_instance=1), list[int]()
    stream = world.begin()
    world.lease(stream)
    (waiter,) = queued(world, 1, woken)
    stream.exempt(world.now)
    assert woken == [0]
    assert isinstance(waiter.pick(world.now), Lease)
    assert world.connections() == [2]
    stream.finish(world.now)
    waiter.finish(world.now)
    assert world.connections() == [0]


def test_wider_limits_let_those_who_wait_in() -> None:
    world, woken = limited(in_flight=1, queue=5), list[int]()
    world.begin()
    queued(world, 3, woken)
    world.router.configure("api", RoutePolicy(limits=LimitOptions(in_flight=3, queue=5)))
    assert sorted(set(woken)) == [0, 1]
    assert (world.route.in_flight, world.route.queued) == (3, 1)


def test_a_service_that_opened_meanwhile_refuses_those_who_queued() -> None:
    world = limited(in_flight=1, queue=5)
    call = world.begin()
    (waiter,) = queued(world, 1, [])
    world.route.breaker.force_open(world.now)
    call.finish(world.now)
    refusal = waiter.pick(world.now)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.BREAKER_OPEN
    assert (world.route.in_flight, world.route.queued) == (0, 0)
