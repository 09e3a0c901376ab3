"""A fleet in a test's mind: its instances move on when the test lets them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from msctl.config.models import Dependency
from msctl.core.plan import is_met
from msctl.core.reconcile import Fact, Start, Step, Stop, Wish, reconcile
from msctl.core.summary import summarize
from msctl.model import Health, ServiceInstance, ServiceStatus
from tests.core.instances import instance

ENDED = {ServiceStatus.ERROR, ServiceStatus.COMPLETED, ServiceStatus.STOPPED}


def wish(replicas: int = 1, *needs: str | Dependency, revision: int = 1, surge: int = 1) -> Wish:
    dependencies = tuple(Dependency(name=n) if isinstance(n, str) else n for n in needs)
    return Wish(replicas=replicas, revision=revision, dependencies=dependencies, surge=surge)


def fact(
    id_: str,
    status: ServiceStatus = ServiceStatus.RUNNING,
    health: Health = Health.HEALTHY,
    *,
    revision: int = 1,
    leaving: bool = False,
    since: float | None = None,
) -> Fact:
    which = replace(instance(id_, status, health), started_at=since)
    return Fact(instance=which, revision=revision, leaving=leaving)


def starting(id_: str, *, revision: int = 1) -> Fact:
    return fact(id_, ServiceStatus.STARTING, Health.UNKNOWN, revision=revision)


def failed(id_: str, *, revision: int = 1) -> Fact:
    return fact(id_, ServiceStatus.ERROR, Health.UNHEALTHY, revision=revision)


def steps(wishes: Mapping[str, Wish], *facts: Fact) -> list[Step]:
    by_service: dict[str, list[Fact]] = {}
    for each in facts:
        by_service.setdefault(each.instance.service, []).append(each)
    return reconcile(wishes, by_service)


def start(id_: str, revision: int = 1) -> Start:
    return Start(id_.rpartition("-")[0], id_, revision)


def stop(id_: str) -> Stop:
    return Stop(id_.rpartition("-")[0], id_)


@dataclass
class World:
    """Carries steps out, and checks that each was allowed."""

    wishes: dict[str, Wish] = field(default_factory=dict)
    facts: dict[str, list[Fact]] = field(default_factory=dict)
    time: float = 0.0

    def turn(self) -> list[Step]:
        """Reconcile, check what is said and do it, until there is no more to say."""
        said: list[Step] = []
        while new := reconcile(self.wishes, self.facts):
            served = {name: self.serving(name) for name in self.wishes}
            for step in new:
                assert step not in said, "nothing is said twice"
                self._check(step)
            said += new
            for step in new:
                self._do(step)
            for name in {step.service for step in new}:
                self._check_numbers(name, served[name], new)
        return said

    def serving(self, service: str) -> int:
        return sum(
            each.instance.in_rotation and not each.leaving for each in self.facts.get(service, ())
        )

    def _check_numbers(self, service: str, served: int, done: Sequence[Step]) -> None:
        wanted, present = self.wishes[service], self.facts.get(service, [])
        if wanted.surge:
            floor = min(wanted.replicas, served)
            assert self.serving(service) >= floor, f"{service}: too few serve after {done}"
        rolling = any(e.revision != wanted.revision and not e.leaving for e in present)
        if any(isinstance(step, Start) and step.service == service for step in done):
            current = [e for e in present if not e.leaving]
            assert len(current) <= wanted.replicas + wanted.surge
            if rolling or not wanted.surge:
                assert len(present) <= wanted.replicas + wanted.surge, f"{service}: {present}"

    def _check(self, step: Step) -> None:
        present = {each.instance.id: each for each in self.facts.get(step.service, ())}
        wanted = self.wishes[step.service]
        match step:
            case Start(instance_id=id_, revision=revision):
                assert id_ not in present
                assert revision == wanted.revision
                for dependency in wanted.dependencies:
                    assert self._allows(dependency)
            case Stop(instance_id=id_):
                assert not present[id_].leaving
                if not wanted.wanted:
                    assert not any(
                        not other.wanted and self.facts.get(name)
                        for name, other in self.wishes.items()
                        if step.service in {d.name for d in other.dependencies}
                    ), "a dependent that goes as well is still there"

    def _allows(self, dependency: Dependency) -> bool:
        wanted = self.wishes.get(dependency.name)
        if wanted is None or not wanted.replicas:
            return True
        current = [
            each.instance
            for each in self.facts.get(dependency.name, ())
            if each.revision == wanted.revision and not each.leaving
        ]
        return is_met(dependency, summarize(current, wanted.replicas))

    def _do(self, step: Step) -> None:
        present = self.facts.setdefault(step.service, [])
        self.time += 1
        match step:
            case Start(service, instance_id, revision):
                new = ServiceInstance(id=instance_id, service=service, started_at=self.time)
                present.append(Fact(instance=new, revision=revision))
            case Stop(service, instance_id):
                self.facts[service] = [
                    replace(each, leaving=True) if each.instance.id == instance_id else each
                    for each in present
                ]

    def pending(self) -> list[tuple[str, Fact]]:
        """Return the instances of which something is still to be expected."""
        return [
            (service, each)
            for service, present in self.facts.items()
            for each in present
            if each.leaving or each.instance.status is ServiceStatus.STARTING
        ]

    def advance(self, service: str, moving: Fact, *, fails: bool = False) -> None:
        """Let one instance become healthy, or fail; or disappear when it is leaving."""
        others = [each for each in self.facts[service] if each is not moving]
        if not moving.leaving:
            status = ServiceStatus.ERROR if fails else ServiceStatus.RUNNING
            health = Health.UNHEALTHY if fails else Health.HEALTHY
            grown = replace(moving.instance, status=status, health=health)
            others.append(replace(moving, instance=grown))
        self.facts[service] = others

    def is_as_wished(self) -> bool:
        return all(
            len(self.facts.get(name, ())) == wanted.replicas
            and all(
                each.revision == wanted.revision
                and not each.leaving
                and each.instance.status is ServiceStatus.RUNNING
                for each in self.facts.get(name, ())
            )
            for name, wanted in self.wishes.items()
        )
