"""A call over the express lane is a call like any other, only cheaper."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msctl.config.traffic import Algorithm
from msctl.core.breaker_options import BreakerOptions
from msctl.core.decision import Refusal
from msctl.core.express import Track
from msctl.core.router import Lease, LimitOptions, Outcome, RoutePolicy
from msctl.model import BreakerState, Health, ServiceStatus
from tests.core.routes import GET, World

SEEDS = st.integers(0, 2**32)
FEW = settings(max_examples=15, deadline=None)
OPTIONS = BreakerOptions(failure_threshold=3)


def take(world: World) -> Track:
    track = world.route.express.take(world.now)
    assert track is not None, "the lane is closed"
    return track


def done(world: World, track: Track, status: int = 200, *, generation: int = 0) -> bool:
    return world.route.express.done(track, generation, status, world.now, world.now)


def adopt(world: World, track: Track) -> str:
    """Hand a call over at once and have it answered there."""
    call, lease = world.route.express.adopt(track, 0, GET, world.now)
    world.answer(call, lease, 200)
    lease.release(world.now)
    call.finish(world.now)
    return lease.instance.id


def any_way(world: World, chance: Random) -> str:
    """Make one call in one of the ways there are; returns the one that got it."""
    world.now += chance.choice((0.0, 0.0, 0.0, 0.3, 1.7))
    way = chance.randrange(3)
    if way == 0:
        return world.send(200)
    track = take(world)
    if way == 1:
        return adopt(world, track)
    done(world, track)
    return track.instance.id


@FEW
@given(SEEDS, st.integers(1, 5))
def test_no_prefix_differs_by_more_than_one_whichever_way_calls_go(seed: int, size: int) -> None:
    world, chance = World(size), Random(seed)
    picks = Counter({f"api-{number}": 0 for number in range(1, size + 1)})
    for _ in range(300):
        picks[any_way(world, chance)] += 1
        assert max(picks.values()) - min(picks.values()) <= 1


@FEW
@given(SEEDS, st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_every_round_gives_each_its_weight_whichever_way_calls_go(
    seed: int, weights: list[int]
) -> None:
    world, chance = World(len(weights)), Random(seed)
    for number, weight in enumerate(weights, 1):
        world.change(f"api-{number}", weight=weight)
    for _ in range(20):
        picks = Counter(any_way(world, chance) for _ in range(sum(weights)))
        assert [picks[f"api-{n}"] for n in range(1, len(weights) + 1)] == weights


@FEW
@given(SEEDS, st.integers(0, 50), st.integers(1, 4))
def test_with_one_of_four_down_the_others_get_a_third_each(
    seed: int, before: int, down: int
) -> None:
    world, chance = World(4), Random(seed)
    for _ in range(before):
        any_way(world, chance)
    world.change(f"api-{down}", health=Health.UNHEALTHY)
    picks = Counter(any_way(world, chance) for _ in range(300))
    assert set(picks.values()) == {100}
    world.change(f"api-{down}", health=Health.HEALTHY)
    back = Counter(any_way(world, chance) for _ in range(400))
    assert max(back.values()) - min(back.values()) <= 1


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_call_on_the_lane_holds_one_connection_and_one_place(algorithm: Algorithm) -> None:
    world = World(3, RoutePolicy(algorithm=algorithm))
    tracks = [take(world) for _ in range(9)]
    assert (sum(world.connections()), world.route.in_flight) == (9, 9)
    for number, track in enumerate(tracks):
        if number % 3 == 0:
            assert done(world, track)
        elif number % 3 == 1:
            world.route.express.abandon(track, world.now)
        else:
            adopt(world, track)
        assert (sum(world.connections()), world.route.in_flight) == (8 - number, 8 - number)


@pytest.mark.parametrize(
    "disturb",
    [
        lambda world: world.change("api-1", health=Health.DEGRADED),
        lambda world: world.route.instance_breaker("api-1").force_closed(world.now),
        lambda world: world.route.instance_breaker("api-1").force_open(world.now),
        lambda world: world.route.breaker.force_open(world.now),
        lambda world: world.route.configure(RoutePolicy(limits=LimitOptions(per_instance=9))),
        lambda world: [world.change(f"api-{n}", health=Health.UNHEALTHY) for n in (1, 2)],
    ],
)
def test_the_lane_is_closed_while_there_is_something_to_decide(
    disturb: Callable[[World], object],
) -> None:
    world = World(2)
    done(world, take(world))
    disturb(world)
    assert world.route.express.take(world.now) is None


def test_a_full_house_closes_the_lane_and_a_good_end_lets_the_queue_in() -> None:
    world = World(2, RoutePolicy(limits=LimitOptions(in_flight=1)))
    track = take(world)
    assert world.route.express.take(world.now) is None
    call = world.begin()
    woken: list[bool] = []
    call.wake = lambda: woken.append(True)
    world.wait(call)
    assert done(world, track)
    assert woken
    world.lease(call)
    call.finish(world.now)


def test_a_breaker_that_opens_closes_the_lane_until_it_has_closed_again() -> None:
    world = World(2, RoutePolicy(breaker=OPTIONS))
    done(world, take(world))
    for _ in range(3):
        world.send(500, only="api-1")
    assert world.route.instance_breaker("api-1").state(world.now) is BreakerState.OPEN
    assert world.route.express.take(world.now) is None
    world.route.instance_breaker("api-1").reset(world.now)
    take(world)


def test_a_good_end_on_the_lane_ends_a_run_of_failures_and_a_4xx_does_not() -> None:
    world = World(1, RoutePolicy(breaker=OPTIONS))
    for status, run in ((404, 2), (200, 0)):
        world.route.instance_breaker("api-1").reset(world.now)
        world.route.catch_up(world.now)
        world.send(500)
        world.send(500)
        done(world, take(world), status)
        assert world.route.instance_breaker("api-1").snapshot(world.now).failures_in_a_row == run


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("reopened", [True, False])
def test_what_ends_under_a_later_generation_counts_nowhere(status: int, *, reopened: bool) -> None:
    world = World(1, RoutePolicy(breaker=OPTIONS))
    track = take(world)
    breaker = world.route.instance_breaker("api-1")
    breaker.force_open(world.now)
    breaker.auto(world.now)
    if reopened:
        done(world, take(world))
    before = breaker.snapshot(world.now)
    assert not done(world, track, status)
    assert breaker.snapshot(world.now) == before


def test_what_began_under_other_breaker_numbers_counts_nowhere() -> None:
    world = World(1)
    tracks = [take(world), take(world)]
    world.route.configure(RoutePolicy(breaker=OPTIONS))
    done(world, tracks[0])
    call, lease = world.route.express.adopt(tracks[1], 0, GET, world.now)
    assert isinstance(world.fail(call, lease, Outcome.MALFORMED), Refusal)
    assert [breaker.snapshot(world.now).calls for breaker in world.route.breakers()] == [0, 0]


def test_an_end_after_its_process_left_the_lane_is_not_well_though_the_lane_is_open() -> None:
    """Or its connection would be kept, and its count be lost in a bucket that nobody turns."""
    world = World(2)
    track = take(world)
    world.change(track.instance.id, status=ServiceStatus.DRAINING)
    other = take(world)
    assert not done(world, track)
    assert done(world, other)
    assert world.route.instance_breaker(track.instance.id).snapshot(world.now).calls == 1


def test_a_changed_weight_changes_the_shares_at_once() -> None:
    world = World(2)
    done(world, take(world))
    world.change("api-2", weight=3)
    picks = Counter(take(world).instance.id for _ in range(400))
    assert abs(picks["api-2"] - 300) <= 1


@pytest.mark.parametrize("end", ["done", "abandon"])
def test_a_call_that_waits_for_room_is_woken_by_the_end_of_one_on_the_lane(end: str) -> None:
    world = World(1)
    track = take(world)
    limits = LimitOptions(per_instance=1)
    world.route.configure(RoutePolicy(limits=limits))
    call = world.begin()
    world.wait(call)
    woken: list[bool] = []
    call.wake = lambda: woken.append(True)
    if end == "done":
        done(world, track)
    else:
        world.route.express.abandon(track, world.now)
    assert woken
    assert isinstance(call.pick(world.now), Lease)
    call.finish(world.now)


def test_a_call_that_is_handed_over_keeps_the_limits_that_it_began_with() -> None:
    world = World(2, RoutePolicy(timeout=20))
    track = take(world)
    world.route.configure(replace(world.route.policy, timeout=1, retries=None))
    call, lease = world.route.express.adopt(track, 0, GET, world.now)
    assert call.deadline == world.now + 20
    world.fail(call, lease, Outcome.LOST)
    assert world.lease(call).instance.id != lease.instance.id
    call.finish(world.now)


def test_an_instance_that_was_served_by_the_lane_is_no_newcomer_to_another_algorithm() -> None:
    world = World(2)
    done(world, take(world))
    world.now += 60
    world.add(3)
    world.route.configure(RoutePolicy(algorithm=Algorithm.LEAST_CONNECTIONS))
    picks = Counter(take(world).instance.id for _ in range(12))
    assert picks["api-3"] <= 1
