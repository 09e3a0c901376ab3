"""One check over a connection of its own: a bare socket and callbacks.

A transport, its protocol and a task that waits for them cost several times what the connection
itself does, and a fleet of 200 instances is checked a hundred times a second.
"""

import asyncio
import errno
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress

from msctl.client import ResponseReader
from msctl.core.health import ProbeKind, ProbeResult, classify
from msctl.errors import MsctlError

MAX_ANSWER = 64 * 1024
_READ_SIZE = 16 * 1024
_UNDER_WAY = frozenset({0, errno.EINPROGRESS, errno.EAGAIN})

Done = Callable[[ProbeResult], None]
_Address = tuple[socket.AddressFamily, str]
_LOCALHOST = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


class Check(ABC):
    """A connection on its way to a result; `done` hears it once, and never from within `begin`.

    A host with several addresses is tried on each in turn.
    """

    __slots__ = ("_done", "_left", "_loop", "_port", "_resolving", "_socket", "_timer")

    LATENESS: str
    """What did not come in time."""

    def __init__(self, port: int, done: Done) -> None:
        self._port = port
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._left: list[_Address] = []
        self._socket: socket.socket | None = None
        self._resolving: asyncio.Future[None] | None = None
        self._timer: asyncio.Handle

    def begin(self, host: str, timeout: float) -> Callable[[], None]:
        """Connect; what is returned ends the check untold."""
        self._timer = self._loop.call_later(timeout, self._expired, timeout)
        addresses = _known(host)
        if addresses is None:
            self._resolving = asyncio.ensure_future(self._resolve(host))
        else:
            self._left.extend(addresses)
            self._connect()
        return self.cancel

    def cancel(self) -> None:
        """Leave the connection and say nothing."""
        self._timer.cancel()
        self._leave()

    @abstractmethod
    def _connecting(self) -> None:
        """Go on with a connection that is being made."""

    @abstractmethod
    def _exchange(self) -> None:
        """Go on with a connection that is there; OSError when it is not after all."""

    def _finish(self, result: ProbeResult) -> None:
        self._timer.cancel()
        self._leave()
        self._timer = self._loop.call_soon(self._done, result)

    def _fail(self, error: Exception) -> None:
        self._finish(ProbeResult(ProbeKind.FAILED, describe(error)))

    def _expired(self, timeout: float) -> None:
        self._finish(ProbeResult(ProbeKind.FAILED, f"no {self.LATENESS} within {timeout:g} s"))

    def _leave(self) -> None:
        if self._resolving is not None:
            self._resolving.cancel()
        if self._socket is not None:
            descriptor = self._socket.fileno()
            self._loop.remove_reader(descriptor)
            self._loop.remove_writer(descriptor)
            self._socket.close()
            self._socket = None

    async def _resolve(self, host: str) -> None:
        try:
            found = await self._loop.getaddrinfo(host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            self._resolving = None
            self._fail(error)
            return
        self._resolving = None
        self._left.extend((family, str(address[0])) for family, _, _, _, address in found)
        self._connect()

    def _connect(self) -> None:
        """Try the next address."""
        family, address = self._left.pop(0)
        try:
            self._socket = connection = socket.socket(family, socket.SOCK_STREAM)
            connection.settimeout(0)
            code = connection.connect_ex((address, self._port))
            if code not in _UNDER_WAY:
                raise OSError(code, os.strerror(code))  # noqa: TRY301  it has one way to fail
            self._connecting()
        except OSError as error:
            self._unconnected(error)

    def _unconnected(self, error: OSError) -> None:
        if not self._left:
            self._fail(error)
            return
        self._leave()
        self._connect()

    def _await_connection(self) -> None:
        assert self._socket is not None, "waited for while it is being made"
        self._loop.add_writer(self._socket.fileno(), self._connected)

    def _connected(self) -> None:
        assert self._socket is not None, "heard of while there is one"
        self._loop.remove_writer(self._socket.fileno())
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        try:
            if code:
                raise OSError(code, os.strerror(code))  # noqa: TRY301  it has one way to fail
            self._exchange()
        except OSError as error:
            self._unconnected(error)


class TcpCheck(Check):
    """Passes as soon as the connection is accepted."""

    __slots__ = ()

    LATENESS = "connection"

    def _connecting(self) -> None:
        self._await_connection()

    def _exchange(self) -> None:
        self._finish(ProbeResult(ProbeKind.OK, f"port {self._port} accepts connections"))


class HttpCheck(Check):
    """Sends a request and reads as much of the answer as a verdict needs."""

    __slots__ = ("_body", "_expect_status", "_reader", "_request")

    LATENESS = "answer"

    def __init__(
        self, port: int, request: bytes, expect_status: tuple[int, ...] | None, done: Done
    ) -> None:
        super().__init__(port, done)
        self._request = request
        self._expect_status = expect_status
        self._reader = ResponseReader("GET")
        self._body = b""

    def _connecting(self) -> None:
        # A connection on loopback is there when connect returns, whatever it says of itself.
        try:
            self._exchange()
        except BlockingIOError:
            self._await_connection()
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise
            self._await_connection()

    def _exchange(self) -> None:
        assert self._socket is not None, "used while there is one"
        self._socket.send(self._request)  # never in part: the buffer is empty and far larger
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def _readable(self) -> None:
        assert self._socket is not None, "read while there is one"
        try:
            data = self._socket.recv(_READ_SIZE)
            self._reader.feed(data)
        except BlockingIOError:
            return
        except (OSError, MsctlError) as error:
            self._fail(error)
            return
        self._body += self._reader.take()
        head = self._reader.head
        if head and (self._reader.complete or len(self._body) > MAX_ANSWER):
            self._finish(classify(head.status, self._body, self._expect_status))


def describe(error: Exception) -> str:
    """Say in a few words what went wrong with a connection."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, OSError) and error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__


def _known(host: str) -> Iterable[_Address] | None:
    """Return the addresses of a host that nobody has to be asked for."""
    if host == "localhost":
        return _LOCALHOST
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            socket.inet_pton(family, host)
            return ((family, host),)
    return None
