"""A breaker's transitions, and the listeners that are told of them."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from msctl.model import BreakerState

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A breaker went from one state to another; `at` is in monotonic seconds.

    `generation` is the one that begins with it.
    """

    before: BreakerState
    after: BreakerState
    reason: str
    at: float
    generation: int


TransitionListener = Callable[[Transition], None]


class TransitionFeed:
    """Tells listeners of transitions, in order, outside any lock.

    `put` is called with the breaker's lock held, `deliver` without it. When several
    threads deliver at once, one of them does it for all, so that the order is kept; a
    listener that changes the breaker it listens to is told of that afterwards.
    """

    def __init__(self) -> None:
        self._listeners: dict[object, TransitionListener] = {}
        self.waiting: deque[Transition] = deque()
        """Noted and not yet told; empty almost always, so look before you `deliver`."""
        self._telling = Lock()

    def subscribe(self, listener: TransitionListener) -> Callable[[], None]:
        """Add a listener; calling the result removes it."""
        token = object()
        self._listeners[token] = listener

        def unsubscribe() -> None:
            self._listeners.pop(token, None)

        return unsubscribe

    def put(self, transition: Transition) -> None:
        """Note a transition, to be delivered soon."""
        self.waiting.append(transition)

    def deliver(self) -> None:
        """Tell every listener of all that was noted; one that raises harms nothing."""
        # Who finds the lock taken may leave: its holder looks for more after releasing it.
        while self.waiting and self._telling.acquire(blocking=False):
            try:
                if self.waiting:
                    self._tell(self.waiting.popleft())
            finally:
                self._telling.release()

    def _tell(self, transition: Transition) -> None:
        for listener in tuple(self._listeners.values()):
            try:
                listener(transition)
            except Exception:
                logger.exception("breaker listener failed")
