"""Which instances exist, and what is true of each: the one list that everything else reads."""

import logging
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

from msctl.model import Health, ServiceInstance, ServiceStatus

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryEvent:
    """One change of one instance; `before` is None for a newcomer, `after` for a leaver.

    `version` is the service's version that this change made.
    """

    service: str
    instance_id: str
    before: ServiceInstance | None
    after: ServiceInstance | None
    version: int


Listener = Callable[[RegistryEvent], None]


class InstanceChanges(TypedDict, total=False):
    """What may change while an instance keeps its id, service and generation."""

    host: str
    port: int | None
    pid: int | None
    status: ServiceStatus
    health: Health
    weight: int
    restarts: int
    exit_code: int | None
    started_at: float | None
    reason: str


_CHANGEABLE = InstanceChanges.__annotations__.keys()


class ServiceRegistry:
    """The instances of every service, each with a generation (router.md, Registry and health).

    What is said of an older generation changes nothing, also after that instance has left:
    the last generation of an id is remembered, so that a late result for a dead process
    can never reach a newcomer that got its id. Every change raises the version of its
    service and is told to the listeners, in the order of the changes. Not thread-safe:
    a registry belongs to one loop.
    """

    def __init__(self) -> None:
        self._instances: dict[str, ServiceInstance] = {}
        self._rosters: dict[str, _Roster] = {}
        self._versions: dict[str, int] = {}
        self._generations: dict[str, int] = {}
        self._listeners: dict[object, Listener] = {}
        self._untold: deque[RegistryEvent] = deque()
        self._telling = False

    def register_service(self, instance: ServiceInstance) -> bool:
        """Enter an instance, in place of the one with its id; False if its generation is older.

        Raises ValueError if the id belongs to another service.
        """
        before = self._instances.get(instance.id)
        if before is not None and before.service != instance.service:
            raise ValueError(f"{instance.id} is an instance of {before.service} already")
        if instance.generation < self._generations.get(instance.id, instance.generation):
            return False
        self._generations[instance.id] = instance.generation
        if instance != before:
            self._change(instance, before, instance)
        return True

    def unregister_service(self, instance_id: str) -> ServiceInstance | None:
        """Take an instance out and return it as it was last; None if there is none."""
        before = self._instances.get(instance_id)
        if before is not None:
            self._change(before, before, None)
        return before

    def update(
        self, instance_id: str, generation: int, **changes: Unpack[InstanceChanges]
    ) -> ServiceInstance | None:
        """Change what is true of this very process and return it as it is now.

        None, and nothing changed, if no instance with this id and generation is registered.
        Changes that change nothing make no event. Raises TypeError for what may not change.
        """
        if not changes.keys() <= _CHANGEABLE:
            unknown = changes.keys() - _CHANGEABLE
            raise TypeError(f"cannot change {', '.join(sorted(unknown))} of {instance_id}")
        before = self._instances.get(instance_id)
        if before is None or before.generation != generation:
            return None
        if all(getattr(before, name) == value for name, value in changes.items()):
            return before  # as after most checks, a hundred times a second in a big fleet
        after = replace(before, **changes)
        self._change(after, before, after)
        return after

    def get_instance(self, instance_id: str) -> ServiceInstance | None:
        """Return the instance with this id, None if there is none."""
        return self._instances.get(instance_id)

    def get_service(self, name: str) -> tuple[ServiceInstance, ...]:
        """Return all instances of a service, whatever their state, by their number."""
        roster = self._rosters.get(name)
        return () if roster is None else roster.listing()

    def get_all_services(self) -> dict[str, tuple[ServiceInstance, ...]]:
        """Return the instances of every service that has any; the dict is the caller's own."""
        return {name: roster.listing() for name, roster in self._rosters.items()}

    def version(self, name: str) -> int:
        """Return how often anything about the service has changed; it never goes back."""
        return self._versions.get(name, 0)

    def last_generation(self, instance_id: str) -> int:
        """Return the highest generation that ever had this id, 0 if none: the next is one more."""
        return self._generations.get(instance_id, 0)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of every change from now on; call what is returned to end that.

        A listener may change the registry and may raise: the others are told all the same.
        """
        token = object()  # a function may subscribe twice, and each of the two leaves alone
        self._listeners[token] = listener

        def unsubscribe() -> None:
            self._listeners.pop(token, None)

        return unsubscribe

    def __repr__(self) -> str:
        states = (f"{i.id}@{i.generation} {i.status}/{i.health}" for i in self._instances.values())
        return f"<ServiceRegistry {', '.join(states) or 'empty'}>"

    def _change(
        self,
        subject: ServiceInstance,
        before: ServiceInstance | None,
        after: ServiceInstance | None,
    ) -> None:
        service = subject.service
        roster = self._rosters.setdefault(service, _Roster())
        if after is None:
            del self._instances[subject.id]
            roster.remove(subject)
            if not roster.instances:
                del self._rosters[service]
        else:
            self._instances[subject.id] = after
            roster.put(after)
        version = self._versions[service] = self.version(service) + 1
        self._tell(
            RegistryEvent(
                service=service,
                instance_id=subject.id,
                before=before,
                after=after,
                version=version,
            )
        )

    def _tell(self, event: RegistryEvent) -> None:
        # A listener that changes the registry must not let those after it see the effect
        # before the cause: its event waits until all have been told of the present one.
        self._untold.append(event)
        if self._telling:
            return
        self._telling = True
        try:
            while self._untold:
                self._tell_all(self._untold.popleft())
        finally:
            self._telling = False

    def _tell_all(self, event: RegistryEvent) -> None:
        for token, listener in tuple(self._listeners.items()):
            if token not in self._listeners:
                continue  # one that was told before it ended this subscription
            try:
                listener(event)
            except Exception:
                logger.exception(
                    "registry listener failed",
                    extra={"service": event.service, "instance": event.instance_id},
                )


class _Roster:
    """The instances of one service by their number, so that a change does not sort them all."""

    __slots__ = ("_keys", "_listing", "instances")

    def __init__(self) -> None:
        self.instances: list[ServiceInstance] = []
        self._keys: list[tuple[int, str]] = []
        self._listing: tuple[ServiceInstance, ...] | None = None

    def listing(self) -> tuple[ServiceInstance, ...]:
        """Return all of them, the same tuple until the next change."""
        if self._listing is None:
            self._listing = tuple(self.instances)
        return self._listing

    def put(self, instance: ServiceInstance) -> None:
        """Enter an instance, in place of the one with its id."""
        key = _number(instance)
        place = bisect_left(self._keys, key)
        if place < len(self._keys) and self._keys[place] == key:
            self.instances[place] = instance
        else:
            self._keys.insert(place, key)
            self.instances.insert(place, instance)
        self._listing = None

    def remove(self, instance: ServiceInstance) -> None:
        """Take out one that is there."""
        place = bisect_left(self._keys, _number(instance))
        del self._keys[place], self.instances[place]
        self._listing = None


def _number(instance: ServiceInstance) -> tuple[int, str]:
    """Order `api-2` before `api-10`; an id without a number comes first."""
    tail = instance.id.rpartition("-")[2]
    return (int(tail) if tail.isdecimal() else -1, instance.id)
