"""Is it ready? From the checks of one process to a verdict (router.md, Registry and health).

The verdict never restarts a process; liveness is another matter. A tracker belongs to one
generation of an instance: a new process gets a new one.
"""

from dataclasses import dataclass

from msctl.core.jitter import RandomSource, spread_together
from msctl.core.probe import ProbeKind, ProbeResult, classify
from msctl.model import Health

__all__ = ["HealthPolicy", "HealthTracker", "HealthUpdate", "ProbeKind", "ProbeResult", "classify"]

_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPolicy:
    """How a verdict is reached; all times in seconds. Defaults: HAProxy's, see router.md."""

    interval: float = 2.0
    """Between checks while the verdict stands, ± `jitter` of it."""
    fast_interval: float = 0.25
    """Between checks while a verdict is pending."""
    timeout: float = 1.0
    """Of one check, once the instance has been healthy."""
    rise: int = 2
    """Checks that must pass in a row before an unhealthy instance returns."""
    fall: int = 3
    """Checks that must fail in a row before a healthy instance is out."""
    jitter: float = 0.1
    start_interval: float = 0.02
    """Between checks in the first `start_phase`, until one passes."""
    start_phase: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthUpdate:
    """What one check led to; the next one is due after `delay` seconds.

    `passed` is about this one check, `health` about what they all say; `warn` is true once,
    when the check turns out to be misconfigured.
    """

    health: Health
    previous: Health
    delay: float
    passed: bool
    warn: bool = False

    @property
    def changed(self) -> bool:
        """Whether the verdict is another one than before."""
        return self.health is not self.previous


class HealthTracker:
    """The verdict on one process, and when to check it next.

    `health` is unknown until the first check passes, which makes it healthy at once;
    `rise` applies to a return only. `misconfigured` is set by a 404: from then on any
    answer below 500 passes.
    """

    def __init__(self, policy: HealthPolicy, started_at: float) -> None:
        self.policy = policy
        self.health = Health.UNKNOWN
        self.detail = ""
        self.misconfigured = False
        self._started_at = started_at
        self._checked_at = started_at
        self._due_at = started_at
        self._passed = 0
        self._failed = 0

    @property
    def settled(self) -> bool:
        """Whether it was ever healthy: until then a check may wait in the listen backlog."""
        return self.health is not Health.UNKNOWN

    def record(self, result: ProbeResult, now: float, random: RandomSource) -> HealthUpdate:
        """Take in the result of one check that has ended now."""
        previous = self.health
        warn = result.kind is ProbeKind.NOT_FOUND and not self.misconfigured
        self.misconfigured = self.misconfigured or warn
        self.detail = self._describe(result)
        passed = self._passes(result)
        if passed:
            self._pass(result)
        else:
            self._fail(result)
        self._checked_at = now
        delay = self._delay(now, random)
        self._due_at = now + delay
        return HealthUpdate(
            health=self.health, previous=previous, delay=delay, passed=passed, warn=warn
        )

    def hurry(self, now: float) -> float:
        """Bring the next check forward and return the seconds until it is due.

        For an attempt that has had no byte for 1 s. It comes `fast_interval` after the last
        one, which makes it due at once in most cases (an instance that hangs under load is
        out after 1 + 3·1 + 2·0.25 = 4.5 s) and yet bounds what many slow calls can cause.
        """
        soon = max(now, self._checked_at + self.policy.fast_interval)
        self._due_at = min(self._due_at, soon)
        return max(self._due_at - now, 0.0)

    def __repr__(self) -> str:
        run = f"+{self._passed}" if self._passed else f"-{self._failed}"
        return f"<HealthTracker {self.health} {run} {self.detail!r}>"

    def _passes(self, result: ProbeResult) -> bool:
        if result.kind in {ProbeKind.OK, ProbeKind.DEGRADED}:
            return True
        return self.misconfigured and result.status is not None and result.status < _SERVER_ERROR

    def _pass(self, result: ProbeResult) -> None:
        self._failed = 0
        self._passed += 1
        if self.health is Health.UNHEALTHY and self._passed < self.policy.rise:
            return
        degraded = result.kind is ProbeKind.DEGRADED
        self.health = Health.DEGRADED if degraded else Health.HEALTHY

    def _fail(self, result: ProbeResult) -> None:
        self._passed = 0
        self._failed += 1
        if not self.settled:
            return  # it is starting: neither a refusal nor a 503 says more than 'not yet'
        if result.kind is ProbeKind.UNAVAILABLE or self._failed >= self.policy.fall:
            self.health = Health.UNHEALTHY

    def _delay(self, now: float, random: RandomSource) -> float:
        policy = self.policy
        if not self.settled:
            early = now - self._started_at < policy.start_phase
            return policy.start_interval if early else policy.fast_interval
        if self._is_pending():
            # Exact: with jitter here a hung instance would not be out after 5.7 s at worst.
            return policy.fast_interval
        return spread_together(policy.interval, policy.jitter, now, random)

    def _is_pending(self) -> bool:
        """Whether the last checks contradict the verdict and have not yet overturned it."""
        return (self._passed if self.health is Health.UNHEALTHY else self._failed) > 0

    def _describe(self, result: ProbeResult) -> str:
        if not self.misconfigured or result.kind in {ProbeKind.OK, ProbeKind.DEGRADED}:
            return result.detail
        return f"{result.detail}; health_check_path names nothing there, so any answer below 500 passes"
