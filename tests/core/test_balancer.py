"""The balancer's rules (router.md, Balancer)."""

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from msctl.core.balancer import Algorithm, Lease, LoadBalancer
from msctl.core.balancer_choosers import Cycle, RoundRobin
from msctl.core.balancer_load import Load
from msctl.model import Health, ServiceInstance, ServiceStatus
from tests.core.instances import FixedRandom, instance

LOADED = [Algorithm.LEAST_CONNECTIONS, Algorithm.P2C, Algorithm.PEAK_EWMA]


def group(*weights: int) -> list[ServiceInstance]:
    return [replace(instance(f"api-{n}"), weight=w) for n, w in enumerate(weights, start=1)]


@dataclass(eq=False)
class Member:
    instance: ServiceInstance
    load: Load = field(default_factory=lambda: Load(generation=1))


def balancer(algorithm: Algorithm = Algorithm.ROUND_ROBIN, seed: int = 1) -> LoadBalancer:
    return LoadBalancer(algorithm, Random(seed))


def pick(balancer: LoadBalancer, candidates: list[ServiceInstance], now: float = 0.0) -> str:
    chosen = balancer.get_service_instance(candidates, now)
    assert chosen is not None
    return chosen.id


def held(balancer: LoadBalancer, candidates: list[ServiceInstance], now: float = 0.0) -> Lease:
    lease = balancer.lease(candidates, now)
    assert lease is not None
    return lease


def counts(balancer: LoadBalancer, candidates: list[ServiceInstance]) -> list[int]:
    return [balancer.connections(candidate.id) for candidate in candidates]


@pytest.mark.parametrize("algorithm", Algorithm)
def test_without_candidates_there_is_nothing_to_choose(algorithm: Algorithm) -> None:
    assert balancer(algorithm).get_service_instance([], 0) is None
    assert balancer(algorithm).lease([], 0) is None


@pytest.mark.parametrize("seed", range(6))
def test_turns_taken_in_advance_give_everyone_a_share_also_after_a_retry(seed: int) -> None:
    chooser, everyone = RoundRobin(Random(seed)), [Member(one) for one in group(1, 1, 1)]
    cycle: Cycle[Member] | None = None
    taken: Counter[str] = Counter()
    for number in range(300):
        if cycle is None or cycle.stale:
            cycle = chooser.cycle(everyone)
        if cycle is None:
            chosen = chooser.choose(everyone, 0)
        else:
            chosen = cycle.order[cycle.position]
            cycle.position = (cycle.position + 1) % len(cycle.order)
        taken[chosen.instance.id] += 1
        if number in (10, 11, 30, 31, 32):  # it fails, and another one is asked instead
            chooser.choose([one for one in everyone if one is not chosen], 0)
    assert min(taken.values()) >= 100 - 5


@pytest.mark.parametrize("algorithm", Algorithm)
def test_an_instance_out_of_rotation_is_never_chosen(algorithm: Algorithm) -> None:
    up = instance("api-1")
    down = [
        instance("api-2", health=Health.UNHEALTHY),
        instance("api-3", health=Health.UNKNOWN),
        instance("api-4", status=ServiceStatus.DRAINING),
        instance("api-5", status=ServiceStatus.STARTING),
    ]
    chooser = balancer(algorithm)
    assert {pick(chooser, [*down, up]) for _ in range(50)} == {"api-1"}
    assert chooser.get_service_instance(down, 0) is None


@pytest.mark.parametrize("algorithm", Algorithm)
def test_degraded_instances_get_traffic_only_when_none_is_healthy(algorithm: Algorithm) -> None:
    healthy, degraded = instance("api-1"), instance("api-2", health=Health.DEGRADED)
    chooser = balancer(algorithm)
    assert {pick(chooser, [degraded, healthy]) for _ in range(20)} == {"api-1"}
    assert pick(chooser, [degraded]) == "api-2"


def test_algorithms_go_by_their_names() -> None:
    assert LoadBalancer("peak_ewma").algorithm is Algorithm.PEAK_EWMA
    with pytest.raises(ValueError, match="fastest"):
        LoadBalancer("fastest")


