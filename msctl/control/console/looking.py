"""The commands that only look: the fleet's status and its events."""

import asyncio
import json

from msctl.control.console.desk import Desk, Document
from msctl.control.console.terminal import Notice, Request, Terminal
from msctl.exitcodes import ExitCode
from msctl.render.event_text import EventText
from msctl.render.health import unwell
from msctl.render.screen import ENTER, LEAVE, screen, steady_table
from msctl.render.status_table import status_lines

_INTERVAL = 1.0  # seconds between two looks of --watch
_MANY = 20
"""Services; the text of more is made in a thread, to keep the loop free."""


async def status(desk: Desk, terminal: Terminal, request: Request) -> int:
    """Show the services, once or until the end."""
    names = request.many("services")
    if request.flag("watch"):
        return await _watch(desk, terminal, request, names)
    document = await desk.status(names)
    if len(document["services"]) > _MANY:
        terminal.write(await asyncio.to_thread(_text, document, request, terminal))
    else:
        terminal.write(_text(document, request, terminal))
    asked_for = _named(document) if names else ()
    failing = unwell(document, [*asked_for]) if request.flag("check") else []
    if failing:
        terminal.complain(f"not healthy: {', '.join(failing)}")
        return ExitCode.NOT_HEALTHY
    return ExitCode.OK


async def events(desk: Desk, terminal: Terminal, request: Request) -> int:
    """Show what happened to the fleet, and what happens to it."""
    names, follow = frozenset(request.many("services")), request.flag("follow")
    if names:  # a name that no service has is refused
        names = _named(await desk.status(sorted(names)))
    text = EventText(json=request.flag("as_json"), decorated=terminal.decorates_stdout)
    shown = False
    async for batch in desk.events(follow=follow):
        chosen = [event for event in batch if not names or event["service"] in names]
        terminal.write(text.text(chosen))
        shown = shown or bool(chosen)
        await terminal.drain()
    if not shown and not follow:
        terminal.say("no events")
    return ExitCode.OK


def _named(document: Document) -> frozenset[str]:
    return frozenset(service["name"] for service in document["services"])


def _text(document: Document, request: Request, terminal: Terminal) -> str:
    if request.flag("as_json"):
        return json.dumps(document, indent=2) + "\n"
    if request.flag("quiet"):
        lines = [service["name"] for service in document["services"]]
    else:
        decorated = terminal.decorates_stdout
        lines = status_lines(document, width=terminal.width, decorated=decorated)
    return "".join(f"{line}\n" for line in lines)


async def _watch(desk: Desk, terminal: Terminal, request: Request, names: list[str]) -> int:
    """Show the status again and again: a stream of JSON, or a table where it changes."""
    as_json = request.flag("as_json")
    on_screen = terminal.decorates_stdout and not as_json
    document = await desk.status(names)
    before = ""
    if on_screen:
        terminal.undo_stdout(LEAVE)
        terminal.write(ENTER)
    while True:
        if as_json:
            terminal.write(json.dumps(document) + "\n")
        elif on_screen:
            columns, lines = terminal.screen
            terminal.write(screen(document, columns=columns, lines=lines))
        elif (text := steady_table(document, width=terminal.width)) != before:
            before = text
            terminal.write(text + "\n")
        await terminal.drain()
        if await _is_closing(terminal):
            break
        document = await desk.status(names)
    if on_screen:
        terminal.write(LEAVE)
        terminal.undo_stdout("")
    terminal.say("the fleet was stopped")
    return ExitCode.OK


async def _is_closing(terminal: Terminal) -> bool:
    """Wait until the next look is due; true when the daemon ends before that."""
    try:
        async with asyncio.timeout(_INTERVAL):
            while await terminal.inbox.get() is not Notice.CLOSING:
                pass
    except TimeoutError:
        return False
    return True
