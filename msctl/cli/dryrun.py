"""`msctl up --dry-run`: what would be started, in which order, and what each waits for."""

import sys
from collections.abc import Mapping, Sequence

from msctl.cli import streams
from msctl.config.models import Condition, FleetConfig, ServiceConfig
from msctl.config.naming import choose_services
from msctl.core.plan import DependencyGraph
from msctl.render.table import Cell, Column, layout
from msctl.runtime.planning import spread, without_profile

_COLUMNS = (
    Column("STEP", right=True),
    Column("NAME"),
    Column("INSTANCES", drop=2, right=True),
    Column("URL", drop=1),
    Column("AFTER"),
)


def print_plan(
    fleet: FleetConfig,
    *,
    names: Sequence[str],
    profiles: frozenset[str],
    scale: Mapping[str, int],
    no_deps: bool,
) -> None:
    """Write the plan as a table; raises UnknownService."""
    names = choose_services(names, fleet.services)
    scale = spread(scale, fleet.services)
    graph = DependencyGraph({n: s.dependencies for n, s in fleet.services.items()})
    chosen = graph.closure(names or without_profile(fleet, profiles), no_deps=no_deps)
    rows = [
        [
            Cell(str(step)),
            Cell(name),
            Cell(str(scale.get(name, fleet.services[name].replicas))),
            Cell(fleet.services[name].url or "-"),
            Cell(_conditions(fleet.services[name], chosen)),
        ]
        for step, name in enumerate(chosen, start=1)
    ]
    decorated = streams.is_decorated(sys.stdout)
    for line in layout(_COLUMNS, rows, width=streams.stdout_width(), decorated=decorated):
        streams.write(line)


def _conditions(service: ServiceConfig, chosen: Sequence[str]) -> str:
    waits = [
        d.name if d.condition is Condition.HEALTHY else f"{d.name} ({d.condition})"
        for d in service.dependencies
        if d.name in chosen
    ]
    return ", ".join(waits) or "-"
