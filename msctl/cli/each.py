"""`msctl call --each`: a request for every line of stdin, a line of output for every request."""

import json
import os
from _socket import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from msctl.client.fanout import Answered, FanOut, Unanswered
from msctl.client.response import ResponseHead
from msctl.exitcodes import ExitCode

_PIECE: Final = 1 << 18
_ERROR: Final = 400
_REASON: Final = "x-msctl-reason"
_STDOUT_PIECE: Final = 1 << 16

Connect = Callable[[], socket]


class Lines:
    """The lines of a descriptor, each made into a request; no more is read than is asked for."""

    def __init__(self, descriptor: int, request: Callable[[bytes], bytes]) -> None:
        self._descriptor = descriptor
        self._request = request
        self._lines: deque[bytes] = deque()
        self._part: list[bytes] = []
        self._at_end = False

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    @property
    def ended(self) -> bool:
        """Whether all lines have been taken."""
        return self._at_end and not self._lines

    def take(self) -> bytes | None:
        """Return the request of the next line that is there."""
        return self._request(self._lines.popleft()) if self._lines else None

    def fill(self) -> None:
        """Read once. The last line may lack its end."""
        data = os.read(self._descriptor, _PIECE)
        if not data:
            self._at_end = True
            if rest := b"".join(self._part):
                self._lines.append(rest.removesuffix(b"\r"))
            self._part.clear()
            return
        first, *others = data.split(b"\n")
        self._part.append(first)
        for line in others:
            self._lines.append(b"".join(self._part).removesuffix(b"\r"))
            self._part = [line]


def request_maker(
    method: str, target: str, headers: Sequence[tuple[str, str]]
) -> Callable[[bytes], bytes]:
    """Return what makes a whole request of a body."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    head = "\r\n".join([*lines, "Content-Length: "]).encode("utf-8", "surrogateescape")
    return lambda body: b"%b%d\r\n\r\n%b" % (head, len(body), body)


def call_each(
    connect: Connect,
    method: str,
    request: Callable[[bytes], bytes],
    *,
    parallel: int,
    no_fail: bool,
    stdin: int = 0,
    stdout: int = 1,
) -> int:
    """Make all the requests and print the answers in order; return the exit code.

    Raises NoDaemon; BrokenPipeError when nobody reads the answers any more. Output is
    collected only while nothing has to be waited for.
    """
    failed = False
    lines = Lines(stdin, request)
    out = _Output(stdout)
    fan = FanOut(connect, method, lines, parallel, on_wait=out.flush, reader=stdout)
    for number, answer in enumerate(fan.answers(), start=1):
        error = failure(answer)
        if error is None or (no_fail and isinstance(answer, Answered)):
            assert isinstance(answer, Answered), "what has no error was answered"
            out.write(as_value(answer.body))
        else:
            status = answer.head.status if isinstance(answer, Answered) else None
            out.write(_compact({"error": error, "status": status, "line": number}))
        failed = failed or (error is not None and not no_fail)
    out.flush()
    return ExitCode.ANSWERED_ERROR if failed else ExitCode.OK


def failure(answer: Answered | Unanswered) -> str | None:
    """Return why it is not a good answer: the router's reason, else the status in words."""
    if isinstance(answer, Unanswered):
        return str(answer.error)
    head = answer.head
    if head.status < _ERROR:
        return None
    return head.header(_REASON) or _in_words(head)


def as_value(body: bytes) -> bytes:
    """Return a body as one line of JSON: itself if it is JSON, else a string of its text."""
    try:
        value = json.loads(body.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        return _compact(body.decode("utf-8", "replace"))
    # What is on one line already stays as it is: numbers and the like keep their spelling.
    return body.strip() if b"\n" not in body and b"\r" not in body else _compact(value)


class _Output:
    """Lines on their way to stdout."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: list[bytes] = []
        self._size = 0

    def write(self, line: bytes) -> None:
        self._lines += (line, b"\n")
        self._size += len(line)
        if self._size > _STDOUT_PIECE:
            self.flush()

    def flush(self) -> None:
        data = memoryview(b"".join(self._lines))
        self._lines.clear()
        self._size = 0
        while data:
            data = data[os.write(self._descriptor, data) :]


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _in_words(head: ResponseHead) -> str:
    return head.reason or f"status {head.status}"
