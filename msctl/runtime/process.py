"""One local instance: its main process, its process group, and whoever left that group."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress

from msctl.runtime.strays import strays_of

Output = Callable[[str, bytes], None]
"""Gets a stream's name and what came out of it."""
READ_SIZE = 64 * 1024  # of one instance in one turn of the loop (design.md, Processes)
_LAST_WORDS = 0.2
"""Seconds for output that is still in the pipe when the process has ended."""
_POLL = 0.005


class LocalProcess:
    """A process that leads its own session, and everything that came from it."""

    def __init__(self, pid: int, instance: str) -> None:
        self._pid = pid
        self._instance = instance
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[int] = self._loop.create_future()
        self._pipes: list[_OutputPipe] = []

    @property
    def pid(self) -> int | None:
        """The process id."""
        return self._pid

    def set_exit_code(self, code: int) -> None:
        """Note the end of the main process; the reaper calls this."""
        if not self._exit.done():
            self._exit.set_result(code)

    def pump(self, stream: str, descriptor: int, output: Output) -> None:
        """Hand what comes out of `descriptor` to `output` until its end; owns the descriptor."""
        self._pipes.append(_OutputPipe(self._loop, stream, descriptor, output))

    async def exited(self) -> int:
        """Wait for the end of the main process; return its exit code, minus a signal's number."""
        return await asyncio.shield(self._exit)

    def signal(self, number: int) -> None:
        """Send a signal to the process group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, number)

    async def clear(self, grace: float) -> None:
        """Wait until group and strays are gone; kill what remains after `grace` seconds."""
        await self._until_group_is_gone(self._loop.time() + grace)
        await self._kill_strays()
        await self._finish_output()

    async def _until_group_is_gone(self, deadline: float) -> None:
        # Most groups are their main process alone, and of its end the reaper tells at once.
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self.exited()
        while self._group_exists():
            if self._loop.time() >= deadline:
                self.signal(signal.SIGKILL)
            await asyncio.sleep(_POLL)

    def _group_exists(self) -> bool:
        try:
            os.killpg(self._pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    async def _kill_strays(self) -> None:
        """Kill the descendants that left the group with setsid, until there are none."""
        while strays := await strays_of(self._instance):
            for pid in strays:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(_POLL)

    async def _finish_output(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                for pipe in self._pipes:
                    await pipe.ended.wait()
        for pipe in self._pipes:
            pipe.close()


class _OutputPipe:
    """The read end of one of the child's streams."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        stream: str,
        descriptor: int,
        output: Output,
    ) -> None:
        self.ended = asyncio.Event()
        self._loop = loop
        self._stream = stream
        self._descriptor = descriptor
        self._output = output
        os.set_blocking(descriptor, False)
        loop.add_reader(descriptor, self._readable)

    def close(self) -> None:
        """Stop reading."""
        if not self.ended.is_set():
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self.ended.set()

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._output(self._stream, data)
        else:
            self.close()
