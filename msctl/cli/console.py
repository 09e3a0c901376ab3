"""The commands that the daemon's console carries out, and what they are without a daemon."""

import os

from msctl.cli import streams
from msctl.cli.argv import Invocation
from msctl.cli.conversation import Conversation, Fields, Left
from msctl.cli.project import Project
from msctl.client.response import BrokenResponse
from msctl.errors import MsctlError, NoDaemon, UsageError
from msctl.exitcodes import ExitCode

_PATIENCE = 30.0
"""Seconds for a short answer; only a daemon that was suspended takes that long."""
_GONE_TIMEOUT = 30.0  # seconds; the daemon has nothing left to stop by then
_CRASH_TIMEOUT = 2.0
"""Seconds in which a guardian has cleaned up after a daemon that was killed."""
_BEGINNING_POLL = 0.05
_BEGINNING_TIMEOUT = 10.0


def run(project: Project, invocation: Invocation) -> int:
    """Carry out any of these commands; return its exit code."""
    commands = {"status": _status, "events": _events, "stop": _stop, "wait": _wait}
    try:
        return commands.get(invocation.command, _change)(project, invocation)
    except Left as left:
        streams.say(f"left; the daemon goes on by itself, see: {project.program} status")
        return left.code


def fields_of(invocation: Invocation, project: Project) -> Fields:
    """Return the values of arguments and options as the console takes them."""
    fields: Fields = [] if project.name is None else [("program", project.program)]
    for name, value in invocation.values.items():
        if isinstance(value, tuple):
            fields += [(name, text) for text in value]
        elif value is not None and value is not False:
            fields.append((name, "" if value is True else str(value)))
    return fields


def environment() -> Fields:
    """Return this command's environment, for what the daemon starts."""
    return [("environment", f"{name}={value}") for name, value in os.environ.items()]


def scales(values: tuple[str, ...], before: str = "") -> dict[str, int]:
    """Read NAME=N; raises UsageError, whose message names the option `before` the value."""
    result: dict[str, int] = {}
    for value in values:
        name, equals, count = value.partition("=")
        if not (name and equals and count.isascii() and count.isdigit()):
            raise UsageError(f"{before}{value}: give it as NAME=N, such as order-service=3")
        result[name] = int(count)
    return result


def _status(project: Project, invocation: Invocation) -> int:
    watched = invocation.flag("watch")
    conversation = Conversation(
        project.socket, None if watched else _PATIENCE, needs_stdout=watched
    )
    conversation.ask("status", fields_of(invocation, project))
    if not watched:
        return conversation.listen()
    try:
        return conversation.watch()
    except BrokenResponse:
        if not project.wait_until_gone(_CRASH_TIMEOUT):
            raise
        streams.say("the fleet was stopped")
        return ExitCode.OK


def _events(project: Project, invocation: Invocation) -> int:
    follow = invocation.flag("follow")
    conversation = Conversation(project.socket, None if follow else _PATIENCE)
    conversation.ask("events", fields_of(invocation, project))
    return conversation.watch() if follow else conversation.listen()


def _change(project: Project, invocation: Invocation) -> int:
    if invocation.command == "scale":
        scales(invocation.texts("scale"))
    if invocation.command == "restart" and invocation.count("parallel") == 0:
        raise UsageError("--parallel 0: give 1 or more")
    conversation = Conversation(project.socket)
    conversation.ask(invocation.command, [*fields_of(invocation, project), *environment()])
    return conversation.see_through()


def _wait(project: Project, invocation: Invocation) -> int:
    try:
        conversation = Conversation(project.socket)
    except NoDaemon:
        if invocation.text("goal") != "stopped":
            raise
        project.check_names(invocation.texts("services"))
        return ExitCode.OK  # what does not run has stopped
    conversation.ask("wait", fields_of(invocation, project))
    return conversation.see_through()


def _stop(project: Project, invocation: Invocation) -> int:
    if not invocation.flag("data"):
        if invocation.flag("yes"):
            raise UsageError("--yes goes with --data")
        return _stop_services(project, invocation)
    # Imported here for start-up time: hardly anybody deletes data.
    from pathlib import Path  # noqa: PLC0415

    from msctl.cli import fleet_data  # noqa: PLC0415
    from msctl.config.naming import choose_services  # noqa: PLC0415

    names = invocation.texts("services")
    chosen = choose_services(names, project.service_names()) if names else ()
    root = Path(project.root) / "data"
    if not fleet_data.confirm(fleet_data.directories(root, chosen), yes=invocation.flag("yes")):
        streams.say("nothing was stopped or deleted")
        return ExitCode.FAILED
    code = _stop_services(project, invocation)
    if code == ExitCode.OK:
        fleet_data.delete(fleet_data.directories(root, chosen))
    return code


def _stop_services(project: Project, invocation: Invocation) -> int:
    names = invocation.texts("services")
    try:
        conversation = _reach(project)
    except NoDaemon:
        project.check_names(names)
        streams.say("nothing is running here")
        return ExitCode.OK
    conversation.ask("stop", fields_of(invocation, project))
    try:
        code = conversation.see_through()
    except BrokenResponse:
        # Another stop has ended the daemon while it told us how far it was.
        if names or not project.wait_until_gone(_GONE_TIMEOUT):
            raise
        return ExitCode.OK
    if conversation.afterwards:
        if not project.wait_until_gone(_GONE_TIMEOUT):
            raise MsctlError(
                "all services are stopped, but the daemon "
                f"(pid {project.running_pid()}) is still there"
            )
        streams.say_utf8(conversation.afterwards)
    return code


def _reach(project: Project) -> Conversation:
    """Connect; a daemon that is only beginning, or ending, is waited for."""
    remaining = _BEGINNING_TIMEOUT
    while True:
        try:
            return Conversation(project.socket)
        except NoDaemon:
            if remaining <= 0 or not project.is_locked():
                raise
        streams.wait(seconds=_BEGINNING_POLL)
        remaining -= _BEGINNING_POLL
