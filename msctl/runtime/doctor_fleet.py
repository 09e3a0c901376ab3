"""The checks of a configuration: what it names, what its ports meet, what an old fleet left."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msctl.errors import Problem
from msctl.runtime.doctor import Finding, Topic, enumerate_names, fail, ok, warn
from msctl.runtime.portholders import Holder


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFacts:
    """Where the configuration is and what came of reading it."""

    files: Sequence[str] = ()
    services: int = 0
    missing: str = ""
    """Why none was found."""
    problems: Sequence[Problem] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PortFacts:
    """The ports that are named, and who has them."""

    wanted: Mapping[int, str]
    """By port, the service, or `gateway`."""
    holders: Mapping[int, Holder] = field(default_factory=dict)
    own: Collection[int] = ()
    """The processes of this fleet."""
    refused: Mapping[int, str] = field(default_factory=dict)
    """Why one that nobody holds cannot be bound."""
    default_gateway: int | None = None
    """The gateway's port where none is set: the next free one is taken instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFacts:
    """What lies in the state directory, and who is behind it."""

    directory: Path
    run_pid: int | None = None
    """The daemon, as run.json has it."""
    alive: bool = False
    """Whether that process exists."""
    locked: bool = False
    """Whether a daemon, or its guardian, holds the lock."""
    has_socket: bool = False
    answer_ms: float | None = None
    """How long it took to answer; None when it did not."""
    stale_projects: Sequence[Path] = ()
    """Directories of fleets under other names whose daemon is dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramFacts:
    """What a service runs, as far as it can be looked up without running it."""

    service: str
    missing: Sequence[tuple[str, str]] = ()
    """Key of the configuration, and what is wrong with what it names."""


def check_config(facts: ConfigFacts) -> Iterator[Finding]:
    """Say where the configuration is, or all that is wrong with it."""
    if facts.missing:
        yield fail(Topic.CONFIG, "configuration", facts.missing, "msctl init writes a first one")
        return
    files = enumerate_names(facts.files)
    if facts.problems:
        hint = "correct it, then: msctl validate"
        for problem in facts.problems:
            place = f"{problem.file}:{problem.line}" if problem.line else str(problem.file)
            where = f"{problem.where}: " if problem.where else ""
            yield fail(Topic.CONFIG, place, f"{where}{problem.message}", hint)
        return
    count = "1 service" if facts.services == 1 else f"{facts.services} services"
    yield ok(Topic.CONFIG, "configuration", f"{files}: {count}, no problems")


def check_programs(programs: Sequence[ProgramFacts]) -> Iterator[Finding]:
    """Name what a service is to run and what is not there."""
    whole = [program.service for program in programs if not program.missing]
    if whole:
        yield ok(Topic.PROGRAMS, "found", enumerate_names(whole))
    for program in programs:
        for key, message in program.missing:
            hint = f"correct services.{program.service}.{key}, or install what it names"
            yield fail(Topic.PROGRAMS, program.service, message, hint)


def check_ports(facts: PortFacts) -> Iterator[Finding]:
    """Say which ports are free, and who holds the others."""
    free, own = [], []
    for port, who in sorted(facts.wanted.items()):
        holder = facts.holders.get(port)
        if holder is not None and holder.pid in facts.own:
            own.append(str(port))
        elif holder is not None:
            yield _taken(port, who, holder)
        elif reason := facts.refused.get(port):
            yield fail(Topic.PORTS, who, reason, f"choose another {_key(who)}")
        else:
            free.append(str(port))
    if own:
        yield ok(Topic.PORTS, "this fleet's", enumerate_names(own))
    if free:
        yield ok(Topic.PORTS, "free", enumerate_names(free))
    yield from _gateway(facts)


def _taken(port: int, who: str, holder: Holder) -> Finding:
    stop = f"kill {holder.pid}" if holder.pid is not None else "stop that program"
    message = f"port {port} is held by {holder}"
    return fail(Topic.PORTS, who, message, f"{stop}, or choose another {_key(who)}")


def _key(who: str) -> str:
    return "gateway.port" if who == "gateway" else f"services.{who}.port"


def _gateway(facts: PortFacts) -> Iterator[Finding]:
    port = facts.default_gateway
    holder = facts.holders.get(port) if port is not None else None
    if holder is not None and holder.pid not in facts.own:
        message = f"port {port} is held by {holder}; the next free one is used"
        yield warn(Topic.PORTS, "gateway", message, "set gateway.port for one that stays")


def check_state(facts: StateFacts) -> Iterator[Finding]:
    """Say whether a daemon runs, and what a dead one has left."""
    if facts.locked and facts.answer_ms is not None:
        message = f"runs, pid {facts.run_pid}; answered in {facts.answer_ms:.1f} ms"
        yield ok(Topic.STATE, "daemon", message)
    elif facts.locked:
        message = f"pid {facts.run_pid} does not answer" if facts.alive else "is starting or ending"
        hint = f"see {facts.directory}/daemon.log"
        if facts.alive:
            hint += f"; kill -CONT {facts.run_pid} wakes one that is suspended"
        level = fail if facts.alive else warn
        yield level(Topic.STATE, "daemon", message, hint)
    else:
        yield ok(Topic.STATE, "daemon", "none runs (msctl up starts it)")
        yield from _leftovers(facts)
    if facts.stale_projects:
        names = enumerate_names(path.name for path in facts.stale_projects)
        hint = f"rm -r {facts.stale_projects[0].parent}/NAME"
        yield warn(Topic.STATE, "projects", f"left by dead daemons: {names}", hint)


def _leftovers(facts: StateFacts) -> Iterator[Finding]:
    left = []
    if facts.run_pid is not None:
        left.append(f"run.json of pid {facts.run_pid}")
    if facts.has_socket:
        left.append("control.sock")
    if left:
        message = f"left by a daemon that was killed: {' and '.join(left)}"
        yield warn(Topic.STATE, "files", message, "nothing: msctl up replaces them")
