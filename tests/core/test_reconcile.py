"""What is wanted against what is: every step is allowed, and the steps lead to the wish."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.config.models import Condition, Dependency
from msctl.core.reconcile import Wish, unmet
from msctl.model import Health, ServiceStatus
from tests.core.simulation import World, fact, start, starting, steps, stop, wish

# Replicas


def test_what_is_missing_is_started_and_what_is_right_is_left_alone() -> None:
    assert steps({"a": wish(2)}) == [start("a-1"), start("a-2")]
    assert steps({"a": wish(2)}, starting("a-1")) == [start("a-2")]
    assert steps({"a": wish(2)}, fact("a-1"), fact("a-2")) == []


def test_a_newcomer_gets_the_lowest_number_that_is_free() -> None:
    assert steps({"a": wish(3)}, fact("a-2")) == [start("a-1"), start("a-3")]
    going = fact("a-1", leaving=True)
    assert steps({"a": wish(2)}, going, fact("a-2")) == [start("a-3")]


def test_what_is_too_much_goes_newest_first() -> None:
    facts = [fact(f"a-{n}") for n in (2, 10, 9, 1)]
    assert steps({"a": wish(2)}, *facts) == [stop("a-10"), stop("a-9")]


def test_one_that_is_leaving_is_not_told_again_and_does_not_count() -> None:
    assert steps({"a": wish(1)}, fact("a-1"), fact("a-2", leaving=True)) == []
    assert steps({"a": wish(0)}, fact("a-1", leaving=True)) == []


def test_services_that_nobody_mentions_are_left_alone() -> None:
    assert steps({}, fact("a-1")) == []


@pytest.mark.parametrize(
    "status", [ServiceStatus.ERROR, ServiceStatus.COMPLETED, ServiceStatus.STOPPED]
)
def test_an_instance_that_has_ended_keeps_its_place_until_a_command(status: ServiceStatus) -> None:
    ended = fact("a-1", status, Health.UNHEALTHY)
    assert steps({"a": wish(1)}, ended) == []
    assert steps({"a": wish(2)}, ended) == [start("a-2")]
    assert steps({"a": wish(1, revision=2)}, ended) == [stop("a-1")]
    assert steps({"a": wish(0)}, ended) == [stop("a-1")]


# Revisions


def test_a_new_revision_starts_when_its_dependencies_have_theirs() -> None:
    wishes = {"a": wish(1, revision=2), "b": wish(1, "a", revision=2)}
    old = [fact("a-1"), fact("b-1")]
    assert steps(wishes, *old) == [start("a-2", 2)]
    assert steps(wishes, *old, starting("a-2", revision=2)) == []
    replaced = [fact("a-2", revision=2), fact("b-1")]
    assert steps(wishes, *replaced) == [start("b-2", 2)]


def test_what_may_not_run_beside_itself_is_stopped_when_its_dependencies_are_there() -> None:
    wishes = {"a": wish(1, revision=2, surge=0), "b": wish(1, "a", revision=2, surge=0)}
    assert steps(wishes, fact("a-1"), fact("b-1")) == [stop("a-1")]
    assert steps(wishes, fact("a-1", leaving=True), fact("b-1")) == []
    assert steps(wishes, fact("b-1")) == [start("a-1", 2)]
    assert steps(wishes, fact("a-1", revision=2), fact("b-1")) == [stop("b-1")]
    assert steps(wishes, fact("a-1", revision=2)) == [start("b-1", 2)]


def test_a_restart_of_a_dependency_leaves_its_dependents_alone() -> None:
    wishes = {"a": wish(1, revision=2), "b": wish(1, "a")}
    assert steps(wishes, fact("a-1"), fact("b-1")) == [start("a-2", 2)]


# Dependencies


@pytest.mark.parametrize(
    ("condition", "status", "health", "met"),
    [
        (Condition.HEALTHY, ServiceStatus.STARTING, Health.UNKNOWN, False),
        (Condition.HEALTHY, ServiceStatus.RUNNING, Health.UNHEALTHY, False),
        (Condition.HEALTHY, ServiceStatus.RUNNING, Health.DEGRADED, True),
        (Condition.HEALTHY, ServiceStatus.RUNNING, Health.HEALTHY, True),
        (Condition.HEALTHY, ServiceStatus.COMPLETED, Health.UNKNOWN, True),
        (Condition.HEALTHY, ServiceStatus.ERROR, Health.UNHEALTHY, False),
        (Condition.STARTED, ServiceStatus.RUNNING, Health.UNKNOWN, True),
        (Condition.STARTED, ServiceStatus.BACKOFF, Health.UNHEALTHY, False),
        (Condition.COMPLETED, ServiceStatus.RUNNING, Health.HEALTHY, False),
        (Condition.COMPLETED, ServiceStatus.COMPLETED, Health.UNKNOWN, True),
    ],
)
def test_a_service_starts_when_the_condition_holds(
    condition: Condition, status: ServiceStatus, health: Health, *, met: bool
) -> None:
    wishes = {"a": wish(1), "b": wish(1, Dependency(name="a", condition=condition))}
    assert steps(wishes, fact("a-1", status, health)) == ([start("b-1")] if met else [])
    assert unmet(wishes["b"], wishes, {"a": [fact("a-1", status, health)]}) == ["a"] * (not met)


def test_a_condition_that_ceases_to_hold_stops_nobody() -> None:
    wishes = {"a": wish(1), "b": wish(1, "a")}
    down = fact("a-1", ServiceStatus.BACKOFF, Health.UNHEALTHY)
    assert steps(wishes, down, fact("b-1")) == []


def test_a_dependency_that_nobody_wants_is_not_waited_for() -> None:
    assert steps({"b": wish(1, "a")}) == [start("b-1")]  # --no-deps
    assert steps({"a": wish(0), "b": wish(1, "a")}) == [start("b-1")]  # stopped by name


def test_an_optional_dependency_that_has_failed_is_not_waited_for() -> None:
    optional = Dependency(name="a", required=False)
    wishes = {"a": wish(1), "b": wish(1, optional)}
    assert steps(wishes) == [start("a-1")]
    assert steps(wishes, starting("a-1")) == []
    failed = fact("a-1", ServiceStatus.ERROR, Health.UNHEALTHY)
    assert steps(wishes, failed) == [start("b-1")]


def test_a_replica_on_its_way_out_is_no_dependency() -> None:
    wishes = {"a": wish(2), "b": wish(1, "a")}
    assert steps(wishes, starting("a-1"), fact("a-2", leaving=True)) == [start("a-3")]


def test_unmet_names_what_is_waited_for() -> None:
    wishes = {"a": wish(1), "b": wish(1), "c": wish(1, "a", "b", "other")}
    assert unmet(wishes["c"], wishes, {"a": [fact("a-1")]}) == ["b"]


# Stopping


def test_dependents_stop_before_what_they_depend_on() -> None:
    wishes = {"a": wish(0), "b": wish(0, "a"), "c": wish(0, "b")}
    facts = [fact("a-1"), fact("b-1"), fact("c-1")]
    assert steps(wishes, *facts) == [stop("c-1")]
    assert steps(wishes, *facts[:2], fact("c-1", leaving=True)) == []
    assert steps(wishes, *facts[:2]) == [stop("b-1")]
    assert steps(wishes, facts[0]) == [stop("a-1")]


def test_a_service_that_is_stopped_alone_does_not_wait_for_dependents_that_stay() -> None:
    assert steps({"a": wish(0), "b": wish(1, "a")}, fact("a-1"), fact("b-1")) == [stop("a-1")]


def test_what_is_scaled_to_nothing_waits_for_nobody_and_nobody_waits_for_it() -> None:
    standby = replace(wish(0), standby=True)
    assert steps({"a": standby, "b": wish(0, "a")}, fact("a-1"), fact("b-1")) == [
        stop("a-1"), stop("b-1")
    ]  # fmt: skip
    assert steps({"a": standby, "b": wish(1, "a")}) == [start("b-1")]


def test_scaling_down_waits_for_nobody() -> None:
    wishes = {"a": wish(1), "b": wish(0, "a")}
    facts = [fact("a-1"), fact("a-2"), fact("b-1")]
    assert steps(wishes, *facts) == [stop("a-2"), stop("b-1")]


# In the long run


NAMES = ["a", "b", "c", "d", "e"]


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, tuple[Dependency, ...]]:
    """Acyclic dependencies: each on some of those before it, in any order of mention."""
    needs = {}
    for number, name in enumerate(NAMES):
        subset = draw(st.sets(st.sampled_from(NAMES[:number]))) if number else set()
        needs[name] = tuple(
            Dependency(
                name=other,
                condition=draw(st.sampled_from([Condition.STARTED, Condition.HEALTHY])),
                required=draw(st.booleans()),
            )
            for other in sorted(subset)
        )
    return {name: needs[name] for name in draw(st.permutations(NAMES))}


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.integers(0, 3), st.booleans(), st.integers(0, 2), st.booleans()
    ),
    max_size=4,
)
Change = tuple[str, int, bool, int, bool]


def apply(
    world: World, graph: Mapping[str, tuple[Dependency, ...]], changes: Sequence[Change]
) -> None:
    """Change wishes as commands do: other replicas, and perhaps all of it anew."""
    for name, replicas, anew, surge, standby in changes:
        before = world.wishes.get(name)
        world.wishes[name] = Wish(
            replicas=replicas,
            revision=(before.revision if before else 1) + anew,
            surge=surge,
            standby=standby,
            dependencies=graph[name],
        )


@given(graphs(), st.lists(CHANGES, min_size=1, max_size=4), st.data())
def test_the_steps_lead_to_the_wish_whatever_changes_meanwhile(
    graph: dict[str, tuple[Dependency, ...]], commands: list[list[Change]], data: st.DataObject
) -> None:
    world = World({name: wish(1, *needs) for name, needs in graph.items()})
    for changes in commands:
        apply(world, graph, changes)
        world.turn()
        for _ in range(data.draw(st.integers(0, 4), label="moves before the next command")):
            if pending := world.pending():
                fails = data.draw(st.booleans(), label="it fails")
                world.advance(*data.draw(st.sampled_from(pending)), fails=fails)
                world.turn()
    # What failed under an earlier wish may stand in the way; the last command is heard by all.
    apply(
        world, graph, [(n, w.replicas, True, w.surge, w.standby) for n, w in world.wishes.items()]
    )
    world.turn()
    for _ in range(300):
        pending = world.pending()
        if not pending:
            break
        world.advance(*data.draw(st.sampled_from(pending)))
        world.turn()
    assert not world.pending()
    assert world.is_as_wished(), world


@given(graphs(), st.data())
def test_everything_stops_in_reverse_order_and_nothing_is_left(
    graph: dict[str, tuple[Dependency, ...]], data: st.DataObject
) -> None:
    world = World({name: wish(1, *needs) for name, needs in graph.items()})
    world.turn()
    while pending := world.pending():
        world.advance(*data.draw(st.sampled_from(pending)))
        world.turn()
    world.wishes = {name: replace(each, replicas=0) for name, each in world.wishes.items()}
    order: list[str] = []
    order += [step.service for step in world.turn()]
    while pending := world.pending():
        world.advance(*data.draw(st.sampled_from(pending)))
        order += [step.service for step in world.turn()]
    assert sorted(order) == NAMES
    for name, needs in graph.items():
        assert all(order.index(name) < order.index(need.name) for need in needs)
    assert not any(world.facts.values())
