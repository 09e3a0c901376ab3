"""How a process is ended: in peace if it will, by force if it hangs."""

import asyncio
import signal
from contextlib import suppress

from msctl.runtime.spawner import Process

_LAST_WORDS = 1.0
"""Seconds that a process gets to write where it hangs."""


async def end_in_peace(
    process: Process, number: int, grace: float, kill_now: asyncio.Event
) -> None:
    """Send a signal and wait until nothing is left; what stays longer is killed.

    That is after `grace` seconds, or as soon as `kill_now` is set.
    """
    if not kill_now.is_set():
        process.signal(number)
    clearing = asyncio.create_task(process.clear(grace))
    killed = asyncio.create_task(kill_now.wait())
    await asyncio.wait({clearing, killed}, return_when=asyncio.FIRST_COMPLETED)
    if not clearing.done():
        clearing.cancel()
        await process.clear(0)
    killed.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(clearing, killed)


async def put_down(process: Process) -> None:
    """Kill a process that hangs; Python first writes its stacks (see environment.py)."""
    process.signal(signal.SIGABRT)
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS):
            await process.exited()
    await process.clear(0)
