"""The rules of a diagnosis, in the order in which they are asked; the first that fits answers."""

from collections.abc import Callable
from dataclasses import replace

from msctl.config.models import Condition
from msctl.core.why_case import RECENT, Case, Finding, Step, is_ailing
from msctl.core.why_facts import BreakerFacts, InstanceFacts, Run
from msctl.core.why_health import misconfigured, starting, unhealthy, wrong_path
from msctl.core.why_process import ending, held_port
from msctl.model import BreakerState, Health, ServiceStatus

_ENDED = frozenset({ServiceStatus.ERROR, ServiceStatus.BACKOFF, ServiceStatus.STOPPED})
_LEAVING = frozenset({ServiceStatus.DRAINING, ServiceStatus.STOPPING})


def diagnose(case: Case) -> Finding:
    """Return what is behind the state of a service; nothing more when nothing is wrong."""
    return next(found for rule in RULES if (found := rule(case)) is not None)


def _not_wanted(case: Case) -> Finding | None:
    """Say why nobody wants it to run: by a command, because a start failed, or never."""
    service = case.service
    if service.wanted or service.instances:
        return None
    if service.standby:
        return Finding()
    if service.port is not None and (held := held_port(case, service.port)) is not None:
        return Finding((held,))
    failure, blamed = case.last_failure(), _failed_dependency(case)
    if failure is not None and blamed is None:
        return ending(case, *failure)
    if blamed is not None:
        return Finding((_step(case, f"its dependency {blamed} did not come up"),), blamed)
    return Finding(_lost(case))


def _failed_dependency(case: Case) -> str | None:
    """Return a dependency that failed after the service was there last, which keeps it down."""
    ends = [r.ended or r.started or 0.0 for runs in case.service.runs.values() for r in runs]
    for dependency in case.service.dependencies:
        facts = case.situation.services.get(dependency.name)
        if facts is None or facts.wanted or not dependency.required:
            continue
        there = Case(case.situation, facts)
        failure = there.last_failure()
        if failure and (failure[1].ended or 0.0) >= max(ends, default=0.0):
            return dependency.name
        if _failed_dependency(there) is not None:
            return dependency.name
    return None


def _lost(case: Case) -> tuple[Step, ...]:
    """Tell of processes whose end nobody has noted: the daemon was killed before."""
    open_ended = [
        f"pid {run.pid} of {instance}"
        for instance in case.service.runs
        if (run := case.service.last_run(instance)) and not run.ending and not run.given_up
    ]
    if not open_ended:
        return ()
    what = "the daemon ended without a word: it was killed, or the machine went down"
    evidence = tuple(f"{each} was running then" for each in open_ended)
    return (_step(case, what, evidence=evidence, hint=f"msctl up {case.name}"),)


def _waiting(case: Case) -> Finding | None:
    """Say whom it waits for: it has no instance, because its dependencies do not allow it."""
    service = case.service
    if service.instances:
        return None
    if not service.unmet:
        return Finding((_step(case, "it is about to be started"),))
    conditions = {d.name: d.condition for d in service.dependencies}
    needs = [_need(name, conditions.get(name)) for name in service.unmet]
    there = [case.situation.services[n] for n in service.unmet if n in case.situation.services]
    evidence = tuple(f"{each.name}: {each.status}, {each.health}" for each in there)
    step = _step(case, f"it waits for {' and for '.join(needs)}", evidence=evidence)
    ailing = [each.name for each in there if is_ailing(each)]
    failed = [each.name for each in there if each.status in _ENDED]
    return Finding((step,), next(iter([*failed, *ailing]), None))


def _need(name: str, condition: Condition | None) -> str:
    match condition:
        case Condition.COMPLETED:
            return f"{name} to complete"
        case Condition.STARTED:
            return f"{name} to be started"
        case _:
            return f"{name} to be healthy"


def _well(case: Case) -> Finding | None:
    """Say that all is well, or what is worth a word all the same."""
    if not case.is_fine:
        return None
    for look in (_failed_newcomer, _breaker, _wrong_check, _missed_dependency, _recent_crash):
        if (found := look(case)) is not None:
            return found
    return Finding((_step(case, "nothing is wrong"),))


def _failed_newcomer(case: Case) -> Finding | None:
    """Tell of a new instance that failed while those of before serve."""
    failed = [i for i in case.instances if i.status is ServiceStatus.ERROR]
    return _ended_instance(case, failed[0]) if failed else None


def _wrong_check(case: Case) -> Finding | None:
    found = [i for i in case.instances if misconfigured(i)]
    return Finding((wrong_path(case, found[0]),)) if found else None


def _missed_dependency(case: Case) -> Finding | None:
    """Tell of a dependency that is not well while the service itself is."""
    name = case.culprit()
    if name is None:
        return None
    return Finding((_step(case, f"it is well itself, but its dependency {name} is not"),), name)


def _recent_crash(case: Case) -> Finding | None:
    """Tell of a crash that a new start has mended, or of a failed restart that nothing has yet."""
    limit = case.situation.now - RECENT
    crashes = [
        (run.ended, instance, run)
        for instance, runs in case.service.runs.items()
        for run in runs
        if run.failed and run.ended is not None and run.ended >= limit
        if case.asked_for in {None, instance} and not _is_past(case, instance, run)
    ]
    if not crashes:
        return None
    ended, instance, run = max(crashes, key=lambda crash: crash[:2])
    if run.given_up:
        return _failed_restart(case, instance, run)
    what = f"nothing is wrong now, but it crashed {case.ago(ended)} and was started again"
    return Finding((_step(case, what, instance=instance), *ending(case, instance, run).steps))


