"""What happened to the fleet, in order: the last thousand events and whoever follows them."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from msctl.clock import Clock, timestamp
from msctl.core.registry import RegistryEvent
from msctl.model import Health, ServiceStatus

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

    def record_change(self, event: RegistryEvent) -> None:
        """Note what of an instance's status and health is not as it was."""
        before, after = event.before, event.after
        reason = after.reason if after else ""
        statuses = [i.status if i else ServiceStatus.STOPPED for i in (before, after)]
        healths = [i.health if i else Health.UNKNOWN for i in (before, after)]
        if statuses[0] is not statuses[1]:
            change = (statuses[0], statuses[1])
            self.record(event.service, event.instance_id, "status", change, reason)
        if healths[0] is not healths[1]:
            turn = (healths[0], healths[1])
            self.record(event.service, event.instance_id, "health", turn, reason)

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