def test_round_robin_starts_anywhere() -> None:
    starts = {pick(balancer(seed=seed), group(1, 1, 1)) for seed in range(30)}
    assert starts == {"api-1", "api-2", "api-3"}


@pytest.mark.parametrize("seed", range(10))
def test_weights_of_5_1_1_are_interleaved_smoothly(seed: int) -> None:
    chooser, candidates = balancer(seed=seed), group(5, 1, 1)
    names = {"api-1": "a", "api-2": "b", "api-3": "c"}
    picks = "".join(names[pick(chooser, candidates)] for _ in range(70))
    cycle = picks[:7]
    assert cycle in "aabacaa" * 2
    assert picks == cycle * 10


def test_random_follows_the_weights() -> None:
    chooser, candidates = balancer(Algorithm.RANDOM), group(1, 2, 1)
    picks = Counter(pick(chooser, candidates) for _ in range(4000))
    assert 1800 < picks["api-2"] < 2200
    assert 850 < picks["api-1"] < 1150


def test_least_connections_prefers_the_idle_one() -> None:
    chooser, (one, two) = balancer(Algorithm.LEAST_CONNECTIONS), group(1, 1)
    lease = held(chooser, [one])
    assert {pick(chooser, [one, two]) for _ in range(5)} == {two.id}
    lease.release(0)
    assert {pick(chooser, [one, two]) for _ in range(4)} == {one.id, two.id}


def test_least_connections_gives_by_weight() -> None:
    chooser, candidates = balancer(Algorithm.LEAST_CONNECTIONS), group(3, 1)
    for _ in range(400):
        held(chooser, candidates)
    assert counts(chooser, candidates) == [300, 100]


def test_release_is_idempotent() -> None:
    chooser, candidates = balancer(), group(1)
    leases = [held(chooser, candidates) for _ in range(3)]
    for _ in range(5):
        leases[0].release(0)
    assert counts(chooser, candidates) == [2]


def test_a_new_generation_starts_with_no_connections() -> None:
    chooser, old = balancer(), instance("api-1", generation=1)
    lease = held(chooser, [old])
    new = replace(old, generation=2)
    held(chooser, [new])
    assert chooser.connections("api-1") == 1
    lease.release(0)
    assert chooser.connections("api-1") == 1, "the dead process's lease is not the new one's"


def test_counts_survive_changes_of_the_list() -> None:
    chooser, (one, two) = balancer(Algorithm.LEAST_CONNECTIONS), group(1, 1)
    held(chooser, [one])
    held(chooser, [two])
    held(chooser, [two])
    assert pick(chooser, [one, two]) == one.id
    assert chooser.connections(two.id) == 2


def test_what_is_held_is_not_forgotten() -> None:
    chooser, (one,) = balancer(Algorithm.LEAST_CONNECTIONS), group(1)
    lease = held(chooser, [one])
    chooser.forget(one.id)
    assert chooser.connections(one.id) == 1
    lease.release(0)
    chooser.forget(one.id)
    assert chooser.connections(one.id) == 0


@pytest.mark.parametrize("algorithm", LOADED)
def test_who_fails_fast_does_not_draw_the_traffic(algorithm: Algorithm) -> None:
    chooser, candidates = balancer(algorithm), group(1, 1, 1)
    picks: Counter[str] = Counter()
    busy: list[tuple[float, Lease]] = []
    for step in range(600):
        now = step * 0.01
        for end, lease in busy:
            if end <= now:
                lease.release(now)
        lease = held(chooser, candidates, now)
        load = chooser.load(lease.instance)
        picks[lease.instance.id] += 1
        if lease.instance.id == "api-1":
            load.observe(0.001, now, failed=True)
            load.penalise(now)
            lease.release(now)
        else:
            load.observe(0.1, now)
            busy.append((now + 0.1, lease))
    assert picks["api-1"] < 200, "at most its third"


def test_a_failure_counts_as_a_connection_for_five_seconds() -> None:
    load = Load(generation=1)
    load.penalise(10)
    assert (load.pending(10), load.pending(14.9), load.pending(15)) == (1, 1, 0)


