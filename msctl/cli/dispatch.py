"""From a command that was understood to what carries it out; nothing is imported in vain."""

from msctl.cli import grammar
from msctl.cli.argv import Invocation
from msctl.cli.project import Project
from msctl.errors import NoDaemon, UsageError


def carry_out(invocation: Invocation) -> int:
    """Carry out a command of the grammar; return its exit code."""
    _refuse_contradictions(invocation)
    project = Project(invocation.files, invocation.project)
    try:
        return _carry_out(project, invocation)
    except NoDaemon:
        raise NoDaemon(project.name) from None


def _carry_out(project: Project, invocation: Invocation) -> int:
    if invocation.command == "call":
        from msctl.cli import call  # noqa: PLC0415 - for start-up time, as below

        return call.run(project, invocation)
    if invocation.command == "logs":
        from msctl.cli import logs  # noqa: PLC0415

        return logs.run(project, invocation)
    if invocation.command == "up":
        from msctl.cli import up  # noqa: PLC0415

        return up.run(project, invocation)
    if invocation.command == "with":
        from msctl.cli import with_fleet  # noqa: PLC0415

        return with_fleet.run(project, invocation)
    if invocation.command == "run":
        from msctl.cli import run_command  # noqa: PLC0415

        return run_command.run(project, invocation)
    from msctl.cli import console  # noqa: PLC0415

    return console.run(project, invocation)


def _refuse_contradictions(invocation: Invocation) -> None:
    command = next(c for c in grammar.COMMANDS if c.name == invocation.command)
    for one, other, message in command.exclusive:
        if invocation.values[one] and invocation.values[other]:
            raise UsageError(message)
