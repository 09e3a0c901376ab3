"""One function call through a breaker: permit, call, verdict; for functions and coroutines."""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from msctl.core.breaker_judge import judge_error, judge_result
from msctl.core.breaker_permit import Permit


class Gate(Protocol):
    """What guards a call."""

    def enter(self) -> Permit:
        """Give a permit or raise ServiceUnavailable."""
        ...

    def now(self) -> float:
        """Monotonic seconds."""
        ...


def call_guarded(gate: Gate, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call `func` if the gate lets it pass, and give the verdict back, come what may.

    Returns a coroutine if `func` is a coroutine function, or if it returned an awaitable.
    Of a coroutine function the gate is asked when the coroutine is first awaited, so that
    one that never runs holds no permit.
    """
    if inspect.iscoroutinefunction(func):
        return _call_async(gate, func, args, kwargs)
    permit = gate.enter()
    try:
        result = func(*args, **kwargs)
    except BaseException as error:
        permit.release(judge_error(error), gate.now())
        raise
    if inspect.isawaitable(result):
        return _settle_async(gate, permit, result)
    permit.release(judge_result(result), gate.now())
    return result


async def _call_async(
    gate: Gate,
    func: Callable[..., Coroutine[Any, Any, Any]],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    return await _settle_async(gate, gate.enter(), func(*args, **kwargs))


async def _settle_async(gate: Gate, permit: Permit, awaitable: Awaitable[Any]) -> Any:
    try:
        result = await awaitable
    except BaseException as error:
        permit.release(judge_error(error), gate.now())
        raise
    permit.release(judge_result(result), gate.now())
    return result
