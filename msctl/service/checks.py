"""Health checks that a service registers: bounded in time, and never two runs of one."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import TypeVar

from msctl.model import Health

CHECK_TIMEOUT = 0.5
"""Seconds a check may take: half of the prober's 1 s, so that the answer still names it."""

Answer = bool | Health | None
"""True and None are healthy, False is unhealthy."""
CheckFunction = Callable[[], Answer | Awaitable[Answer]]


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found, and why in words."""

    health: Health
    detail: str = ""


_SEVERITY = (Health.HEALTHY, Health.UNKNOWN, Health.DEGRADED, Health.UNHEALTHY)


def worst(results: list[CheckResult]) -> Health:
    """Return the health of a service: that of its worst check, healthy without any."""
    return max((result.health for result in results), key=_SEVERITY.index, default=Health.HEALTHY)


def _health(answer: Answer) -> Health:
    if answer is None or answer is True:
        return Health.HEALTHY
    return Health.UNHEALTHY if answer is False else Health(answer)


class HealthCheck:
    """One registered check.

    A run that hangs in a thread cannot be ended, so later probes wait for it again instead
    of adding a thread each.
    """

    def __init__(self, function: CheckFunction, timeout: float) -> None:
        self._function = function
        self._timeout = timeout
        self._run: asyncio.Task[CheckResult] | None = None

    async def result(self) -> CheckResult:
        """Return the result of a run: within the time limit, whatever the check does."""
        if self._run is None or self._run.done():
            self._run = asyncio.create_task(self._execute())
        done, _ = await asyncio.wait({self._run}, timeout=self._timeout)
        return self._run.result() if done else self._overdue()

    def cancel(self) -> None:
        """End the run that is under way, if there is one."""
        if self._run is not None:
            self._run.cancel()

    async def _execute(self) -> CheckResult:
        try:
            return CheckResult(_health(await self._answer()))
        except TimeoutError as error:
            return CheckResult(Health.UNHEALTHY, str(error)) if str(error) else self._overdue()
        except Exception as error:  # noqa: BLE001  whatever a check raises is its answer
            return CheckResult(Health.UNHEALTHY, f"{type(error).__name__}: {error}")

    async def _answer(self) -> Answer:
        if inspect.iscoroutinefunction(self._function):
            pending: Answer | Awaitable[Answer] = self._function()
        else:
            pending = await _in_daemon_thread(self._function)
        if not inspect.isawaitable(pending):
            return pending
        async with asyncio.timeout(self._timeout):
            return await pending

    def _overdue(self) -> CheckResult:
        return CheckResult(Health.UNHEALTHY, f"no answer within {self._timeout:g} s")


async def _in_daemon_thread(function: Callable[[], T]) -> T:
    """Run `function` in a thread of its own.

    Not in the loop's executor: its threads are joined when the loop ends, and a check that
    hangs would hold up the stop of the service.
    """
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:  # noqa: BLE001  handed to the one who waits
            outcome.set_exception(error)

    Thread(target=run, name="health-check", daemon=True).start()
    return await asyncio.wrap_future(outcome)
