"""`msctl up`: start services with what they depend on, and wait until all are healthy."""

import sys

from msctl.cli import streams
from msctl.cli.argv import Invocation
from msctl.cli.console import environment, fields_of, scales
from msctl.cli.conversation import Conversation, Left
from msctl.cli.project import Project
from msctl.client.response import BrokenResponse
from msctl.exitcodes import ExitCode

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
    from msctl.render.log_text import LogText
    from msctl.runtime.logfollower import LogFollower

_ROLLBACK_TIMEOUT = 5.0
_GONE_TIMEOUT = 10.0


def run(project: Project, invocation: Invocation) -> int:
    """Start the services; return the exit code."""
    scale = scales(invocation.texts("scale"), "--scale ")
    if invocation.flag("dry_run"):
        # Imported here for start-up time: reading the configuration costs more than the rest.
        from msctl.cli.dryrun import print_plan  # noqa: PLC0415

        fleet = project.load()
        if invocation.flag("isolated"):
            from msctl.config.isolation import isolated  # noqa: PLC0415

            fleet = isolated(fleet)
        print_plan(
            fleet,
            names=invocation.texts("services"),
            profiles=frozenset(invocation.texts("profile")),
            scale=scale,
            no_deps=invocation.flag("no_deps"),
        )
        return ExitCode.OK
    from msctl.cli.beginning import have_daemon  # noqa: PLC0415 - no other starts a daemon

    project, started = have_daemon(project, isolated=invocation.flag("isolated"))
    if invocation.flag("foreground"):
        return _foreground(project, invocation)
    conversation = _ask(project, invocation, "up")
    try:
        code = conversation.see_through()
    except Left as left:
        streams.say(f"left; the daemon goes on by itself, see: {project.program} status")
        return left.code
    if code != ExitCode.OK and started and not invocation.flag("keep"):
        project.wait_until_gone(_ROLLBACK_TIMEOUT)
    return code


def _ask(project: Project, invocation: Invocation, command: str) -> Conversation:
    conversation = Conversation(project.socket)
    files = [("files", file) for file in project.place[1]]
    conversation.ask(command, [*fields_of(invocation, project), *files, *environment()])
    return conversation


def _foreground(project: Project, invocation: Invocation) -> int:
    """Show the logs for as long as the daemon has something to say; it lives as long as this."""
    from msctl.render.log_text import LogText  # noqa: PLC0415 - for start-up time
    from msctl.runtime.logfollower import LogFollower  # noqa: PLC0415

    text = LogText(decorated=streams.is_decorated(sys.stdout))
    with LogFollower(project.logs) as logs:

        def show_logs() -> None:
            _show(logs, text)

        conversation = _ask(project, invocation, "foreground")
        try:
            code = conversation.see_through(show_logs, leave=False, watch_stdout=True)
        except BrokenResponse:
            if not project.wait_until_gone(_GONE_TIMEOUT):
                raise
            streams.say("the fleet was stopped")
            code = ExitCode.OK
        project.wait_until_gone(_GONE_TIMEOUT)
        show_logs()
    return code


def _show(logs: "LogFollower", text: "LogText") -> None:
    if lines := logs.poll():
        sys.stdout.write("".join(f"{text.text(line)}\n" for line in lines))
        streams.flush()
