"""The time limit of a call, which does not run while the client is still sending."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from msctl.clock import Clock
from msctl.proxy.interrupt import Cause
from msctl.proxy.request_body import RequestBody

_LOOK_AGAIN: Final = 1.0
_RESOLUTION: Final = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds on the clock, and of the idle limit."""

    started: float
    deadline: float
    idle: float


class TimeLimit:
    """Fires when a response's head is overdue; `stop` when it is there.

    "Bodies have only the idle limit" (contract.md, timeout): the limit counts from the last
    byte of the request's body that came, and while an instance waits for a client that owes
    bytes, only the idle limit runs.
    """

    def __init__(
        self, limits: Limits, clock: Clock, body: RequestBody, fire: Callable[[Cause], None]
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._body = body
        self._fire = fire
        self._timer: asyncio.TimerHandle | None = None
        self._look()

    def left(self) -> float:
        """Seconds until the head is overdue, as the instance is told."""
        return self._deadline() - self._clock.now()

    def stop(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()

    def _deadline(self) -> float:
        return self._limits.deadline + self._body.received_at - self._limits.started

    def _look(self) -> None:
        now, limit, cause, again = self._clock.now(), self._deadline(), Cause.TIMED_OUT, None
        # A client that has sent nothing of its body may be waiting for the instance's
        # `100 Continue`: then it is the instance that is late.
        if self._body.starving and self._body.begun:
            limit = max(limit, self._body.received_at + self._limits.idle)
            cause, again = Cause.CLIENT_SLOW, _LOOK_AGAIN
        if now >= limit:
            self._fire(cause)
            return
        delay = limit - now if again is None else min(again, limit - now)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(delay, _RESOLUTION), self._look)
