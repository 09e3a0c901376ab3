"""What a command has to change, service by service: wishes, and the reason for each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from msctl.config.models import FleetConfig, ServiceConfig
from msctl.config.naming import check_services, choose_services
from msctl.core.reconcile import Wish
from msctl.errors import UsageError
from msctl.runtime.operation import Change
from msctl.runtime.orchestrator import Orchestrator
from msctl.runtime.release import Statement, cold_changes, hot_changes


class Approach(Enum):
    """How far a command goes."""

    UPDATE = "update"
    """Start what is missing, replace what the config changed (`up`)."""
    MISSING = "missing"
    """Start what is missing and leave the rest alone (`start`)."""
    ANEW = "anew"
    """Replace every instance (`restart`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a command goes about it."""

    approach: Approach
    scale: Mapping[str, int] = field(default_factory=dict)
    """How many instances were asked for, where that was."""
    waits: bool = True
    """Whether services wait for their dependencies."""
    hard: bool = False
    """Whether the old instances stop before the new ones start."""
    parallel: int = 1
    """How many instances of a service are replaced at once."""
    reason: str = "asked for"
    """Why it is done, where the configuration is not the reason."""


@dataclass(slots=True)
class Plan:
    """What has to change, in start order."""

    fleet: FleetConfig
    changes: list[Change] = field(default_factory=list)
    wishes: dict[str, Wish] = field(default_factory=dict)
    services: dict[str, ServiceConfig] = field(default_factory=dict)
    """The configuration that goes with each wish."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why each is to have as many instances as its wish says."""
    more: set[str] = field(default_factory=set)
    """Services that get more instances than they were to have."""
    retried: list[str] = field(default_factory=list)
    """Services of which only the failed instances get successors."""

    def started(self) -> list[str]:
        """Return the services that did not run before."""
        return self._that("started")

    def replaced(self) -> list[str]:
        """Return the services whose old instances go when new ones serve."""
        anew = [name for name in self._that("restarted") if name not in self.retried]
        return [name for name in anew if self.wishes[name].surge]

    def grown(self) -> list[str]:
        """Return the services that get more instances, and nothing else."""
        return [name for name in self._that("scaled") if name in self.more]

    def touched(self) -> list[str]:
        """Return the services whose requests are served by what is changed."""
        return [*self._that("restarted"), *self._that("scaled")]

    def _that(self, action: str) -> list[str]:
        return [change.service for change in self.changes if change.action == action]


@dataclass(frozen=True, slots=True)
class _Verdict:
    action: str
    reason: str = ""
    anew: bool = False
    """Whether it gets a new revision."""


_UNCHANGED = _Verdict("unchanged")
_STARTED = _Verdict("started", anew=True)


def make_plan(
    orchestrator: Orchestrator, fleet: FleetConfig, names: Iterable[str], manner: Manner
) -> Plan:
    """Compare what these services should be with what is wanted of them so far."""
    return _Comparison(orchestrator, fleet, manner).plan(names)


def spread(scale: Mapping[str, int], services: Iterable[str]) -> dict[str, int]:
    """Return the numbers by service where patterns name several; the last one counts."""
    known = list(services)
    return {each: count for name, count in scale.items() for each in choose_services([name], known)}


def check_scale(services: Mapping[str, ServiceConfig], scale: Mapping[str, int]) -> None:
    """Raise UnknownService, or UsageError where a service cannot have so many instances."""
    check_services(scale, services)
    for name, count in scale.items():
        if count < 0:
            raise UsageError(f"{name}: expected a number of instances, 0 or more; not {count}")
        scaling = services[name].scaling
        if scaling is not None and not scaling.allows(count):
            most = "no limit" if scaling.max is None else str(scaling.max)
            raise UsageError(f"{name}: {count} is outside its scaling, {scaling.min} to {most}")
        if count > 1 and services[name].binds_own_port:
            raise UsageError(
                f"{name}: it binds its port itself, which only one instance can; scale it to 1 or 0"
            )


def surge_of(service: ServiceConfig, replicas: int, parallel: int = 1) -> int:
    """Return how many instances may run beside the wanted ones; 0 for none at all.

    One that binds its port itself would find it taken. A worker with one replica may be
    there because there must not be two, as with a scheduler; nobody's request fails while
    it is away. A worker that has several replicas has shown that it runs beside itself.
    """
    if service.binds_own_port or (not service.has_port and replicas <= 1):
        return 0
    return parallel


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What is wanted so far, the configuration as it is now, and how far a command goes."""

    orchestrator: Orchestrator
    fleet: FleetConfig
    manner: Manner

    def plan(self, names: Iterable[str]) -> Plan:
        plan = Plan(self.fleet)
        for name in names:
            service, before = self.fleet.services[name], self.orchestrator.statement(name)
            if before is None or not before.wish.wanted:
                self._add(plan, service, None, self._asked_for(service), _STARTED)
                continue
            replicas = self._replicas(service, before)
            verdict = self._verdict(service, before, replicas)
            if not verdict.anew and self.manner.approach is Approach.MISSING:
                service = before.release.service  # what runs is left alone
            self._add(plan, service, before, replicas, verdict)
        return plan

    def _add(
        self,
        plan: Plan,
        service: ServiceConfig,
        before: Statement | None,
        replicas: int,
        verdict: _Verdict,
    ) -> None:
        name, manner = service.name, self.manner
        plan.changes.append(Change(service=name, action=verdict.action, reason=verdict.reason))
        if verdict is _UNCHANGED and before and before.release.service == service:
            return
        if verdict is not _UNCHANGED and before and replicas > before.wish.replicas:
            plan.more.add(name)
        if verdict.action == "restarted" and not verdict.anew:
            plan.retried.append(name)
        plan.services[name] = service
        configured = manner.approach is Approach.UPDATE and name not in manner.scale
        plan.reasons[name] = "the configuration" if configured else manner.reason
        plan.wishes[name] = Wish(
            replicas=replicas,
            revision=before.wish.revision
            if before and not verdict.anew
            else self.orchestrator.next_revision(name),
            surge=0 if manner.hard else surge_of(service, replicas, manner.parallel),
            standby=replicas == 0,
            dependencies=service.dependencies,
            waits=manner.waits,
        )

    def _asked_for(self, service: ServiceConfig) -> int:
        least = service.scaling.min if service.scaling else 0
        return self.manner.scale.get(service.name, max(service.replicas, least))

    def _replicas(self, service: ServiceConfig, before: Statement) -> int:
        """Return how many there should be: what is asked for, what was, or what the config says.

        What a command has chosen holds until the next `up`, or until the config's own number
        changes, whichever is first; `start` gives instances to what has been scaled to none.
        What scales by load keeps what that has brought it to.
        """
        asked_for, approach = self._asked_for(service), self.manner.approach
        if service.name in self.manner.scale:
            return asked_for
        if approach is Approach.UPDATE:
            return asked_for if service.scaling is None else before.wish.replicas
        if approach is Approach.MISSING:
            return before.wish.replicas or asked_for
        same = before.release.service.replicas == service.replicas
        return before.wish.replicas if same else asked_for

    def _verdict(self, service: ServiceConfig, before: Statement, replicas: int) -> _Verdict:
        if self.manner.approach is Approach.ANEW:
            reason = f"{self.manner.reason}{self._gap(service, replicas)}"
            return _Verdict("restarted", reason, anew=True)
        hot: list[str] = []
        if self.manner.approach is Approach.UPDATE:
            if cold := self._cold_changes(service):
                reason = f"config changed: {', '.join(cold)}{self._gap(service, replicas)}"
                return _Verdict("restarted", reason, anew=True)
            hot = [key for key in hot_changes(before.release.service, service) if key != "replicas"]
        if replicas and (again := self._another_try(service.name)):
            return again
        keys = ", ".join(hot)
        if replicas != before.wish.replicas:
            counts = f"{before.wish.replicas} → {replicas} replicas"
            return _Verdict("scaled", f"{counts}; config changed: {keys}" if hot else counts)
        if hot:
            return _Verdict("updated", f"config changed, no restart needed: {keys}")
        return _UNCHANGED

    def _another_try(self, name: str) -> _Verdict | None:
        """Return what is to be done about instances that were given up, or ended."""
        if failures := self.orchestrator.failures(name):
            if any(instance.in_rotation for instance in self.orchestrator.current(name)):
                failed = ", ".join(str(failure.instance) for failure in failures)
                return _Verdict("restarted", f"only {failed}, which had failed")
            return _Verdict("restarted", "it had failed", anew=True)
        if self.orchestrator.has_ended(name):
            return _Verdict("restarted", "it had ended", anew=True)
        return None

    def _cold_changes(self, service: ServiceConfig) -> list[str]:
        """Name what only new processes take up, compared with all that run and are wanted."""
        now = self.orchestrator.addresses(service, self.fleet.services.get)
        found: list[str] = []
        for release in self.orchestrator.releases(service.name):
            found += cold_changes(release.service, service)
            found += [
                f"address of {n}" for n, url in release.told.items() if now.get(n, url) != url
            ]
        return list(dict.fromkeys(found))

    def _gap(self, service: ServiceConfig, replicas: int) -> str:
        """Say so where the old instance has to stop before the new one starts."""
        if self.manner.hard or surge_of(service, replicas):
            return ""
        why = "it binds its port itself" if service.has_port else "it is a worker with one replica"
        return f"; stopped first: {why}"


def without_profile(fleet: FleetConfig, asked_for: frozenset[str]) -> list[str]:
    """Return the services that start without being named: no profile, or one asked for."""
    return [
        name
        for name, service in fleet.services.items()
        if not service.profiles or asked_for & set(service.profiles)
    ]
