"""The daemon's parent: when the daemon dies, by whatever means, nothing that it started stays.

It is forked before the heavy imports and does nothing but wait. As a child subreaper it
inherits every process that the dead daemon leaves behind, those that called setsid included
(design.md, Processes).
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

from msctl.runtime.proctree import become_subreaper, kill_descendants
from msctl.runtime.statedir import StateDir


def guard(state: StateDir, run: Callable[[int], int], handed_over: int) -> int | None:
    """Run the daemon as a child and clean up after it; return its exit code.

    `handed_over` is a descriptor that belongs to the daemon alone from then on.

    `run` gets a descriptor that reads end-of-file as soon as the guardian is dead. The lock
    is held until nothing is left, so whoever gets it finds a clean place. None: another
    daemon has it.
    """
    state.create()
    lock = state.try_lock()
    if lock is None:
        return None
    state.remove_leftovers()
    become_subreaper()
    lifeline, held_open = os.pipe()
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # until there is somebody to forward to
    daemon = os.fork()
    if daemon == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        os.close(held_open)
        _run_and_exit(run, lifeline)
    os.close(lifeline)
    os.close(handed_over)
    _let_go_of_stdio()
    _forward_signals(daemon)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    code = _wait_for(daemon)
    kill_descendants()
    state.remove_leftovers()
    if state.temporary:
        state.remove()
    os.close(lock)
    return code


def _run_and_exit(run: Callable[[int], int], lifeline: int) -> None:
    code = 1
    try:
        code = run(lifeline)
    except BaseException:  # noqa: BLE001  the daemon's log is its last trace
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)  # the frames above belong to the guardian


def _let_go_of_stdio() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)


def _forward_signals(daemon: int) -> None:
    def forward(*_: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(daemon, signal.SIGTERM)

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, forward)


def _wait_for(daemon: int) -> int:
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == daemon:
            return os.waitstatus_to_exitcode(status)
