"""A router with a registry behind it, and the few moves that its tests make."""

from random import Random
from typing import Unpack

from msctl.core.discovery import ServiceDiscovery
from msctl.core.registry import InstanceChanges, ServiceRegistry
from msctl.core.router import (
    Again,
    Call,
    CallFacts,
    Lease,
    Outcome,
    Refusal,
    Relay,
    RoutePolicy,
    Router,
    ServiceRoute,
    Wait,
)
from msctl.model import Health, ServiceStatus
from tests.core.instances import instance

SERVICE = "api"
GET = CallFacts(idempotent=True)
POST = CallFacts(idempotent=False)


class World:
    """One service `api` with some healthy instances; `now` is moved by hand."""

    def __init__(self, instances: int = 2, policy: RoutePolicy | None = None) -> None:
        self.now = 100.0
        self.registry = ServiceRegistry()
        self.router = Router(ServiceDiscovery(self.registry), Random(7))
        self.route: ServiceRoute = self.router.configure(SERVICE, policy or RoutePolicy())
        for number in range(1, instances + 1):
            self.add(number)

    def add(
        self,
        number: int,
        *,
        generation: int = 1,
        status: ServiceStatus = ServiceStatus.RUNNING,
        health: Health = Health.HEALTHY,
    ) -> None:
        self.registry.register_service(instance(f"api-{number}", status, health, generation))

    def change(self, instance_id: str, **changes: Unpack[InstanceChanges]) -> None:
        present = self.registry.get_instance(instance_id)
        assert present is not None, f"{instance_id} is not registered"
        self.registry.update(instance_id, present.generation, **changes)

    def begin(self, facts: CallFacts = GET) -> Call:
        call = self.route.begin(facts, self.now)
        assert isinstance(call, Call), call
        return call

    def refused(self, facts: CallFacts = GET) -> Refusal:
        """Make a call that is refused before any instance is asked."""
        call = self.route.begin(facts, self.now)
        refusal = call.pick(self.now) if isinstance(call, Call) else call
        assert isinstance(refusal, Refusal), refusal
        if isinstance(call, Call):
            call.finish(self.now)
        return refusal

    def lease(self, call: Call) -> Lease:
        lease = call.pick(self.now)
        assert isinstance(lease, Lease), lease
        return lease

    def wait(self, call: Call) -> Wait:
        wait = call.pick(self.now)
        assert isinstance(wait, Wait), wait
        return wait

    def answer(
        self, call: Call, lease: Lease, status: int, retry_after: float | None = None
    ) -> Relay | Again:
        return call.answered(lease, status, retry_after, self.now, can_replay=True)

    def fail(
        self, call: Call, lease: Lease, outcome: Outcome, *, can_replay: bool = True
    ) -> Again | Refusal:
        return call.failed(lease, outcome, self.now, can_replay=can_replay)

    def send(self, status: int, facts: CallFacts = GET, only: str | None = None) -> str:
        """Make a whole call in which every instance answers `status`; return the last one's id."""
        if only is not None:
            facts = CallFacts(idempotent=facts.idempotent, instance=only)
        call = self.begin(facts)
        while True:
            lease = self.lease(call)
            if isinstance(self.answer(call, lease, status), Relay):
                break
        lease.release(self.now)
        call.finish(self.now)
        return lease.instance.id

    def connections(self) -> list[int]:
        members = self.registry.get_service(SERVICE)
        return [self.route.connections(member.id) for member in members]
