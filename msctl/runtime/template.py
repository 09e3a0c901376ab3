"""The daemon's handle of a template: starting it, and asking it for instances.

The first one is forked from the daemon, which has neither a loop nor a thread yet, and shares
its memory; a later one is exec'd. What runs inside is in `template_process`.
"""

import asyncio
import gc
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto
from typing import Any, Self

from msctl.errors import MsctlError
from msctl.runtime import template_wire as wire
from msctl.runtime.launcher import INTERPRETER_FLAGS
from msctl.runtime.template_process import import_base, run_template

ANSWER_TIME = 10.0
"""Seconds that a template which is ready may take to answer."""
IMPORT_TIME = 20.0
"""Seconds that it may take to import everything, `preload` included."""
_QUEUE = 16
"""Orders under way at once; the answers come one after another anyway."""
Answer = dict[str, Any]


class NotWarm(MsctlError):
    """No instance can be forked from the template, but it can be exec'd; says why."""


class State(Enum):
    """What has become of a template."""

    IMPORTING = auto()
    READY = auto()
    UNFIT = auto()
    """It gave up; another one of the same kind would as well."""
    LOST = auto()
    """It died, or does not answer."""


class Template:
    """One template process."""

    def __init__(self, channel: socket.socket, pid: int) -> None:
        self.pid = pid
        self.state = State.IMPORTING
        self.reason = ""
        """Why it is unfit or lost."""
        self._channel = channel
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._places = asyncio.Semaphore(_QUEUE)
        self._settled = asyncio.Event()

    @classmethod
    def fork(cls) -> Self:
        """Fork it from this process, which imports first what both need. Raises OSError."""
        import_base()
        gc.freeze()
        ours, theirs = wire.open_channel()
        daemon = os.getpid()
        pid = os.fork()
        if pid == 0:
            run_template(theirs, daemon)
        theirs.close()
        return cls(ours, pid)

    @classmethod
    def execute(cls, environment: Mapping[str, str]) -> Self:
        """Start it as a program of its own. Raises OSError."""
        ours, theirs = wire.open_channel()
        with theirs:
            command = ("-m", "msctl", "_template", str(theirs.fileno()), str(os.getpid()))
            try:
                child = subprocess.Popen(
                    [sys.executable, *INTERPRETER_FLAGS, *command],
                    stdin=subprocess.DEVNULL,
                    env=environment,
                    pass_fds=(theirs.fileno(),),
                )
            except OSError:
                ours.close()
                raise
        child.returncode = 0  # the reaper collects it, not Popen
        return cls(ours, child.pid)

    def begin(self, preload: Sequence[str]) -> None:
        """Tell it what else to import, once."""
        with suppress(OSError):  # it is dead, which is noticed where it is listened to
            wire.send(self._channel, {"preload": list(preload)})

    def open(self, changed: Callable[["Template"], None]) -> None:
        """Listen to it; `changed` is told when it has become ready, unfit or lost."""
        self._changed = changed
        self._channel.settimeout(0)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._channel, self._readable)
        self._overdue = loop.call_later(
            IMPORT_TIME, self._give_up, f"it has not imported everything within {IMPORT_TIME:g} s"
        )

    def close(self) -> None:
        """Let go of it: it ends, and what was asked of it comes to nothing."""
        self._end(State.LOST, "the template was let go")

    async def ask(self, order: Mapping[str, object], descriptors: Sequence[int]) -> Answer:
        """Have it carry out an order and return its answer. Raises NotWarm."""
        async with self._places:
            await self._settled.wait()
            if self.state is not State.READY:
                raise NotWarm(self.reason)
            number = next(self._numbers)
            answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            self._asked[number] = answer
            try:
                wire.send(self._channel, {"id": number, **order}, descriptors)
                async with asyncio.timeout(ANSWER_TIME):
                    return await answer
            except OSError as error:  # TimeoutError is one
                self._give_up(f"it does not answer ({error!r})")
                raise NotWarm(self.reason) from error
            finally:
                self._asked.pop(number, None)

    def _readable(self) -> None:
        try:
            received = wire.receive(self._channel)
        except BlockingIOError:
            return
        except ConnectionResetError:  # it died, and had not read everything
            received = None
        except OSError as error:
            self._give_up(f"it cannot be heard ({error})")
            return
        if received is None:
            self._end(State.LOST, "the template died")
        else:
            self._hear(received[0])

    def _hear(self, answer: Answer) -> None:
        if "id" not in answer:
            if "ready" in answer:
                self._settle(State.READY)
            else:
                self._end(State.UNFIT, answer["unfit"])
            return
        asked = self._asked.get(answer["id"])
        if asked is not None and not asked.done():
            asked.set_result(answer)
        elif "pid" in answer:  # nobody wants it any more
            with suppress(ProcessLookupError):
                os.killpg(answer["pid"], signal.SIGKILL)

    def _give_up(self, problem: str) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._end(State.LOST, f"the template was given up: {problem}")

    def _end(self, state: State, reason: str) -> None:
        if self._channel.fileno() < 0:
            return
        asyncio.get_running_loop().remove_reader(self._channel)
        # An instance that it has just forked answers into the void, and ends.
        self._channel.close()
        self.reason = reason
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(NotWarm(reason))
        self._settle(state)

    def _settle(self, state: State) -> None:
        self.state = state
        self._overdue.cancel()
        self._settled.set()
        self._changed(self)
