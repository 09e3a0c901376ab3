"""The breaker of a whole service, and the instances it was opened for."""

from collections.abc import Callable

from msctl.core.breaker import CircuitBreaker
from msctl.core.breaker_events import Transition
from msctl.core.breaker_permit import Permit
from msctl.core.member import ProcessKey
from msctl.core.rotation import Rotation
from msctl.model import BreakerState


class ServiceGate:
    """The upper level of breakers: sees final outcomes only, so a retry that helped is none.

    It opens by its own counts, or when every instance is over its threshold. When all that
    were there at that time have been replaced, it closes: it knows nothing of the new ones
    (router.md, Breaker 7).
    """

    def __init__(self, breaker: CircuitBreaker, rotation: Rotation) -> None:
        self._rotation = rotation
        self._accused: frozenset[ProcessKey] = frozenset()
        self._unsubscribe: Callable[[], None] = lambda: None
        self.use(breaker)

    def use(self, breaker: CircuitBreaker) -> None:
        """Put another breaker in place, with other numbers."""
        self._unsubscribe()
        self.breaker = breaker
        self._unsubscribe = breaker.on_transition(self._moved)

    def catch_up(self, now: float) -> None:
        """Close it if all it was opened for have been replaced."""
        if self.breaker.keeps_out and self._rotation.replaced_since(self._accused):
            self.breaker.close(now, "every instance has been replaced")

    def try_acquire(self, now: float, limit: float) -> Permit | None:
        """Give a permit for one whole call, None while it is open."""
        self.catch_up(now)
        return self.breaker.try_acquire(now, limit=limit)

    def instance_failed(self, now: float) -> None:
        """Look whether the last instance that was not over its threshold is now."""
        if not self.breaker.keeps_out and (reason := self._rotation.all_over_threshold(now)):
            self.breaker.trip(now, reason)

    def _moved(self, transition: Transition) -> None:
        if transition.after is BreakerState.OPEN:
            self._accused = self._rotation.present()
            # From here on the service's breaker decides for those that the cap kept in;
            # their old failures must not open it again right after it has closed.
            self._rotation.forget_counts()
