"""Ending what a task waits for, with a cause: asyncio.timeout's way, for more than time."""

import asyncio
from enum import Enum, auto
from types import TracebackType
from typing import Self

from msctl.errors import MsctlError


class Cause(Enum):
    """Why an exchange, or one attempt of it, must stop waiting."""

    CLIENT_GONE = auto()
    CLIENT_FAULT = auto()
    """The body it is sending breaks the protocol."""
    CLIENT_SLOW = auto()
    """It stopped sending the body it had announced."""
    TIMED_OUT = auto()
    IDLE = auto()
    """Nothing moved in either direction for the idle limit."""
    LOST = auto()
    """The instance died or turned unhealthy; ends the attempt, not the exchange."""


class Interrupted(MsctlError):
    """Raised out of an `async with interrupts` block."""

    def __init__(self, cause: Cause) -> None:
        self.cause = cause
        super().__init__(cause.name.lower())


class Interrupts:
    """What may end the waiting of one task; used as `async with` around each wait.

    A cause that comes while the task waits ends the wait; one that came before ends the
    next wait at once. The first cause stands, except that LOST gives way to any other.
    """

    def __init__(self) -> None:
        self._cause: Cause | None = None
        self._task: asyncio.Task[object] | None = None
        self._fired = False
        self._cancelling = 0

    def fire(self, cause: Cause) -> None:
        """End the wait, now or when it begins."""
        if self._cause is None or self._cause is Cause.LOST:
            self._cause = cause
        if self._task is not None and not self._fired:
            self._fired = True
            self._task.cancel()

    def forget_lost(self) -> None:
        """Go on after an attempt whose instance was lost."""
        if self._cause is Cause.LOST:
            self._cause = None

    async def __aenter__(self) -> Self:
        if self._cause is not None:
            raise Interrupted(self._cause)
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task is not None else 0
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        fired, self._fired = self._fired, False
        if not fired or task is None or self._cause is None:
            return
        # A cancellation from elsewhere that came on top of ours must win.
        if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise Interrupted(self._cause) from error
