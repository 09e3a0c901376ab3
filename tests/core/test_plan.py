from collections.abc import Mapping
from graphlib import CycleError
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.config.models import Condition, Dependency
from msctl.core.plan import DependencyGraph
from msctl.core.summary import ServiceSummary
from msctl.errors import UnknownService
from msctl.model import Health, ServiceStatus

S, H = ServiceStatus, Health


def needs(
    name: str, condition: Condition = Condition.HEALTHY, *, required: bool = True
) -> Dependency:
    return Dependency(name=name, condition=condition, required=required)


def graph(**edges: str) -> DependencyGraph:
    """Make a graph of one-letter services: `a="bc"` depends on b and c."""
    return DependencyGraph({name: [needs(d) for d in targets] for name, targets in edges.items()})


def state(
    status: ServiceStatus, health: Health = H.UNKNOWN, *, started: bool = False
) -> ServiceSummary:
    return ServiceSummary(status=status, health=health, ready=0, started=started)


def test_dependencies_come_first() -> None:
    assert graph(a="bc", b="c", c="").order() == ("c", "b", "a")


def test_the_order_is_that_of_the_configuration_where_dependencies_leave_a_choice() -> None:
    assert graph(z="", y="", x="").order() == ("z", "y", "x")
    assert graph(d="b", c="b", b="a", a="").order() == ("a", "b", "d", "c")


def test_a_closure_is_all_that_is_needed_and_nothing_else() -> None:
    shop = graph(a="b", b="c", c="", d="a", e="")
    assert shop.closure(["b", "e"]) == ("c", "e", "b")
    assert shop.closure([]) == ()


def test_without_dependencies_it_is_just_what_was_asked_for_in_start_order() -> None:
    assert graph(a="b", b="c", c="").closure(["a", "c"], no_deps=True) == ("c", "a")


def test_optional_dependencies_are_started_where_they_exist() -> None:
    shop = DependencyGraph(
        {"a": [needs("b", required=False), needs("elsewhere", required=False)], "b": []}
    )
    assert shop.closure(["a"]) == ("b", "a")


def test_dependents_are_the_direct_ones() -> None:
    shop = graph(a="b", b="c", c="", d="bc")
    assert shop.dependents("b") == ("a", "d")
    assert shop.dependents("c") == ("b", "d")
    assert shop.dependents("a") == ()


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    shop = DependencyGraph({"user-service": [], "order-service": []})
    for ask in (
        lambda: shop.closure(["usr-service"]),
        lambda: shop.dependents("usr-service"),
        lambda: shop.dependencies("usr-service"),
    ):
        with pytest.raises(UnknownService, match=r"did you mean user-service\?") as caught:
            ask()
        assert caught.value.nearest == "user-service"
    with pytest.raises(UnknownService) as caught:
        shop.closure(["zzz"])
    assert caught.value.nearest is None


def test_a_cycle_is_a_path_back_to_where_it_began() -> None:
    assert graph(x="a", a="b", b="c", c="a").cycles() == [("a", "b", "c", "a")]
    assert graph(a="a").cycles() == [("a", "a")]
    assert graph(a="b", b="a", c="d", d="c").cycles() == [("a", "b", "a"), ("c", "d", "c")]


def test_a_cycle_begins_with_its_first_member_in_the_configuration() -> None:
    assert graph(b="", a="c", c="d", d="a").cycles() == [("a", "c", "d", "a")]
    assert graph(top="d", a="c", c="d", d="a").cycles() == [("a", "c", "d", "a")]


def test_an_order_of_a_graph_with_cycles_is_refused() -> None:
    with pytest.raises(CycleError):
        graph(a="b", b="a").order()


def test_a_long_chain_is_no_problem() -> None:
    size = 3000
    chain = {f"s{n}": [needs(f"s{n + 1}")] for n in range(size)} | {f"s{size}": []}
    shop = DependencyGraph(chain)
    assert shop.cycles() == []
    assert shop.closure(["s0"])[0] == f"s{size}"


def test_shared_dependencies_are_walked_once_not_once_for_every_way_to_them() -> None:
    layers = 60  # 2**60 ways from top to bottom
    edges = {
        f"{side}{n}": [needs(f"{other}{n + 1}") for other in "lr"] if n < layers else []
        for n in range(layers + 1)
        for side in "lr"
    }
    assert DependencyGraph(edges).cycles() == []


MET = {
    Condition.STARTED: [
        state(S.STARTING, started=True),
        state(S.RUNNING, H.UNHEALTHY, started=True),
        state(S.COMPLETED, started=True),
    ],
    Condition.HEALTHY: [
        state(S.RUNNING, H.HEALTHY, started=True),
        state(S.RUNNING, H.DEGRADED, started=True),
        state(S.COMPLETED, started=True),
    ],
    Condition.COMPLETED: [state(S.COMPLETED, started=True)],
}
NOT_MET: dict[Condition, list[ServiceSummary | None]] = {
    Condition.STARTED: [None, state(S.STOPPED), state(S.STARTING), state(S.ERROR)],
    Condition.HEALTHY: [
        None,
        state(S.STARTING, started=True),
        state(S.RUNNING, H.UNHEALTHY, started=True),
        state(S.RUNNING, H.UNKNOWN, started=True),
        state(S.BACKOFF, H.UNHEALTHY),
        state(S.STOPPED),
    ],
    Condition.COMPLETED: [
        None,
        state(S.RUNNING, H.HEALTHY, started=True),
        state(S.STOPPED),
        state(S.ERROR),
    ],
}


