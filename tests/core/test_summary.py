from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.core.summary import PRECEDENCE, summarize
from msctl.model import Health, ServiceInstance, ServiceStatus
from tests.core.instances import instance

S, H = ServiceStatus, Health


def of(*states: tuple[ServiceStatus, Health]) -> list[ServiceInstance]:
    return [instance(f"api-{n}", *state) for n, state in enumerate(states, start=1)]


def test_a_service_without_instances_is_stopped() -> None:
    summary = summarize([], wanted=1)
    assert (summary.status, summary.health, summary.ready) == (S.STOPPED, H.UNKNOWN, 0)
    assert not summary.started


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([S.STOPPED, S.RUNNING], S.RUNNING),
        ([S.BACKOFF, S.STARTING], S.STARTING),
        ([S.ERROR, S.BACKOFF], S.BACKOFF),
        ([S.DRAINING, S.ERROR], S.ERROR),
        ([S.STOPPING, S.DRAINING], S.DRAINING),
        ([S.COMPLETED, S.STOPPING], S.STOPPING),
        ([S.STOPPED, S.COMPLETED], S.COMPLETED),
        ([S.STOPPED], S.STOPPED),
    ],
)
def test_its_status_is_that_of_the_liveliest_instance(
    statuses: list[ServiceStatus], expected: ServiceStatus
) -> None:
    assert summarize(of(*((s, H.UNKNOWN) for s in statuses)), wanted=1).status is expected


def test_every_status_has_a_place() -> None:
    assert sorted(PRECEDENCE) == sorted(ServiceStatus)


@pytest.mark.parametrize(
    ("states", "wanted", "health", "ready"),
    [
        pytest.param([(S.RUNNING, H.HEALTHY)], 1, H.HEALTHY, 1, id="all"),
        pytest.param([(S.RUNNING, H.HEALTHY)], 2, H.DEGRADED, 1, id="one is missing"),
        pytest.param(
            [(S.RUNNING, H.HEALTHY), (S.RUNNING, H.UNHEALTHY)], 2, H.DEGRADED, 1, id="one is ill"
        ),
        pytest.param(
            [(S.RUNNING, H.HEALTHY), (S.STARTING, H.UNKNOWN)], 1, H.HEALTHY, 1, id="start-first"
        ),
        pytest.param([(S.RUNNING, H.DEGRADED)], 1, H.DEGRADED, 0, id="it says so itself"),
        pytest.param([(S.RUNNING, H.UNHEALTHY)], 1, H.UNHEALTHY, 0, id="none"),
        pytest.param([(S.STARTING, H.UNKNOWN)], 1, H.UNKNOWN, 0, id="not yet"),
        pytest.param([(S.BACKOFF, H.UNKNOWN)], 1, H.UNHEALTHY, 0, id="it crashed"),
        pytest.param([(S.ERROR, H.UNKNOWN)], 1, H.UNHEALTHY, 0, id="it failed"),
        pytest.param([(S.DRAINING, H.HEALTHY)], 1, H.UNKNOWN, 0, id="it takes no more"),
        pytest.param([(S.COMPLETED, H.UNKNOWN)], 1, H.UNKNOWN, 0, id="it is done"),
        pytest.param([], 0, H.UNKNOWN, 0, id="none wanted"),
        pytest.param([(S.RUNNING, H.HEALTHY)], 0, H.HEALTHY, 1, id="none wanted, one there"),
    ],
)
def test_its_health_is_that_of_the_wanted_replicas(
    states: list[tuple[ServiceStatus, Health]], wanted: int, health: Health, ready: int
) -> None:
    summary = summarize(of(*states), wanted)
    assert (summary.health, summary.ready) == (health, ready)


def test_it_has_started_once_a_process_was_started_and_did_not_fail() -> None:
    waiting = instance(status=S.STARTING, health=H.UNKNOWN)
    spawned = replace(waiting, started_at=1.0)
    assert not summarize([waiting], 1).started
    assert summarize([spawned], 1).started
    assert summarize([replace(spawned, status=S.RUNNING)], 1).started
    assert summarize([replace(spawned, status=S.COMPLETED)], 1).started
    assert not summarize([replace(spawned, status=S.BACKOFF)], 1).started


states = st.lists(st.tuples(st.sampled_from(S), st.sampled_from(H)), max_size=6)


@given(states, st.integers(1, 6))
def test_a_summary_is_coherent_and_blind_to_order(
    found: list[tuple[ServiceStatus, Health]], wanted: int
) -> None:
    instances = of(*found)
    summary = summarize(instances, wanted)
    assert summary == summarize(reversed(instances), wanted)
    assert summary.ready <= len(instances)
    assert (summary.health is H.HEALTHY) == (summary.ready >= wanted)
    assert (summary.status is S.RUNNING) == any(i.status is S.RUNNING for i in instances)
    if summary.health in {H.HEALTHY, H.DEGRADED}:
        assert any(i.in_rotation for i in instances)
