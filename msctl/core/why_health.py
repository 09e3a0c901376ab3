"""Why a living process is not healthy: what its check heard, or why it heard nothing."""

import re
from http import HTTPStatus

from msctl.core.why_case import Case, Finding, Step
from msctl.core.why_facts import InstanceFacts
from msctl.core.why_process import last_lines

_ANSWER = re.compile(r"answered (?P<status>\d{3})(?:: (?P<body>.*))?")
_LATE = re.compile(r"no (?:answer|connection) within \S+ s")
_REFUSED = "connection refused"
_NO_SUCH_PATH = "health_check_path names nothing there"
"""As msctl.core.health says it of a check that asks for a path that is not there."""
_STATES = {
    "T": "it is suspended (state T): SIGSTOP or a terminal did that",
    "t": "it is suspended (state t): a debugger did that",
    "D": "it waits for the kernel (state D): a disk, or a network file system",
    "R": "it computes (state R) and does not get to answer",
    "S": "it sleeps (state S): it waits for something, and does not answer meanwhile",
}
_SUSPENDED = frozenset("Tt")


def unhealthy(case: Case, instance: InstanceFacts) -> Finding:
    """Explain an instance that runs and whose checks do not pass."""
    if _LATE.search(instance.reason):
        return _hung(case, instance)
    if match := _ANSWER.search(instance.reason):
        return _bad_answer(case, instance, int(match["status"]), match["body"] or "")
    if _REFUSED in instance.reason:
        return Finding((_not_listening(case, instance),))
    heard = f": {instance.reason}" if instance.reason else ""
    step = _step(case, instance, f"its health check fails{heard}", hint=_logs(instance))
    return Finding((step,), case.culprit([instance.reason]))


def starting(case: Case, instance: InstanceFacts) -> Finding:
    """Explain an instance that is not healthy yet."""
    if instance.started_at is None:
        return Finding((_step(case, instance, "it is about to be started"),))
    limit = f"{case.service.start_timeout:g} s (start_timeout)"
    what = f"it has been starting {case.lasting(instance.started_at)} of {limit}"
    if instance.process_state in _SUSPENDED:
        return Finding((_step(case, instance, what), *_hung(case, instance).steps))
    heard = f"last check: {instance.reason}" if instance.reason else "it has not answered yet"
    step = _step(case, instance, what, evidence=(heard,), hint=_logs(instance))
    match = _ANSWER.search(instance.reason)
    says = [match["body"] or ""] if match else []
    return Finding((step,), case.culprit(says, named=not match))


def misconfigured(instance: InstanceFacts) -> bool:
    """Whether its check asks for a path that it does not have."""
    return _NO_SUCH_PATH in instance.reason


def wrong_path(case: Case, instance: InstanceFacts) -> Step:
    """Explain a check that asks for a path that is not there."""
    heard = instance.reason.partition(";")[0]
    what = f"its health check is misconfigured: {case.service.check} {heard}"
    evidence = ("from the first 404 on any answer below 500 passes for healthy",)
    hint = f"set services.{case.name}.health_check_path to a path that it has, then: msctl up"
    return _step(case, instance, what, evidence=evidence, hint=hint)


def _bad_answer(case: Case, instance: InstanceFacts, status: int, body: str) -> Finding:
    said = f"{status}: {body}" if body else str(status)
    own_fault = status < HTTPStatus.INTERNAL_SERVER_ERROR
    follow = case.culprit([body], named=own_fault)
    step = _step(
        case,
        instance,
        f"its health check answered {said}",
        evidence=() if follow else _lines(case, instance),
        hint=_logs(instance),
    )
    return Finding((step,), follow)


def _hung(case: Case, instance: InstanceFacts) -> Finding:
    """Explain a process that is alive and does not answer."""
    state = _STATES.get(instance.process_state, "")
    what = f"it hangs: pid {instance.pid} is alive, and {_heard(case, instance)}"
    suspended = instance.process_state in _SUSPENDED
    hint = f"kill -CONT {instance.pid}" if suspended else f"msctl restart {case.name}"
    evidence = (*filter(None, (state,)), *_lines(case, instance))
    step = _step(case, instance, what, evidence=evidence, hint=hint)
    return Finding((step,), None if suspended else case.culprit())


def _heard(case: Case, instance: InstanceFacts) -> str:
    if not instance.reason:
        return "its health check has no answer"
    return f"{case.service.check or 'its health check'} had {instance.reason}"


def _not_listening(case: Case, instance: InstanceFacts) -> Step:
    where = f"port {instance.port}" if instance.port else "its port"
    listens = "it has to listen on 127.0.0.1, on the port that PORT gives"
    own = f"it has to listen on its port {case.service.port}"
    return _step(
        case,
        instance,
        f"nobody listens on {where}, though pid {instance.pid} is alive",
        evidence=(own if case.service.binds_own_port else listens, *_lines(case, instance)),
        hint=_logs(instance),
    )


def _lines(case: Case, instance: InstanceFacts) -> tuple[str, ...]:
    return last_lines(case.service.last_run(instance.id))


def _logs(instance: InstanceFacts) -> str:
    return f"msctl logs {instance.id}"


def _step(
    case: Case,
    instance: InstanceFacts,
    what: str,
    *,
    evidence: tuple[str, ...] = (),
    hint: str = "",
) -> Step:
    return Step(service=case.name, instance=instance.id, what=what, evidence=evidence, hint=hint)
