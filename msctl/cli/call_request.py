"""The request of `msctl call`, from its arguments."""

import json
import mimetypes
import os
import re
import select
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Self
from urllib.parse import quote, urlencode

from msctl.client import StreamedBody
from msctl.errors import UsageError

Header = tuple[str, str]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_PATH_SAFE = "/?%:@!$&'()*+,;=-._~"
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_JSON = "application/json"
_STDIN = 0
_PIECE = 1 << 16
_END_TIMEOUT = 50  # milliseconds in which the end of a short input usually shows


class BodySource(Enum):
    """Where the body comes from."""

    NONE = auto()
    TEXT = auto()
    FILE = auto()
    STDIN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """What is sent; the body is read only when it is."""

    service: str
    method: str
    target: str
    headers: tuple[Header, ...]
    source: BodySource
    content: str = ""
    """The text, or the file's name."""

    def routed(self, *, instance: str | None, milliseconds: int | None) -> Self:
        """Return the request with what only the router reads."""
        extra: list[Header] = []
        if instance is not None:
            if not _TOKEN.fullmatch(instance):
                raise UsageError(f"--instance {instance}: give an id such as {self.service}-1")
            extra.append(("X-Msctl-Instance", instance))
        if milliseconds is not None:
            extra.append(("X-Msctl-Deadline-Ms", str(milliseconds)))
        return replace(self, headers=(*self.headers, *extra))

    @property
    def doubtful(self) -> bool:
        """Whether the body is a text that claims to be JSON and is not."""
        if self.source is not BodySource.TEXT or self._has("content-type"):
            return False
        try:
            json.loads(self.content)
        except ValueError:
            return True
        return False

    def read_body(self) -> bytes | StreamedBody | None:
        """Return the body; raises UsageError for a file that cannot be read."""
        match self.source:
            case BodySource.NONE:
                return None
            case BodySource.TEXT:
                return self.content.encode("utf-8", "surrogateescape")
            case BodySource.FILE:
                return _from_descriptor(_open(self.content))
            case BodySource.STDIN:
                return _from_descriptor(_STDIN)

    def header_fields(self, body: bytes | StreamedBody | None) -> list[Header]:
        """Return the header fields, the usual ones added where the user gave none."""
        usual = [("Accept", "*/*"), ("User-Agent", "msctl"), ("Host", "localhost")]
        if body is not None:
            usual.append(("Content-Type", self._content_type()))
        return [*(field for field in usual if not self._has(field[0].lower())), *self.headers]

    def _has(self, name: str) -> bool:
        return any(key.lower() == name for key, _ in self.headers)

    def _content_type(self) -> str:
        guess = mimetypes.guess_type(self.content)[0] if self.source is BodySource.FILE else None
        return guess or _JSON


def build_request(
    service: str,
    method: str,
    path: str,
    body: str | None,
    *,
    headers: Sequence[str],
    query: Sequence[str],
) -> CallRequest:
    """Check the arguments; raises UsageError."""
    if not _TOKEN.fullmatch(method):
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


def _target(service: str, path: str, query: Sequence[str]) -> str:
    rooted = path if path.startswith("/") else f"/{path}"
    target = f"/call/{quote(service, safe='')}{quote(rooted, safe=_PATH_SAFE)}"
    pairs = [pair.partition("=") for pair in query]
    if bad := [key for key, equals, _ in pairs if not equals]:
        raise UsageError(f"--query {bad[0]}: give it as K=V")
    if pairs:
        joint = "&" if "?" in rooted else "?"
        target += joint + urlencode([(key, value) for key, _, value in pairs])
    return target


def _header(text: str) -> Header:
    name, colon, value = text.partition(":")
    value = value.strip()
    if not (colon and _TOKEN.fullmatch(name) and _VALUE.fullmatch(value)):
        raise UsageError(f"--header {text!r}: give it as 'Name: value'")
    return name, value


def _source(method: str, body: str | None) -> tuple[BodySource, str]:
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
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    if poller.poll(_END_TIMEOUT):
        more = os.read(descriptor, _PIECE)
        if not more:
            return beginning  # all of it: sent with its length, and it can be retried
        beginning += more
    return StreamedBody(descriptor, None, beginning)
