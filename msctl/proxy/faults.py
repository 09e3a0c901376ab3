"""What can be wrong with what a peer sent, as facts."""

from msctl.core.outcome import Outcome
from msctl.errors import MsctlError


class BadMessage(MsctlError):
    """A message breaks the rules of RFC 9112, and is refused rather than guessed at.

    `status` is the answer for the client when the message was a request.
    """

    def __init__(self, detail: str, *, status: int = 400) -> None:
        self.detail = detail
        self.status = status
        super().__init__(detail)


class UpstreamFailed(MsctlError):
    """One attempt got no answer from its instance; `outcome` is what the router is told.

    `refused` means that nothing listens there: the process is dead or dying.
    """

    def __init__(self, outcome: Outcome, detail: str, *, refused: bool = False) -> None:
        self.outcome = outcome
        self.detail = detail
        self.refused = refused
        super().__init__(detail)


class StreamLost(MsctlError):
    """The connection broke while something was to be written to it."""
