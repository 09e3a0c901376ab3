"""Entry point of `msctl`: the daemon's own commands, and two ways into the command line."""

import os
import sys

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

_DAEMON = "_daemon"
_TEMPLATE = "_template"


def main() -> int:
    """Run the command in `sys.argv` and return its exit code."""
    if sys.argv[1:2] == [_DAEMON]:
        return _run_daemon(sys.argv[2:])
    if sys.argv[1:2] == [_TEMPLATE]:
        _run_template(sys.argv[2:])
    try:
        # Imported here for start-up time: the daemon needs none of it.
        from msctl.cli import thin  # noqa: PLC0415

        code = thin.main(sys.argv[1:])
        if code is not None:
            return code
        from msctl.cli.app import main as cli_main  # noqa: PLC0415
    except KeyboardInterrupt:
        return 130  # as everywhere else (contract.md, Exit codes)
    return cli_main()


def _run_daemon(argv: "Sequence[str]") -> int:
    """Run guardian and daemon: CHANNEL PROJECT, as `msctl.runtime.launcher` calls it."""
    # Imported here for start-up time: the guardian forks before the heavy imports.
    from msctl.runtime.guardian import guard  # noqa: PLC0415
    from msctl.runtime.launcher import receive_spec, report_failure  # noqa: PLC0415

    channel = int(argv[0])  # the project is there for whoever reads the process list
    spec = receive_spec(channel)
    if os.fork():
        return 0  # the guardian is nobody's child, so that nobody has to wait for it

    def run(lifeline: int) -> int:
        from msctl.runtime.beginning import begin  # noqa: PLC0415  heavy, and after the fork

        template = begin()
        from msctl import daemon  # noqa: PLC0415  not in the template

        return daemon.run(spec, lifeline, channel, template)

    code = guard(spec.state(), run, channel)
    if code is None:
        report_failure(channel, None)
        return 0
    return code


def _run_template(argv: "Sequence[str]") -> "NoReturn":
    """Be the template: CHANNEL DAEMON, as `msctl.runtime.template` calls it."""
    import socket  # noqa: PLC0415  not needed by the other commands

    from msctl.runtime.template_process import run_template  # noqa: PLC0415  heavy

    run_template(socket.socket(fileno=int(argv[0])), daemon=int(argv[1]))


if __name__ == "__main__":
    sys.exit(main())
