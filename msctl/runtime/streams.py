"""The pipes that take the output of a new process to the daemon."""

import os

from msctl.runtime.process import LocalProcess, Output


class Streams:
    """One pipe each for stdout and stderr: the process gets one end, the daemon reads the other."""

    def __init__(self) -> None:
        self._read_ends: dict[str, int] = {}
        self._write_ends: dict[str, int] = {}
        try:
            for name in ("stdout", "stderr"):
                self._read_ends[name], self._write_ends[name] = os.pipe()
        except OSError:
            self.close()
            raise

    @property
    def write_ends(self) -> tuple[int, int]:
        """What the process is to have as its stdout and stderr."""
        return self._write_ends["stdout"], self._write_ends["stderr"]

    def handed_over(self) -> None:
        """Close the process's ends here: it has its own copies now, or has come to nothing."""
        while self._write_ends:
            os.close(self._write_ends.popitem()[1])

    def pump(self, process: LocalProcess, output: Output) -> None:
        """Have the process read what comes, from now on; its ends belong to it."""
        while self._read_ends:
            process.pump(*self._read_ends.popitem(), output)

    def close(self) -> None:
        """Give up: close what has not been handed on."""
        self.handed_over()
        while self._read_ends:
            os.close(self._read_ends.popitem()[1])
