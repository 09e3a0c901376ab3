"""`msctl up --foreground`: the fleet lives as long as this command does."""

from contextlib import AsyncExitStack
from signal import SIGTERM

from msctl.control.console.desk import Desk
from msctl.control.console.following import Abandoned, Follower, pumped
from msctl.control.console.operations import conclude, up_body
from msctl.control.console.terminal import Notice, Request, Signalled, Terminal
from msctl.errors import MsctlError
from msctl.exitcodes import ExitCode
from msctl.render.progress import Goal


async def foreground(desk: Desk, terminal: Terminal, request: Request) -> int:
    """Start the services, stay, and stop them when this is interrupted or the command is gone.

    The command itself shows the logs meanwhile.
    """
    async with desk.attached():
        follower = Follower(desk, terminal, Goal.HEALTHY, live=False)
        try:
            result = await follower.follow("up", up_body(request))
        except Abandoned as abandoned:
            return abandoned.code
        if conclude(terminal, result) != ExitCode.OK:
            return result.exit_code
        terminal.say("all up; Ctrl-C stops everything")
        while True:
            item = await terminal.inbox.get()
            if item is Notice.CLOSING:
                terminal.say("the fleet was stopped")
                return ExitCode.OK
            if isinstance(item, Signalled):
                await _stop(desk, terminal)
                terminated = item.number == SIGTERM
                return ExitCode.TERMINATED if terminated else ExitCode.INTERRUPTED


async def _stop(desk: Desk, terminal: Terminal) -> None:
    """Stop everything; a second signal kills."""
    terminal.say("stopping; interrupt again to kill")
    async with AsyncExitStack() as stack:
        stopping = desk.begin("stop", {"services": []})
        await stack.enter_async_context(pumped(stopping, terminal))
        while True:
            match await terminal.inbox.get():
                case Signalled():
                    terminal.say("killing")
                    killing = desk.begin("stop", {"services": [], "kill": True})
                    await stack.enter_async_context(pumped(killing, terminal))
                case {"type": "result"}:
                    return
                case MsctlError():
                    return  # a daemon that ends has stopped everything
