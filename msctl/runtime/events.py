"""What happened to the fleet, in order: the last thousand events and whoever follows them."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from msctl.clock import Clock, timestamp

KEPT = 1000
Kind = Literal["status", "health", "breaker", "scale", "config"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change of one fact (contract.md, `msctl events`)."""

    time: str
    service: str
    instance: str | None
    kind: Kind
    before: str
    after: str
    reason: str

    def document(self) -> dict[str, Any]:
        """Return the JSON object of the contract."""
        return {
            "time": self.time,
            "service": self.service,
            "instance": self.instance,
            "kind": self.kind,
            "from": self.before,
            "to": self.after,
            "reason": self.reason,
        }


class EventLog:
    """Keeps events and hands each to every follower."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._listeners: dict[object, Callable[[Event], None]] = {}

    def record(
        self,
        service: str,
        instance: str | None,
        kind: Kind,
        change: tuple[str, str],
        reason: str = "",
    ) -> None:
        """Note that a fact went from `change[0]` to `change[1]`."""
        event = Event(
            time=timestamp(self._clock.wall()),
            service=service,
            instance=instance,
            kind=kind,
            before=change[0],
            after=change[1],
            reason=reason,
        )
        self._kept.append(event)
        for listener in tuple(self._listeners.values()):
            listener(event)

    def kept(self) -> list[Event]:
        """Return the events that are still known, oldest first."""
        return list(self._kept)

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Tell `listener` of every event from now on; call what is returned to end that."""
        token = object()
        self._listeners[token] = listener

        def unsubscribe() -> None:
            self._listeners.pop(token, None)

        return unsubscribe
