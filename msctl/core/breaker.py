"""The circuit breaker: may the next call pass, and what do finished calls change.

One class for both levels (an instance's and a service's), usable alone:

    breaker = CircuitBreaker(failure_threshold=5, timeout=60)
    breaker.call(function, 1, 2)
    await breaker.call(coroutine_function, 1, 2)

The rules are router.md's "Breaker"; the cap on ejections and what concerns several
instances at once is decided by the route, through `may_open`.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from threading import Lock
from typing import Any, ParamSpec, Self, TypeVar, overload

from msctl.clock import Clock, SystemClock, random_source
from msctl.core.breaker_call import call_guarded
from msctl.core.breaker_events import Transition, TransitionFeed, TransitionListener
from msctl.core.breaker_history import BreakerHistory
from msctl.core.breaker_machine import TRANSITIONS, BreakerMachine
from msctl.core.breaker_options import NEVER_OPENS, BreakerNumbers, BreakerOptions
from msctl.core.breaker_permit import Permit
from msctl.core.jitter import RandomSource
from msctl.core.outcome import Reason, Verdict
from msctl.errors import ServiceUnavailable
from msctl.model import BreakerState

__all__ = [
    "NEVER_OPENS",
    "TRANSITIONS",
    "BreakerNumbers",
    "BreakerOptions",
    "BreakerSnapshot",
    "CircuitBreaker",
    "Permit",
    "Transition",
    "TransitionListener",
]

_P = ParamSpec("_P")
_T = TypeVar("_T")

_BAD = frozenset({Verdict.FAILURE, Verdict.THROTTLED})
_KEEPS_OUT = frozenset({BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.FORCED_OPEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSnapshot:
    """A breaker at one moment, for tables and JSON."""

    state: BreakerState
    reason: str
    """Why it is in this state; empty if it never changed."""
    since: float | None
    """Monotonic seconds; None if it never changed."""
    until: float | None
    """When the opening or the forcing ends by itself, in monotonic seconds; None if it does not."""
    retry_after: float | None
    generation: int
    failures_in_a_row: int
    calls: int
    failures: int
    """Bad ones among `calls`, the calls of the window."""


class CircuitBreaker:
    """Closed: calls pass and are counted. Open: none pass. Half-open: a few probes decide.

    Thread-safe; the lock is never held while a call runs or a listener is told. Every
    `now` is in monotonic seconds and may be left out where the breaker has the clock to
    itself. `failure_threshold` is the run of failures that opens it, `timeout` the most
    seconds that it stays open; `options` sets all the numbers instead of these two.
    `may_open` is asked before a failure opens it, and may keep it closed (Breaker 6).
    """

    def __init__(
        self,
        failure_threshold: int = 5,
        timeout: float = 60.0,
        *,
        options: BreakerOptions | None = None,
        name: str = "circuit breaker",
        clock: Clock | None = None,
        random: RandomSource | None = None,
        may_open: Callable[[], bool] | None = None,
    ) -> None:
        self.name = name
        self.options = options or BreakerOptions(
            failure_threshold=failure_threshold, timeout=timeout
        )
        self._clock = clock or SystemClock()
        self._may_open = may_open
        self._lock = Lock()
        self._feed = TransitionFeed()
        self._machine = BreakerMachine(self.options, random or random_source(), self._feed.put)

    @classmethod
    def for_instance(cls, numbers: BreakerNumbers, **injected: Any) -> Self:
        """Make the breaker of one instance from what the user configured."""
        return cls(options=BreakerOptions.for_instance(numbers), **injected)

    @classmethod
    def for_service(cls, numbers: BreakerNumbers, **injected: Any) -> Self:
        """Make the breaker of a service from what the user configured."""
        return cls(options=BreakerOptions.for_service(numbers), **injected)

    @overload
    def call(
        self, func: Callable[_P, Coroutine[Any, Any, _T]], *args: _P.args, **kwargs: _P.kwargs
    ) -> Coroutine[Any, Any, _T]: ...

    @overload
    def call(self, func: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T: ...

    def call(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call `func` through the breaker and return or raise what it does.

        The result of a coroutine function is to be awaited; a cancelled call counts nothing.
        What is raised is a failure, and so is a returned response with a 5xx status (see
        breaker_judge). Raises ServiceUnavailable, without calling, while it is open.
        """
        return call_guarded(self, func, *args, **kwargs)

    def enter(self) -> Permit:
        """Give a permit, by the breaker's own clock, or raise ServiceUnavailable."""
        now = self._clock.now()
        permit = self.try_acquire(now)
        if permit is None:
            raise ServiceUnavailable(
                self.name,
                Reason.BREAKER_OPEN,
                "the circuit breaker is open; try again later",
                self.retry_after(now),
            )
        return permit

    def now(self) -> float:
        """Monotonic seconds, by the breaker's own clock."""
        return self._clock.now()

    def try_acquire(self, now: float, *, limit: float | None = None) -> Permit | None:
        """Give a permit for one call, None if it may not pass.

        `limit` is in seconds: a probe that is not released within it counts as a failure
        (Breaker 2); by default that of the options.
        """
        machine = self._machine
        # Closed needs no lock: the generation is read first, so that if another thread moves
        # the state just now this is a call from before that, whose result does not count.
        generation = machine.generation
        if machine.state is BreakerState.CLOSED:
            return Permit(self, generation, None)
        with self._lock:
            permit = machine.acquire(self, now, limit)
        self._feed.deliver()
        return permit

    def admits(self, now: float) -> bool:
        """Whether a call could pass; `try_acquire` still decides."""
        if self._machine.state is BreakerState.CLOSED:
            return True
        with self._lock:
            admits = self._machine.admits(now)
        self._feed.deliver()
        return admits

    def state(self, now: float | None = None) -> BreakerState:
        """Return the state at this time."""
        return self.snapshot(now).state

    def retry_after(self, now: float | None = None) -> float | None:
        """Return seconds until it is worth asking; 0: now; None: forced open without an end."""
        return self.snapshot(now).retry_after

    def snapshot(self, now: float | None = None) -> BreakerSnapshot:
        """Return everything that can be shown of it."""
        now = self._time(now)
        with self._lock:
            machine = self._machine
            machine.advance(now)
            calls, failures = machine.history.counts(now)
            snapshot = BreakerSnapshot(
                state=machine.state,
                reason=machine.reason,
                since=machine.since,
                until=machine.until,
                retry_after=machine.retry_after(now),
                generation=machine.generation,
                failures_in_a_row=machine.history.run,
                calls=calls,
                failures=failures,
            )
        self._feed.deliver()
        return snapshot

    @property
    def generation(self) -> int:
        """The number of the present state; results of calls from an earlier one do not count."""
        return self._machine.generation

    @property
    def history(self) -> BreakerHistory:
        """What counts towards opening; good calls may be recorded in it directly (express)."""
        return self._machine.history

    @property
    def last_state(self) -> BreakerState:
        """The state as the last call left it, without asking the time."""
        return self._machine.state

    @property
    def keeps_out(self) -> bool:
        """Whether ordinary calls are kept out, as far as is known without asking the time."""
        return self._machine.state in _KEEPS_OUT

    @property
    def unreachable(self) -> bool:
        """Whether it is open since nothing listened at the other end (Breaker 5)."""
        return self._machine.unreachable

    def probing_since(self) -> float | None:
        """Return since when it has been half-open, None if it is not."""
        machine = self._machine
        return machine.since if machine.state is BreakerState.HALF_OPEN else None

    def over_threshold(self, now: float) -> str | None:
        """Say why it keeps calls out, or would if it might open (Breaker 6); None: it is well."""
        with self._lock:
            machine = self._machine
            return machine.reason if self.keeps_out else machine.history.over_threshold(now)

    def settle(self, permit: Permit, verdict: Verdict, now: float, *, lost: bool = False) -> None:
        """Count a verdict; called by `Permit.release`."""
        # Asked outside the lock: the answer depends on other breakers, which have locks too.
        may_open = verdict not in _BAD or self._may_open is None or self._may_open()
        with self._lock:
            self._machine.settle(permit, verdict, now, may_open=may_open, lost=lost)
        if self._feed.waiting:
            self._feed.deliver()

    def settle_unreachable(self, permit: Permit, now: float) -> None:
        """Open at once; called by `Permit.unreachable`."""
        with self._lock:
            self._machine.settle_unreachable(permit, now)
        self._feed.deliver()

    def trip(self, now: float, reason: str) -> None:
        """Open it, if it is closed, for a reason that lies outside its own counts."""
        with self._lock:
            self._machine.trip(now, reason)
        self._feed.deliver()

    def health_passed(self, now: float) -> None:
        """End an ejection for refused connections; one for failures stays (Breaker 8)."""
        with self._lock:
            if self._machine.unreachable:
                self._machine.close(now, "health checks pass")
        self._feed.deliver()

    def close(self, now: float, reason: str) -> None:
        """Close it with a fresh window, unless it is forced open (Breaker 7)."""
        with self._lock:
            self._machine.close(now, reason)
        self._feed.deliver()

    def forget_counts(self) -> None:
        """Begin a fresh window without a change of state."""
        with self._lock:
            self._machine.history.clear()

    def force_open(self, now: float | None = None, for_: float | None = None) -> None:
        """Let nothing pass, for `for_` seconds or until `auto`."""
        self._force(BreakerState.FORCED_OPEN, now, for_)

    def force_closed(self, now: float | None = None, for_: float | None = None) -> None:
        """Let everything pass and count nothing, for `for_` seconds or until `auto`."""
        self._force(BreakerState.FORCED_CLOSED, now, for_)

    def auto(self, now: float | None = None) -> None:
        """End a forcing: closed, with a fresh window, and deciding by itself again."""
        now = self._time(now)
        with self._lock:
            self._machine.end_forcing(now)
        self._feed.deliver()

    def reset(self, now: float | None = None) -> None:
        """Forget everything: closed, nothing counted, the next opening is as short as the first."""
        now = self._time(now)
        with self._lock:
            self._machine.reset(now)
        self._feed.deliver()

    def go_on_with_forcing(self, other: "CircuitBreaker") -> None:
        """Take the place of another breaker, before the first call: if it is forced, so is this."""
        with self._lock:
            self._machine.go_on_with_forcing(other._machine)  # noqa: SLF001  of the same class

    def on_transition(self, listener: TransitionListener) -> Callable[[], None]:
        """Tell `listener` of every change of state; call the result to end that.

        Told outside the lock, in order; a listener that raises harms nothing (Breaker 9).
        """
        return self._feed.subscribe(listener)

    def __repr__(self) -> str:
        machine = self._machine
        return f"<CircuitBreaker {self.name} {machine.state} generation {machine.generation}>"

    def _force(self, state: BreakerState, now: float | None, seconds: float | None) -> None:
        now = self._time(now)
        with self._lock:
            self._machine.force(state, now, seconds)
        self._feed.deliver()

    def _time(self, now: float | None) -> float:
        return self._clock.now() if now is None else now
