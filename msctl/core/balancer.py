"""The balancer: which instance gets the next call, and how many it has already."""

from collections.abc import Sequence
from dataclasses import dataclass

from msctl.clock import random_source
from msctl.config.traffic import Algorithm
from msctl.core.balancer_choosers import (
    Chooser,
    Cycle,
    LeastConnections,
    OfferT,
    PeakEwma,
    PowerOfTwo,
    RoundRobin,
    WeightedRandom,
)
from msctl.core.balancer_load import Load
from msctl.core.jitter import RandomSource
from msctl.core.lease import Lease
from msctl.model import Health, ServiceInstance

__all__ = ["Algorithm", "Lease", "Load", "LoadBalancer"]


@dataclass(frozen=True, slots=True)
class _Candidate:
    instance: ServiceInstance
    load: Load


class LoadBalancer:
    """Chooses among the instances of one service by one algorithm (router.md, Balancer).

    What it knows of instances (credit, connections, speed) is kept by id and generation,
    not by their place in a list, so that it survives every change of the list. Not
    thread-safe: a balancer belongs to one loop. `slow_start` is in seconds.
    """

    def __init__(
        self,
        algorithm: Algorithm | str = Algorithm.ROUND_ROBIN,
        random: RandomSource | None = None,
        *,
        slow_start: float = 5.0,
    ) -> None:
        self._random = random or random_source()
        self._loads: dict[str, Load] = {}
        self.configure(Algorithm(algorithm), slow_start)

    @property
    def algorithm(self) -> Algorithm:
        """The rule by which it chooses."""
        return self._algorithm

    def configure(self, algorithm: Algorithm, slow_start: float) -> None:
        """Choose by another rule from now on; the counts stay."""
        self._algorithm = algorithm
        self._chooser = _chooser(algorithm, self._random, slow_start)

    def get_service_instance(
        self, candidates: Sequence[ServiceInstance], now: float
    ) -> ServiceInstance | None:
        """Return the instance for the next call, None if none of them is in rotation.

        Degraded ones are chosen only when none is healthy. Counts nothing: `lease` does.
        """
        chosen = self.choose(self._offers(candidates), now)
        return None if chosen is None else chosen.instance

    def lease(self, candidates: Sequence[ServiceInstance], now: float) -> Lease | None:
        """Choose as `get_service_instance` does, and count the connection, in one step."""
        chosen = self.choose(self._offers(candidates), now)
        return None if chosen is None else Lease(chosen.instance, chosen.load)

    def choose(self, offers: Sequence[OfferT], now: float) -> OfferT | None:
        """Return one of these, whatever their state; None if there are none."""
        _note_newcomers(offers, now)
        return self._chooser.choose(offers, now) if offers else None

    @property
    def in_turns(self) -> bool:
        """Whether it is a round robin."""
        return isinstance(self._chooser, RoundRobin)

    def cycle(self, offers: Sequence[OfferT], now: float) -> Cycle[OfferT] | None:
        """Return a round robin's turns to come; None for what is decided call by call."""
        _note_newcomers(offers, now)
        return self._chooser.cycle(offers) if isinstance(self._chooser, RoundRobin) else None

    def load(self, instance: ServiceInstance) -> Load:
        """Return what is known of this process; a newer generation starts at nothing."""
        load = self._loads.get(instance.id)
        if load is None or load.generation < instance.generation:
            load = self._loads[instance.id] = Load(instance.generation)
        return load

    def connections(self, instance_id: str) -> int:
        """Return how many leases of the instance's present process are held."""
        load = self._loads.get(instance_id)
        return 0 if load is None else load.connections

    def forget(self, instance_id: str) -> None:
        """Drop what is known of an instance that has gone and holds no connection any more."""
        if self.connections(instance_id) == 0:
            self._loads.pop(instance_id, None)
            if isinstance(self._chooser, RoundRobin | LeastConnections):
                self._chooser.forget(instance_id)

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}: {load.connections}" for name, load in self._loads.items())
        return f"<LoadBalancer {self._algorithm} {counts or 'idle'}>"

    def _offers(self, candidates: Sequence[ServiceInstance]) -> list[_Candidate]:
        ready = [instance for instance in candidates if instance.in_rotation]
        healthy = [instance for instance in ready if instance.health is Health.HEALTHY]
        return [_Candidate(instance, self.load(instance)) for instance in healthy or ready]


def _note_newcomers(offers: Sequence[OfferT], now: float) -> None:
    for offer in offers:
        if offer.load.joined_at is None:
            offer.load.joined_at = now


def _chooser(algorithm: Algorithm, random: RandomSource, slow_start: float) -> Chooser:
    match algorithm:
        case Algorithm.ROUND_ROBIN:
            return RoundRobin(random)
        case Algorithm.RANDOM:
            return WeightedRandom(random)
        case Algorithm.LEAST_CONNECTIONS:
            return LeastConnections(random, slow_start)
        case Algorithm.P2C:
            return PowerOfTwo(random, slow_start)
        case Algorithm.PEAK_EWMA:
            return PeakEwma(random, slow_start)
