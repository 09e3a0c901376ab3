"""The control API of a project's daemon, as calls."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msctl.client.connection import connect
from msctl.client.exchange import Exchange, Header, StreamedBody
from msctl.client.response import BrokenResponse
from msctl.errors import MsctlError, UsageError

_HOST: Header = ("Host", "msctl")
_BAD_REQUEST = 400
_SERVER_ERROR = 500


class ControlClient:
    """Talks to the daemon behind one control socket; every request has its own connection.

    All methods raise NoDaemon when nothing listens there.
    """

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Return status and JSON document of a short request; `timeout` in seconds."""
        with self._json(method, path, body, timeout) as exchange:
            head = exchange.read_head()
            document = _document(b"".join(exchange.read_body()))
        return head.status, document

    def fetch(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Like `request`, but raise UsageError or MsctlError for a refusal."""
        status, document = self.request(method, path, body, timeout=timeout)
        _raise_for(status, document)
        return document

    def stream(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> "MessageStream":
        """Start an operation and return its messages; closing them early cancels it."""
        exchange = self._json(method, path, body, None)
        with _closed_on_error(exchange):
            head = exchange.read_head()
            if head.status >= _BAD_REQUEST:
                _raise_for(head.status, _document(b"".join(exchange.read_body())))
        return MessageStream(exchange)

    def open(
        self,
        method: str,
        path: str,
        headers: Iterable[Header] = (),
        body: bytes | StreamedBody | None = None,
    ) -> Exchange:
        """Send any request; the caller reads the response and closes the exchange."""
        exchange = Exchange(connect(self._path), method)
        with _closed_on_error(exchange):
            exchange.start(method, path, _with_usual(headers), body)
        return exchange

    def _json(
        self, method: str, path: str, body: Mapping[str, Any] | None, timeout: float | None
    ) -> Exchange:
        exchange = Exchange(connect(self._path, timeout), method)
        headers = _with_usual([("Content-Type", "application/json")])
        content = None if body is None else json.dumps(body).encode()
        with _closed_on_error(exchange):
            exchange.start(method, path, headers, content)
        return exchange


class MessageStream:
    """NDJSON messages of one operation, decoded as they arrive.

    Iterate to wait for each, or wait for `fileno()` (unless `ready`) and call `receive()` for
    those that one read brings. BrokenResponse when the daemon dies in the middle.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._partial = b""

    @property
    def ready(self) -> bool:
        """Whether `receive` returns without waiting."""
        return self._exchange.ready

    @property
    def ended(self) -> bool:
        """Whether the daemon has said all it will."""
        return self._exchange.drained

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._exchange.fileno()

    def receive(self) -> list[dict[str, Any]]:
        """Read at most once and return the messages that are complete."""
        try:
            if not self._exchange.ready:
                self._exchange.fill()
        except BrokenResponse:
            raise BrokenResponse("the daemon went away before it had finished") from None
        *lines, self._partial = (self._partial + self._exchange.take()).split(b"\n")
        return [json.loads(line) for line in lines if line.strip()]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield every message until the stream ends, then close it."""
        try:
            while not self.ended:
                yield from self.receive()
        finally:
            self.close()

    def close(self) -> None:
        """Drop the connection: an operation that has no result yet is cancelled."""
        self._exchange.close()


@contextmanager
def _closed_on_error(exchange: Exchange) -> Iterator[None]:
    try:
        yield
    except BaseException:
        exchange.close()
        raise


def _with_usual(headers: Iterable[Header]) -> list[Header]:
    given = list(headers)
    has_host = any(name.lower() == "host" for name, _ in given)
    return [*([] if has_host else [_HOST]), ("Connection", "close"), *given]


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        return {"error": body.decode("utf-8", "replace")[:200]}
    return document if isinstance(document, dict) else {"value": document}


def _raise_for(status: int, document: Mapping[str, Any]) -> None:
    """Turn a refusal of the control API into the exception that says the same."""
    if status < _BAD_REQUEST:
        return
    error = str(document.get("error") or f"the daemon answered {status}")
    if status < _SERVER_ERROR:
        raise UsageError(error)  # an unknown service, named with the nearest one
    raise MsctlError(error)
