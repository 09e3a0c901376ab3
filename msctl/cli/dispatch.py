"""From a command that was understood to what carries it out; nothing is imported in vain."""

from msctl.cli import grammar
from msctl.cli.argv import Invocation
from msctl.cli.project import Project
from msctl.errors import UsageError


def carry_out(invocation: Invocation) -> int:
    """Carry out a command of the grammar; return its exit code."""
    _refuse_contradictions(invocation)
    project = Project(invocation.files)
    if invocation.command == "call":
        from msctl.cli import call  # noqa: PLC0415 - for start-up time, as below

        return call.run(project, invocation)
    if invocation.command == "logs":
        from msctl.cli import logs  # noqa: PLC0415

        return logs.run(project, invocation)
    if invocation.command == "up":
        from msctl.cli import up  # noqa: PLC0415

        return up.run(project, invocation)
    from msctl.cli import console  # noqa: PLC0415

    return console.run(project, invocation)


def _refuse_contradictions(invocation: Invocation) -> None:
    command = next(c for c in grammar.COMMANDS if c.name == invocation.command)
    for one, other, message in command.exclusive:
        if invocation.values[one] and invocation.values[other]:
            raise UsageError(message)
