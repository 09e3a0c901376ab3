"""Entry point of `msctl`: the daemon's own command first, everything else is the command line."""

import os
import sys
from collections.abc import Sequence

_DAEMON = "_daemon"


def main() -> int:
    """Run the command in `sys.argv` and return its exit code."""
    if sys.argv[1:2] == [_DAEMON]:
        return _run_daemon(sys.argv[2:])
    try:
        # Imported here for start-up time: the daemon needs none of it.
        from msctl.cli.app import main as cli_main  # noqa: PLC0415
    except KeyboardInterrupt:
        return 130  # as everywhere else (contract.md, Exit codes)
    return cli_main()


def _run_daemon(argv: Sequence[str]) -> int:
    """Run guardian and daemon: CHANNEL PROJECT, as `msctl.runtime.launcher` calls it."""
    # Imported here for start-up time: the guardian forks before the heavy imports.
    from msctl.runtime.guardian import guard  # noqa: PLC0415
    from msctl.runtime.launcher import receive_spec, report_failure  # noqa: PLC0415

    channel = int(argv[0])  # the project is there for whoever reads the process list
    spec = receive_spec(channel)
    if os.fork():
        return 0  # the guardian is nobody's child, so that nobody has to wait for it

    def run(lifeline: int) -> int:
        from msctl import daemon  # noqa: PLC0415  heavy, and after the fork

        return daemon.run(spec, lifeline, channel)

    code = guard(spec.state(), run, channel)
    if code is None:
        report_failure(channel, None)
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
