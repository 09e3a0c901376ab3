import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.proxy.faults import BadMessage
from msctl.proxy.framing import CHUNKED, NO_BODY, UNTIL_CLOSE, Framing
from msctl.proxy.framing import BodyKind as Kind
from msctl.proxy.head import MAX_HEAD, HeadScanner, parse_request, parse_response


def request(*lines: str, line: str = "GET / HTTP/1.1", host: bool = True) -> bytes:
    fields = ("Host: a", *lines) if host else lines
    return "\r\n".join((line, *fields, "", "")).encode("latin-1")


def response(*lines: str, line: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join((line, *lines, "", "")).encode("latin-1")


def take(raw: bytes) -> tuple[bytes | None, bytes]:
    buffer = bytearray(raw)
    return HeadScanner().take(buffer), bytes(buffer)


def test_a_head_ends_at_its_empty_line_and_leaves_what_follows() -> None:
    assert take(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nnext") == (request(), b"next")


def test_empty_lines_before_a_request_are_skipped() -> None:
    assert take(b"\r\n\r\n\r\n" + request()) == (request(), b"")


def test_an_incomplete_head_stays_in_the_buffer() -> None:
    assert take(request()[:-1]) == (None, request()[:-1])


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.1\r\nA: b\n\n",
        b"GET /\rHost",
        b"GET /\0",
        b"\n",
        b"\r\r",
    ],
)
def test_bare_line_ends_and_nul_are_refused_before_the_head_is_complete(raw: bytes) -> None:
    with pytest.raises(BadMessage):
        take(raw)


@pytest.mark.parametrize("complete", [False, True])
def test_a_head_over_the_limit_is_431(*, complete: bool) -> None:
    raw = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * MAX_HEAD + (b"\r\n\r\n" if complete else b"")
    with pytest.raises(BadMessage) as error:
        take(raw)
    assert error.value.status == 431


def test_a_head_of_exactly_the_limit_is_served() -> None:
    raw = request("X: ")
    raw = raw[:-4] + b"x" * (MAX_HEAD - len(raw)) + raw[-4:]
    assert take(raw) == (raw, b"")


HEAD_LIKE = st.lists(
    st.sampled_from(
        [b"GET / HTTP/1.1", b"\r\n", b"\r", b"\n", b"Host: a", b"\0", b"\r\n\r\n", b"x" * 700]
    ),
    max_size=12,
).map(b"".join)


def feed(pieces: list[bytes]) -> list[bytes | str]:
    """Every head in the stream, then the fault if there is one."""
    scanner, buffer, seen = HeadScanner(), bytearray(), list[bytes | str]()
    try:
        for piece in pieces:
            buffer += piece
            while (head := scanner.take(buffer)) is not None:
                seen.append(head)
    except BadMessage as fault:
        seen.append(fault.detail)
    return seen


