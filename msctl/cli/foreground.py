"""`msctl up --foreground`: the fleet lives as long as this command does."""

import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from msctl.cli import streams
from msctl.cli.errors import ExitCode
from msctl.cli.interrupts import Interrupts
from msctl.cli.operation import Follower, Ticker
from msctl.cli.outcome import say_failures
from msctl.cli.progress import Goal
from msctl.cli.project import Project
from msctl.cli.render.log_text import LogPrinter
from msctl.client import BrokenResponse, Exchange
from msctl.errors import MsctlError
from msctl.runtime.logfollower import LogFollower

_TICK = 0.1  # seconds
_GONE_TIMEOUT = 10.0


def run_in_foreground(project: Project, request: Mapping[str, Any]) -> int:
    """Start the services, show their logs, and stop them when this is interrupted.

    While the connection of `/attach` is open the fleet lives; the daemon stops it when the
    connection breaks, by this program's death too.
    """
    printer = LogPrinter()
    with (
        Interrupts() as interrupts,
        LogFollower(project.state.logs) as logs,
        project.client.open("GET", "/attach") as attachment,
    ):

        def show() -> None:
            printer.show(logs.poll())

        follower = Follower(project.client, Goal.HEALTHY, live=False, on_tick=show)
        result = follower.follow_with(interrupts, "/up", request)
        show()
        code = result.exit_code
        if code == ExitCode.OK:
            streams.say("all up; Ctrl-C stops everything")
            code = _stay(project, attachment, interrupts, show)
        else:
            say_failures(result)
        attachment.close()
        project.wait_until_gone(_GONE_TIMEOUT)
        show()
    return code


def _stay(project: Project, attachment: Exchange, interrupts: Interrupts, show: Ticker) -> ExitCode:
    while True:
        readable = streams.wait([attachment, interrupts], _TICK, watch_stdout=True)
        show()
        if numbers := interrupts.take():
            _stop(project, interrupts, show)
            terminated = signal.SIGTERM in numbers
            return ExitCode.TERMINATED if terminated else ExitCode.INTERRUPTED
        if attachment in readable and not _is_alive(attachment):
            streams.say("the fleet was stopped")
            return ExitCode.OK


def _is_alive(attachment: Exchange) -> bool:
    try:
        attachment.fill()
    except BrokenResponse:
        return False
    return not attachment.complete


def _stop(project: Project, interrupts: Interrupts, show: Ticker) -> None:
    streams.say("stopping; interrupt again to kill")
    with suppress(MsctlError):  # a daemon that is gone has stopped everything
        stopping = project.client.stream("POST", "/stop", {"services": []})
        while not stopping.ended:
            readable = streams.wait([stopping, interrupts], 0.0 if stopping.ready else _TICK)
            show()
            if interrupts.take():
                streams.say("killing")
                killing = project.client.stream("POST", "/stop", {"services": [], "kill": True})
                stopping.close()
                stopping = killing
            elif stopping in readable or stopping.ready:
                stopping.receive()
        stopping.close()
