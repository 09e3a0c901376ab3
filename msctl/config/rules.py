"""What the services of a fleet may not say together (contract.md, Config)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from msctl.config.nodes import Steps
from msctl.config.process import Condition, RestartPolicy
from msctl.config.service import ServiceConfig
from msctl.config.stores import store_identity
from msctl.config.suggestions import did_you_mean, nearest


class Finding(NamedTuple):
    """A rule that the fleet breaks, told of the service that has to change."""

    service: str
    path: Steps
    message: str


def check_fleet(
    services: Mapping[str, ServiceConfig],
    *,
    project_dir: Path,
    gateway_port: int | None = None,
    known: Iterable[str] = (),
) -> Iterator[Finding]:
    """All rules between services; `known` names further ones that exist but are not valid."""
    names = [*services, *known]
    for service in services.values():
        yield from _dependencies(service, services, names)
    yield from _cycles(services)
    yield from _ports(services, gateway_port)
    yield from _stores(services, project_dir)


def _dependencies(
    service: ServiceConfig, services: Mapping[str, ServiceConfig], known: Sequence[str]
) -> Iterator[Finding]:
    for index, dependency in enumerate(service.dependencies):
        name, path = dependency.name, ("dependencies", index)
        other = services.get(name)
        if name not in known:
            others = [each for each in known if each != service.name]
            hint = did_you_mean(nearest(name, others))
            message = f"no service is called {name}{hint}"
            if not hint:
                message += "; add it, or remove it here"
            yield Finding(service.name, path, message)
        elif (
            dependency.condition is Condition.COMPLETED
            and other
            and other.restart.policy is RestartPolicy.ALWAYS
        ):
            message = f"{name} never completes, as its restart is always; set that to no"
            yield Finding(service.name, path, message)


def _cycles(services: Mapping[str, ServiceConfig]) -> Iterator[Finding]:
    graph = {
        name: [dependency.name for dependency in service.dependencies]
        for name, service in services.items()
    }
    for cycle in find_cycles(graph):
        shown = " → ".join((*cycle, cycle[0]))
        position = graph[cycle[0]].index(cycle[1] if len(cycle) > 1 else cycle[0])
        what = "depends on itself" if len(cycle) == 1 else "dependency cycle"
        advice = "remove it" if len(cycle) == 1 else "remove one of these dependencies"
        yield Finding(cycle[0], ("dependencies", position), f"{what}: {shown}; {advice}")


def find_cycles(graph: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Return the cycles that a depth-first search closes, each beginning with its first name in order.

    Every cycle of the graph contains an edge that closes one of these. Without recursion: a
    chain may be longer than Python's stack. Names that the graph does not have are ignored.
    """
    order = {name: index for index, name in enumerate(graph)}
    cycles: dict[tuple[str, ...], None] = {}
    done: set[str] = set()
    for root in graph:
        path: list[str] = []
        on_path: set[str] = set()
        stack = [] if root in done else [(root, iter(graph[root]))]
        while stack:
            name, following = stack[-1]
            if len(path) < len(stack):
                path.append(name)
                on_path.add(name)
            target = next((each for each in following if each in graph and each not in done), None)
            if target is None:
                stack.pop()
                path.pop()
                on_path.discard(name)
                done.add(name)
            elif target in on_path:
                cycle = path[path.index(target) :]
                first = cycle.index(min(cycle, key=order.__getitem__))
                cycles[(*cycle[first:], *cycle[:first])] = None
            else:
                stack.append((target, iter(graph[target])))
    return list(cycles)


def _ports(services: Mapping[str, ServiceConfig], gateway_port: int | None) -> Iterator[Finding]:
    holders: dict[int, str] = {gateway_port: "the gateway"} if gateway_port else {}
    for name, service in services.items():
        port = service.port
        if not isinstance(port, int):
            continue
        if port in holders:
            message = f"{holders[port]} has port {port} already; choose another one, or auto"
            yield Finding(name, ("port",), message)
        else:
            holders[port] = name


def _stores(services: Mapping[str, ServiceConfig], project_dir: Path) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    for name, service in services.items():
        for index, store in enumerate(service.data):
            identity = store_identity(store, project_dir)
            if identity is None:
                continue
            owner = owners.setdefault(identity, name)
            if owner != name:
                message = (
                    f"{owner} owns this data store already ({identity}); "
                    "give each service its own, or ask its owner over HTTP"
                )
                yield Finding(name, ("data", index), message)
