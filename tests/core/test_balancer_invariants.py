"""What holds for every seed and every order: fairness, and counts that add up."""

from collections import Counter, deque
from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from msctl.core.balancer import Algorithm, Lease, LoadBalancer
from msctl.model import ServiceInstance
from tests.core.instances import instance

SEEDS = st.integers(0, 2**32)
FEW = settings(max_examples=15)


def group(size: int) -> list[ServiceInstance]:
    return [instance(f"api-{number}") for number in range(1, size + 1)]


def pick(balancer: LoadBalancer, candidates: list[ServiceInstance]) -> str:
    chosen = balancer.get_service_instance(candidates, 0.0)
    assert chosen is not None
    return chosen.id


def spread(picks: Counter[str], candidates: list[ServiceInstance]) -> int:
    values = [picks[candidate.id] for candidate in candidates]
    return max(values) - min(values)


@FEW
@given(SEEDS)
def test_no_prefix_of_3000_picks_of_three_differs_by_more_than_one(seed: int) -> None:
    balancer, candidates = LoadBalancer(random=Random(seed)), group(3)
    picks: Counter[str] = Counter()
    for _ in range(3000):
        picks[pick(balancer, candidates)] += 1
        assert spread(picks, candidates) <= 1
    assert set(picks.values()) == {1000}


@FEW
@given(SEEDS, st.integers(0, 50), st.integers(0, 3))
def test_with_one_of_four_down_the_others_get_exactly_a_third_each(
    seed: int, before: int, down: int
) -> None:
    balancer, candidates = LoadBalancer(random=Random(seed)), group(4)
    for _ in range(before):
        pick(balancer, candidates)
    rest = [c for number, c in enumerate(candidates) if number != down]
    picks = Counter(pick(balancer, rest) for _ in range(3000))
    assert set(picks.values()) == {1000}
    back = Counter(pick(balancer, candidates) for _ in range(400))
    assert spread(back, candidates) <= 1


@FEW
@given(SEEDS)
def test_a_list_rebuilt_before_every_pick_changes_nothing(seed: int) -> None:
    one, other = LoadBalancer(random=Random(seed)), LoadBalancer(random=Random(seed))
    candidates, shuffle = group(5), Random(seed + 1)
    assert pick(one, candidates) == pick(other, candidates)
    for number in range(300):
        rebuilt = [replace(c, reason=str(number)) for c in candidates]
        shuffle.shuffle(rebuilt)
        assert pick(one, candidates) == pick(other, rebuilt)


@FEW
@given(SEEDS, st.integers(2, 7))
def test_round_robin_stays_fair_while_calls_exclude_what_they_tried(seed: int, size: int) -> None:
    balancer, candidates, chance = LoadBalancer(random=Random(seed)), group(size), Random(seed)
    picks: Counter[str] = Counter()
    for _ in range(500):
        first = pick(balancer, candidates)
        picks[first] += 1
        if chance.random() < 0.2:
            pick(balancer, [c for c in candidates if c.id != first])
    assert spread(picks, candidates) <= 0.2 * 500 / size + 2


@FEW
@given(SEEDS, st.integers(1, 9))
def test_1000_held_leases_under_least_connections_differ_by_at_most_one(
    seed: int, size: int
) -> None:
    balancer = LoadBalancer(Algorithm.LEAST_CONNECTIONS, Random(seed))
    candidates = group(size)
    picks: Counter[str] = Counter()
    for _ in range(1000):
        lease = balancer.lease(candidates, 0.0)
        assert lease is not None
        picks[lease.instance.id] += 1
        assert spread(picks, candidates) <= 1


class ToldRandom:
    """Draws as told, so that the test knows which two were drawn."""

    def __init__(self, draws: list[float]) -> None:
        self.draws = draws

    def random(self) -> float:
        return self.draws.pop(0)


