"""What a command has to change, service by service: wishes, and the reason for each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from msctl.config.models import FleetConfig, ServiceConfig
from msctl.core.reconcile import Wish
from msctl.runtime.operation import Change
from msctl.runtime.orchestrator import Orchestrator

HOT_KEYS = frozenset(
    {
        "description", "replicas", "balancer", "breaker", "retries", "limits", "timeout",
        "start_timeout", "stop_timeout", "drain_timeout", "stop_signal", "scaling",
        "watch", "data", "profiles",
    }
)  # fmt: skip
"""Keys whose change takes effect without a restart of the process."""


class Approach(Enum):
    """How far a command goes."""

    UPDATE = "update"
    """Start what is missing, restart what the config changed (`up`)."""
    MISSING = "missing"
    """Start what is missing and leave the rest alone (`start`)."""
    ANEW = "anew"
    """Replace every instance (`restart`)."""


@dataclass(slots=True)
class Plan:
    """What has to change, in start order."""

    fleet: FleetConfig
    changes: list[Change] = field(default_factory=list)
    wishes: dict[str, Wish] = field(default_factory=dict)

    def fresh(self) -> list[str]:
        """Return the services that get new processes."""
        return [c.service for c in self.changes if c.action in {"started", "restarted"}]

    def started(self) -> list[str]:
        """Return the services that did not run before."""
        return [change.service for change in self.changes if change.action == "started"]


def make_plan(
    orchestrator: Orchestrator,
    fleet: FleetConfig,
    names: Iterable[str],
    approach: Approach,
    scale: Mapping[str, int] | None = None,
    *,
    waits: bool = True,
) -> Plan:
    """Compare what these services should be with what is wanted of them so far."""
    plan = Plan(fleet)
    for name in names:
        service = fleet.services[name]
        replicas = (scale or {}).get(name, service.replicas)
        change = _change(orchestrator, service, replicas, approach)
        plan.changes.append(change)
        if change.action == "unchanged":
            continue
        before = orchestrator.wish(name)
        revision = before.revision if before else 0
        plan.wishes[name] = Wish(
            replicas=replicas,
            revision=revision + (change.action in {"started", "restarted"}),
            dependencies=service.dependencies,
            waits=waits,
        )
    return plan


def _change(  # noqa: PLR0911  one line a case
    orchestrator: Orchestrator, service: ServiceConfig, replicas: int, approach: Approach
) -> Change:
    name = service.name
    wish, running = orchestrator.wish(name), orchestrator.config(name)

    def change(action: str, reason: str = "") -> Change:
        return Change(service=name, action=action, reason=reason)

    if wish is None or running is None or wish.replicas == 0:
        return change("started")
    if approach is Approach.ANEW:
        return change("restarted", "asked for")
    if orchestrator.failures(name):
        return change("restarted", "it had failed")
    if orchestrator.has_ended(name):
        return change("restarted", "it had ended")
    if approach is Approach.MISSING:
        return change("unchanged")
    if keys := _cold_changes(running, service):
        return change("restarted", f"config changed: {', '.join(keys)}")
    if replicas != wish.replicas:
        return change("scaled", f"{wish.replicas} → {replicas} replicas")
    if running != service:
        return change("updated", "config changed, no restart needed")
    return change("unchanged")


def _cold_changes(before: ServiceConfig, after: ServiceConfig) -> list[str]:
    """Return the changed keys that only a new process can take up."""
    return [
        key
        for key in type(after).model_fields
        if key not in HOT_KEYS and getattr(before, key) != getattr(after, key)
    ]


def without_profile(fleet: FleetConfig, asked_for: frozenset[str]) -> list[str]:
    """Return the services that start without being named: no profile, or one asked for."""
    return [
        name
        for name, service in fleet.services.items()
        if not service.profiles or asked_for & set(service.profiles)
    ]