@pytest.mark.parametrize(("condition", "found"), [(c, s) for c, all_ in MET.items() for s in all_])
def test_a_service_may_start_when_its_condition_holds(
    condition: Condition, found: ServiceSummary
) -> None:
    assert DependencyGraph({"a": [needs("b", condition)], "b": []}).ready("a", lambda _: found)


@pytest.mark.parametrize(
    ("condition", "found"), [(c, s) for c, all_ in NOT_MET.items() for s in all_]
)
def test_a_service_waits_while_its_condition_does_not_hold(
    condition: Condition, found: ServiceSummary | None
) -> None:
    dependency = needs("b", condition)
    shop = DependencyGraph({"a": [dependency], "b": []})
    assert not shop.ready("a", lambda _: found)
    assert shop.unmet("a", lambda _: found) == (dependency,)


def test_a_service_waits_for_every_one_of_its_dependencies() -> None:
    shop = graph(a="bc", b="", c="")
    states = {"b": state(S.RUNNING, H.HEALTHY), "c": state(S.STARTING)}
    assert shop.unmet("a", states.get) == (needs("c"),)
    states["c"] = state(S.RUNNING, H.HEALTHY)
    assert shop.ready("a", states.get)
    assert shop.ready("b", states.get)


def test_an_optional_dependency_is_waited_for_but_its_failure_holds_nothing_up() -> None:
    shop = DependencyGraph({"a": [needs("b", required=False)], "b": []})
    assert not shop.ready("a", lambda _: state(S.STARTING))
    assert shop.ready("a", lambda _: state(S.ERROR))
    assert shop.ready("a", lambda _: None)


def test_a_failed_dependency_dooms_the_wait_and_one_that_is_retried_does_not() -> None:
    shop = graph(a="bc", b="", c="")
    states = {"b": state(S.ERROR), "c": state(S.BACKOFF)}
    assert shop.doomed("a", states.get) == (needs("b"),)


names = st.sampled_from("abcdefg")
any_edges = st.dictionaries(names, st.lists(names, max_size=4), max_size=7)


@st.composite
def acyclic_edges(draw: st.DrawFn) -> dict[str, list[str]]:
    order = draw(st.permutations("abcdefg"))
    edges = {
        n: draw(st.lists(st.sampled_from(order[:i]), max_size=4)) if i else []
        for i, n in enumerate(order)
    }
    return {name: edges[name] for name in draw(st.permutations("abcdefg"))}


def graph_of(edges: Mapping[str, list[str]]) -> DependencyGraph:
    return DependencyGraph({name: [needs(d) for d in targets] for name, targets in edges.items()})


@given(acyclic_edges())
def test_the_order_respects_every_dependency(edges: dict[str, list[str]]) -> None:
    order = graph_of(edges).order()
    assert sorted(order) == sorted(edges)
    assert order == graph_of(edges).order()
    assert all(order.index(d) < order.index(name) for name, ds in edges.items() for d in ds)


@given(acyclic_edges(), st.sets(names))
def test_a_closure_is_closed_minimal_and_ordered(
    edges: dict[str, list[str]], asked: set[str]
) -> None:
    shop = graph_of(edges)
    closure = shop.closure(asked)
    assert asked <= set(closure)
    assert all(d in closure for name in closure for d in edges[name])
    assert all(name in asked or any(name in edges[o] for o in closure) for name in closure)
    assert closure == tuple(name for name in shop.order() if name in closure)


@given(acyclic_edges())
def test_a_graph_that_can_be_ordered_has_no_cycle(edges: dict[str, list[str]]) -> None:
    assert graph_of(edges).cycles() == []


@given(any_edges)
def test_a_cycle_is_found_exactly_when_there_is_one(edges: dict[str, list[str]]) -> None:
    shop = graph_of(edges)
    cycles = shop.cycles()
    try:
        shop.order()
    except CycleError:
        assert cycles
    else:
        assert not cycles
    for path in cycles:
        assert path[0] == path[-1]
        assert len(set(path)) == len(path) - 1
        assert all(after in edges[before] for before, after in pairwise(path))


@given(acyclic_edges())
def test_dependents_and_dependencies_mirror_each_other(edges: dict[str, list[str]]) -> None:
    shop = graph_of(edges)
    there = {(name, d.name) for name in edges for d in shop.dependencies(name)}
    back = {(name, target) for target in edges for name in shop.dependents(target)}
    assert there == back
