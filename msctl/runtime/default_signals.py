"""Signals as a program finds them that nobody has prepared."""

import signal

_IGNORED_BY_PYTHON = {signal.SIGPIPE, getattr(signal, "SIGXFSZ", signal.SIGPIPE)}


def restore_default_signals() -> None:
    """Block none, and ignore none but those that Python itself ignores.

    Whatever starts the daemon may ignore some: `nohup`, or a shell that puts it into the
    background. That would be inherited by every instance.
    """
    for number in signal.valid_signals() - _IGNORED_BY_PYTHON:
        if signal.getsignal(number) is signal.SIG_IGN:
            is_interrupt = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if is_interrupt else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
