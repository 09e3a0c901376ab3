"""Service names for the shell's completion: quick, and silent whatever is wrong."""

from typing import Any

import typer

from msctl.cli.project import Project


def complete_services(context: typer.Context, incomplete: str) -> list[str]:
    """Return the services that begin with what was typed and were not given yet."""
    given = context.params.get("services") or ()
    try:
        names = Project(_files(context)).service_names()
    except Exception:  # noqa: BLE001  a trace in the middle of a command line helps nobody
        return []
    return [name for name in names if name.startswith(incomplete) and name not in given]


def complete_breakers(context: typer.Context, incomplete: str) -> list[str]:
    """Return the services, and after NAME/ the instances, that begin with what was typed."""
    project = Project(_files(context))
    service, slash, _ = incomplete.partition("/")
    try:
        names = project.instance_names(service) if slash else project.service_names()
    except Exception:  # noqa: BLE001  a trace in the middle of a command line helps nobody
        return []
    return [name for name in names if name.startswith(incomplete)]


def _files(context: typer.Context) -> list[str]:
    chain: list[Any] = [context]
    while (parent := chain[0].parent) is not None:
        chain.insert(0, parent)
    return [str(file) for link in chain for file in link.params.get("file") or ()]
