import asyncio
import time

import pytest

from tests.runtime.virtual import run_virtual


def test_time_jumps_to_the_next_timer() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        begun, reached = loop.time(), []

        async def wait(seconds: float) -> None:
            await asyncio.sleep(seconds)
            reached.append(loop.time() - begun)

        await asyncio.gather(wait(3600), wait(1), wait(60))
        return reached

    begun = time.monotonic()
    assert run_virtual(main()) == [1, 60, 3600]
    assert time.monotonic() - begun < 60


def test_time_stands_still_while_a_thread_works() -> None:
    async def main() -> bool:
        timer = asyncio.create_task(asyncio.sleep(1))
        await asyncio.to_thread(time.sleep, 0.02)
        return timer.done()

    assert run_virtual(main()) is False


def test_waiting_for_nothing_is_an_error_and_not_for_ever() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="deadlock"):
        run_virtual(main())
