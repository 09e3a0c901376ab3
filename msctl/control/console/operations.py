"""The commands that change the fleet, or wait for it: what each asks for and says at the end."""

from collections.abc import Mapping
from typing import Any

from msctl.control.console.desk import Desk
from msctl.control.console.following import Follower
from msctl.control.console.terminal import Request, Terminal
from msctl.exitcodes import ExitCode
from msctl.render.outcome import Result, change_lines, requests_line, summary, trouble_lines
from msctl.render.progress import Goal
from msctl.render.status_table import status_lines

_GOALS = {"healthy": Goal.HEALTHY, "stopped": Goal.STOPPED, "completed": Goal.COMPLETED}


async def start(desk: Desk, terminal: Terminal, request: Request) -> int:
    """Start services that do not run."""
    return await _change(desk, terminal, "start", _asked_for(request))


async def restart(desk: Desk, terminal: Terminal, request: Request) -> int:
    """Replace all instances of services."""
    body = {
        **_asked_for(request),
        "hard": request.flag("hard"),
        "parallel": int(request.one("parallel") or 1),
    }
    return await _change(desk, terminal, "restart", body)


async def scale(desk: Desk, terminal: Terminal, request: Request) -> int:
    """Have another number of instances."""
    body = {
        "replicas": _scale(request),
        "environment": request.mapping("environment"),
        "timeout": request.seconds("timeout"),
    }
    return await _change(desk, terminal, "scale", body)


async def wait(desk: Desk, terminal: Terminal, request: Request) -> int:
    """Wait until services are in a state."""
    goal = request.one("goal") or "healthy"
    body = {
        "services": request.many("services"),
        "for": goal,
        "timeout": request.seconds("timeout"),
    }
    result = await Follower(desk, terminal, _GOALS[goal]).follow("wait", body)
    return conclude(terminal, result)


async def stop(desk: Desk, terminal: Terminal, request: Request) -> int:
    """Stop services, or everything and then the daemon."""
    names = request.many("services")
    body = {
        "services": names,
        "timeout": request.seconds("timeout"),
        "kill": request.flag("kill"),
    }
    result = await Follower(desk, terminal, Goal.STOPPED).follow("stop", body)
    if conclude(terminal, result) == ExitCode.OK:
        text = summary(result) or "nothing was running"
        (terminal.say if names else terminal.say_afterwards)(text)
    return result.exit_code


async def up(desk: Desk, terminal: Terminal, request: Request) -> int:
    """Start services with what they depend on, and wait until all are healthy."""
    result = await Follower(desk, terminal, Goal.HEALTHY).follow("up", up_body(request))
    if conclude(terminal, result) != ExitCode.OK:
        _say_what_is_left(terminal, request, result)
        return result.exit_code
    terminal.say(*change_lines(result))
    if result.status:
        print_table(terminal, result.status)
        terminal.say(*filter(None, (summary(result), requests_line(result))))
        if request.flag("watch"):
            terminal.say("watching the files of these services until they are stopped")
        if gateway := result.status.get("gateway"):
            terminal.say(f"gateway: {gateway}")
        terminal.say(f"logs: {terminal.program} logs -f    stop: {terminal.program} stop")
    return ExitCode.OK


async def prepare(desk: Desk, terminal: Terminal, request: Request) -> int:
    """Do as `up` for a fleet that belongs to a command; stdout is left to that."""
    result = await Follower(desk, terminal, Goal.HEALTHY).follow("up", up_body(request))
    if result.exit_code != ExitCode.OK:
        decorated = terminal.decorates_stderr
        terminal.say(*trouble_lines(result, terminal.cwd, decorated=decorated, program=None))
    return result.exit_code


def up_body(request: Request) -> dict[str, Any]:
    """Return the body of the control API's `/up`."""
    return {
        "services": request.many("services"),
        "no_deps": request.flag("no_deps"),
        "wait": not request.flag("no_wait"),
        "timeout": request.seconds("timeout"),
        "scale": _scale(request),
        "profiles": request.many("profile"),
        "keep": request.flag("keep"),
        "watch": request.flag("watch"),
        "environment": request.mapping("environment"),
        "files": request.many("files"),
    }


def conclude(terminal: Terminal, result: Result) -> int:
    """Say why an operation did not succeed, if so, and return its exit code."""
    if result.exit_code != ExitCode.OK:
        decorated, program = terminal.decorates_stderr, terminal.program
        terminal.say(*trouble_lines(result, terminal.cwd, decorated=decorated, program=program))
    return result.exit_code


def print_table(terminal: Terminal, document: Mapping[str, Any]) -> None:
    """Write the table of a status document to stdout."""
    decorated = terminal.decorates_stdout
    lines = status_lines(document, width=terminal.width, decorated=decorated)
    terminal.write("".join(f"{line}\n" for line in lines))


def _asked_for(request: Request) -> dict[str, Any]:
    return {
        "services": request.many("services"),
        "environment": request.mapping("environment"),
        "timeout": request.seconds("timeout"),
    }


def _scale(request: Request) -> dict[str, int]:
    return {name: int(count) for name, count in request.mapping("scale").items()}


async def _change(desk: Desk, terminal: Terminal, kind: str, body: Mapping[str, Any]) -> int:
    result = await Follower(desk, terminal, Goal.HEALTHY).follow(kind, body)
    lines = [requests_line(result)]
    if conclude(terminal, result) == ExitCode.OK:
        lines.insert(0, summary(result))
        if result.status:
            print_table(terminal, result.status)
    terminal.say(*filter(None, lines))
    return result.exit_code


def _say_what_is_left(terminal: Terminal, request: Request, result: Result) -> None:
    if request.flag("keep"):
        if result.status:
            print_table(terminal, result.status)
        terminal.say(f"left as it is (--keep); stop it with: {terminal.program} stop")
    elif any(change["action"] == "started" for change in result.changes):
        terminal.say("what this up had started was stopped again; --keep leaves it running")
