from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.config.models import ServiceConfig
from msctl.config.rules import check_fleet, find_cycles

HERE = Path("/project")


def findings(*services: dict[str, Any], gateway_port: int | None = None) -> list[str]:
    fleet = {
        keys["name"]: ServiceConfig(**{"port": 8000 + index, **keys})
        for index, keys in enumerate(services)
    }
    found = check_fleet(fleet, project_dir=HERE, gateway_port=gateway_port)
    return [f"{name} {path}: {message}" for name, path, message in found]


def test_services_that_agree_have_no_findings() -> None:
    assert findings({"name": "a"}, {"name": "b", "dependencies": ["a"]}) == []


def test_an_unknown_dependency_comes_with_the_nearest_name() -> None:
    [found] = findings({"name": "user-service"}, {"name": "b", "dependencies": ["usr-service"]})
    assert found.startswith("b ('dependencies', 0): no service is called usr-service")
    assert "(did you mean user-service?)" in found


def test_an_unknown_dependency_is_not_mistaken_for_the_service_itself() -> None:
    [found] = findings({"name": "user-service", "dependencies": ["user-servic"]})
    assert "did you mean" not in found


def test_a_cycle_is_printed_as_a_path() -> None:
    [found] = findings(
        {"name": "a", "dependencies": ["b"]},
        {"name": "b", "dependencies": ["c"]},
        {"name": "c", "dependencies": ["a"]},
    )
    assert "dependency cycle: a → b → c → a; remove" in found


def test_a_dependency_on_itself_is_a_cycle() -> None:
    [found] = findings({"name": "a", "dependencies": ["a"]})
    assert "depends on itself: a → a" in found


def test_one_port_belongs_to_one_service() -> None:
    [found] = findings({"name": "a", "port": 9}, {"name": "b", "port": 9}, {"name": "c"})
    assert found == "b ('port',): a has port 9 already; choose another one, or auto"


def test_the_gateways_port_belongs_to_the_gateway() -> None:
    [found] = findings({"name": "a", "port": 9}, gateway_port=9)
    assert "the gateway has port 9 already" in found


def test_auto_ports_do_not_collide() -> None:
    assert findings({"name": "a", "port": "auto"}, {"name": "b", "port": "auto"}) == []


def test_one_store_belongs_to_one_service() -> None:
    [found] = findings(
        {"name": "a", "data": ["postgres://u:pw@db/shop", "a.db"]},
        {"name": "b", "data": ["b.db", "postgresql://other@db:5432/shop?x=1"]},
    )
    assert found.startswith("b ('data', 1): a owns this data store already (postgresql://db:5432/")
    assert "pw" not in found


def test_waiting_for_the_end_of_what_is_always_restarted_is_refused() -> None:
    [found] = findings(
        {"name": "a", "restart": "always"},
        {"name": "b", "dependencies": {"a": {"condition": "completed"}}},
    )
    assert "never completes" in found


@pytest.mark.parametrize(
    ("graph", "cycles"),
    [
        ({}, []),
        ({"a": ["b"], "b": []}, []),
        ({"a": ["x"]}, []),
        ({"a": ["a"]}, [("a",)]),
        ({"a": ["b"], "b": ["a"]}, [("a", "b")]),
        ({"z": ["b"], "b": ["c"], "c": ["b"]}, [("b", "c")]),
        ({"a": ["b"], "b": ["a", "c"], "c": ["b"]}, [("a", "b"), ("b", "c")]),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, []),
    ],
)
def test_cycles_of_a_graph(graph: dict[str, list[str]], cycles: list[tuple[str, ...]]) -> None:
    assert find_cycles(graph) == cycles


def test_a_long_chain_is_no_problem() -> None:
    graph = {f"s{n}": [f"s{n + 1}"] for n in range(5000)}
    assert find_cycles(graph | {"s5000": ["s0"]}) == [tuple(f"s{n}" for n in range(5001))]


NAMES = st.sampled_from("abcdef")


@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=4), max_size=6))
def test_a_graph_has_cycles_exactly_when_it_has_no_order(graph: dict[str, list[str]]) -> None:
    known = {name: [each for each in following if each in graph]
             for name, following in graph.items()}  # fmt: skip
    try:
        TopologicalSorter(known).prepare()
        has_order = True
    except CycleError:
        has_order = False
    cycles = find_cycles(graph)
    assert bool(cycles) is not has_order
    for cycle in cycles:
        for name, following in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            assert following in graph[name]
    edges = {(cycle[-1], cycle[0]) for cycle in cycles} | {
        pair for cycle in cycles for pair in pairwise(cycle)
    }
    without = {
        name: [each for each in following if (name, each) not in edges]
        for name, following in known.items()
    }
    TopologicalSorter(without).prepare()
