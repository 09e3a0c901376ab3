"""Where progress goes: redrawn in place on a terminal, plain lines anywhere else."""

from typing import Protocol

from msctl.control.console.terminal import Terminal
from msctl.render.progress import Progress, ServiceProgress
from msctl.render.progress_text import picture, step_line

_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_UP, _CLEAR_BELOW = "\x1b[{}A", "\x1b[J"
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"


class View(Protocol):
    """Shows the progress of one operation on stderr."""

    moves: bool
    """Whether it changes with time alone."""

    def changed(self, service: ServiceProgress) -> None:
        """Show that a service has reached another phase."""
        ...

    def tick(self, now: float) -> None:
        """Show that time has passed."""
        ...

    def clear(self) -> None:
        """Make room: something else is going to be written, or it is over."""
        ...


def view_of(progress: Progress, terminal: Terminal, *, live: bool = True) -> View:
    """Return the view that suits the command's stderr."""
    if live and terminal.decorates_stderr:
        return LiveView(progress, terminal)
    return LineView(progress, terminal)


class LineView:
    """One line for every step, for logs and pipes."""

    moves = False

    def __init__(self, progress: Progress, terminal: Terminal) -> None:
        self._progress = progress
        self._terminal = terminal

    def changed(self, service: ServiceProgress) -> None:
        """Write what has become of it."""
        self._terminal.say(step_line(self._progress, service))

    def tick(self, now: float) -> None:
        """Nothing moves by itself."""

    def clear(self) -> None:
        """Nothing to take back."""


class LiveView:
    """Redraws the whole picture in place; leaves nothing behind."""

    moves = True

    def __init__(self, progress: Progress, terminal: Terminal) -> None:
        self._progress = progress
        self._terminal = terminal
        self._drawn = 0

    def changed(self, service: ServiceProgress) -> None:
        """Leave it to the next tick."""

    def tick(self, now: float) -> None:
        """Draw the picture over the last one, unless that is still on its way."""
        if not self._progress.services or self._terminal.is_behind:
            return
        columns, height = self._terminal.size
        lines = picture(self._progress, now=now, width=columns, height=height)
        text = "\n".join(lines)
        self._terminal.show(f"{self._erased()}{_HIDE}{_NO_WRAP}{text}{_WRAP}\n")
        if self._drawn != len(lines):
            self._drawn = len(lines)
            self._terminal.undo_stderr(self._erased() + _SHOW)

    def clear(self) -> None:
        """Take the picture away."""
        if self._drawn:
            self._terminal.show(self._erased() + _SHOW)
            self._drawn = 0
            self._terminal.undo_stderr("")

    def _erased(self) -> str:
        return f"\r{_UP.format(self._drawn)}{_CLEAR_BELOW}" if self._drawn else ""
