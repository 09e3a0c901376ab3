"""What the access log is told of each request, when there is one."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One request and what became of it; the field names are the keys of the log's lines."""

    service: str | None
    """None when it was for no service that exists."""
    instance: str | None
    """The one that was asked last."""
    method: str
    path: str
    """As the service sees it, without the query: that is where secrets travel."""
    status: int | None
    """None when the client got no answer."""
    seconds: float
    """From the request's head to the end of its answer."""
    attempts: int
    request_id: str | None
    trace_id: str | None
    reason: str | None
    """Why the router answered itself, or why the answer did not come (to its end)."""
    client: str | None
    """Its address; None on a unix socket."""


class AccessLog(Protocol):
    """Takes the lines; never blocks."""

    @property
    def enabled(self) -> bool:
        """Whether anybody wants them now; asked before a line is made."""
        ...

    def record(self, access: Access) -> None:
        """Take one line."""
        ...


class NoAccessLog:
    """The access log that nobody keeps."""

    enabled = False

    def record(self, access: Access) -> None:
        """Forget it."""
