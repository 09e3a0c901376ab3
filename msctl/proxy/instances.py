"""What is under way at each instance, and when the registry's word ends it."""

from collections.abc import Callable
from typing import Final

from msctl.core.registry import RegistryEvent
from msctl.model import Health, ServiceInstance, ServiceStatus
from msctl.proxy.upstream import InstanceKey, key_of

_DEAD: Final = frozenset(
    {
        ServiceStatus.BACKOFF,
        ServiceStatus.COMPLETED,
        ServiceStatus.ERROR,
        ServiceStatus.STOPPED,
    }
)


def is_lost(event: RegistryEvent) -> bool:
    """Whether the event means that what `before` has not answered yet never will be.

    A new generation, a dead process, or a running one that turned unhealthy. Leaving the
    registry alone is no loss, nor is draining: deregistering comes before the signal, and
    what is under way then is to be finished.
    """
    before, after = event.before, event.after
    if before is None or after is None:
        return False
    if after.generation != before.generation or after.status in _DEAD:
        return True
    return after.status is ServiceStatus.RUNNING and after.health is Health.UNHEALTHY


class InstanceWatch:
    """Callbacks by instance and generation; each is called once at most."""

    def __init__(self) -> None:
        self._callbacks: dict[InstanceKey, dict[object, Callable[[], None]]] = {}

    def add(self, instance: ServiceInstance, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when the instance is given up; call what is returned to end that."""
        key, token = key_of(instance), object()
        self._callbacks.setdefault(key, {})[token] = callback

        def remove() -> None:
            callbacks = self._callbacks.get(key)
            if callbacks is not None:
                callbacks.pop(token, None)
                if not callbacks:
                    self._callbacks.pop(key, None)

        return remove

    def give_up(self, key: InstanceKey) -> int:
        """Call what waits for this instance; returns how many that were."""
        callbacks = tuple(self._callbacks.pop(key, {}).values())
        for callback in callbacks:
            callback()
        return len(callbacks)

    def keys(self, instance_id: str) -> tuple[InstanceKey, ...]:
        """Return the generations of an instance for which something is under way."""
        return tuple(key for key in self._callbacks if key[0] == instance_id)
