"""Half-open lets exactly the permitted number through, over threads and over tasks."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Lock, Thread

import pytest

from msctl.core.breaker import BreakerOptions, CircuitBreaker, Transition
from msctl.core.outcome import Verdict
from msctl.errors import ServiceUnavailable
from msctl.model import BreakerState
from tests.core.fake_clock import FakeClock
from tests.core.instances import FixedRandom

CALLERS = 1000
LEVELS = pytest.mark.parametrize(
    ("options", "admitted"),
    [(BreakerOptions(), 1), (BreakerOptions().at_service_level(), 3)],
    ids=["instance", "service"],
)


class Count:
    def __init__(self) -> None:
        self.value = 0
        self._lock = Lock()

    def add(self) -> int:
        with self._lock:
            self.value += 1
            return self.value


def half_open(options: BreakerOptions) -> tuple[CircuitBreaker, FakeClock]:
    clock = FakeClock()
    breaker = CircuitBreaker(options=options, clock=clock, random=FixedRandom(0))
    breaker.trip(clock.now(), "test")
    clock.time += 5
    return breaker, clock


@LEVELS
def test_of_1000_threads_exactly_the_probes_get_through(
    options: BreakerOptions, admitted: int
) -> None:
    breaker, _ = half_open(options)
    inside, refused = Count(), Count()
    together, all_refused = Barrier(CALLERS), Event()

    def probe() -> None:
        inside.add()
        assert all_refused.wait(20), "a probe stays until everyone else was turned away"

    def caller() -> None:
        together.wait()
        try:
            breaker.call(probe)
        except ServiceUnavailable:
            if refused.add() == CALLERS - admitted:
                all_refused.set()

    threads = [Thread(target=caller) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (inside.value, refused.value) == (admitted, CALLERS - admitted)
    assert breaker.state() is BreakerState.CLOSED


@LEVELS
def test_of_1000_threads_asking_at_once_the_probes_get_a_permit(
    options: BreakerOptions, admitted: int
) -> None:
    breaker, clock = half_open(options)
    threads = 50
    together = Barrier(threads)

    def caller() -> int:
        together.wait()
        return sum(breaker.try_acquire(clock.now()) is not None for _ in range(CALLERS // threads))

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(caller) for _ in range(threads)]
        assert sum(future.result(timeout=60) for future in futures) == admitted


@LEVELS
def test_of_1000_tasks_exactly_the_probes_get_through(
    options: BreakerOptions, admitted: int
) -> None:
    breaker, _ = half_open(options)

    inside, refused = Count(), Count()

    async def run() -> None:
        all_refused = asyncio.Event()

        async def probe() -> None:
            inside.add()
            await all_refused.wait()

        async def caller() -> None:
            try:
                await breaker.call(probe)
            except ServiceUnavailable:
                if refused.add() == CALLERS - admitted:
                    all_refused.set()

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(caller())

    asyncio.run(run())
    assert (inside.value, refused.value) == (admitted, CALLERS - admitted)
    assert breaker.state() is BreakerState.CLOSED


def in_threads(count: int, work: Callable[[], None]) -> None:
    together = Barrier(count)

    def run() -> None:
        together.wait()
        work()

    with ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(run) for _ in range(count)]:
            future.result(timeout=60)


def test_no_count_is_lost_between_threads() -> None:
    breaker = CircuitBreaker(
        options=BreakerOptions(failure_threshold=None, minimum_calls=1_000_000),
        random=FixedRandom(0),
    )

    def work() -> None:
        for number in range(500):
            permit = breaker.try_acquire(1.0)
            assert permit is not None
            permit.release(Verdict.FAILURE if number % 2 else Verdict.SUCCESS, 1.0)

    in_threads(8, work)
    snapshot = breaker.snapshot(1.0)
    assert (snapshot.calls, snapshot.failures) == (4000, 2000)


def test_listeners_of_many_threads_hear_transitions_in_order() -> None:
    breaker = CircuitBreaker(random=FixedRandom(0))
    seen: list[Transition] = []
    breaker.on_transition(seen.append)

    def work() -> None:
        for _ in range(200):
            breaker.force_open(1.0)
            breaker.force_closed(1.0)

    in_threads(8, work)
    generations = [transition.generation for transition in seen]
    assert generations == sorted(generations)
    assert len(generations) == breaker.generation


def test_the_lock_is_not_held_during_a_call() -> None:
    breaker = CircuitBreaker()
    assert breaker.call(lambda: breaker.call(breaker.state)) is BreakerState.CLOSED