@pytest.mark.parametrize("algorithm", LOADED)
def test_a_newcomer_grows_into_its_share(algorithm: Algorithm) -> None:
    chooser, (old, new) = balancer(algorithm), group(1, 1)
    for _ in range(20):
        held(chooser, [old], now=0)
    run = 0
    while pick(chooser, [old, new], now=100) == new.id:
        held(chooser, [new], now=100)
        run += 1
        assert run < 5, "a newcomer draws every call"
    assert run >= 1


@pytest.mark.parametrize("algorithm", LOADED)
def test_slow_start_has_no_effect_on_a_group_that_starts_together(algorithm: Algorithm) -> None:
    chooser, candidates = balancer(algorithm), group(1, 1, 1)
    for step in range(300):
        held(chooser, candidates, now=step / 1000)
    assert max(counts(chooser, candidates)) - min(counts(chooser, candidates)) <= 12


def test_slow_start_rises_from_a_tenth_to_the_whole_in_its_time() -> None:
    load = Load(generation=1)
    load.joined_at = 100
    growth = [load.growth(100 + age, 5.0) for age in (0, 0.4, 2.5, 5, 60)]
    assert growth == [0.1, 0.1, 0.5, 1, 1]
    load.restart_growth()
    assert load.growth(200, 5.0) == 0.1


def test_a_slower_answer_lifts_the_average_at_once() -> None:
    load = Load(generation=1)
    load.observe(0.010, 0)
    load.observe(0.500, 1)
    assert load.latency(1) == 0.5


def test_a_faster_answer_pulls_it_down_over_ten_seconds() -> None:
    load = Load(generation=1)
    load.observe(0.5, 0)
    for step in range(1, 101):
        load.observe(0.01, step / 10)
    latency = load.latency(10)
    assert latency is not None
    assert 0.15 < latency < 0.25, "down to 1/e of the way"


def test_silence_lets_a_slow_answer_fade() -> None:
    load = Load(generation=1)
    load.observe(1.0, 0)
    assert load.latency(10) == pytest.approx(0.3679, abs=1e-4)


def test_failing_fast_is_not_being_fast() -> None:
    load = Load(generation=1)
    load.observe(0.001, 0, failed=True)
    assert load.latency(0) is None
    load.observe(0.1, 0)
    load.observe(0.001, 0, failed=True)
    assert load.latency(0) == 0.1
    load.observe(30, 0, failed=True)
    assert load.latency(0) == 30


def test_peak_ewma_prefers_the_faster_of_two() -> None:
    chooser, (slow, fast) = balancer(Algorithm.PEAK_EWMA), group(1, 1)
    chooser.load(slow).observe(0.4, 0)
    chooser.load(fast).observe(0.1, 0)
    assert {pick(chooser, [slow, fast]) for _ in range(20)} == {fast.id}
    for _ in range(4):
        held(chooser, [fast])
    assert {pick(chooser, [slow, fast]) for _ in range(20)} == {slow.id}


def test_another_algorithm_keeps_the_counts() -> None:
    chooser, (one, two) = balancer(), group(1, 1)
    held(chooser, [one])
    chooser.configure(Algorithm.LEAST_CONNECTIONS, 5.0)
    assert pick(chooser, [one, two]) == two.id


@pytest.mark.parametrize("algorithm", Algorithm)
def test_an_instance_that_comes_back_after_it_was_forgotten_is_a_newcomer(
    algorithm: Algorithm,
) -> None:
    chooser, candidates = balancer(algorithm), group(1, 1, 1)
    for _ in range(10):
        pick(chooser, candidates)
    for candidate in candidates[1:]:
        chooser.load(candidate).penalise(0)
        chooser.forget(candidate.id)
        assert chooser.load(candidate).pending(0) == 0
    picks = Counter(pick(chooser, candidates) for _ in range(300))
    assert all(picks[candidate.id] >= 60 for candidate in candidates)


def test_the_last_one_takes_what_rounding_leaves_over() -> None:
    chooser = LoadBalancer(Algorithm.RANDOM, FixedRandom(1.0))
    assert pick(chooser, group(1, 1, 1)) == "api-3"
