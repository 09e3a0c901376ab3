"""One service under diagnosis: what a rule looks at, and what it answers."""

from collections.abc import Iterable
from dataclasses import dataclass

from msctl.config.models import Dependency
from msctl.core.durations import in_words
from msctl.core.last_words import mentions
from msctl.core.why_facts import InstanceFacts, Run, ServiceFacts, Situation
from msctl.model import Health, ServiceStatus

RECENT = 600.0
"""Seconds for which a crash is worth a word although all is well again."""

_WORST_FIRST = (
    ServiceStatus.ERROR,
    ServiceStatus.BACKOFF,
    ServiceStatus.STOPPED,
    ServiceStatus.STARTING,
    ServiceStatus.STOPPING,
    ServiceStatus.DRAINING,
    ServiceStatus.COMPLETED,
    ServiceStatus.RUNNING,
)
_SICKEST_FIRST = (Health.UNHEALTHY, Health.UNKNOWN, Health.DEGRADED, Health.HEALTHY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One link of the chain: what is so, how that is known, and what to do about it."""

    service: str
    instance: str | None = None
    what: str
    evidence: tuple[str, ...] = ()
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found: steps, each the cause of the one before, and who is to blame then."""

    steps: tuple[Step, ...] = ()
    follow: str | None = None
    """A dependency in which the cause lies."""


@dataclass(frozen=True, slots=True)
class Case:
    """A service, and the instance of it that was asked for, if one was."""

    situation: Situation
    service: ServiceFacts
    asked_for: str | None = None

    @property
    def name(self) -> str:
        """The service's name."""
        return self.service.name

    @property
    def start_command(self) -> str:
        """The command that starts it, or tries again what was given up."""
        return f"msctl {'start' if self.situation.running else 'up'} {self.name}"

    def retry_command(self, instance: str) -> str:
        """Return the command that tries again what an instance failed at.

        While others serve in place of one that is no more, a start changes nothing.
        """
        there = any(each.id == instance for each in self.service.instances)
        return f"msctl restart {self.name}" if self.is_fine and not there else self.start_command

    def is_outlived(self, run: Run) -> bool:
        """Whether an instance that was started after the end of a process is healthy now."""
        return any(
            _serves(each) and each.started_at is not None and each.started_at > (run.ended or 0.0)
            for each in self.service.instances
        )

    @property
    def instances(self) -> tuple[InstanceFacts, ...]:
        """The instances that the question is about."""
        if self.asked_for is None:
            return self.service.instances
        return tuple(i for i in self.service.instances if i.id == self.asked_for)

    @property
    def is_fine(self) -> bool:
        """Whether as many instances are ready as are wanted, or the one that was asked for is."""
        if self.asked_for is not None:
            return any(_serves(instance) for instance in self.instances)
        return self.service.status is ServiceStatus.RUNNING and (
            self.service.health is Health.HEALTHY
        )

    def worst(self) -> InstanceFacts | None:
        """Return the instance that is off worst; None when there is none."""
        return min(self.instances, key=_badness, default=None)

    def ago(self, time: float) -> str:
        """Say how long something is past."""
        return f"{in_words(self.situation.now - time)} ago"

    def lasting(self, time: float) -> str:
        """Say for how long something has been so."""
        return f"for {in_words(self.situation.now - time)}"

    def culprit(self, texts: Iterable[str] = (), *, named: bool = False) -> str | None:
        """Return a dependency that is not well: one that the texts name, else the first.

        With `named` only one that is named.
        """
        candidates = [d.name for d in self.service.dependencies if self.is_to_blame(d)]
        said = list(texts)
        for name in candidates:
            if mentions(said, name, self.situation.services[name].port):
                return name
        return candidates[0] if candidates and not named else None

    def is_to_blame(self, dependency: Dependency) -> bool:
        """Whether a dependency is not well; an optional one has to have been wanted."""
        facts = self.situation.services.get(dependency.name)
        if facts is None or (not dependency.required and not facts.wanted):
            return False
        return is_ailing(facts)

    def last_failure(self) -> tuple[str, Run] | None:
        """Return the instance and the process of it that failed last, if its last one did."""
        last = [(i, run) for i in self.service.runs if (run := self.service.last_run(i))]
        failed = [(i, run) for i, run in last if run.failed and run.ended is not None]
        return max(failed, key=lambda each: (each[1].ended or 0.0, each[0]), default=None)


def is_ailing(service: ServiceFacts) -> bool:
    """Whether those that depend on a service have reason to miss it."""
    if service.status is ServiceStatus.COMPLETED:
        return False
    answers = service.health in {Health.HEALTHY, Health.DEGRADED}
    return service.status is not ServiceStatus.RUNNING or not answers or service.breaker.keeps_out


def _serves(instance: InstanceFacts) -> bool:
    return instance.status is ServiceStatus.RUNNING and instance.health is Health.HEALTHY


def _badness(instance: InstanceFacts) -> tuple[int, int, bool, str]:
    sick = instance.status is ServiceStatus.RUNNING and instance.health is Health.UNHEALTHY
    rank = 1 if sick else _WORST_FIRST.index(instance.status)
    closed = not instance.breaker.keeps_out
    return rank, _SICKEST_FIRST.index(instance.health), closed, instance.id