@given(HEAD_LIKE, st.lists(st.integers(0, 200), max_size=8))
def test_any_split_of_the_bytes_gives_the_same_heads(raw: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    pieces = [raw[a:b] for a, b in itertools.pairwise(edges)]
    assert feed(pieces) == feed([raw])
    assert feed([raw[i : i + 1] for i in range(len(raw))]) == feed([raw])


@given(st.binary(max_size=200))
def test_no_bytes_make_the_parser_fail_in_another_way(raw: bytes) -> None:
    for parse in (lambda: parse_request(raw), lambda: parse_response(raw, b"GET")):
        try:
            parse()
        except BadMessage:
            continue


def test_a_request_is_taken_apart_and_its_lines_kept_as_they_came() -> None:
    head = parse_request(request("X-Odd:\t a  b \t", "X-EMPTY:", line="PATCH /a?b=%20 HTTP/1.1"))
    assert (head.method, head.target.path, head.minor) == (b"PATCH", b"/a?b=%20", 1)
    assert head.host == b"a"
    assert [tuple(field) for field in head.fields[1:]] == [
        (b"x-odd", b"a  b", b"X-Odd:\t a  b \t"),
        (b"x-empty", b"", b"X-EMPTY:"),
    ]


def test_bytes_above_127_pass_in_values_and_targets() -> None:
    head = parse_request(request("X: \xe9", line="GET /\xe9 HTTP/1.1"))
    assert head.target.path == b"/\xe9"
    assert head.fields[1].value == b"\xe9"


@pytest.mark.parametrize(
    ("lines", "framing"),
    [
        ((), NO_BODY),
        (("Content-Length: 0",), NO_BODY),
        (("Content-Length: 7",), Framing(Kind.LENGTH, 7)),
        (("Content-Length: 007",), Framing(Kind.LENGTH, 7)),
        (("Transfer-Encoding: chunked",), CHUNKED),
        (("Transfer-Encoding: CHUNKED",), CHUNKED),
    ],
)
def test_a_request_without_length_or_coding_has_no_body(
    lines: tuple[str, ...], framing: Framing
) -> None:
    assert parse_request(request(*lines)).framing == framing


@pytest.mark.parametrize(
    ("head", "method", "framing"),
    [
        (response(), b"GET", UNTIL_CLOSE),
        (response("Content-Length: 0"), b"GET", Framing(Kind.LENGTH, 0)),
        (response("Content-Length: 9"), b"GET", Framing(Kind.LENGTH, 9)),
        (response("Content-Length: 9"), b"HEAD", NO_BODY),
        (response("Transfer-Encoding: chunked"), b"GET", CHUNKED),
        (response("Content-Length: 9", line="HTTP/1.1 304 Not Modified"), b"GET", NO_BODY),
        (response("Content-Length: 9", line="HTTP/1.1 204 No Content"), b"GET", NO_BODY),
        (response(line="HTTP/1.1 103 Early Hints"), b"GET", NO_BODY),
        (response(line="HTTP/1.1 101 Switching"), b"GET", NO_BODY),
    ],
)
def test_a_responses_body_depends_on_status_and_method(
    head: bytes, method: bytes, framing: Framing
) -> None:
    assert parse_response(head, method).framing == framing


@pytest.mark.parametrize("line", ["HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.0 200 All is well"])
def test_a_status_line_may_go_without_a_reason(line: str) -> None:
    assert parse_response(response(line=line), b"GET").status == 200


@pytest.mark.parametrize(
    "head",
    [
        response(line="HTTP/1.1 99 Low"),
        response(line="HTTP/1.1 099 Low"),
        response(line="HTTP/1.1 2000 High"),
        response(line="HTTP/2 200 OK"),
        response(line="ICY 200 OK"),
        response(line="HTTP/1.1  200 OK"),
        response("Folded: a", " b"),
        response("Space : a"),
        response("no colon"),
        response("Content-Length: 1", "Content-Length: 1"),
        response("Content-Length: 1", "Transfer-Encoding: chunked"),
        response("Content-Length: -1"),
        response("Transfer-Encoding: gzip"),
        response("Transfer-Encoding: chunked", line="HTTP/1.0 200 OK"),
    ],
)
def test_a_malformed_response_is_refused(head: bytes) -> None:
    with pytest.raises(BadMessage):
        parse_response(head, b"GET")


@pytest.mark.parametrize(
    ("lines", "line", "persistent"),
    [
        ((), "GET / HTTP/1.1", True),
        (("Connection: x, Close",), "GET / HTTP/1.1", False),
        ((), "GET / HTTP/1.0", False),
        (("Connection: keep-alive",), "GET / HTTP/1.0", False),
    ],
)
def test_a_connection_goes_on_unless_told_to_close_or_http_1_0(
    lines: tuple[str, ...], line: str, *, persistent: bool
) -> None:
    assert parse_request(request(*lines, line=line)).persistent is persistent


WEBSOCKET = ("Connection: keep-alive, Upgrade", "Upgrade: websocket")


@pytest.mark.parametrize(
    ("lines", "line", "protocol"),
    [
        (WEBSOCKET, "GET / HTTP/1.1", b"websocket"),
        (WEBSOCKET, "GET / HTTP/1.0", None),
        ((*WEBSOCKET, "Content-Length: 1"), "GET / HTTP/1.1", None),
        (("Upgrade: websocket",), "GET / HTTP/1.1", None),
        (("Connection: upgrade, http2-settings", "Upgrade: h2c"), "GET / HTTP/1.1", None),
    ],
)
def test_an_upgrade_needs_the_connection_option_and_no_body_and_is_never_h2c(
    lines: tuple[str, ...], line: str, protocol: bytes | None
) -> None:
    assert parse_request(request(*lines, line=line)).upgrade == protocol


def test_a_client_waits_for_100_only_with_a_body_and_http_1_1() -> None:
    expect = ("Expect: 100-Continue", "Content-Length: 3")
    assert parse_request(request(*expect)).expects_continue
    assert not parse_request(request(expect[0])).expects_continue
    assert not parse_request(request(*expect, line="POST / HTTP/1.0")).expects_continue
