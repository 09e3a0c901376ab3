"""An event loop whose time stands still while there is work, and jumps when there is none.

What waits for seconds, or for minutes, is tested with its real numbers and takes no time.
Threads are waited for as they are; sockets must not be waited for.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
START = 1000.0
EPOCH = 1_767_225_600.0
"""2026-01-01T00:00:00Z, the wall time at the loop's time 0."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs what is ready, then moves its time to the next timer."""

    def __init__(self) -> None:
        self._virtual_now = START
        self._threads = 0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self._virtual_now

    @property
    def waits_for_threads(self) -> bool:
        return self._threads > 0

    def skip(self, seconds: float) -> None:
        self._virtual_now += seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        self._threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._one_thread_less)
        return future

    async def shutdown_default_executor(self) -> None:
        self._threads += 1
        await super().shutdown_default_executor()
        self._threads -= 1

    def _one_thread_less(self, _: object) -> None:
        self._threads -= 1


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self._loop.waits_for_threads:
            return super().select(None)
        if timeout is None:
            raise RuntimeError("deadlock: nothing is ready, and no timer is set")
        self._loop.skip(timeout)
        return []


class VirtualClock:
    """The time of the loop that runs."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return EPOCH + self.now()


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Like asyncio.run, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


async def eventually(
    condition: Callable[[], Any], what: str, *, within: float = 20.0, poll: float = 0.005
) -> Any:
    """Wait for a condition to be true, in the loop's time, and return its value."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not (value := condition()):
        assert loop.time() < deadline, f"not within {within} s: {what}"
        await asyncio.sleep(poll)
    return value


async def settle() -> None:
    """Let everything run that is ready now; no time passes."""
    for _ in range(50):
        await asyncio.sleep(0)
