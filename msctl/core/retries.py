"""Whether a call may be tried again, and when (router.md, Retries)."""

from msctl.core.outcome import Repeat
from msctl.core.route_parts import RouteParts

_FIRST_JITTER, _LAST_JITTER = 0.025, 0.25
"""Seconds before a retry, from the second on."""


class Retries:
    """The retries of one call; `deadline` in monotonic seconds."""

    def __init__(self, parts: RouteParts, deadline: float) -> None:
        self._parts = parts
        self._deadline = deadline
        self._made = 0

    def next_delay(
        self, repeat: Repeat, now: float, *, attempts: int, idempotent: bool
    ) -> float | None:
        """Take one retry and return the seconds to wait before it; None if there is none."""
        policy = self._parts.policy.retries
        if policy is None or attempts >= policy.attempts or repeat is Repeat.NEVER:
            return None
        never_sent = repeat is Repeat.ANY
        if not never_sent and not idempotent:
            return None
        delay = 0.0 if never_sent or not self._made else self._jitter()
        if now + delay >= self._deadline:
            return None
        if repeat is Repeat.IDEMPOTENT and not self._parts.budget.try_withdraw(now):
            return None
        self._made += 1
        return delay

    def _jitter(self) -> float:
        return _FIRST_JITTER + (_LAST_JITTER - _FIRST_JITTER) * self._parts.random.random()
