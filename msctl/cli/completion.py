"""Service names for the shell's completion: quick, and silent whatever is wrong."""

from typing import Any

import typer

from msctl.cli.project import Project


def complete_services(context: typer.Context, incomplete: str) -> list[str]:
    """Return the services that begin with what was typed and were not given yet."""
    given = context.params.get("services") or ()
    try:
        names = _project(context).service_names()
    except Exception:  # noqa: BLE001  a trace in the middle of a command line helps nobody
        return []
    return [name for name in names if name.startswith(incomplete) and name not in given]


def complete_breakers(context: typer.Context, incomplete: str) -> list[str]:
    """Return the services, and after NAME/ the instances, that begin with what was typed."""
    service, slash, _ = incomplete.partition("/")
    try:
        project = _project(context)
        names = project.instance_names(service) if slash else project.service_names()
    except Exception:  # noqa: BLE001  a trace in the middle of a command line helps nobody
        return []
    return [name for name in names if name.startswith(incomplete)]


def _project(context: typer.Context) -> Project:
    chain: list[Any] = [context]
    while (parent := chain[0].parent) is not None:
        chain.insert(0, parent)
    files = [str(file) for link in chain for file in link.params.get("file") or ()]
    names = [name for link in chain if (name := link.params.get("project"))]
    return Project(files, names[-1] if names else None)
