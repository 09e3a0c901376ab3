"""How one service gets from the instances it has to those that are wanted of it.

The rules of a rolling restart, of scaling, and of a change of the configuration, which are
one thing: the service has instances of the wanted revision, outdated ones, and some that are
on their way out.

1. While a revision is replaced never fewer than `replicas` instances serve, if so many did,
   and never more than `replicas + surge` exist, those on their way out included.
2. Each new instance that serves allows one outdated one to go: those that serve nobody
   first, then the oldest.
3. A new one that fails stops all this, and the outdated ones stay.
4. What has ended is nobody's loss: outdated, it goes at once, and its place is taken after it.
5. Too many of the wanted revision: those that serve nobody go first, then the newest.
"""

from dataclasses import dataclass

from msctl.model import ServiceInstance, ServiceStatus

_ENDED = frozenset({ServiceStatus.ERROR, ServiceStatus.COMPLETED, ServiceStatus.STOPPED})
"""No process, and none to come by itself."""

_FAILED = frozenset({ServiceStatus.ERROR, ServiceStatus.STOPPED, ServiceStatus.BACKOFF})
"""What a new instance must not be when others are to be replaced as well. One that is
restarted after a crash is no reason to give up another one that runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """The instances of one service, by what is to become of them."""

    replicas: int
    surge: int
    current: tuple[ServiceInstance, ...]
    """Those of the wanted revision."""
    outdated: tuple[ServiceInstance, ...]
    """Those of any other one."""
    leaving: int
    """How many have been told to stop, of whatever revision."""

    @property
    def held(self) -> bool:
        """Whether a new instance has failed before all old ones were replaced (rule 3)."""
        return bool(self._replaceable()) and any(i.status in _FAILED for i in self.current)

    def retire(self, *, may_start: bool) -> list[ServiceInstance]:
        """Return those to be stopped now.

        `may_start` is whether the dependencies allow a successor: with no `surge` there is a
        gap between the two, and it is not begun before it can be ended.
        """
        ended = [i for i in self.outdated if i.status in _ENDED]
        surplus = sorted(self.current, key=_last_to_keep)[: self._beyond(len(self.current))]
        return [*ended, *self._replaced(may_start=may_start), *surplus]

    def missing(self) -> int:
        """Return how many to start now, as far as the service itself goes."""
        if self.held or len(self._replaceable()) < len(self.outdated):
            return 0  # rule 3, rule 4
        crowd = len(self.current)
        if self.outdated or self.surge == 0:
            crowd += len(self.outdated) + self.leaving
        return max(0, min(self.replicas - len(self.current), self.replicas + self.surge - crowd))

    def _replaced(self, *, may_start: bool) -> list[ServiceInstance]:
        """Return the outdated ones that are needed no more."""
        candidates = sorted(self._replaceable(), key=_first_to_go)
        if self.replicas == 0:
            return candidates
        if self.surge == 0:
            return candidates if may_start else []
        if self.held:
            return []
        arrived = sum(_has_arrived(instance) for instance in self.current)
        return candidates[: self._beyond(len(candidates) + arrived)]

    def _replaceable(self) -> list[ServiceInstance]:
        return [i for i in self.outdated if i.status not in _ENDED]

    def _beyond(self, count: int) -> int:
        return max(0, count - self.replicas)


def _has_arrived(instance: ServiceInstance) -> bool:
    """Whether it does what it is there for; a job that is done has done it."""
    return instance.in_rotation or instance.status is ServiceStatus.COMPLETED


def _first_to_go(instance: ServiceInstance) -> tuple[bool, float, int]:
    return _has_arrived(instance), _age_rank(instance), number_of(instance.id)


def _last_to_keep(instance: ServiceInstance) -> tuple[bool, float, int]:
    return _has_arrived(instance), -_age_rank(instance), -number_of(instance.id)


def _age_rank(instance: ServiceInstance) -> float:
    """Order by the start of the process; one without is the newest of all."""
    return instance.started_at if instance.started_at is not None else float("inf")


def number_of(instance_id: str) -> int:
    """Return the N of `NAME-N`."""
    return int(instance_id.rpartition("-")[2])
