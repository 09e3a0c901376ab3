"""One fleet of all sketches: names and ports that are distinct, dependencies that exist."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace

from msctl.config.drafting.container_names import without_container_names
from msctl.config.drafting.names import distinct_name, valid_name
from msctl.config.drafting.numbering import distinct_ports
from msctl.config.drafting.same import same_service, with_health_of
from msctl.config.drafting.sketch import Sketch, Sketches, Value
from msctl.config.environment import variable_prefix


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A configuration that is not written yet: services by final name, each with all its keys."""

    services: Mapping[str, Sketch]
    notes: tuple[str, ...] = ()
    project: str | None = None
    origins: tuple[str, ...] = ()


def assemble(sources: Iterable[Sketches], variables: Container[str] = ()) -> Draft:
    """Return what all sources say together; of two that describe one service the first counts.

    `variables` are those that `.env` sets for every service.
    """
    sources = list(sources)
    notes = [note for source in sources for note in source.notes]
    groups: list[list[Sketch]] = []
    for source in sources:
        groups.append(_new_ones(source, groups, notes))
    services = _settled(groups, variables)
    return Draft(
        services=services,
        notes=tuple(notes),
        project=next((source.project for source in sources if source.project), None),
        origins=tuple(dict.fromkeys(sketch.origin for sketch in services.values())),
    )


def _new_ones(source: Sketches, groups: list[list[Sketch]], notes: list[str]) -> list[Sketch]:
    """Return what no earlier source has; what one has may tell it more about its health."""
    new: list[Sketch] = []
    for sketch in source.services:
        known = False
        for group in groups:
            for index, earlier in enumerate(group):
                if same_service(earlier, sketch):
                    known = True
                    group[index] = with_health_of(earlier, sketch)
        if known:
            notes.append(f"{sketch.origin}: {sketch.name} is described by another file already")
        else:
            new.append(sketch)
    return new


def _settled(groups: list[list[Sketch]], variables: Container[str]) -> dict[str, Sketch]:
    """Return the sketches by their final names, dependencies by these names, ports given."""
    holders = [sketch for group in groups for sketch in group if sketch.has_port]
    ports = iter(distinct_ports([sketch.port for sketch in holders]))
    final: dict[str, Sketch] = {}
    taken: set[str] = set()
    for group in groups:
        renamed: dict[str, str] = {}
        numbered: list[Sketch] = []
        for given in group:
            name = distinct_name(_wanted_name(given, group, variables), taken)
            taken.add(name)
            renamed.setdefault(given.name, name)
            sketch = _with_port(given, next(ports)) if given.has_port else given
            numbered.append(replace(_explained(sketch, name), name=name))
        connected = [_connected(sketch, renamed) for sketch in numbered]
        places = {old: next(s.port for s in connected if s.name == n) for old, n in renamed.items()}
        for sketch in connected:
            final[sketch.name] = without_container_names(sketch, places)
    return final


def _wanted_name(sketch: Sketch, group: list[Sketch], variables: Container[str]) -> str:
    """Return a valid name, and for a server one that leaves its dependents their own URL for it.

    msctl gives the dependents of `redis` a REDIS_URL, tcp://…, and refuses another one; what
    programs want there is redis://….
    """
    name = valid_name(sketch.name)
    variable = f"{variable_prefix(name)}_URL"
    dependents = [other for other in group if sketch.name in _entries(other, "dependencies")]
    is_set = any(variable in _entries(other, "environment") for other in dependents)
    is_set = is_set or (bool(dependents) and variable in variables)
    is_server = sketch.keys.get("service_type") not in {None, "worker"}
    return valid_name(f"{name}-server") if is_server and is_set else name


def _explained(sketch: Sketch, name: str) -> Sketch:
    """Return the sketch with a note when a service was renamed beyond its spelling."""
    if name == valid_name(sketch.name):
        return sketch
    return replace(sketch, notes=(*sketch.notes, f"was called {sketch.name}"))


def _entries(sketch: Sketch, key: str) -> Mapping[str, Value]:
    value = sketch.keys.get(key)
    return value if isinstance(value, dict) else {}


def _with_port(sketch: Sketch, port: int) -> Sketch:
    notes = sketch.notes
    if sketch.port not in {None, port}:
        notes = (*notes, f"its port was {sketch.port}, which is taken")
    return replace(sketch, port=port, keys={**sketch.keys, "port": port}, notes=notes)


def _connected(sketch: Sketch, renamed: Mapping[str, str]) -> Sketch:
    dependencies = _entries(sketch, "dependencies")
    if not dependencies:
        return sketch
    by_name: dict[str, Value] = {renamed.get(n, n): options for n, options in dependencies.items()}
    return replace(sketch, keys={**sketch.keys, "dependencies": by_name})
