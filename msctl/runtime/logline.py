"""One line of an instance's log, as it lies in the file.

`2026-01-01T00:00:00.000000Z stdout message`: the times have one width and one zone, so they
are compared as text.
"""

TIME_LENGTH = len("2026-01-01T00:00:00.000000Z")
_STREAMS = frozenset({"stdout", "stderr", "msctl"})


class LogLine:
    """What one instance wrote, and when; the keys of `msctl logs --json` (contract.md).

    Not a dataclass because of start-up time: `logs` is to be quick.
    """

    __slots__ = ("instance", "message", "service", "stream", "time")

    def __init__(self, time: str, service: str, instance: str, stream: str, message: str) -> None:
        self.time = time
        self.service = service
        self.instance = instance
        self.stream = stream
        self.message = message

    def __repr__(self) -> str:
        """Show everything."""
        return f"LogLine({self.time!r}, {self.instance!r}, {self.stream!r}, {self.message!r})"


def parse(raw: bytes, instance: str, earlier: str = "") -> LogLine:
    """Read one line without its end; one that is torn keeps its text and the time `earlier`."""
    text = raw.decode("utf-8", "replace")
    time, _, rest = text.partition(" ")
    stream, _, message = rest.partition(" ")
    service = service_of(instance)
    if len(time) != TIME_LENGTH or stream not in _STREAMS:
        return LogLine(earlier, service, instance, "stdout", text)
    return LogLine(time, service, instance, stream, message)


def service_of(instance: str) -> str:
    """Return the service's name: an instance id is `NAME-N` (contract.md, Output)."""
    return instance.rpartition("-")[0]
