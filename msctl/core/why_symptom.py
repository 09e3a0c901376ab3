"""The first step of a chain: how the service is, in one line."""

from msctl.core.why_case import Case, Step
from msctl.core.why_facts import InstanceFacts
from msctl.model import Health, ServiceStatus


def symptom(case: Case) -> Step:
    """Say how the service is, or the one instance that was asked for."""
    if not case.situation.running:
        return _of(case, "not running: no fleet is running here", hint=f"msctl up {case.name}")
    if case.asked_for is not None:
        return _of_instance(case)
    service = case.service
    if not service.wanted:
        return _not_wanted(case)
    ready = f"{service.ready} of {_count(service.wanted, 'instance')} ready"
    if service.instances:
        word = _word(service.status, service.health)
        return _of(case, f"{word}{_duration(case)}: {ready}", evidence=_well_being(case))
    return _of(case, f"not started: {ready}")


def _not_wanted(case: Case) -> Step:
    service = case.service
    if service.instances:
        return _of(case, f"{service.status}: it is not wanted any more")
    if service.standby:
        return _of(case, "scaled to 0 instances", hint=f"msctl scale {case.name}=1")
    if service.shown_stopped is not None:
        when = f"stopped {case.ago(service.shown_stopped)}"
        return _of(case, f"not running: {when}", hint=f"msctl start {case.name}")
    return _of(case, "not running: it was not started", hint=f"msctl up {case.name}")


def _of_instance(case: Case) -> Step:
    found = case.worst()
    if found is None:
        return _of(case, f"{case.asked_for} is not there any more")
    word = _word(found.status, found.health)
    return _of(case, f"{word}{_duration(case)}", evidence=_well_being(case))


def _of(case: Case, what: str, *, evidence: tuple[str, ...] = (), hint: str = "") -> Step:
    return Step(service=case.name, instance=case.asked_for, what=what, evidence=evidence, hint=hint)


def _word(status: ServiceStatus, health: Health) -> str:
    return str(health) if status is ServiceStatus.RUNNING else str(status)


def _duration(case: Case) -> str:
    """Say since when: of what is well since the last one got so, else since the worst one did."""
    if case.is_fine:
        times = [i.since for i in case.instances if i.since and i.health is Health.HEALTHY]
        return f" {case.lasting(max(times))}" if times else ""
    worst = case.worst()
    return f" {case.lasting(worst.since)}" if worst and worst.since else ""


def _well_being(case: Case) -> tuple[str, ...]:
    """Return the figures of what is well; what is not has its evidence further on."""
    return tuple(map(_figures, case.instances)) if case.is_fine else ()


def _figures(instance: InstanceFacts) -> str:
    restarts = _count(instance.restarts, "restart")
    calls = _count(instance.connections, "call") + " under way"
    pid = f", pid {instance.pid}" if instance.pid is not None else ""
    return f"{instance.id}: {instance.status}, {instance.health}{pid}, {restarts}, {calls}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
