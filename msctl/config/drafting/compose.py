"""A compose file: containers become processes of this machine, as far as they can."""

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from msctl.config.drafting import health_checks
from msctl.config.drafting.compose_ports import service_port
from msctl.config.drafting.compose_program import container_program
from msctl.config.drafting.compose_text import converted
from msctl.config.drafting.program import Program
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
    texts,
    tree,
    whole,
)

_CONDITIONS = {
    "service_started": "started",
    "service_healthy": "healthy",
    "service_completed_successfully": "completed",
}
_RESTARTS = {"no": "no", "always": "always", "unless-stopped": "always"}
_TOP = frozenset({"name", "services", "version"})
_USED = frozenset(
    {"build", "command", "cpus", "deploy", "depends_on", "entrypoint", "env_file", "environment"}
    | {"expose", "healthcheck", "image", "mem_limit", "ports", "profiles", "restart", "scale"}
    | {"stop_grace_period", "stop_signal", "working_dir"}
)
_USED_OF = {"build": {"context", "dockerfile"}, "deploy": {"replicas", "resources"}}


@dataclass
class _Service:
    """One service on its way from a compose file."""

    name: str
    tree: Tree
    directory: Path
    keys: Keys = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_compose(source: str, file: Path) -> Sketches:
    """Return what the services become; raises Untranslatable."""
    root = read_yaml(source, file)
    services = tree(root.get("services"))
    if not services:
        raise Untranslatable("has no services")
    sketches = [
        _sketch(_Service(name, tree(service), file.parent), file.name)
        for name, service in services.items()
    ]
    jobs = {
        name
        for sketch in sketches
        for name, options in tree(sketch.keys.get("dependencies")).items()
        if tree(options).get("condition") == "completed"
    }
    for sketch in sketches:
        if sketch.name in jobs:
            sketch.keys.setdefault("restart", "no")
    left_out = [shown(k, v) for k, v in root.items() if k not in _TOP and not k.startswith("x-")]
    notes = (f"{file.name}, not taken over: {', '.join(left_out)}",) if left_out else ()
    return Sketches(services=tuple(sketches), notes=notes, project=text(root.get("name")))


def _sketch(service: _Service, origin: str) -> Sketch:
    listens, published, target, port_notes = service_port(service.tree)
    contained = container_program(service.tree, service.directory, port=target, listens=listens)
    program = contained.program
    service.keys.update(program.keys)
    service.notes += [*contained.notes, *program.notes, *port_notes]
    _working_dir(service, contained.directory)
    _dependencies(service)
    _environment(service)
    _health(service, program, target)
    _rest(service)
    return Sketch(
        name=service.name,
        origin=origin,
        keys=service.keys,
        has_port=program.has_port,
        port=published or (program.port if target is None or not program.is_http else None),
        notes=tuple(service.notes),
        remarks={key: said for key, said in program.remarks.items() if key in service.keys},
        left_out=contained.left_out,
        in_container=True,
    )


def _working_dir(service: _Service, directory: str | None) -> None:
    """Take the container's directory where it is one of this machine, else the build context."""
    given = text(service.tree.get("working_dir"))
    mounted = given and _mounted(given, service.tree)
    if given and not mounted and not (service.directory / given).is_dir():
        service.notes.append(f"working_dir: {given} is a directory of the container")
    elif given:
        directory = mounted or given
    if directory and PurePosixPath(directory) != PurePosixPath():
        service.keys["working_dir"] = directory


def _mounted(directory: str, service: Tree) -> str | None:
    """Return what a bind mount puts at this directory of the container."""
    for volume in texts(service.get("volumes")):
        source, _, rest = volume.partition(":")
        if rest.partition(":")[0] == directory and source.startswith((".", "/")):
            return source
    return None


def _dependencies(service: _Service) -> None:
    given = service.tree.get("depends_on")
    dependencies: dict[str, Value] = {}
    for name in texts(given) if not isinstance(given, dict) else ():
        dependencies[name] = {}
    for name, options in tree(given).items():
        condition = _CONDITIONS.get(str(tree(options).get("condition")), "started")
        dependencies[name] = {} if condition == "healthy" else {"condition": condition}
        required = tree(options).get("required")
        if required is not None and not is_true(required):
            dependencies[name] = {**tree(dependencies[name]), "required": False}  # type: ignore[dict-item]  # strings and booleans
    if dependencies:
        service.keys["dependencies"] = dependencies


def _environment(service: _Service) -> None:
    variables: dict[str, Value] = {
        name: converted(value)
        for name, value in pairs(service.tree.get("environment"))
        if value is not None
    }
    if variables:
        service.keys["environment"] = variables
    files: list[Value] = []
    given = service.tree.get("env_file")
    for item in given if isinstance(given, list) else [given]:
        path = text(item) or text(tree(item).get("path"))
        if path is not None and (service.directory / path).is_file():
            files.append(path)
        elif path is not None:
            service.notes.append(f"env_file: there is no file {path}")
    if files:
        service.keys["env_file"] = files if len(files) > 1 else files[0]


def _health(service: _Service, program: Program, target: int | None) -> None:
    check = tree(service.tree.get("healthcheck"))
    if not check:
        return
    if not program.is_http and program.has_port and text(service.tree.get("command")) is None:
        service.notes.append("healthcheck: msctl asks whether its port accepts connections")
        return
    keys, notes = health_checks.from_compose(check, is_http=program.is_http, port=target)
    if "health_check_path" in keys or "command" in tree(keys.get("health")):
        service.keys.pop("health", None)
        program.remarks.pop("health", None)
    if isinstance(keys.get("health"), dict) and isinstance(service.keys.get("health"), dict):
        keys["health"] = {**tree(service.keys["health"]), **tree(keys["health"])}  # type: ignore[dict-item]  # values of a file
    service.keys.update(keys)
    service.notes += notes


def _rest(service: _Service) -> None:
    given, keys = service.tree, service.keys
    _size(keys, given)
    restart = text(given.get("restart"))
    if restart:
        keys["restart"] = _RESTARTS.get(restart, restart)
    if signal := text(given.get("stop_signal")):
        keys["stop_signal"] = signal
    if (grace := seconds(given.get("stop_grace_period"))) is not None:
        keys["stop_timeout"] = grace
    if profiles := texts(given.get("profiles")):
        keys["profiles"] = list(profiles)
    left_out = [shown(k, v) for k, v in given.items() if k not in _USED and not k.startswith("x-")]
    for section, used in _USED_OF.items():
        inner = tree(given.get(section))
        left_out += [shown(f"{section}.{k}", v) for k, v in inner.items() if k not in used]
    if left_out:
        service.notes.append(f"not taken over: {', '.join(left_out)}")


def _size(keys: Keys, given: Tree) -> None:
    """How many instances there are, and what each may use."""
    deploy = tree(given.get("deploy"))
    limits = tree(tree(deploy.get("resources")).get("limits"))
    replicas = whole(given.get("scale", deploy.get("replicas", "")), 2, 1000)
    if replicas:
        keys["replicas"] = replicas
    resources: dict[str, Value] = {}
    if memory := text(given.get("mem_limit")) or text(limits.get("memory")):
        resources["memory"] = memory
    if cpus := text(given.get("cpus")) or text(limits.get("cpus")):
        resources["cpus"] = number(cpus)
    if resources:
        keys["resources"] = resources
