"""What is known about things that went wrong: problems of a configuration, failures of services.

They are apart from the exceptions that carry them because of start-up time: every command needs
the exceptions, few need these, and `dataclasses` takes longer to import than a command may.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in a configuration file, and where."""

    file: Path
    line: int
    """1-based; 0 when the problem belongs to the file as a whole."""
    where: str
    """The key's path, such as `services.order-service.port`; empty for the whole file."""
    message: str

    def __str__(self) -> str:
        """Render as `file:line: where: message`, the form editors can jump to."""
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        return ": ".join(part for part in (place, self.where, self.message) if part)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one service is not as it was wanted, with the evidence."""

    service: str
    instance: str | None
    reason: str
    logs: tuple[str, ...] = ()
    """The last lines it wrote, oldest first."""
