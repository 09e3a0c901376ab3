import asyncio
import os
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest

from msctl.runtime.strays import SharedLook, Strays, strays_of
from tests.runtime import real
from tests.runtime.virtual import eventually


class Looks:
    """Counts looks, each of which lasts until it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.error: Exception | None = None
        self._go = threading.Semaphore(0)

    def __call__(self) -> Strays:
        self.begun += 1
        number = self.begun
        assert self._go.acquire(timeout=real.PATIENCE)
        if self.error:
            raise self.error
        return {"api-1": [number]}

    def let_go(self) -> None:
        self._go.release()

    def begins(self, number: int) -> Callable[[], bool]:
        return lambda: self.begun == number


def test_who_asks_while_a_look_is_under_way_gets_the_next_one_all_together() -> None:
    async def main() -> None:
        looks = Looks()
        shared = SharedLook(looks)
        first = asyncio.create_task(shared.take())
        await eventually(looks.begins(1), "the first look began")
        later = [asyncio.create_task(shared.take()) for _ in range(30)]
        await asyncio.sleep(0)
        looks.let_go()
        assert await first == {"api-1": [1]}
        await eventually(looks.begins(2), "the second look began")
        latest = asyncio.create_task(shared.take())
        await asyncio.sleep(0)
        looks.let_go()
        assert await asyncio.gather(*later) == [{"api-1": [2]}] * 30
        looks.let_go()
        assert await latest == {"api-1": [3]}
        assert looks.begun == 3

    real.run(main())


def test_each_look_is_fresh() -> None:
    async def main() -> None:
        looks = Looks()
        shared = SharedLook(looks)
        for number in (1, 2):
            looks.let_go()
            assert await shared.take() == {"api-1": [number]}

    real.run(main())


def test_one_who_stops_waiting_takes_nothing_from_the_others() -> None:
    async def main() -> None:
        looks = Looks()
        shared = SharedLook(looks)
        waiting = [asyncio.create_task(shared.take()) for _ in range(3)]
        await eventually(looks.begins(1), "a look began")
        for gone in waiting[:2]:
            gone.cancel()
        await asyncio.sleep(0)
        looks.let_go()
        looks.let_go()
        assert await waiting[2] == {"api-1": [2]}

    real.run(main())


def test_a_look_that_fails_is_not_the_last() -> None:
    async def main() -> None:
        looks = Looks()
        shared = SharedLook(looks)
        looks.error = OSError("no /proc")
        failed = [asyncio.create_task(shared.take()) for _ in range(2)]
        looks.let_go()
        looks.let_go()
        for one in failed:
            with pytest.raises(OSError, match="no /proc"):
                await one
        looks.error = None
        looks.let_go()
        assert await shared.take() == {"api-1": [3]}

    real.run(main())


@pytest.fixture
def helper() -> Iterator[int]:
    environment = {"MSCTL_INSTANCE": "api-7"}
    with subprocess.Popen(
        ["/bin/sleep", "100"], env=environment, start_new_session=True
    ) as process:
        yield process.pid
        process.kill()


def test_strays_are_told_by_the_instance_that_they_were_started_for(helper: int) -> None:
    async def main() -> None:
        found: list[int] = []

        async def look() -> bool:  # until exec its environment is still ours
            found[:] = await strays_of("api-7")
            return bool(found)

        while not await look():
            assert real.is_alive(helper)
        assert found == [helper]
        assert list(await strays_of("api-8")) == []

    assert os.environ.get("MSCTL_INSTANCE") is None
    real.run(main())
