"""`msctl status`: how the fleet is, for people, scripts and monitors."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from msctl.cli import streams
from msctl.cli.errors import Action, ExitCode, complain
from msctl.cli.options import FileOption, ServicesArgument, project_of
from msctl.cli.outcome import print_table, stdout_width
from msctl.cli.project import Project
from msctl.cli.render.status_table import status_lines, table_and_notes
from msctl.cli.render.units import age
from msctl.errors import MsctlError, NoDaemon, UsageError
from msctl.model import Health, ServiceStatus

_INTERVAL = 1.0  # seconds between two looks of --watch
_PATIENCE = 30.0  # seconds; only a daemon that was suspended takes that long
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
_SCREEN, _BACK = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusOptions:
    """Of which services, and in which form."""

    services: tuple[str, ...] = ()
    as_json: bool = False
    check: bool = False
    quiet: bool = False


def command(
    context: typer.Context,
    services: ServicesArgument = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it until interrupted.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 3 unless all that is wanted is healthy.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Names only.")] = False,
    file: FileOption = None,
) -> Action:
    """Show the services: status, health, address, instances."""
    if watch and check:
        raise UsageError("--watch and --check exclude each other; see also: msctl wait")
    if as_json and quiet:
        raise UsageError("--json and --quiet exclude each other")
    project = project_of(context, file)
    options = StatusOptions(
        services=tuple(services or ()), as_json=as_json, check=check, quiet=quiet
    )
    return (lambda: _watch(project, options)) if watch else (lambda: _status(project, options))


def unwell(document: Document, named: Sequence[str] = ()) -> list[str]:
    """Return the services that are wanted but not running and healthy, with their state.

    One that was stopped is not wanted, unless it is asked for by name; a completed job is
    fine. When nothing at all is wanted, nothing is healthy either.
    """
    wanted = [s for s in document["services"] if _is_wanted(s, named)]
    if not wanted:
        return ["nothing is running"]
    return [f"{s['name']} ({_state(s)})" for s in wanted if not _is_well(s)]


def _is_wanted(service: Document, named: Sequence[str]) -> bool:
    stopped = service["status"] == ServiceStatus.STOPPED
    return service["name"] in named or bool(service.get("wanted", not stopped))


def _is_well(service: Document) -> bool:
    status, health = ServiceStatus(service["status"]), Health(service["health"])
    running_well = status is ServiceStatus.RUNNING and health is Health.HEALTHY
    return running_well or status is ServiceStatus.COMPLETED


def _state(service: Document) -> str:
    running = service["status"] == ServiceStatus.RUNNING
    return str(service["health"] if running else service["status"])


def _status(project: Project, options: StatusOptions) -> int:
    document = _fetch(project, options)
    failing = unwell(document, options.services) if options.check else []
    try:
        _show(document, options)
        streams.flush()
    except BrokenPipeError:
        streams.discard_stdout()  # whoever reads no more still gets the exit code
    if failing:
        complain(f"not healthy: {', '.join(failing)}")
        return ExitCode.NOT_HEALTHY
    return ExitCode.OK


def _fetch(project: Project, options: StatusOptions) -> Document:
    query = urlencode([("service", name) for name in options.services])
    return project.client.fetch(
        "GET", f"/status?{query}" if query else "/status", timeout=_PATIENCE
    )


def _show(document: Document, options: StatusOptions) -> None:
    if options.as_json:
        streams.write(json.dumps(document, indent=2))
    elif options.quiet:
        for service in document["services"]:
            streams.write(service["name"])
    else:
        print_table(document)


def _watch(project: Project, options: StatusOptions) -> int:
    """Show the status again and again: a stream of JSON, or a table where it changes."""
    on_screen = streams.is_decorated(sys.stdout) and not options.as_json
    document = _fetch(project, options)
    before = ""
    try:
        if on_screen:
            sys.stdout.write(_SCREEN)
        while True:
            before = _draw(document, options, before, on_screen=on_screen)
            streams.flush()
            streams.wait(seconds=_INTERVAL, watch_stdout=True)
            document = _fetch(project, options)
    except NoDaemon:
        ended = True
    except MsctlError:
        ended = project.running_pid() is None
        if not ended:
            raise
    finally:
        if on_screen:
            sys.stdout.write(_BACK)
            streams.flush()
    if ended:
        streams.say("the fleet was stopped")
    return ExitCode.OK


def _draw(document: Document, options: StatusOptions, before: str, *, on_screen: bool) -> str:
    if options.as_json:
        streams.write(json.dumps(document))
        return ""
    if on_screen:
        lines = _screen(document)
        sys.stdout.write(
            _HOME + "".join(f"{line}{_CLEAR_LINE}\n" for line in lines[:-1]) + lines[-1]
        )
        sys.stdout.write(_CLEAR_LINE + _CLEAR_BELOW)
        return ""
    lines = status_lines(_without_uptime(document), width=stdout_width(), decorated=False)
    text = "\n".join(lines)
    if text != before:
        streams.write(text + "\n")
    return text


def _screen(document: Document) -> list[str]:
    """Return what fits on the screen."""
    size = streams.size_of(sys.stdout) or shutil.get_terminal_size()
    title = [
        document["project"],
        f"{document['running_services']} of {document['total_services']} running",
        f"up {age(document['uptime'])}",
        document.get("gateway") or "",
    ]
    head = ["  ".join(part for part in title if part)[: size.columns], ""]
    table, notes = table_and_notes(document, width=stdout_width(), decorated=True)
    notes = [f"{note[: size.columns - 1]}" for note in notes[: size.lines // 3]]
    below = ["", *notes] if notes else []
    room = size.lines - len(head) - len(below)
    if len(table) > room:
        hidden = len(table) - room + 1
        table = [*table[: room - 1], f"… {hidden} more, see: msctl status"]
    return [*head, *table, *below]


def _without_uptime(document: Document) -> Document:
    services = [
        {**s, "instances": [{**i, "uptime": None} for i in s.get("instances", ())]}
        for s in document["services"]
    ]
    return {**document, "services": services}
