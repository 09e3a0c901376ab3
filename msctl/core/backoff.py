"""What follows when a process exits: a restart and when, or an end (router.md, restart backoff)."""

import signal
from dataclasses import dataclass
from enum import StrEnum

from msctl.config.models import RestartPolicy
from msctl.core.jitter import RandomSource, spread

FIRST_DELAY = 1.0
LONGEST_DELAY = 30.0
JITTER = 0.1
PROVEN = 10.0
"""Seconds healthy after which a crash is restarted at once; shorter runs are quick crashes."""
FORGIVEN = 60.0
"""Seconds healthy after which earlier crashes count no more."""
QUICK_CRASHES = 5
"""So many quick crashes in a row are an error that only a user's command ends."""

_LAST_DOUBLING = 5  # 1·2⁵ s is over LONGEST_DELAY already


class RestartAction(StrEnum):
    """What is to be done with the instance."""

    RESTART = "restart"
    COMPLETED = "completed"
    """It was a job and it is done."""
    FAIL = "fail"
    """Its status becomes `error`."""
    STOPPED = "stopped"
    """It ended well, without being a job, and its policy does not restart that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartDecision:
    """What is to be done, after how many seconds (0: at once), and by which rule, for people."""

    action: RestartAction
    delay: float
    reason: str


class RestartTracker:
    """The memory of one instance's crashes, across its generations.

    A user's command begins with a new tracker, which is what ends an error. `max_retries`
    is the N of `on-failure:N`: restarts until it has been healthy for a minute again.
    `retry_startup` is for `--no-wait` (`restart: always` implies it): an exit before the
    instance was ever healthy is then a crash like any other. `job` says that exit code 0
    is completion; under `restart: no` it always is, under `restart: always` never.
    """

    def __init__(
        self,
        policy: RestartPolicy,
        max_retries: int | None = None,
        *,
        retry_startup: bool = False,
        job: bool = False,
    ) -> None:
        self.policy = policy
        self.max_retries = max_retries
        self.retry_startup = retry_startup or policy is RestartPolicy.ALWAYS
        self.job = policy is RestartPolicy.NO or (job and policy is RestartPolicy.ON_FAILURE)
        self.retries = 0
        self.quick_crashes = 0
        self._doublings = 0
        self._ever_healthy = False
        self._started_at: float | None = None
        self._healthy_since: float | None = None
        self._longest_healthy: float | None = None

    def started(self, now: float) -> None:
        """Note that a new process runs."""
        self._started_at = now
        self._healthy_since = None
        self._longest_healthy = None

    def healthy(self, now: float) -> None:
        """Note that it is healthy; saying so again changes nothing."""
        self._ever_healthy = True
        if self._healthy_since is None:
            self._healthy_since = now

    def unhealthy(self, now: float) -> None:
        """Note that it is not healthy any more: only a stretch without a gap proves it."""
        if self._healthy_since is not None:
            self._longest_healthy = max(self._longest_healthy or 0.0, now - self._healthy_since)
            self._healthy_since = None

    def exited(self, code: int | None, now: float, random: RandomSource) -> RestartDecision:
        """Decide what follows an end that nobody asked for.

        `code` is the exit code, negative for the signal that killed it, None for a process
        that was ended because it did not become healthy in time.
        """
        self.unhealthy(now)
        if code == 0 and self.job:
            return _end(RestartAction.COMPLETED, "its job is done")
        if not self._ever_healthy and not self.retry_startup:
            return _end(RestartAction.FAIL, "it was never healthy")
        if self.policy is RestartPolicy.NO:
            return _end(RestartAction.FAIL, "restart: no")
        if code == 0 and self.policy is RestartPolicy.ON_FAILURE and self._ever_healthy:
            return _end(RestartAction.STOPPED, "restart: on-failure")
        return self._crashed(now, random)

    def _crashed(self, now: float, random: RandomSource) -> RestartDecision:
        uptime = 0.0 if self._started_at is None else now - self._started_at
        if self._healthy_for(FORGIVEN):
            self._doublings = self.retries = 0
        quick = self._longest_healthy is None or uptime < PROVEN
        self.quick_crashes = self.quick_crashes + 1 if quick else 0
        if self.quick_crashes >= QUICK_CRASHES:
            return _end(RestartAction.FAIL, f"{QUICK_CRASHES} quick crashes in a row")
        if self.max_retries is not None and self.retries >= self.max_retries:
            return _end(RestartAction.FAIL, f"no retry left of {self.max_retries}")
        self.retries += 1
        proven = self._healthy_for(PROVEN)
        return RestartDecision(
            action=RestartAction.RESTART,
            delay=0.0 if proven else self._next_delay(random),
            reason=f"restart {self.retries}",
        )

    def _healthy_for(self, seconds: float) -> bool:
        return self._longest_healthy is not None and self._longest_healthy >= seconds

    def _next_delay(self, random: RandomSource) -> float:
        delay = min(FIRST_DELAY * 2**self._doublings, LONGEST_DELAY)
        self._doublings = min(self._doublings + 1, _LAST_DOUBLING)
        return spread(delay, JITTER, random)


def describe_exit(code: int) -> str:
    """Say how a process ended: its exit code, or the name of the signal that killed it."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"killed by {name}"


def _end(action: RestartAction, reason: str) -> RestartDecision:
    return RestartDecision(action=action, delay=0.0, reason=reason)
