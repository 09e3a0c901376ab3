from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.core.lifecycle import ALIVE, TRANSITIONS, advance, health_without_check
from msctl.errors import IllegalTransition
from msctl.model import Health, ServiceStatus

S = ServiceStatus

LIVES = {
    "an ordinary life": [S.STARTING, S.RUNNING, S.DRAINING, S.STOPPING, S.STOPPED, S.STARTING],
    "a stop before it ran": [S.STARTING, S.STOPPING, S.STOPPED],
    "a stop without connections to drain": [S.RUNNING, S.STOPPING, S.STOPPED],
    "an exit while it drained": [S.RUNNING, S.DRAINING, S.STOPPED],
    "a crash and a restart": [S.RUNNING, S.BACKOFF, S.STARTING, S.RUNNING],
    "a startup failure, started again by command": [S.STARTING, S.ERROR, S.STARTING],
    "a stop while it waits": [S.BACKOFF, S.STOPPED],
    "a job, run again": [S.STARTING, S.COMPLETED, S.STARTING, S.RUNNING, S.COMPLETED, S.STOPPED],
    "a failing liveness check": [S.RUNNING, S.STOPPING, S.BACKOFF, S.STARTING],
    "a stop that clears an error": [S.ERROR, S.STOPPED],
}


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
def test_a_life_follows_the_table(life: list[ServiceStatus]) -> None:
    status = life[0]
    for following in life[1:]:
        status = advance(status, following)
        assert status is following


def test_every_status_has_a_row_and_can_be_left_and_reached() -> None:
    assert set(TRANSITIONS) == set(ServiceStatus)
    assert all(TRANSITIONS.values())
    assert frozenset().union(*TRANSITIONS.values()) == set(ServiceStatus)


@pytest.mark.parametrize(("current", "to"), list(product(S, S)))
def test_a_pair_that_the_table_lacks_raises_and_says_what_is_legal(
    current: ServiceStatus, to: ServiceStatus
) -> None:
    if to in TRANSITIONS[current]:
        assert advance(current, to) is to
    else:
        with pytest.raises(IllegalTransition, match=f"{current} cannot become {to}, only "):
            advance(current, to)


@pytest.mark.parametrize("status", [S.DRAINING, S.STOPPING])
def test_what_leaves_never_runs_again_in_this_process(status: ServiceStatus) -> None:
    reached = {status}
    while new := {to for s in reached for to in TRANSITIONS[s] if to is not S.STARTING} - reached:
        reached |= new
    assert S.RUNNING not in reached


@given(st.lists(st.sampled_from(S)))
def test_a_process_begins_in_starting_and_nowhere_else(wishes: list[ServiceStatus]) -> None:
    status = S.STOPPED
    for wish in wishes:
        try:
            following = advance(status, wish)
        except IllegalTransition:
            continue
        if status not in ALIVE and following in ALIVE:
            assert following is S.STARTING
        status = following


@pytest.mark.parametrize("status", S)
def test_without_a_check_it_is_healthy_as_long_as_its_process_runs(status: ServiceStatus) -> None:
    expected = {
        S.STARTING: Health.UNKNOWN,
        S.RUNNING: Health.HEALTHY,
        S.DRAINING: Health.HEALTHY,
        S.STOPPING: Health.HEALTHY,
        S.BACKOFF: Health.UNHEALTHY,
        S.ERROR: Health.UNHEALTHY,
        S.STOPPED: Health.UNKNOWN,
        S.COMPLETED: Health.UNKNOWN,
    }
    assert health_without_check(status) is expected[status]
