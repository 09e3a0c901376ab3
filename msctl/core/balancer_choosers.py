"""One chooser for each algorithm: which of the offered instances gets the next call.

`w` is weight times slow start factor; the rules are router.md's "Balancer".
"""

from collections import Counter
from collections.abc import Sequence
from itertools import count
from math import gcd
from typing import Any, Generic, Protocol, TypeVar

from msctl.core.balancer_load import Load
from msctl.core.jitter import RandomSource
from msctl.model import ServiceInstance

_TIE = 1e-9
"""Credits closer than this are equal: fractions such as 1/3 do not add up exactly."""

_EXACT = 2**30
"""Credits that are equal but for rounding are so when counted in this part of a call: no share
of a fleet's size comes to half of one."""

_LONGEST_SPIN = 1024
"""Turns that a round robin of unequals may take in advance; enough for any sensible weights."""


class Offer(Protocol):
    """An instance that may be chosen, with what is known of its load."""

    @property
    def instance(self) -> ServiceInstance: ...  # noqa: D102 - the words say it

    @property
    def load(self) -> Load: ...  # noqa: D102 - the words say it


OfferT = TypeVar("OfferT", bound=Offer)


class Chooser(Protocol):
    """An algorithm; `offers` is never empty."""

    def choose(self, offers: Sequence[OfferT], now: float) -> OfferT:
        """Return the one that gets the next call."""
        ...


class Cycle(Generic[OfferT]):
    """A round robin's turns until its credit is what it was, taken in advance.

    Taking `order[position]` and moving `position` on, round and round, is what `choose`
    would have answered, as long as the cycle is not `stale`.
    """

    __slots__ = ("order", "position", "stale")

    def __init__(self, order: list[OfferT]) -> None:
        self.order = order
        self.position = 0
        self.stale = False


class RoundRobin:
    """Nginx's smooth weighted round robin, with the credit counted in calls.

    At every turn each offered instance earns its share of one call, and the one with the
    most credit gets the call and pays for it. Credit is kept by instance id, so that it
    survives changes of the list; counted in calls (and not in weights) it also means the
    same before and after one joins or leaves, and the rest stays exactly even.
    """

    def __init__(self, random: RandomSource) -> None:
        self._random = random
        self._credit: dict[str, float] = {}
        self._rank: dict[str, int] = {}
        self._ranks = count()
        self._cycle: Cycle[Any] | None = None

    def choose(self, offers: Sequence[OfferT], now: float) -> OfferT:  # noqa: ARG002 - Chooser
        """Return whose turn it is."""
        self._end_cycle()
        self._begin(offers)
        return self._turn(offers)

    def cycle(self, offers: Sequence[OfferT]) -> Cycle[OfferT] | None:
        """Return the turns to come; None where they are too many, or do not come round yet.

        It is good until anything else is asked of this round robin.
        """
        self._end_cycle()
        even = _are_even(offers)
        if not even and _length(offers) > _LONGEST_SPIN:
            return None
        self._begin(offers)
        order = self._even_turns(offers) if even else self._uneven_turns(offers)
        if order is not None:
            self._cycle = Cycle(order)
        return self._cycle

    def _even_turns(self, offers: Sequence[OfferT]) -> list[OfferT] | None:
        """Return the turns of equals, without taking them: who has most credit comes first.

        None when somebody is ahead or owed by more than a call, as after a retry among others.
        """
        ranked = [(self._credit.get(o.instance.id, 0.0), self._rank_of(o.instance.id), o)
                  for o in offers]  # fmt: skip
        least, most = min(ranked, key=_credit_of)[0], max(ranked, key=_credit_of)[0]
        if most - least > 1 + _TIE:
            return None
        if most - least > 1 - _TIE:
            # Having paid, those with the most are level with those that have the least.
            last_of_least = max(rank for credit, rank, _ in ranked if credit < least + _TIE)
            if any(rank < last_of_least for credit, rank, _ in ranked if credit > most - _TIE):
                return None
        ranked.sort(key=lambda one: (-round(one[0] * _EXACT), one[1]))
        return [offer for _, _, offer in ranked]

    def _uneven_turns(self, offers: Sequence[OfferT]) -> list[OfferT] | None:
        """Take the turns; they are given back when they are not everybody's share.

        Somebody is owed more than that then, and taken round and round these turns would
        never give it to him. `choose` settles it.
        """
        credit, length = dict(self._credit), _length(offers)
        order = [self._turn(offers) for _ in range(length)]
        share = Counter(offer.instance.id for offer in order)
        total = sum(offer.instance.weight for offer in offers)
        if any(share[o.instance.id] * total != o.instance.weight * length for o in offers):
            self._credit = credit
            return None
        return order

    def _end_cycle(self) -> None:
        """Bring the credit to where the cycle was left."""
        cycle, self._cycle = self._cycle, None
        if cycle is not None:
            cycle.stale = True
            self._move_on(list(dict.fromkeys(cycle.order)), cycle.order, cycle.position)

    def _begin(self, offers: Sequence[OfferT]) -> None:
        if not self._credit:
            # So that not every router of a fleet begins with the same instance.
            total = sum(offer.instance.weight for offer in offers)
            spin = int(self._random.random() * min(total, _LONGEST_SPIN))
            turns = self._even_turns(offers) if _are_even(offers) else None
            self._move_on(offers, turns, spin)

    def _move_on(
        self, offers: Sequence[OfferT], turns: Sequence[OfferT] | None, number: int
    ) -> None:
        """Take so many turns; those of equals are known, and there are no more than equals."""
        if turns is None or not _are_even(offers):
            for _ in range(number):
                self._turn(offers)
            return
        for offer in offers:
            name = offer.instance.id
            self._credit[name] = self._credit.get(name, 0.0) + number / len(offers)
        for offer in turns[:number]:
            self._credit[offer.instance.id] -= 1

    def _rank_of(self, name: str) -> int:
        """Return its place among equals: who was known first."""
        rank = self._rank.get(name)
        if rank is None:
            rank = self._rank[name] = next(self._ranks)
        return rank

    def forget(self, instance_id: str) -> None:
        """Drop what is kept of an instance that has gone for good."""
        self._end_cycle()
        self._credit.pop(instance_id, None)
        self._rank.pop(instance_id, None)

    def _turn(self, offers: Sequence[OfferT]) -> OfferT:
        total = sum(offer.instance.weight for offer in offers)
        chosen = offers[0]
        most, first = float("-inf"), 0
        for offer in offers:
            instance = offer.instance
            credit = self._credit.get(instance.id, 0.0) + instance.weight / total
            self._credit[instance.id] = credit
            rank = self._rank_of(instance.id)
            # Ties go to who was known first, not to who comes first in this list, which
            # may have been built anew in another order.
            if credit > most + _TIE or (credit > most - _TIE and rank < first):
                chosen, most, first = offer, credit, rank
        self._credit[chosen.instance.id] -= 1
        return chosen


