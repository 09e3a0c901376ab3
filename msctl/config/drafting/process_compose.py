"""A process-compose file: processes of this machine, each run by a shell."""

from pathlib import Path

from msctl.config.drafting import health_checks
from msctl.config.drafting.compose_text import literal
from msctl.config.drafting.numbering import valid_port
from msctl.config.drafting.program import Program, program_of_line
from msctl.config.drafting.sketch import Keys, Sketch, Sketches, Untranslatable, Value
from msctl.config.drafting.source_tree import (
    Tree,
    is_true,
    number,
    pairs,
    read_yaml,
    seconds,
    shown,
    text,
    tree,
    whole,
)

_CONDITIONS = {
    "process_started": "started",
    "process_healthy": "healthy",
    "process_log_ready": "healthy",
    "process_completed": "completed",
    "process_completed_successfully": "completed",
}
_RESTARTS = {"always": "always", "no": "no", "on_failure": "on-failure", "exit_on_failure": "no"}
_ON_REQUEST = "on-request"
_TOP = frozenset({"environment", "processes", "version"})
_USED = frozenset(
    {"availability", "command", "depends_on", "description", "disabled", "environment"}
    | {"liveness_probe", "readiness_probe", "replicas", "shutdown", "working_dir"}
)


def read_process_compose(source: str, file: Path) -> Sketches:
    """Return what the processes become; raises Untranslatable."""
    root = read_yaml(source, file)
    processes = tree(root.get("processes"))
    if not processes:
        raise Untranslatable("has no processes")
    shared = _variables(root.get("environment"))
    sketches = [_sketch(name, tree(it), shared, file.name) for name, it in processes.items()]
    left_out = [shown(key, value) for key, value in root.items() if key not in _TOP]
    notes = (f"{file.name}, not taken over: {', '.join(left_out)}",) if left_out else ()
    return Sketches(services=tuple(sketches), notes=notes)


def _sketch(name: str, process: Tree, shared: dict[str, Value], origin: str) -> Sketch:
    line = text(process.get("command")) or ""
    probe = tree(process.get("readiness_probe"))
    asked = valid_port(health_checks.probed_port(probe))
    program = program_of_line(literal(line), is_web=bool(tree(probe.get("http_get"))))
    notes = [*program.notes]
    keys: Keys = dict(program.keys)
    if description := text(process.get("description")):
        keys["description"] = description
    if directory := text(process.get("working_dir")):
        keys["working_dir"] = directory
    _dependencies(keys, notes, tree(process.get("depends_on")))
    variables = {**shared, **_variables(process.get("environment"))}
    if variables:
        keys["environment"] = variables
    _probes(keys, notes, program, process)
    _life(keys, notes, process)
    left_out = [shown(key, value) for key, value in process.items() if key not in _USED]
    if left_out:
        notes.append(f"not taken over: {', '.join(left_out)}")
    return Sketch(
        name=name,
        origin=origin,
        keys=keys,
        has_port=program.has_port,
        port=(asked or program.port) if program.has_port else None,
        notes=tuple(notes),
        remarks=program.remarks,
        left_out="" if line else "it has no command",
    )


def _variables(given: object) -> dict[str, Value]:
    return {name: value for name, value in pairs(given) if value is not None}


def _dependencies(keys: Keys, notes: list[str], given: Tree) -> None:
    dependencies: dict[str, Value] = {}
    for name, options in given.items():
        condition = str(tree(options).get("condition", "process_started"))
        if condition in {"process_log_ready", "process_completed"}:
            notes.append(f"depends_on: {name} waited for {condition}")
        translated = _CONDITIONS.get(condition, "started")
        dependencies[name] = {} if translated == "healthy" else {"condition": translated}
    if dependencies:
        keys["dependencies"] = dependencies


def _probes(keys: Keys, notes: list[str], program: Program, process: Tree) -> None:
    probe = tree(process.get("readiness_probe"))
    if probe:
        found, left_out = health_checks.from_probe(probe, is_http=program.is_http)
        asks = "health_check_path" in found or "command" in tree(found.get("health"))
        if asks or not program.is_http:
            keys.pop("health", None)
            program.remarks.pop("health", None)
        elif "health" in found:
            found["health"] = _together(keys.get("health"), found["health"])
        keys.update(found)
        notes += left_out
    probe = tree(process.get("liveness_probe"))
    if probe:
        found, left_out = health_checks.from_probe(probe, is_http=program.is_http)
        keys.update(_liveness(found))
        notes += left_out


def _together(one: object, other: object) -> Value:
    merged: dict[str, Value] = {}
    for part in (one, other):
        merged |= part if isinstance(part, dict) else {}
    return merged


def _liveness(found: Keys) -> Keys:
    """Return a probe's keys as those of `liveness`, which has no `rise`."""
    liveness = _together(found.get("health"), {})
    assert isinstance(liveness, dict)
    liveness.pop("rise", None)
    if "health_check_path" in found:
        liveness = {"path": found["health_check_path"], **liveness}
    return {"liveness": liveness} if {"path", "command"} & liveness.keys() else {}


def _life(keys: Keys, notes: list[str], process: Tree) -> None:
    """How often it is started, and how it ends."""
    availability = tree(process.get("availability"))
    if restart := text(availability.get("restart")):
        keys["restart"] = _RESTARTS.get(restart, restart)
        most = whole(availability.get("max_restarts", ""))
        if keys["restart"] == "on-failure" and most:
            keys["restart"] = f"on-failure:{most}"
    left_out = {**availability}
    for key in ("restart", "max_restarts"):
        left_out.pop(key, None)
    shutdown = {**tree(process.get("shutdown"))}
    if signal := text(shutdown.pop("signal", None)):
        keys["stop_signal"] = number(signal)
    if (limit := seconds(shutdown.pop("timeout_seconds", None))) is not None:
        keys["stop_timeout"] = limit
    notes += [f"not taken over: {shown(k, v)}" for k, v in {**left_out, **shutdown}.items()]
    if replicas := whole(process.get("replicas", ""), 2, 1000):
        keys["replicas"] = replicas
    if is_true(process.get("disabled")):
        keys["profiles"] = [_ON_REQUEST]
        notes.append(f"disabled: starts with --profile {_ON_REQUEST} only")