@given(
    st.lists(st.integers(0, 20), min_size=2, max_size=6),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1, exclude_max=True),
)
def test_p2c_draws_two_distinct_ones_and_never_takes_the_busier(
    connections: list[int], first: float, second: float
) -> None:
    balancer = LoadBalancer(Algorithm.P2C, ToldRandom([first, second]))
    candidates = group(len(connections))
    for candidate, count in zip(candidates, connections, strict=True):
        balancer.load(candidate).connections = count
    one = int(first * len(candidates))
    other = [i for i in range(len(candidates)) if i != one][int(second * (len(candidates) - 1))]
    chosen = pick(balancer, candidates)
    assert chosen in (candidates[one].id, candidates[other].id)
    assert balancer.connections(chosen) == min(connections[one], connections[other])


@given(SEEDS, st.sampled_from(Algorithm), st.lists(st.integers(0, 9), max_size=120))
def test_connections_are_never_negative_and_end_at_zero(
    seed: int, algorithm: Algorithm, steps: list[int]
) -> None:
    balancer, candidates, chance = LoadBalancer(algorithm, Random(seed)), group(3), Random(seed)
    leases: list[Lease] = []
    for step in steps:
        if step < 6:
            lease = balancer.lease(candidates, 0.0)
            assert lease is not None
            leases.append(lease)
        elif leases:
            chance.choice(leases).release(0.0)
        held = Counter(lease.instance.id for lease in leases if not lease.released)
        for candidate in candidates:
            assert balancer.connections(candidate.id) == held[candidate.id]
            assert balancer.load(candidate).limited == held[candidate.id]
    for lease in leases:
        lease.release(0.0)
    assert [balancer.connections(c.id) for c in candidates] == [0, 0, 0]


LOAD_AWARE = st.sampled_from([Algorithm.LEAST_CONNECTIONS, Algorithm.P2C, Algorithm.PEAK_EWMA])
RATE, LATENCY = 1000.0, 0.05
"""Calls a second, and the seconds that a good instance takes for one."""


@settings(max_examples=6, deadline=None)
@given(SEEDS, LOAD_AWARE)
def test_an_instance_that_fails_in_a_millisecond_draws_under_two_percent(
    seed: int, algorithm: Algorithm
) -> None:
    balancer, candidates = LoadBalancer(algorithm, Random(seed)), group(3)
    under_way: deque[tuple[float, float, Lease]] = deque()
    picks: Counter[str] = Counter()
    for call in range(10_000):
        now = 100 + call / RATE
        while under_way and under_way[0][0] <= now:
            end, began, lease = under_way.popleft()
            balancer.load(lease.instance).observe(end - began, end)
            lease.release(end)
        lease = held(balancer, candidates, now)
        picks[lease.instance.id] += 1
        if lease.instance.id == "api-1":
            balancer.load(lease.instance).observe(0.001, now, failed=True)
            balancer.load(lease.instance).penalise(now)
            lease.release(now)
        else:
            under_way.append((now + LATENCY, now, lease))
    assert picks["api-1"] < 0.02 * picks.total()


@FEW
@given(SEEDS, LOAD_AWARE)
def test_a_newcomer_under_backlog_gets_at_most_twenty_picks_in_a_row(
    seed: int, algorithm: Algorithm
) -> None:
    balancer, (*serving, newcomer) = LoadBalancer(algorithm, Random(seed)), group(3)
    for _ in range(200):
        balancer.load(held(balancer, serving, 0.0).instance).observe(1.0, 0.0)
    longest = run = 0
    for call in range(400):
        drawn = held(balancer, [*serving, newcomer], 10 + call / RATE).instance
        run = run + 1 if drawn == newcomer else 0
        longest = max(longest, run)
    assert longest <= 20


def held(balancer: LoadBalancer, candidates: list[ServiceInstance], now: float) -> Lease:
    lease = balancer.lease(candidates, now)
    assert lease is not None
    return lease