def _credit_of(ranked: tuple[float, int, object]) -> float:
    return ranked[0]


def _are_even(offers: Sequence[Offer]) -> bool:
    weight = offers[0].instance.weight
    return all(offer.instance.weight == weight for offer in offers)


def _length(offers: Sequence[Offer]) -> int:
    """Return after how many turns everybody has had his share."""
    weights = [offer.instance.weight for offer in offers]
    return sum(weights) // gcd(*weights)


class WeightedRandom:
    """Each with the probability of its weight."""

    def __init__(self, random: RandomSource) -> None:
        self._random = random

    def choose(self, offers: Sequence[OfferT], now: float) -> OfferT:  # noqa: ARG002 - Chooser
        """Return one by chance."""
        mark = self._random.random() * sum(offer.instance.weight for offer in offers)
        for offer in offers:
            mark -= offer.instance.weight
            if mark < 0:
                return offer
        return offers[-1]  # the sum's rounding error


class LeastConnections:
    """A full scan for the least `(connections + 1) / w`; ties by round robin."""

    def __init__(self, random: RandomSource, slow_start: float) -> None:
        self._slow_start = slow_start
        self._ties = RoundRobin(random)

    def choose(self, offers: Sequence[OfferT], now: float) -> OfferT:
        """Return the least loaded one."""
        least = float("inf")
        ties: list[OfferT] = []
        for offer in offers:
            cost = connection_cost(offer, now, self._slow_start)
            if cost < least:
                least, ties = cost, [offer]
            elif cost == least:
                ties.append(offer)
        return self._ties.choose(ties, now)

    def forget(self, instance_id: str) -> None:
        """Drop what is kept of an instance that has gone for good."""
        self._ties.forget(instance_id)


class PowerOfTwo:
    """Two distinct ones by chance, and of these the less loaded."""

    def __init__(self, random: RandomSource, slow_start: float) -> None:
        self._random = random
        self._slow_start = slow_start

    def choose(self, offers: Sequence[OfferT], now: float) -> OfferT:
        """Return the better of two."""
        if len(offers) == 1:
            return offers[0]
        one = int(self._random.random() * len(offers))
        other = int(self._random.random() * (len(offers) - 1))
        if other >= one:
            other += 1
        return self._better(offers[one], offers[other], now)

    def _better(self, one: OfferT, other: OfferT, now: float) -> OfferT:
        slow_start = self._slow_start
        if connection_cost(other, now, slow_start) < connection_cost(one, now, slow_start):
            return other
        return one


class PeakEwma(PowerOfTwo):
    """Of two by chance the one with the less `ewma · (connections + 1) / w`.

    While one of the two has not answered yet, it is taken to be as fast as the other.
    """

    def _better(self, one: OfferT, other: OfferT, now: float) -> OfferT:
        speed, other_speed = one.load.latency(now), other.load.latency(now)
        if speed is None or other_speed is None:
            return super()._better(one, other, now)
        slow_start = self._slow_start
        cost = speed * connection_cost(one, now, slow_start)
        other_cost = other_speed * connection_cost(other, now, slow_start)
        return other if other_cost < cost else one


def connection_cost(offer: Offer, now: float, slow_start: float) -> float:
    """Return `(connections + 1) / w`, failures of the last seconds counted as connections."""
    load = offer.load
    weight = offer.instance.weight * load.growth(now, slow_start)
    return (load.pending(now) + 1) / weight
