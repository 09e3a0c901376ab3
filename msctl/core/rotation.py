"""Who may get a call: the members of a service, and which of them a call can be given to.

In rotation is who runs, is healthy or degraded, and is admitted by its breaker (router.md,
Registry and health). The rules that concern several instances at once are here too: the cap
on ejections, and when a service has become another one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from msctl.core.balancer import LoadBalancer
from msctl.core.breaker import CircuitBreaker
from msctl.core.decision import Ask
from msctl.core.discovery import ServiceDiscovery
from msctl.core.member import Member, ProcessKey
from msctl.core.registry import RegistryEvent
from msctl.model import BreakerState, ServiceInstance

BreakerMaker = Callable[[ServiceInstance, Callable[[], bool]], CircuitBreaker]
"""Makes the breaker of a new process; the function says whether a failure may open it."""

PROBE_PATIENCE = 1.0
"""Seconds that a probe is kept for an idempotent call while others can take the rest: a
service that is only ever written to must get its instances back as well."""

LONGEST_ASIDE = 60.0
"""Seconds that an instance may ask to be left alone (router.md, What counts)."""

_SMALL_FLEET = 3
"""Up to so many instances one has to stay in rotation, above it half (router.md, Breaker 6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """Why there is no instance for a call."""

    absent: bool
    """Nobody runs, and nobody is starting."""
    full: bool
    """There are some, but all have as many calls as they may."""
    starting: bool
    """One is starting."""
    undecided: bool
    """One has just refused or broken a connection: the registry is about to say why."""
    kept_out: tuple[CircuitBreaker, ...]
    """Breakers that keep calls from instances which run and are healthy."""
    changes_at: float | None
    """When time alone will change something, in monotonic seconds."""


class Rotation:
    """The members of one service, kept in step with the registry."""

    def __init__(
        self,
        service: str,
        discovery: ServiceDiscovery,
        balancer: LoadBalancer,
        make_breaker: BreakerMaker,
    ) -> None:
        self.service = service
        self.per_instance: int | None = None
        """Calls that one instance may have at once; None for no limit."""
        self.disturbed: Callable[[], None] = lambda: None
        """Called when somebody wants to be left alone."""
        self._discovery = discovery
        self._balancer = balancer
        self._make_breaker = make_breaker
        self._listing: tuple[ServiceInstance, ...] = ()
        self._members: dict[str, Member] = {}
        self._everyone: tuple[Member, ...] = ()
        self._recovered: set[str] = set()

    def members(self) -> Sequence[Member]:
        """Return everyone who is registered now, whatever their state."""
        listing = self._discovery.discover_service(self.service)
        if listing is not self._listing:
            self._listing = listing
            self._members = {i.id: self._member(i) for i in listing}
            self._everyone = tuple(self._members.values())
        return self._everyone

    def member(self, instance_id: str) -> Member | None:
        """Return one member by its id."""
        self.members()
        return self._members.get(instance_id)

    def candidates(self, ask: Ask, now: float) -> list[Member]:
        """Return those in rotation that the call has not tried, whether or not they have room.

        Degraded ones only when no healthy one is left. A probe is kept for idempotent calls
        where there is a choice (Breaker 8).
        """
        if self._recovered:
            self._end_ejections(now)
        ready = [
            m
            for m in self._acceptable(ask)
            if m.ready and (m.aside_until is None or not m.is_aside(now)) and m.breaker.admits(now)
        ]
        if not all(m.healthy for m in ready):
            ready = [m for m in ready if m.healthy] or ready
        if ask.idempotent or len(ready) < 2:  # noqa: PLR2004 - a choice takes two
            return ready
        return [m for m in ready if not _wants_idempotent(m, now)] or ready

    def undisturbed(self, now: float) -> list[Member] | None:
        """Return those in rotation if nothing but the balancer decides between them.

        None when a breaker, a limit or somebody's wish to be left alone has a say.
        """
        if self._recovered:
            self._end_ejections(now)
        ready = [m for m in self.members() if m.ready]
        if self.per_instance is not None or not all(_is_carefree(m, now) for m in ready):
            return None
        return ready or None

    def with_room(self, members: Sequence[Member], ask: Ask) -> list[Member]:
        """Return those that may have one more call."""
        limit = self.per_instance
        if limit is None or not ask.counted:
            return list(members)
        return [m for m in members if m.load.limited < limit]

    def last_resort(self, ask: Ask, now: float) -> list[Member]:
        """Return those that run but are unhealthy; never one that is known to be dead."""
        return [
            m for m in self._acceptable(ask) if m.alive and not m.ready and m.breaker.admits(now)
        ]

    def shortage(self, ask: Ask, now: float) -> Shortage:
        """Say why there is no one to give the call to."""
        members = self.members()
        wanted = [m for m in self._acceptable(ask) if m.ready]
        return Shortage(
            absent=not any(m.alive or m.starting for m in members),
            full=bool(self.candidates(ask, now)),
            starting=ask.instance is None and any(m.starting for m in members),
            undecided=any(
                m.alive and (m.breaker.unreachable or m.key in ask.lost)
                for m in members
                if ask.instance in (None, m.instance.id)
            ),
            kept_out=tuple(
                m.breaker for m in wanted if not m.breaker.unreachable and not m.breaker.admits(now)
            ),
            changes_at=min((t for m in wanted for t in _changes(m, now)), default=None),
        )

    def may_eject(self, key: ProcessKey) -> bool:
        """Whether enough others would stay if this process were taken out (Breaker 6)."""
        live = [m for m in self._members.values() if _live(m)]
        stay = sum(1 for m in live if m.key != key and _serves(m))
        needed = 1 if len(live) <= _SMALL_FLEET else ceil(len(live) / 2)
        return stay >= needed

    def all_over_threshold(self, now: float) -> str | None:
        """Say why if every live instance is over its threshold, the capped ones included."""
        live = [m for m in self._members.values() if _live(m)]
        reasons = [m.breaker.over_threshold(now) for m in live]
        if not live or not all(reasons):
            return None
        return f"every instance is over its threshold; {live[-1].instance.id}: {reasons[-1]}"

    def forget_counts(self) -> None:
        """Begin fresh windows for all: the service's own breaker has taken over."""
        for member in self._members.values():
            member.breaker.forget_counts()

    def set_aside(self, member: Member, seconds: float, now: float) -> None:
        """Leave an instance alone that asked for it, unless too few would stay."""
        if seconds > 0 and self.may_eject(member.key):
            member.aside_until = now + min(seconds, LONGEST_ASIDE)
            self.disturbed()

    def health_passed(self, instance_id: str, generation: int, now: float) -> None:
        """Take in that a check of this process passed (Breaker 8)."""
        member = self.member(instance_id)
        if member is not None and member.instance.generation == generation:
            member.breaker.health_passed(now)

    def present(self) -> frozenset[ProcessKey]:
        """Return the processes that serve or will serve: not those on their way out."""
        return frozenset(m.key for m in self.members() if not m.leaving and (m.alive or m.starting))

    def replaced_since(self, accused: frozenset[ProcessKey]) -> bool:
        """Whether none of these processes is left and another one serves (Breaker 7)."""
        return (
            bool(accused)
            and not accused & self.present()
            and any(m.ready and not m.leaving for m in self.members())
        )

    def renew_breakers(self) -> None:
        """Give every member a new breaker, closed unless forced: their numbers have changed."""
        for member in self._members.values():
            member.breaker = self._breaker_for(member.instance, member)

    def registry_changed(self, event: RegistryEvent) -> None:
        """Take in a change without knowing the time; the rest happens at the next look."""
        member = self._members.get(event.instance_id)
        if event.after is None:
            self._balancer.forget(event.instance_id)
            if member is not None:
                member.left()
        elif member is not None and member.instance.generation == event.after.generation:
            was_ready = member.ready
            member.update(event.after)
            if event.after.in_rotation and not was_ready:
                self._recovered.add(event.instance_id)
                member.load.restart_growth()

    def catch_up(self, now: float) -> None:
        """Do what the registry's changes mean for breakers, without waiting for a call."""
        self.members()
        self._end_ejections(now)

    def _end_ejections(self, now: float) -> None:
        recovered, self._recovered = self._recovered, set()
        for name in recovered:
            if (member := self.member(name)) is not None:
                member.breaker.health_passed(now)

    def _member(self, instance: ServiceInstance) -> Member:
        known = self._members.get(instance.id)
        if known is not None and known.instance.generation == instance.generation:
            known.update(instance)
            return known
        breaker = self._breaker_for(instance, known)
        return Member(instance, breaker, self._balancer.load(instance))

    def _breaker_for(self, instance: ServiceInstance, before: Member | None) -> CircuitBreaker:
        """Make the breaker of a process; what was forced for its id holds for this one too."""
        key = (instance.id, instance.generation)
        breaker = self._make_breaker(instance, lambda: self.may_eject(key))
        if before is not None:
            breaker.go_on_with_forcing(before.breaker)
        return breaker

    def _acceptable(self, ask: Ask) -> Sequence[Member]:
        members = self.members()
        if ask.tried:
            members = [m for m in members if m.key not in ask.tried]
        if ask.instance is not None:
            members = [m for m in members if m.instance.id == ask.instance]
        return members


def _live(member: Member) -> bool:
    """Whether it counts for the cap: what is known to be dead does not."""
    return member.ready and not member.breaker.unreachable


def _serves(member: Member) -> bool:
    return not member.breaker.keeps_out and member.aside_until is None


def _is_carefree(member: Member, now: float) -> bool:
    return (
        member.healthy
        and not member.leaving
        and member.breaker.last_state is BreakerState.CLOSED
        and not member.is_aside(now)
    )


def _wants_idempotent(member: Member, now: float) -> bool:
    since = member.breaker.probing_since()
    return since is not None and now - since < PROBE_PATIENCE


def _changes(member: Member, now: float) -> list[float]:
    """When this one may become available by itself."""
    changes = [member.aside_until] if member.aside_until and member.is_aside(now) else []
    if wait := member.breaker.retry_after(now):
        changes.append(now + wait)
    return changes
