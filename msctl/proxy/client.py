"""What an exchange sees of the client's connection."""

from msctl.proxy.stream import Stream


class ClientStream(Stream):
    """The client's side: a stream that also knows how its requests are to be ended."""

    def __init__(self) -> None:
        super().__init__()
        self.persistent = True
        """The connection may go on after the response that comes next."""
        self.peer = ""
        """The client's address; empty on a unix socket."""
        self.tunnelled = False
        """Requests are over: bytes pass both ways, and each way ends by itself."""
