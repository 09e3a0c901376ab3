"""Why a process ended, or would not start: from its exit to what it said last."""

import re
import signal

from msctl.core.durations import in_words
from msctl.core.last_words import last_words, ports_in_use
from msctl.core.why_case import Case, Finding, Step
from msctl.core.why_facts import Run

_KILLED = re.compile(r"killed by (?P<name>\w+)(?: (?P<number>\d+))?")
_REASON_AND_RULE = re.compile(r"(?P<reason>.*\S) \((?P<rule>[^()]*)\)")
_RULES = {
    "it was never healthy": "it was never healthy, and such a start is not tried again",
    "restart: no": "restart: no, so it is not started again",
    "5 quick crashes in a row": "5 quick crashes in a row, so it is not started again",
}
_SHOWN = 5
"""Last lines of a program that are given as evidence."""


def ending(case: Case, instance: str, run: Run | None, reason: str = "") -> Finding:
    """Return the steps from the end of a process to its cause.

    `reason` is what the registry says of it, where its log does not tell.
    """
    run = run or Run(given_up=reason)
    step = _exit(case, instance, run, reason)
    if (found := _from_port(case, instance, run)) is not None:
        return Finding((step, *found))
    words = _words(case, instance, run)
    texts = [line.text for line in run.lines]
    follow = case.culprit(texts, named=True)
    return Finding((step, words) if words else (step,), follow)


def last_lines(run: Run | None) -> tuple[str, ...]:
    """Return what a process wrote last, as evidence."""
    said = [line for line in run.lines if line.text.strip()] if run else []
    return tuple(f"{line.stream}: {line.text.strip()}" for line in said[-_SHOWN:])


def _exit(case: Case, instance: str, run: Run, reason: str) -> Step:
    why, rule = _split(run.given_up or reason)
    what = run.ending or why or "its process ended"
    evidence = []
    if killed := _KILLED.fullmatch(what):
        what = _signal(killed["name"], killed["number"])
        if killed["name"] == "SIGKILL" and case.situation.memory_kills:
            what += ", perhaps for lack of memory"
            kills = case.situation.memory_kills
            evidence.append(
                f"the kernel has killed {kills} of the machine's processes for lack of memory "
                "since the fleet started"
            )
    when = f", {case.ago(run.ended)}" if run.ended is not None else ""
    if run.started is not None and run.ended is not None:
        evidence.append(f"pid {run.pid} ran for {in_words(run.ended - run.started)}")
    evidence += _sequel(case, run, rule)
    return Step(
        service=case.name,
        instance=instance,
        what=f"{what}{when}",
        evidence=tuple(evidence),
        hint=_next_step(case, instance, run),
    )


def _next_step(case: Case, instance: str, run: Run) -> str:
    """Say what to do about an end: look, and start it again where msctl does not."""
    if not run.given_up:
        return f"msctl logs {instance}"
    return f"see msctl logs {instance}, then: {case.retry_command(instance)}"


def _sequel(case: Case, run: Run, rule: str) -> list[str]:
    """Say what follows: which rule gave it up, or when it is started again."""
    if run.given_up:
        return [f"given up: {_RULES.get(rule, rule)}" if rule else "given up"]
    if run.restarts_at is not None and run.restarts_at > case.situation.now:
        return [f"it is started again in {in_words(run.restarts_at - case.situation.now)}"]
    return []


def _split(given_up: str) -> tuple[str, str]:
    match = _REASON_AND_RULE.fullmatch(given_up)
    return (match["reason"], match["rule"]) if match else (given_up, "")


def _signal(name: str, number: str | None) -> str:
    if number is not None:  # one that has no name
        return f"killed by signal {number}"
    return f"killed by signal {signal.Signals[name].value} ({name})"


def _words(case: Case, instance: str, run: Run) -> Step | None:
    killed = run.ending.startswith("killed by")
    words = last_words(run.lines, killed=killed)
    if words is None:
        return None
    evidence = [f"at {place}" for place in words.places]
    evidence += [f"because of {cause}" for cause in words.causes]
    hint = _next_step(case, instance, run)
    if words.places and run.given_up:
        place = words.places[-1].partition(" ")[0]
        hint = f"put {place} right, then: {case.retry_command(instance)}"
    return Step(
        service=case.name,
        instance=instance,
        what=f'its last line: "{words.text}"' if not words.places else words.text,
        evidence=tuple(evidence),
        hint=hint,
    )


def _from_port(case: Case, instance: str, run: Run) -> tuple[Step, ...] | None:
    """Follow an 'address already in use' to the one who has it."""
    named = ports_in_use(run.lines)
    if named is None:
        return None
    own = (case.service.port,) if case.service.binds_own_port and case.service.port else ()
    said = _words(case, instance, run)
    steps = (said,) if said else ()
    for port in (*own, *named):
        if (held := held_port(case, port)) is not None:
            return (*steps, held)
    gone = Step(
        service=case.name,
        instance=instance,
        what="its port was taken; nobody holds it any more",
        hint=case.retry_command(instance),
    )
    return (*steps, gone)


def held_port(case: Case, port: int) -> Step | None:
    """Say who has a port, if somebody has it."""
    holder = case.situation.holders.get(port)
    if holder is None:
        return None
    stop = "stop that program" if holder.pid is None else f"kill {holder.pid}"
    return Step(
        service=case.name,
        what=f"port {port} is held by {holder.text}",
        hint=f"{stop}, or set services.{case.name}.port, then: msctl up {case.name}",
    )
