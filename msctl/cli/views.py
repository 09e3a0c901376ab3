"""Where progress goes: redrawn in place on a terminal, plain lines anywhere else."""

import shutil
import sys
from typing import Protocol

from msctl.cli import streams
from msctl.cli.progress import Progress, ServiceProgress
from msctl.cli.render.progress_text import picture, step_line

_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_UP, _CLEAR_BELOW = "\x1b[{}A", "\x1b[J"
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"


class View(Protocol):
    """Shows the progress of one operation on stderr."""

    def changed(self, service: ServiceProgress) -> None:
        """Show that a service has reached another phase."""
        ...

    def tick(self, now: float) -> None:
        """Show that time has passed."""
        ...

    def clear(self) -> None:
        """Make room: something else is going to be written, or it is over."""
        ...


def view_of(progress: Progress, *, live: bool = True) -> View:
    """Return the view that suits stderr."""
    return LiveView(progress) if live and streams.is_decorated(sys.stderr) else LineView(progress)


class LineView:
    """One line for every step, for logs and pipes."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def changed(self, service: ServiceProgress) -> None:
        """Write what has become of it."""
        streams.say(step_line(self._progress, service))

    def tick(self, now: float) -> None:
        """Nothing moves by itself."""

    def clear(self) -> None:
        """Nothing to take back."""


class LiveView:
    """Redraws the whole picture in place; leaves nothing behind."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._drawn = 0

    def changed(self, service: ServiceProgress) -> None:
        """Leave it to the next tick."""

    def tick(self, now: float) -> None:
        """Draw the picture over the last one."""
        size = streams.size_of(sys.stderr) or shutil.get_terminal_size()
        lines = picture(self._progress, now=now, width=size.columns, height=size.lines)
        text = "\n".join(lines)
        self._write(f"{self._erased()}{_HIDE}{_NO_WRAP}{text}{_WRAP}\n")
        self._drawn = len(lines)

    def clear(self) -> None:
        """Take the picture away."""
        if self._drawn:
            self._write(self._erased() + _SHOW)
        self._drawn = 0

    def _erased(self) -> str:
        return f"\r{_UP.format(self._drawn)}{_CLEAR_BELOW}" if self._drawn else ""

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:
            self._drawn = 0
