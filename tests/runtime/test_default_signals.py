import os
import signal
import subprocess
import sys
from collections.abc import Callable

from tests.runtime.real import wait_until

SHOWS = """
import signal, sys
from msctl.runtime.default_signals import restore_default_signals
restore_default_signals()
lines = open("/proc/self/status").read().splitlines()
print([line for line in lines if line.startswith(("SigBlk", "SigIgn"))],
      signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def test_nothing_is_blocked_or_ignored_that_the_starter_blocked_or_ignored() -> None:
    def prepare() -> None:
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def run(before: Callable[[], None] | None) -> bytes:
        command = [sys.executable, "-c", SHOWS]
        return subprocess.run(command, preexec_fn=before, capture_output=True, check=True).stdout

    assert run(prepare) == run(None)


def test_an_own_handler_stays() -> None:
    script = """
import signal
from msctl.runtime.default_signals import restore_default_signals
signal.signal(signal.SIGUSR1, lambda *_: exit(7))
restore_default_signals()
print(flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        os.kill(child.pid, signal.SIGUSR1)
        assert wait_until(child.poll, "it ends") == 7
