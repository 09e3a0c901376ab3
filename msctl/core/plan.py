"""What depends on what: the order to start in, who else is concerned, who may start now."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from graphlib import TopologicalSorter

from msctl.config.models import Condition, Dependency
from msctl.config.naming import check_services
from msctl.config.rules import find_cycles
from msctl.core.summary import ServiceSummary
from msctl.model import Health, ServiceStatus

StateLookup = Callable[[str], ServiceSummary | None]
"""Tells how a service is; None for one that is not part of this run."""


class DependencyGraph:
    """The services in the order of their configuration, and what each depends on.

    A dependency on a service that the graph does not have is no edge; whether that is an
    error is the configuration's business (an optional one is not).
    """

    def __init__(self, services: Mapping[str, Sequence[Dependency]]) -> None:
        self._dependencies = {name: tuple(needs) for name, needs in services.items()}
        self._edges = {
            name: tuple(dict.fromkeys(d.name for d in needs if d.name in services))
            for name, needs in self._dependencies.items()
        }

    def dependencies(self, name: str) -> tuple[Dependency, ...]:
        """Return what the service itself depends on; raises UnknownService."""
        self._check((name,))
        return self._dependencies[name]

    def dependents(self, name: str) -> tuple[str, ...]:
        """Return the services that depend on this one directly; raises UnknownService."""
        self._check((name,))
        return tuple(other for other, needs in self._edges.items() if name in needs)

    def order(self) -> tuple[str, ...]:
        """Return all services, dependencies before dependents, the same every time.

        The reverse is the order to stop in. Raises graphlib.CycleError (a ValueError) for a
        graph with cycles, which a checked configuration never is; see `cycles`.
        """
        return tuple(TopologicalSorter(self._edges).static_order())

    def closure(self, names: Iterable[str], *, no_deps: bool = False) -> tuple[str, ...]:
        """Return these services with all that they depend on, optional ones too, in start order.

        With `no_deps` just these, in start order. Raises UnknownService with the nearest name.
        """
        wanted = list(names)
        self._check(wanted)
        members = set(wanted)
        while wanted and not no_deps:
            new = [need for need in self._edges[wanted.pop()] if need not in members]
            members.update(new)
            wanted.extend(new)
        return tuple(name for name in self.order() if name in members)

    def cycles(self) -> list[tuple[str, ...]]:
        """Return dependency cycles as paths that end where they began; none if there is none.

        At least one for every knot, not each of the possibly very many ways around it.
        """
        return [(*cycle, cycle[0]) for cycle in find_cycles(self._edges)]

    def unmet(self, name: str, state: StateLookup) -> tuple[Dependency, ...]:
        """Return the dependencies that the service still has to wait for."""
        return tuple(d for d in self.dependencies(name) if not is_met(d, state(d.name)))

    def ready(self, name: str, state: StateLookup) -> bool:
        """Whether the service may start now, as far as its dependencies go."""
        return not self.unmet(name, state)

    def doomed(self, name: str, state: StateLookup) -> tuple[Dependency, ...]:
        """Return the dependencies that waiting will not bring: they failed, or are not there."""
        return tuple(d for d in self.unmet(name, state) if _is_lost(state(d.name)))

    def _check(self, names: Iterable[str]) -> None:
        check_services(names, self._edges)


def is_met(dependency: Dependency, state: ServiceSummary | None) -> bool:
    """Whether a dependency is fulfilled, or is optional and will not be.

    A job that has completed meets every condition: it will never be more ready than that.
    A degraded service is healthy enough, because it answers.
    """
    if not dependency.required and _is_lost(state):
        return True
    if state is None:
        return False
    if state.status is ServiceStatus.COMPLETED:
        return True
    match dependency.condition:
        case Condition.STARTED:
            return state.started
        case Condition.HEALTHY:
            return state.health in {Health.HEALTHY, Health.DEGRADED}
        case Condition.COMPLETED:
            return False


def _is_lost(state: ServiceSummary | None) -> bool:
    return state is None or state.status is ServiceStatus.ERROR
