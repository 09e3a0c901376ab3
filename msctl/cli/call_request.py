"""The request of `msctl call`, from its arguments."""

import os
import stat
import sys

from msctl.cli import plain
from msctl.client.exchange import StreamedBody
from msctl.errors import UsageError

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
    from collections.abc import Sequence

Header = tuple[str, str]

_TOKEN = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # noqa: S105
"""The characters of a token (RFC 9110 §5.6.2)."""
_NOT_IN_VALUE = frozenset(map(chr, [*range(9), *range(10, 32), 127]))
_PATH_SAFE = "/?%:@!$&'()*+,;=-._~"
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_JSON = "application/json"
_STDIN = 0
_PIECE = 1 << 16
_END_TIMEOUT = 50  # milliseconds in which the end of a short input usually shows


class BodySource:
    """Where the body comes from."""

    NONE = "none"
    TEXT = "text"
    FILE = "file"
    STDIN = "stdin"


class CallRequest:
    """What is sent; the body is read only when it is."""

    def __init__(
        self,
        *,
        service: str,
        method: str,
        target: str,
        headers: tuple[Header, ...],
        source: str,
        content: str = "",
    ) -> None:
        self.service = service
        self.method = method
        self.target = target
        self.headers = headers
        self.source = source
        self.content = content
        """The text, or the file's name."""

    def route(self, *, instance: str | None, milliseconds: int | None) -> None:
        """Add what only the router reads; raises UsageError."""
        if instance is not None:
            if not _is_token(instance):
                raise UsageError(f"--instance {instance}: give an id such as {self.service}-1")
            self.headers += (("X-Msctl-Instance", instance),)
        if milliseconds is not None:
            self.headers += (("X-Msctl-Deadline-Ms", str(milliseconds)),)

    @property
    def doubtful(self) -> bool:
        """Whether the body is a text that claims to be JSON and is not."""
        if self.source != BodySource.TEXT or self._has("content-type"):
            return False
        return not plain.is_json(self.content)

    def read_body(self) -> bytes | StreamedBody | None:
        """Return the body; raises UsageError for a file that cannot be read."""
        if self.source == BodySource.TEXT:
            return self.content.encode("utf-8", "surrogateescape")
        if self.source == BodySource.FILE:
            return _from_descriptor(_open(self.content))
        return _from_descriptor(_STDIN) if self.source == BodySource.STDIN else None

    def header_fields(
        self, body: bytes | StreamedBody | None, *, last: bool = True
    ) -> list[Header]:
        """Return the header fields, the usual ones added where the user gave none.

        `last` says that no other request follows on the connection.
        """
        usual = [("Accept", "*/*"), ("User-Agent", "msctl"), ("Host", "localhost")]
        if body is not None:
            usual.append(("Content-Type", self._content_type()))
        missing = [field for field in usual if not self._has(field[0].lower())]
        closing = [("Connection", "close")] if last else []
        return [*closing, *missing, *self.headers]

    def _has(self, name: str) -> bool:
        return any(key.lower() == name for key, _ in self.headers)

    def _content_type(self) -> str:
        guess = plain.content_type(self.content) if self.source == BodySource.FILE else None
        return guess or _JSON


def build_request(
    service: str,
    method: str,
    path: str,
    body: str | None,
    *,
    headers: "Sequence[str]",
    query: "Sequence[str]",
) -> CallRequest:
    """Check the arguments; raises UsageError."""
    if not _is_token(method):
        raise UsageError(f"{method!r} is not an HTTP method")
    source, content = _source(method.upper(), body)
    return CallRequest(
        service=service,
        method=method.upper(),
        target=_target(service, path, query),
        headers=tuple(_header(text) for text in headers),
        source=source,
        content=content,
    )


def _is_token(text: str) -> bool:
    return bool(text) and not text.strip(_TOKEN)


def _target(service: str, path: str, query: "Sequence[str]") -> str:
    rooted = path if path.startswith("/") else f"/{path}"
    target = f"/call/{plain.quote(service, '')}{plain.quote(rooted, _PATH_SAFE)}"
    pairs = [pair.partition("=") for pair in query]
    if bad := [key for key, equals, _ in pairs if not equals]:
        raise UsageError(f"--query {bad[0]}: give it as K=V")
    if pairs:
        joint = "&" if "?" in rooted else "?"
        target += joint + plain.urlencode([(key, value) for key, _, value in pairs])
    return target


def _header(text: str) -> Header:
    name, colon, value = text.partition(":")
    value = value.strip()
    if not (colon and _is_token(name) and _NOT_IN_VALUE.isdisjoint(value)):
        raise UsageError(f"--header {text!r}: give it as 'Name: value'")
    return name, value


def _source(method: str, body: str | None) -> tuple[str, str]:
    if body is None:
        piped = method in _WITH_BODY and _stdin_has_data()
        return (BodySource.STDIN if piped else BodySource.NONE), ""
    if body == "-":
        return BodySource.STDIN, ""
    if body.startswith("@"):
        return BodySource.FILE, body[1:]
    return BodySource.TEXT, body


def _stdin_has_data() -> bool:
    """Whether stdin is a pipe or a regular file; a terminal or /dev/null is no body."""
    if sys.stdin is None:
        return False
    mode = os.fstat(_STDIN).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _open(name: str) -> int:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from None
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"cannot read {name}: it is a directory")
    return descriptor


def _from_descriptor(descriptor: int) -> bytes | StreamedBody | None:
    """Return a body of known length where possible; None for an empty pipe."""
    info = os.fstat(descriptor)
    if stat.S_ISREG(info.st_mode):
        position = os.lseek(descriptor, 0, os.SEEK_CUR)
        return StreamedBody(descriptor, max(0, info.st_size - position))
    beginning = os.read(descriptor, _PIECE)
    if not beginning:
        return None
    if _is_readable(descriptor):
        more = os.read(descriptor, _PIECE)
        if not more:
            return beginning  # all of it: sent with its length, and it can be retried
        beginning += more
    return StreamedBody(descriptor, None, beginning)


def _is_readable(descriptor: int) -> bool:
    from select import POLLIN, poll  # noqa: PLC0415 - for start-up time: most calls have no body

    poller = poll()
    poller.register(descriptor, POLLIN)
    return bool(poller.poll(_END_TIMEOUT))