def _is_past(case: Case, instance: str, run: Run) -> bool:
    """Whether a failure is not worth a word any more: what came after its instance is healthy."""
    there = any(each.id == instance for each in case.service.instances)
    return (bool(run.given_up) or not there) and case.is_outlived(run)


def _failed_restart(case: Case, instance: str, run: Run) -> Finding:
    """Tell of a new instance that is no more: it failed, and those of before serve on."""
    end, *causes = ending(case, instance, run).steps
    how = f"{instance}{' ' if run.ending else ': '}{end.what}"
    what = f"it is healthy, but its last restart failed: {how}"
    return Finding((replace(end, instance=None, what=what), *causes))


def _ended(case: Case) -> Finding | None:
    worst = case.worst()
    if worst is None or worst.status not in _ENDED:
        return None
    return _ended_instance(case, worst)


def _ended_instance(case: Case, instance: InstanceFacts) -> Finding:
    run = case.service.last_run(instance.id)
    if run is not None and not run.ending and not run.given_up:
        run = None  # its log does not tell of the end yet
    if instance.status is ServiceStatus.STOPPED:
        what = f"it ended by itself: {instance.reason or 'nobody asked for that'}"
        evidence = (f"restart: {case.service.restart}, so it is not started again",)
        hint = f"msctl start {case.name}"
        return Finding((_step(case, what, evidence=evidence, hint=hint, instance=instance.id),))
    return ending(case, instance.id, run, instance.reason)


def _leaving(case: Case) -> Finding | None:
    worst = case.worst()
    if worst is None or worst.status not in _LEAVING:
        return None
    calls = f"{worst.connections} under way"
    limit = f"{case.service.drain_timeout:g} s (drain_timeout)"
    words = {
        ServiceStatus.DRAINING: f"it finishes its calls before it stops: {calls}, at most {limit}",
        ServiceStatus.STOPPING: "it was told to stop and has not ended yet",
    }
    return Finding((_step(case, words[worst.status], instance=worst.id),))


def _starting(case: Case) -> Finding | None:
    worst = case.worst()
    if worst is None or worst.status is not ServiceStatus.STARTING:
        return None
    found = starting(case, worst)
    before: Run | None = next(
        (run for run in reversed(case.service.runs.get(worst.id, ())) if run.ending), None
    )
    if before is None or not before.failed or not worst.restarts or found.follow:
        return found
    again = ending(case, worst.id, before)
    return Finding((*found.steps, *again.steps), again.follow)


def _unhealthy(case: Case) -> Finding | None:
    worst = case.worst()
    if worst is None or worst.status is not ServiceStatus.RUNNING:
        return None
    if worst.health is Health.UNHEALTHY:
        return unhealthy(case, worst)
    if worst.health is Health.DEGRADED:
        what = f"it says itself that it is not at its best: {worst.reason}"
        return Finding((_step(case, what, instance=worst.id),), case.culprit([worst.reason]))
    return None


def _breaker(case: Case) -> Finding | None:
    """Tell of a breaker that keeps calls from it, or lets all of them pass by force."""
    own = [(None, case.service.breaker)] if case.asked_for is None else []
    all_of_them: list[tuple[str | None, BreakerFacts]] = [
        *own,
        *((i.id, i.breaker) for i in case.instances),
    ]
    for instance, breaker in all_of_them:
        if breaker.keeps_out or breaker.state is BreakerState.FORCED_CLOSED:
            return _breaker_finding(case, instance, breaker)
    return None


def _breaker_finding(case: Case, instance: str | None, breaker: BreakerFacts) -> Finding:
    forced = breaker.state in {BreakerState.FORCED_OPEN, BreakerState.FORCED_CLOSED}
    since = f" {case.lasting(breaker.since)}" if breaker.since is not None else ""
    what = f"its circuit breaker is {breaker.state.replace('_', ' ')}{since}: {breaker.reason}"
    evidence = [f"{breaker.left:.1f} s are left of that"] if breaker.left is not None else []
    evidence += [f"{i.id}: {i.status}, {i.health}" for i in case.instances]
    name = case.name if instance is None else f"{case.name}/{instance}"
    hint = f"msctl breaker {'auto' if forced else 'reset'} {name}"
    step = _step(case, what, evidence=tuple(evidence), hint=hint, instance=instance)
    return Finding((step,), None if forced else case.culprit([breaker.reason]))


def _completed(case: Case) -> Finding | None:
    worst = case.worst()
    if worst is None or worst.status is not ServiceStatus.COMPLETED:
        return None
    run = case.service.last_run(worst.id)
    when = f", {case.ago(run.ended)}" if run and run.ended else ""
    return Finding((_step(case, f"it is a job and has done it{when}", instance=worst.id),))


def _unknown(case: Case) -> Finding | None:
    """Say what the instances say themselves; nothing else is known."""
    reasons = tuple(f"{i.id}: {i.reason}" for i in case.instances if i.reason)
    return Finding((_step(case, "nothing more is known", evidence=reasons),) if reasons else ())


Rule = Callable[[Case], Finding | None]
RULES: tuple[Rule, ...] = (
    _not_wanted,
    _waiting,
    _well,
    _ended,
    _unhealthy,
    _starting,
    _leaving,
    _completed,
    _breaker,
    _unknown,
)


def _step(
    case: Case,
    what: str,
    *,
    evidence: tuple[str, ...] = (),
    hint: str = "",
    instance: str | None = None,
) -> Step:
    return Step(service=case.name, instance=instance, what=what, evidence=evidence, hint=hint)
