"""The one place that decides what is started and stopped next.

It compares what is wanted with what is and answers with the steps that are possible now. It
remembers nothing: whoever acts on the steps asks again after every change, so a service
starts the moment its own dependencies allow it, and a wish that comes in between simply
leads to other steps (design.md, Layers: one reconciler).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msctl.config.models import Dependency
from msctl.core import rollout
from msctl.core.plan import is_met
from msctl.core.summary import summarize
from msctl.model import ServiceInstance


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wanted of one service; a new `revision` asks for all of it anew."""

    replicas: int
    revision: int = 1
    surge: int = 1
    """Instances that may be there beyond `replicas` while one revision replaces another: the
    new one starts first. 0 where nothing may run beside itself: the old one stops first."""
    standby: bool = False
    """Whether it is still wanted without replicas: scaled to 0, its front door stays open."""
    dependencies: tuple[Dependency, ...] = ()
    waits: bool = True
    """Whether it starts only when its dependencies allow it; they stop after it in any case."""

    @property
    def wanted(self) -> bool:
        """Whether the service should be there at all, be it without an instance."""
        return self.replicas > 0 or self.standby


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One instance that exists, from its start until nothing of it is left."""

    instance: ServiceInstance
    revision: int
    leaving: bool = False
    """It has been told to stop."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start a new instance."""

    service: str
    instance_id: str
    revision: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop an instance: deregister, drain, signal."""

    service: str
    instance_id: str


Step = Start | Stop


Facts = Mapping[str, Sequence[Fact]]
"""The instances of each service."""


def reconcile(wishes: Mapping[str, Wish], facts: Facts) -> list[Step]:
    """Return what can be done now, in the order of the wishes; nothing is said twice.

    An instance that failed for good keeps its place until it is stopped by a command, so
    it is never replaced behind the user's back.
    """
    steps: list[Step] = []
    for service, wish in wishes.items():
        present = facts.get(service, ())
        roll = _rollout(wish, present)
        may_start = not unmet(wish, wishes, facts)
        if wish.wanted or not _has_living_dependents(service, wishes, facts):
            retiring = roll.retire(may_start=may_start)
            steps += [Stop(service, instance.id) for instance in retiring]
        missing = roll.missing() if may_start else 0
        taken = {fact.instance.id for fact in present}
        free = _free_ids(service, taken, missing)
        steps += [Start(service, instance_id, wish.revision) for instance_id in free]
    return steps


def unmet(wish: Wish, wishes: Mapping[str, Wish], facts: Facts) -> list[str]:
    """Return the dependencies that a service still waits for.

    One that nobody wants to run (`--no-deps`, stopped by name, scaled to 0) is not waited for.
    """
    names = []
    for dependency in wish.dependencies if wish.waits else ():
        wanted = wishes.get(dependency.name)
        if wanted is None or wanted.replicas == 0:
            continue
        current = _rollout(wanted, facts.get(dependency.name, ())).current
        if not is_met(dependency, summarize(current, wanted.replicas)):
            names.append(dependency.name)
    return names


def is_held(wish: Wish, present: Sequence[Fact]) -> bool:
    """Whether a new revision has failed while the old one still serves: the roll has stopped."""
    return _rollout(wish, present).held


def _rollout(wish: Wish, present: Sequence[Fact]) -> rollout.Rollout:
    staying = [fact for fact in present if not fact.leaving]
    return rollout.Rollout(
        replicas=wish.replicas,
        surge=wish.surge,
        current=tuple(f.instance for f in staying if f.revision == wish.revision),
        outdated=tuple(f.instance for f in staying if f.revision != wish.revision),
        leaving=len(present) - len(staying),
    )


def _has_living_dependents(service: str, wishes: Mapping[str, Wish], facts: Facts) -> bool:
    """Whether one that is on its way out as well still needs this service."""
    return any(
        not wish.wanted and facts.get(name)
        for name, wish in wishes.items()
        if any(dependency.name == service for dependency in wish.dependencies)
    )


def _free_ids(service: str, taken: set[str], count: int) -> list[str]:
    found: list[str] = []
    number = 1
    while len(found) < count:
        if (name := f"{service}-{number}") not in taken:
            found.append(name)
        number += 1
    return found
