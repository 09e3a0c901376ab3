"""The way to one service: its breakers, its balancer, its limits, and the calls on it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from msctl.core.balancer import LoadBalancer
from msctl.core.breaker import CircuitBreaker
from msctl.core.breaker_events import Transition
from msctl.core.breaker_options import NEVER_OPENS, BreakerOptions
from msctl.core.bulkhead import Bulkhead
from msctl.core.call import Call
from msctl.core.decision import CallFacts, Refusal
from msctl.core.discovery import ServiceDiscovery
from msctl.core.express import ExpressLane
from msctl.core.jitter import RandomSource
from msctl.core.registry import RegistryEvent
from msctl.core.retry_budget import RetryBudget
from msctl.core.rotation import Rotation
from msctl.core.route_parts import RouteParts
from msctl.core.route_policy import RoutePolicy
from msctl.core.service_gate import ServiceGate
from msctl.core.waiting_room import WaitingRoom
from msctl.model import BreakerState, ServiceInstance


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerEvent:
    """A breaker changed its state; `instance` is None for that of the whole service."""

    service: str
    instance: str | None
    transition: Transition


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteListeners:
    """Who is told of what happens on routes."""

    breaker: Callable[[BreakerEvent], None]
    shortage: Callable[[str], bool]


class ServiceRoute:
    """All that calls to one service share. Not thread-safe: a route belongs to one loop."""

    def __init__(
        self,
        name: str,
        policy: RoutePolicy,
        discovery: ServiceDiscovery,
        random: RandomSource,
        listeners: RouteListeners,
    ) -> None:
        self.name = name
        self._random = random
        self._listeners = listeners
        self._level = _level(policy)
        balancer = LoadBalancer(policy.algorithm, random, slow_start=policy.slow_start)
        rotation = Rotation(name, discovery, balancer, self._instance_breaker)
        rotation.per_instance = policy.limits.per_instance
        self._parts = RouteParts(
            name=name,
            policy=policy,
            bulkhead=Bulkhead(policy.limits.in_flight, policy.limits.queue),
            gate=ServiceGate(self._service_breaker(), rotation),
            budget=_budget(policy),
            rotation=rotation,
            balancer=balancer,
            waiting=WaitingRoom(),
            random=random,
            summon=partial(listeners.shortage, name),
        )
        self.express = ExpressLane(lambda: self._parts)
        """For calls while all is well."""
        rotation.disturbed = self.express.close

    @property
    def policy(self) -> RoutePolicy:
        """How calls are treated."""
        return self._parts.policy

    @property
    def balancer(self) -> LoadBalancer:
        """Who chooses the instance."""
        return self._parts.balancer

    @property
    def breaker(self) -> CircuitBreaker:
        """The service's own breaker; those of its instances lie below it."""
        return self._parts.gate.breaker

    @property
    def breaker_state(self) -> BreakerState:
        """The state of the service's breaker as the last call left it."""
        return self.breaker.last_state

    @property
    def in_flight(self) -> int:
        """Calls that have a place, those that wait for an instance included."""
        return self._parts.bulkhead.in_flight

    @property
    def queued(self) -> int:
        """Calls that wait because of a limit."""
        return self._parts.bulkhead.queued + self._parts.waiting.queued()

    def begin(self, facts: CallFacts, now: float) -> Call | Refusal:
        """Let a call in, or refuse it at once; a call that has to queue is let in."""
        self._parts.budget.deposit(now)
        call = Call(self._parts, facts, now)
        entered = call.enter(now)
        return entered if isinstance(entered, Refusal) else call

    def connections(self, instance_id: str) -> int:
        """Return how many calls the instance's present process has under way."""
        self._parts.rotation.members()  # a successor's count begins at nothing
        return self._parts.balancer.connections(instance_id)

    def instance_breaker(self, instance_id: str) -> CircuitBreaker:
        """Return the breaker of a registered instance; raises KeyError for another."""
        member = self._parts.rotation.member(instance_id)
        if member is None:
            raise KeyError(instance_id)
        return member.breaker

    def instance_breaker_state(self, instance_id: str) -> BreakerState:
        """Return the state as the last call left it; closed for an instance that is unknown."""
        member = self._parts.rotation.member(instance_id)
        return BreakerState.CLOSED if member is None else member.breaker.last_state

    def breakers(self) -> tuple[CircuitBreaker, ...]:
        """Return the service's breaker and those of all its instances."""
        members = self._parts.rotation.members()
        return (self.breaker, *(member.breaker for member in members))

    def health_passed(self, instance_id: str, generation: int, now: float) -> None:
        """Take in that a health check of this process passed: it is not dead after all.

        Ends an ejection for refused connections (router.md, Breaker 8), and no other.
        """
        self._parts.rotation.health_passed(instance_id, generation, now)
        self._parts.waiting.serve(now)

    def configure(self, policy: RoutePolicy) -> None:
        """Treat calls by another policy; those under way keep the limits they began with.

        Connections are kept. Breakers begin anew if their numbers have changed.
        """
        before, limits = self.policy, policy.limits
        self._parts = replace(self._parts, policy=policy)
        if policy.retries != before.retries:
            self._parts = replace(self._parts, budget=_budget(policy))
        if (policy.algorithm, policy.slow_start) != (before.algorithm, before.slow_start):
            self.balancer.configure(policy.algorithm, policy.slow_start)
        if policy.breaker != before.breaker:
            self._level = _level(policy)
            breaker = self._service_breaker()
            breaker.go_on_with_forcing(self.breaker)
            self._parts.gate.use(breaker)
            self._parts.rotation.renew_breakers()
        self.express.close()
        self._parts.rotation.per_instance = limits.per_instance
        self._parts.bulkhead.resize(limits.in_flight, limits.queue)
        self._parts.waiting.wake_all()

    def registry_changed(self, event: RegistryEvent) -> None:
        """Take in a change of an instance, and wake those who wait for one."""
        self.express.close()
        self._parts.rotation.registry_changed(event)
        self._parts.waiting.wake_all()

    def catch_up(self, now: float) -> None:
        """Do to the breakers what was due, or take in what a command did, without a call."""
        self.express.close()
        self._parts.gate.catch_up(now)
        self._parts.rotation.catch_up(now)
        self._parts.waiting.wake_all()

    def close(self) -> None:
        """Wake those who wait: nothing more will be told to this route."""
        self._parts.waiting.wake_all()

    def __repr__(self) -> str:
        parts = self._parts
        return f"<ServiceRoute {self.name} {parts.bulkhead!r} {parts.balancer!r} {self.breaker!r}>"

    def _service_breaker(self) -> CircuitBreaker:
        level = self._level
        options = level if level is NEVER_OPENS else level.at_service_level()
        return self._watched(CircuitBreaker(options=options, name=self.name, random=self._random))

    def _instance_breaker(
        self, instance: ServiceInstance, may_open: Callable[[], bool]
    ) -> CircuitBreaker:
        breaker = CircuitBreaker(
            options=self._level, name=instance.id, random=self._random, may_open=may_open
        )
        return self._watched(breaker, instance.id)

    def _breaker_of(self, instance_id: str | None) -> CircuitBreaker | None:
        if instance_id is None:
            return self.breaker
        member = self._parts.rotation.member(instance_id)
        return None if member is None else member.breaker

    def _watched(self, breaker: CircuitBreaker, instance_id: str | None = None) -> CircuitBreaker:
        def tell(transition: Transition) -> None:
            self.express.close()
            if self._breaker_of(instance_id) is not breaker:
                return  # that of a process which has been replaced
            self._listeners.breaker(
                BreakerEvent(service=self.name, instance=instance_id, transition=transition)
            )

        breaker.on_transition(tell)
        return breaker


def _level(policy: RoutePolicy) -> BreakerOptions:
    return NEVER_OPENS if policy.breaker is None else policy.breaker


def _budget(policy: RoutePolicy) -> RetryBudget:
    retries = policy.retries
    return RetryBudget() if retries is None else RetryBudget(retries.budget, retries.min_per_second)
