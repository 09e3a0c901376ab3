"""The one place that decides what is started and stopped next.

It compares what is wanted with what is and answers with the steps that are possible now. It
remembers nothing: whoever acts on the steps asks again after every change, so a service
starts the moment its own dependencies allow it, and a wish that comes in between simply
leads to other steps (design.md, Layers: one reconciler).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msctl.config.models import Dependency
from msctl.core.plan import is_met
from msctl.core.summary import summarize
from msctl.model import ServiceInstance


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wanted of one service; a new `revision` asks for all of it anew."""

    replicas: int
    revision: int = 1
    dependencies: tuple[Dependency, ...] = ()
    waits: bool = True
    """Whether it starts only when its dependencies allow it; they stop after it in any case."""


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
        leaving = _leaving(wish, present)
        if leaving and (wish.replicas or not _has_living_dependents(service, wishes, facts)):
            steps += [Stop(service, fact.instance.id) for fact in leaving]
        missing = _missing(wish, present)
        if missing and not unmet(wish, wishes, facts):
            taken = {fact.instance.id for fact in present}
            free = _free_ids(service, taken, missing)
            steps += [Start(service, instance_id, wish.revision) for instance_id in free]
    return steps


def unmet(wish: Wish, wishes: Mapping[str, Wish], facts: Facts) -> list[str]:
    """Return the dependencies that a service still waits for.

    One that nobody wants to run (`--no-deps`, or stopped by name) is not waited for.
    """
    names = []
    for dependency in wish.dependencies if wish.waits else ():
        wanted = wishes.get(dependency.name)
        if wanted is None or wanted.replicas == 0:
            continue
        current = [
            fact.instance
            for fact in facts.get(dependency.name, ())
            if fact.revision == wanted.revision and not fact.leaving
        ]
        if not is_met(dependency, summarize(current, wanted.replicas)):
            names.append(dependency.name)
    return names


def _missing(wish: Wish, present: Sequence[Fact]) -> int:
    """Return how many to start; the old revision goes first."""
    if any(fact.revision != wish.revision for fact in present):
        return 0
    return max(0, wish.replicas - sum(not fact.leaving for fact in present))


def _leaving(wish: Wish, present: Sequence[Fact]) -> list[Fact]:
    """Return what has to go: the old revision, then what is too much, newest first."""
    staying = [fact for fact in present if not fact.leaving]
    outdated = [fact for fact in staying if fact.revision != wish.revision]
    current = [fact for fact in staying if fact.revision == wish.revision]
    newest_first = sorted(current, key=lambda fact: _number(fact.instance.id), reverse=True)
    return outdated + newest_first[: max(0, len(current) - wish.replicas)]


def _has_living_dependents(service: str, wishes: Mapping[str, Wish], facts: Facts) -> bool:
    """Whether one that is on its way out as well still needs this service."""
    return any(
        wish.replicas == 0 and facts.get(name)
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


def _number(instance_id: str) -> int:
    return int(instance_id.rpartition("-")[2])
