"""`msctl graph`: what depends on what."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from msctl.cli import streams
from msctl.cli.options import Action, FileOption, ServicesArgument, project_of
from msctl.cli.project import Project
from msctl.config.naming import choose_services
from msctl.exitcodes import ExitCode
from msctl.render.graph_text import ASCII, FORMATS, GraphNode


class GraphFormat(StrEnum):
    """The forms a graph can be written in."""

    TREE = "tree"
    MERMAID = "mermaid"
    DOT = "dot"
    JSON = "json"


def command(
    context: typer.Context,
    services: ServicesArgument = None,
    *,
    form: Annotated[
        GraphFormat, typer.Option("--format", help="How to write it.")
    ] = GraphFormat.TREE,
    file: FileOption = None,
) -> Action:
    """Show which service depends on which."""
    project = project_of(context, file)
    return lambda: _graph(project, tuple(services or ()), form)


def _graph(project: Project, names: tuple[str, ...], form: GraphFormat) -> int:
    # Imported here for start-up time: it needs the configuration's models.
    from msctl.core.plan import DependencyGraph  # noqa: PLC0415

    fleet = project.load()
    names = choose_services(names, [*fleet.services])
    graph = DependencyGraph({n: s.dependencies for n, s in fleet.services.items()})
    nodes = [
        GraphNode(
            name,
            fleet.services[name].service_type,
            tuple(
                (d.name, d.condition.value, d.required) for d in fleet.services[name].dependencies
            ),
        )
        for name in graph.closure(names or fleet.services)
    ]
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    for line in FORMATS[form](nodes):
        streams.write(line if unicode else line.translate(ASCII))
    return ExitCode.OK
