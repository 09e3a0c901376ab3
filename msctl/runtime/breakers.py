"""`msctl breaker`: the circuit breakers of a fleet, shown and taken in hand."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from msctl.config.models import ServiceConfig
from msctl.config.naming import is_pattern, nearest_service
from msctl.core.breaker import CircuitBreaker
from msctl.core.router import RoutePolicy
from msctl.errors import UnknownInstance, UnknownService, UsageError
from msctl.runtime.breaker_document import entry
from msctl.runtime.breaker_watch import BreakerWatch
from msctl.runtime.orchestrator import Orchestrator

SCHEMA_VERSION = 1


class BreakerAction(StrEnum):
    """What can be done with a breaker by command (router.md, Breaker 9)."""

    OPEN = "open"
    CLOSE = "close"
    AUTO = "auto"
    RESET = "reset"


_FORCING = frozenset({BreakerAction.OPEN, BreakerAction.CLOSE})


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a breaker is: at a service, or at one of its instances."""

    service: ServiceConfig
    instance: str | None = None

    @property
    def name(self) -> str:
        """What a command calls it."""
        service = self.service.name
        return service if self.instance is None else f"{service}/{self.instance}"


class Breakers:
    """All breakers of a fleet: those of services that are called through a front door."""

    def __init__(self, fleet: Orchestrator, watch: BreakerWatch) -> None:
        self._fleet = fleet
        self._watch = watch

    def document(self) -> dict[str, Any]:
        """Return the document of all breakers, each service's before those of its instances."""
        return self._document(self._places())

    def act(self, action: BreakerAction, name: str, seconds: float | None = None) -> dict[str, Any]:
        """Carry out a command and return the document of the breakers that it concerned.

        `name` is SERVICE, for its breaker and those of all its instances, or
        SERVICE/INSTANCE; `seconds` is how long a forcing lasts. Raises UnknownService and
        UsageError.
        """
        if seconds is not None and action not in _FORCING:
            raise UsageError(f"{action} takes no time; it goes with open and close")
        places = self._named(name)
        for place in places:
            self._carry_out(action, place, seconds)
        return self._document(places)

    def _carry_out(self, action: BreakerAction, place: _Place, seconds: float | None) -> None:
        breaker, now = self._breaker(place), self._fleet.clock.now()
        before = breaker.snapshot(now)
        match action:
            case BreakerAction.OPEN:
                breaker.force_open(now, seconds)
            case BreakerAction.CLOSE:
                breaker.force_closed(now, seconds)
            case BreakerAction.AUTO:
                breaker.auto(now)
            case BreakerAction.RESET:
                breaker.reset(now)
        if (route := self._fleet.router.route(place.service.name)) is not None:
            route.catch_up(now)
        self._watch.commanded(
            place.service.name, place.instance, before, breaker.snapshot(self._fleet.clock.now())
        )

    def _breaker(self, place: _Place) -> CircuitBreaker:
        """Return a breaker; a service that was never started gets one, to be forced already."""
        service = place.service
        if self._fleet.router.route(service.name) is None:
            self._fleet.router.configure(service.name, RoutePolicy.from_config(service))
        breaker = self._watch.find(service.name, place.instance)
        assert breaker is not None, "instances are registered, services have a route"
        return breaker

    def _named(self, name: str) -> list[_Place]:
        wanted, slash, _ = name.partition("/")
        service = self._fleet.services().get(wanted)
        if service is not None and not service.is_http:
            raise UsageError(f"{wanted} has no breaker: it is not called through a front door")
        places = self._places()
        if is_pattern(name):
            found = [p for p in places if fnmatchcase(p.service.name, name)]
        else:
            found = [p for p in places if name in (p.name, p.service.name)]
        if not found:
            if slash and service is not None:
                raise UnknownInstance(name, _nearest(name, self._places_of(service)[1:]))
            raise UnknownService(name, _nearest(name, places))
        return found

    def _places(self) -> list[_Place]:
        return [
            place
            for service in self._fleet.services().values()
            if service.is_http
            for place in self._places_of(service)
        ]

    def _places_of(self, service: ServiceConfig) -> list[_Place]:
        instances = self._fleet.instances(service.name)
        return [_Place(service), *(_Place(service, instance.id) for instance in instances)]

    def _document(self, places: Iterable[_Place]) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "project": self._fleet.fleet.project,
            "breakers": [self._entry(place) for place in places],
        }

    def _entry(self, place: _Place) -> dict[str, Any]:
        breaker = self._watch.find(place.service.name, place.instance)
        clock = self._fleet.clock
        return entry(
            place.service.name,
            place.instance,
            breaker.snapshot(clock.now()) if breaker is not None else None,
            clock,
            enabled=place.service.breaker is not None,
        )


def _nearest(name: str, places: Iterable[_Place]) -> str | None:
    """Return the name that was most likely meant; an instance's own is one of those."""
    names = {place.name: place.name for place in places}
    own = {place.instance: place.name for place in places if place.instance is not None}
    nearest = nearest_service(name, [*own, *names])
    return None if nearest is None else (own | names)[nearest]
