"""One service on its way from the instances it has to those it should have."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.core.reconcile import Fact, Start, Stop, Wish, is_held
from msctl.model import Health, ServiceStatus
from tests.core.simulation import World, fact, failed, start, starting, steps, stop, wish

ANEW = {"a": wish(3, revision=2)}


def new(id_: str) -> Fact:
    return fact(id_, revision=2)


def test_the_new_one_starts_first_and_the_old_one_goes_when_it_serves() -> None:
    wishes = {"a": wish(1, revision=2)}
    assert steps(wishes, fact("a-1")) == [start("a-2", 2)]
    assert steps(wishes, fact("a-1"), starting("a-2", revision=2)) == []
    assert steps(wishes, fact("a-1"), new("a-2")) == [stop("a-1")]
    assert steps(wishes, fact("a-1", leaving=True), new("a-2")) == []
    assert steps(wishes, new("a-2")) == []


def test_they_are_replaced_one_after_the_other_the_oldest_first() -> None:
    old = [fact("a-1", since=3), fact("a-2", since=1), fact("a-3", since=2)]
    assert steps(ANEW, *old) == [start("a-4", 2)]
    assert steps(ANEW, *old, new("a-4")) == [stop("a-2")]
    going = replace(old[1], leaving=True)
    assert steps(ANEW, old[0], going, old[2], new("a-4")) == []
    assert steps(ANEW, old[0], old[2], new("a-4")) == [start("a-2", 2)]
    assert steps(ANEW, old[0], old[2], new("a-4"), new("a-2")) == [stop("a-3")]


def test_several_at_once_where_that_is_asked_for() -> None:
    wishes = {"a": wish(3, revision=2, surge=2)}
    old = [fact("a-1"), fact("a-2"), fact("a-3")]
    assert steps(wishes, *old) == [start("a-4", 2), start("a-5", 2)]
    assert steps(wishes, *old, new("a-4"), new("a-5")) == [stop("a-1"), stop("a-2")]
    assert steps(wishes, old[2], new("a-4"), new("a-5")) == [start("a-1", 2)]


def test_what_serves_nobody_is_replaced_first() -> None:
    sick = fact("a-2", health=Health.UNHEALTHY, since=2)
    old = [fact("a-1", since=1), sick, fact("a-3", since=3)]
    assert steps(ANEW, *old, new("a-4")) == [stop("a-2")]


@pytest.mark.parametrize("status", [ServiceStatus.ERROR, ServiceStatus.BACKOFF])
def test_a_new_one_that_fails_stops_it_and_the_old_ones_stay(status: ServiceStatus) -> None:
    old = [fact("a-1"), fact("a-2"), fact("a-3")]
    broken = fact("a-4", status, Health.UNHEALTHY, revision=2)
    wishes = {"a": wish(3, revision=2, surge=2)}
    assert steps(wishes, *old, broken) == []
    assert steps(wishes, *old, broken, new("a-5")) == []
    assert is_held(wishes["a"], [*old, broken])
    assert not is_held(wishes["a"], [broken]), "there is nobody else to stay"


def test_the_way_back_is_a_wish_for_the_old_revision() -> None:
    old = [fact("a-1"), fact("a-2"), fact("a-3")]
    assert steps({"a": wish(3)}, *old, failed("a-4", revision=2)) == [stop("a-4")]
    assert steps({"a": wish(3)}, *old, starting("a-4", revision=2)) == [stop("a-4")]


def test_a_later_wish_gives_up_what_was_starting_for_an_earlier_one() -> None:
    old = [fact("a-1"), starting("a-2", revision=2)]
    wishes = {"a": wish(1, revision=3)}
    assert steps(wishes, *old) == [stop("a-2")]
    going = replace(old[1], leaving=True)
    assert steps(wishes, old[0], going) == []
    assert steps(wishes, old[0]) == [start("a-2", 3)]


def test_what_had_ended_goes_at_once_and_its_place_is_taken() -> None:
    wishes = {"a": wish(1, revision=2)}
    assert steps(wishes, failed("a-1")) == [stop("a-1")]
    assert steps(wishes) == [start("a-1", 2)]


def test_a_job_that_is_done_has_replaced_the_one_before() -> None:
    wishes = {"a": wish(1, revision=2)}
    done = fact("a-2", ServiceStatus.COMPLETED, Health.UNKNOWN, revision=2)
    assert steps(wishes, fact("a-1"), done) == [stop("a-1")]


def test_a_new_revision_with_more_replicas_starts_them_together() -> None:
    wishes = {"a": wish(4, revision=2)}
    assert steps(wishes, fact("a-1"), fact("a-2")) == [start(f"a-{n}", 2) for n in (3, 4, 5)]


def test_a_new_revision_with_fewer_replicas_lets_the_others_go_first() -> None:
    wishes = {"a": wish(1, revision=2)}
    old = [fact("a-1"), fact("a-2"), fact("a-3")]
    assert steps(wishes, *old) == [stop("a-1"), stop("a-2")]
    assert steps(wishes, old[2]) == [start("a-1", 2)]


def test_what_may_not_run_beside_itself_stops_first() -> None:
    wishes = {"a": wish(1, revision=2, surge=0)}
    assert steps(wishes, fact("a-1")) == [stop("a-1")]
    assert steps(wishes, fact("a-1", leaving=True)) == []
    assert steps(wishes) == [start("a-1", 2)]
    same = {"a": wish(1, surge=0)}
    assert steps(same, fact("a-1", leaving=True)) == [], "nor when it is scaled to 0 and back"


def test_what_is_too_much_goes_newest_first_and_before_it_what_serves_nobody() -> None:
    facts = [fact("a-1", since=5), fact("a-2", since=1), fact("a-3", since=2), failed("a-4")]
    assert steps({"a": wish(3)}, *facts) == [stop("a-4")]
    assert steps({"a": wish(1)}, *facts) == [stop("a-4"), stop("a-1"), stop("a-3")]


def test_scaling_up_does_not_wait_for_those_that_drain() -> None:
    going = [fact(f"a-{n}", leaving=True) for n in (2, 3)]
    assert steps({"a": wish(3)}, fact("a-1"), *going) == [start("a-4"), start("a-5")]


@given(
    replicas=st.integers(1, 5),
    before=st.integers(1, 5),
    surge=st.integers(1, 3),
    data=st.data(),
)
def test_as_many_as_are_wanted_serve_all_the_time(
    replicas: int, before: int, surge: int, data: st.DataObject
) -> None:
    old = [fact(f"a-{n}", since=-float(n)) for n in range(1, before + 1)]
    world = World({"a": Wish(replicas=replicas, revision=2, surge=surge)}, {"a": old})
    world.turn()
    while pending := world.pending():
        world.advance(*data.draw(st.sampled_from(pending)))
        world.turn()
        assert world.serving("a") >= min(before, replicas)
        assert len(world.facts["a"]) <= max(before, replicas + surge)
    assert world.is_as_wished()


@given(replicas=st.integers(1, 4), surge=st.integers(1, 3), data=st.data())
def test_one_failed_start_keeps_what_is_left_of_the_old_ones(
    replicas: int, surge: int, data: st.DataObject
) -> None:
    old = [fact(f"a-{n}", since=-float(n)) for n in range(1, replicas + 1)]
    world = World({"a": Wish(replicas=replicas, revision=2, surge=surge)}, {"a": old})
    world.turn()
    failing = data.draw(st.integers(1, replicas), label="the start that fails")
    for _ in range(100):
        pending = world.pending()
        if not pending:
            break
        service, moving = data.draw(st.sampled_from(pending))
        failing -= not moving.leaving
        broke = failing == 0 and not moving.leaving
        world.advance(service, moving, fails=broke)
        said = world.turn()
        if failing <= 0 and any(each.revision == 1 for each in world.facts["a"]):
            assert not any(isinstance(step, Start | Stop) for step in said)
    assert world.serving("a") >= replicas
    assert any(each.revision == 1 for each in world.facts["a"])
    world.wishes["a"] = Wish(replicas=replicas, revision=1, surge=surge)
    world.turn()
    while pending := world.pending():
        world.advance(*data.draw(st.sampled_from(pending)))
        world.turn()
    assert world.is_as_wished()
