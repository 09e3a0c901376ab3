"""`CircuitBreaker.call`: functions and coroutine functions, and what their ends count as."""

import asyncio
import functools
import subprocess
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import pytest

from msctl.core.breaker import CircuitBreaker
from msctl.errors import ServiceError, ServiceUnavailable
from msctl.model import BreakerState
from tests.core.fake_clock import FakeClock
from tests.core.instances import FixedRandom


@dataclass
class Response:
    status_code: int


class HttpError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.response = Response(status)


def make(failure_threshold: int = 1) -> tuple[CircuitBreaker, FakeClock]:
    clock = FakeClock()
    return CircuitBreaker(failure_threshold, 60, clock=clock, random=FixedRandom(0)), clock


def fail() -> None:
    raise ConnectionError("no")


async def fail_later() -> None:
    await asyncio.sleep(0)
    raise ConnectionError("no")


def test_it_works_alone_with_the_two_arguments_of_the_origin() -> None:
    breaker = CircuitBreaker(failure_threshold=2, timeout=60)
    assert breaker.call(divmod, 7, 2) == (3, 1)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            breaker.call(fail)
    with pytest.raises(ServiceUnavailable) as refused:
        breaker.call(divmod, 7, 2)
    assert refused.value.reason == "breaker_open"
    assert refused.value.retry_after is not None
    assert 0 < refused.value.retry_after <= 7.5


def test_an_open_breaker_does_not_call_the_function() -> None:
    breaker, _ = make()
    breaker.force_open()
    called: list[int] = []
    with pytest.raises(ServiceUnavailable):
        breaker.call(called.append, 1)
    assert not called


def test_a_coroutine_function_is_awaited_and_its_failure_seen() -> None:
    breaker, _ = make()
    with pytest.raises(ConnectionError):
        asyncio.run(breaker.call(fail_later))
    assert breaker.state() is BreakerState.OPEN


def test_a_coroutine_functions_result_comes_back() -> None:
    breaker, _ = make()

    async def add(one: int, *, other: int) -> int:
        return one + other

    assert asyncio.run(breaker.call(add, 1, other=2)) == 3
    assert asyncio.run(breaker.call(functools.partial(add, 1), other=3)) == 4


def test_a_function_that_returns_an_awaitable_is_awaited_too() -> None:
    breaker, _ = make()

    def begin() -> Coroutine[Any, Any, None]:
        return fail_later()

    with pytest.raises(ConnectionError):
        asyncio.run(breaker.call(begin))
    assert breaker.state() is BreakerState.OPEN


def test_a_coroutine_that_is_never_awaited_holds_no_permit() -> None:
    breaker, clock = make()
    breaker.trip(clock.now(), "test")
    clock.time += 5
    breaker.call(fail_later).close()
    assert breaker.try_acquire(clock.now()) is not None


def test_a_cancelled_call_counts_nothing_and_frees_the_probe() -> None:
    breaker, clock = make()
    breaker.trip(clock.now(), "test")
    clock.time += 5

    async def run() -> None:
        task = asyncio.ensure_future(breaker.call(asyncio.Event().wait))
        await asyncio.sleep(0)
        assert breaker.try_acquire(clock.now()) is None, "the probe is out"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert breaker.state() is BreakerState.HALF_OPEN
    assert breaker.try_acquire(clock.now()) is not None


def test_an_interrupt_counts_nothing() -> None:
    breaker, _ = make()

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        breaker.call(interrupted)
    assert breaker.snapshot().calls == 0


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_returned_5xx_is_a_failure(status: int) -> None:
    breaker, _ = make()
    assert breaker.call(Response, status).status_code == status
    assert breaker.state() is BreakerState.OPEN


@pytest.mark.parametrize("status", [200, 302, 404])
def test_a_returned_response_below_500_is_none(status: int) -> None:
    breaker, _ = make()
    breaker.call(Response, status)
    assert breaker.state() is BreakerState.CLOSED


def test_a_raised_404_is_alive_and_a_raised_500_a_failure() -> None:
    breaker, _ = make()

    def answer(error: Exception) -> None:
        raise error

    for error in (HttpError(404), ServiceError("users", 404, "no such user")):
        with pytest.raises(type(error)):
            breaker.call(answer, error)
    assert breaker.state() is BreakerState.CLOSED
    with pytest.raises(HttpError):
        breaker.call(answer, HttpError(500))
    assert breaker.state() is BreakerState.OPEN


def test_another_breakers_refusal_says_nothing_of_this_one() -> None:
    outer, _ = make()
    inner, _ = make()
    inner.force_open()
    with pytest.raises(ServiceUnavailable):
        outer.call(inner.call, int)
    assert outer.snapshot().calls == 0


def test_a_success_after_the_open_time_closes_it() -> None:
    breaker, clock = make()
    with pytest.raises(ConnectionError):
        breaker.call(fail)
    clock.time += 5
    assert breaker.call(int) == 0
    assert breaker.state() is BreakerState.CLOSED


def test_it_imports_nothing_outside_the_standard_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import msctl.core.breaker;"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(*sorted(new - sys.stdlib_module_names))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.split() == ["msctl"]
