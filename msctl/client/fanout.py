"""Many requests over a few connections, answered in the order in which they were made.

Memory is bounded whatever the number of requests: no more are under way, or answered and not
yet handed on, than there are places. One thread, no loop: a place is a connection, and waiting
is one poll over all of them and the source of the requests.
"""

import select
from _socket import socket
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from msctl.client.response import BrokenResponse, ResponseHead, ResponseReader
from msctl.errors import MsctlError

_PIECE: Final = 1 << 16
_AHEAD: Final = 4
"""Requests that may be answered before their turn, for each connection: so long one that is
slow does not keep the others waiting."""
_IN: Final = select.POLLIN | select.POLLHUP | select.POLLERR


@dataclass(frozen=True, slots=True)
class Answered:
    """A complete response."""

    head: ResponseHead
    body: bytes


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The connection broke before the response was complete."""

    error: MsctlError


class Source(Protocol):
    """Where requests come from, each as the bytes that are sent."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when `take` may bring more."""
        ...

    @property
    def ended(self) -> bool:
        """Whether there will be no more."""
        ...

    def take(self) -> bytes | None:
        """Return the next request if it is there already."""
        ...

    def fill(self) -> None:
        """Read once; called only when the descriptor is readable."""
        ...


@dataclass(slots=True)
class _Place:
    """One connection and the request on it."""

    connection: socket | None = None
    number: int = -1
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    reader: ResponseReader | None = None
    body: list[bytes] = field(default_factory=list)


class FanOut:
    """Sends requests of one method, so many at a time.

    `on_wait` is called before it waits for anything. `reader` is the descriptor of whoever
    reads the answers: when that is closed at the other end, BrokenPipeError is raised.
    """

    def __init__(
        self,
        connect: Callable[[], socket],
        method: str,
        source: Source,
        parallel: int,
        *,
        on_wait: Callable[[], object] = lambda: None,
        reader: int | None = None,
    ) -> None:
        self._on_wait = on_wait
        self._connect = connect
        self._method = method
        self._source = source
        self._idle = [_Place() for _ in range(parallel)]
        self._busy: dict[int, _Place] = {}
        self._most = parallel * (1 + _AHEAD)
        self._waiting: deque[Answered | Unanswered | None] = deque()
        """Answers from the next one to be handed on; None: still under way."""
        self._first = 0
        self._next = 0
        self._poll = select.poll()
        self._listening = False
        self._reader = reader
        if reader is not None:
            self._poll.register(reader, 0)

    def answers(self) -> Iterator[Answered | Unanswered]:
        """Yield an answer for each request, in their order; raises NoDaemon, BrokenPipeError."""
        try:
            while True:
                self._send_what_is_there()
                while self._waiting and (answer := self._waiting[0]) is not None:
                    self._waiting.popleft()
                    self._first += 1
                    yield answer
                    self._send_what_is_there()
                if not self._busy and self._source.ended:
                    return
                self._wait()
        finally:
            for place in (*self._idle, *self._busy.values()):
                if place.connection is not None:
                    place.connection.close()

    def _send_what_is_there(self) -> None:
        while self._has_room() and (request := self._source.take()) is not None:
            place = self._idle.pop()
            place.number, self._next = self._next, self._next + 1
            self._waiting.append(None)
            self._begin(place, request)

    def _has_room(self) -> bool:
        return bool(self._idle) and len(self._waiting) < self._most

    def _begin(self, place: _Place, request: bytes) -> None:
        if place.connection is None:
            place.connection = self._connect()
            place.connection.setblocking(False)  # noqa: FBT003  its only argument
        place.reader = ResponseReader(self._method)
        place.unsent = memoryview(request)
        self._busy[place.connection.fileno()] = place
        self._send(place)

    def _send(self, place: _Place) -> None:
        assert place.connection is not None, "a busy place has a connection"
        try:
            place.unsent = place.unsent[place.connection.send(place.unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            place.unsent = memoryview(b"")  # its answer, or the lack of it, says why
        events = _IN | (select.POLLOUT if place.unsent else 0)
        self._poll.register(place.connection, events)

    def _wait(self) -> None:
        self._listen(wanted=self._has_room() and not self._source.ended)
        events = self._poll.poll(0)
        if not events:
            self._on_wait()
            events = self._poll.poll()
        for descriptor, event in events:
            place = self._busy.get(descriptor)
            if place is None and descriptor == self._reader:
                raise BrokenPipeError
            if place is None:
                self._source.fill()
            elif event & select.POLLOUT:
                self._send(place)
            else:
                self._receive(place)

    def _listen(self, *, wanted: bool) -> None:
        """Have the poll tell when the source has more, or no longer."""
        if wanted and not self._listening:
            self._poll.register(self._source.fileno(), _IN)
        elif self._listening and not wanted:
            self._poll.unregister(self._source.fileno())
        self._listening = wanted

    def _receive(self, place: _Place) -> None:
        assert place.connection is not None, "a busy place has a connection"
        assert place.reader is not None, "a busy place reads a response"
        try:
            data = place.connection.recv(_PIECE)
            place.reader.feed(data)
        except BlockingIOError:
            return
        except OSError as error:
            broken = BrokenResponse(f"the connection broke: {error.strerror}")
            self._finish(place, Unanswered(broken), keep=False)
            return
        except BrokenResponse as error:
            self._finish(place, Unanswered(error), keep=False)
            return
        if place.reader.pending:
            place.body.append(place.reader.take())
        if place.reader.complete:
            head = place.reader.head
            assert head is not None, "a complete response has a head"
            closing = (head.header("connection") or "").lower() == "close"
            keep = bool(data) and not closing and not place.unsent
            self._finish(place, Answered(head, b"".join(place.body)), keep=keep)

    def _finish(self, place: _Place, answer: Answered | Unanswered, *, keep: bool) -> None:
        assert place.connection is not None, "a busy place has a connection"
        self._waiting[place.number - self._first] = answer
        self._poll.unregister(place.connection)
        del self._busy[place.connection.fileno()]
        if not keep:
            place.connection.close()
            place.connection = None
        place.reader, place.body = None, []
        self._idle.append(place)
