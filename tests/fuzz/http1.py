"""Coverage-guided fuzzing of everything that reads HTTP, for as long as one likes.

    pip install atheris
    python tests/fuzz/http1.py request|response|client [-max_total_time=60]

Not collected by pytest, which holds the same rules with hypothesis. Each target asserts that
nothing but the reader's own error is ever raised, and that the pieces in which bytes arrive
make no difference.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports():
    from msctl.client.response import BrokenResponse, ResponseReader
    from msctl.proxy.body import body_reader
    from msctl.proxy.familiar import REQUEST_LINE
    from msctl.proxy.faults import BadMessage
    from msctl.proxy.head import HeadScanner, parse_request, parse_response

Reading = tuple[object, ...]


def read_message(pieces: list[bytes], parse: Callable[[bytes], object]) -> Reading:
    """Read one head and its body; return all that was understood, or the fault."""
    scanner, buffer = HeadScanner(), bytearray()
    head: object = None
    reader = None
    body = b""
    try:
        for piece in pieces:
            buffer += piece
            if head is None and (raw := scanner.take(buffer)) is not None:
                head = parse(raw)
                reader = body_reader(head.framing)  # type: ignore[attr-defined]
            # What comes before a fault is given out first, the fault at the next look.
            while reader is not None and not reader.done and (data := reader.take(buffer)):
                body += data
    except BadMessage as fault:
        return ("fault", fault.status)
    return (head, body, reader is not None and reader.done)


def request(data: bytes) -> None:
    whole = read_message([data], parse_request)
    bytewise = read_message([data[n : n + 1] for n in range(len(data))], parse_request)
    assert whole == bytewise, (whole, bytewise)
    line = REQUEST_LINE.match(data)
    if line is not None and whole[0] != "fault" and whole[0] is not None:
        parsed = whole[0]
        assert parsed.method == line[1]  # type: ignore[attr-defined]
        assert parsed.target.path == line[2]  # type: ignore[attr-defined]


def response(data: bytes) -> None:
    def parse(raw: bytes) -> object:
        return parse_response(raw, b"GET")

    whole = read_message([data], parse)
    bytewise = read_message([data[n : n + 1] for n in range(len(data))], parse)
    assert whole == bytewise, (whole, bytewise)


def client(data: bytes) -> None:
    def read(pieces: list[bytes]) -> Reading:
        reader, body = ResponseReader("GET"), b""
        try:
            for piece in pieces:
                reader.feed(piece)
                body += reader.take()
        except BrokenResponse:
            return ("broken",)
        return (reader.head, body, reader.complete)

    whole = read([data] if data else [])
    bytewise = read([data[n : n + 1] for n in range(len(data))])
    assert whole == bytewise, (whole, bytewise)


SEEDS = {
    "request": [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /x?y=z HTTP/1.1\r\nHost: a:80\r\nContent-Length: 3\r\n\r\nabc",
        b"PUT http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n",
        b"GET /w HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, x\r\nUpgrade: websocket\r\n\r\n",
    ],
    "response": [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.0 404 Not Found\r\n\r\nuntil close",
    ],
}
SEEDS["client"] = SEEDS["response"]
TARGETS = {"request": request, "response": response, "client": client}


def main() -> None:
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if name not in TARGETS:
        sys.exit(f"usage: python {sys.argv[0]} {'|'.join(TARGETS)} [libFuzzer options]")
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS[name]):
            Path(corpus, str(number)).write_bytes(seed)
        atheris.Setup([*sys.argv, corpus], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
