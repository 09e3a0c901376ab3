"""A steady load of mixed methods on one front door, and what became of each request."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.fleet.load import Answer, connected

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
RATE = 200.0
"""Requests per second: one half on connections that are kept, one half each on a fresh one."""
_KEPT = 8
_FAILED = 500


@dataclass
class Pressure:
    """What was seen so far."""

    port: int
    rate: float = RATE
    answers: list[Answer] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _over: bool = False

    @property
    def instances(self) -> Counter[str]:
        """Who answered, and how often."""
        return Counter(answer.fields["x-msctl-instance"] for answer in self.answers)

    @property
    def slowest(self) -> float:
        return max(answer.seconds for answer in self.answers)

    def assert_unnoticed(self) -> None:
        """Every request was answered, well, and by whoever; no connection was reset."""
        assert self.failures == []
        assert len(self.answers) > 100, "there was a load"

    def __str__(self) -> str:
        return f"{len(self.answers)} requests, {len(self.failures)} failed, slowest {self.slowest}"

    async def keep_alive(self, number: int) -> None:
        """Make requests on one connection, which nobody may close."""
        async with connected(self.port) as connection:

            async def ask(method: str) -> Answer:
                return await connection.request(method, "/x", b"x" * number)

            async for method in self._turns(number, self.rate / 2 / _KEPT):
                if not await self._ask(ask, method):
                    return

    async def fresh(self) -> None:
        """Make each request on a connection of its own."""

        async def ask(method: str) -> Answer:
            async with connected(self.port) as connection:
                return await connection.request(method, "/x", b"fresh")

        async with asyncio.TaskGroup() as tasks:
            async for method in self._turns(0, self.rate / 2):
                tasks.create_task(self._ask(ask, method))

    async def _turns(self, number: int, rate: float) -> AsyncIterator[str]:
        """Yield a method at each moment that the rate has one; late ones are made up for."""
        began, turn = time.monotonic() + number / self.rate, 0
        while not self._over:
            await asyncio.sleep(began + turn / rate - time.monotonic())
            yield METHODS[(turn + number) % len(METHODS)]
            turn += 1

    async def _ask(self, request: Callable[[str], Awaitable[Answer]], method: str) -> bool:
        try:
            answer = await request(method)
        except (OSError, EOFError) as error:
            self.failures.append(f"{method}: {error!r}")
            return False
        self.answers.append(answer)
        if answer.status >= _FAILED:
            self.failures.append(f"{method}: {answer.status} {answer.body!r}")
        return True


@asynccontextmanager
async def pressure(port: int) -> AsyncIterator[Pressure]:
    """Keep the load up as long as the block lasts; every request that was made is waited for."""
    seen = Pressure(port)
    async with asyncio.TaskGroup() as tasks:
        for number in range(_KEPT):
            tasks.create_task(seen.keep_alive(number))
        tasks.create_task(seen.fresh())
        await asyncio.sleep(0.3)  # the load is there before anything is changed
        try:
            yield seen
        finally:
            await asyncio.sleep(0.3)
            seen._over = True
