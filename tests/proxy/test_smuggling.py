"""The catalogue: what two readers could take differently is refused by this one."""

import pytest

from msctl.proxy.faults import BadMessage
from msctl.proxy.head import HeadScanner, parse_request

HOST = b"Host: a\r\n"
CATALOGUE = {
    "length and coding": b"POST / HTTP/1.1\r\n%bContent-Length: 3\r\nTransfer-Encoding: chunked",
    "coding and length": b"POST / HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\nContent-Length: 3",
    "two lengths": b"POST / HTTP/1.1\r\n%bContent-Length: 3\r\nContent-Length: 4",
    "two equal lengths": b"POST / HTTP/1.1\r\n%bContent-Length: 3\r\ncontent-length: 3",
    "list of lengths": b"POST / HTTP/1.1\r\n%bContent-Length: 3, 3",
    "length with sign": b"POST / HTTP/1.1\r\n%bContent-Length: +3",
    "negative length": b"POST / HTTP/1.1\r\n%bContent-Length: -3",
    "hex length": b"POST / HTTP/1.1\r\n%bContent-Length: 0x3",
    "length with underscore": b"POST / HTTP/1.1\r\n%bContent-Length: 1_0",
    "length with space": b"POST / HTTP/1.1\r\n%bContent-Length: 1 0",
    "empty length": b"POST / HTTP/1.1\r\n%bContent-Length: ",
    "length in other digits": "POST / HTTP/1.1\r\n%bContent-Length: \u0663".encode(),
    "huge length": b"POST / HTTP/1.1\r\n%bContent-Length: 99999999999999999999",
    "coding twice": b"POST / HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "coding listed twice": b"POST / HTTP/1.1\r\n%bTransfer-Encoding: chunked, chunked",
    "coding not last": b"POST / HTTP/1.1\r\n%bTransfer-Encoding: chunked, identity",
    "gzip first": b"POST / HTTP/1.1\r\n%bTransfer-Encoding: gzip, chunked",
    "identity": b"POST / HTTP/1.1\r\n%bTransfer-Encoding: identity",
    "unknown coding": b"POST / HTTP/1.1\r\n%bTransfer-Encoding: xchunked",
    "quoted coding": b'POST / HTTP/1.1\r\n%bTransfer-Encoding: "chunked"',
    "coding with parameter": b"POST / HTTP/1.1\r\n%bTransfer-Encoding: chunked;a=b",
    "empty coding": b"POST / HTTP/1.1\r\n%bTransfer-Encoding:",
    "coding with vertical tab": b"POST / HTTP/1.1\r\n%bTransfer-Encoding: \x0bchunked",
    "coding in HTTP/1.0": b"POST / HTTP/1.0\r\n%bTransfer-Encoding: chunked",
    "folded coding": b"POST / HTTP/1.1\r\n%bTransfer-Encoding:\r\n chunked",
    "folded field": b"GET / HTTP/1.1\r\n%bX: a\r\n\tb",
    "folded first field": b"GET / HTTP/1.1\r\n X: a\r\nHost: a",
    "space before colon": b"POST / HTTP/1.1\r\n%bTransfer-Encoding : chunked",
    "tab before colon": b"POST / HTTP/1.1\r\n%bContent-Length\t: 3",
    "space in name": b"GET / HTTP/1.1\r\n%bX Y: a",
    "no colon": b"GET / HTTP/1.1\r\n%bnonsense",
    "empty name": b"GET / HTTP/1.1\r\n%b: a",
    "name above 127": b"GET / HTTP/1.1\r\n%bX\xa0: a",
    "control character in value": b"GET / HTTP/1.1\r\n%bX: a\x01b",
    "delete in value": b"GET / HTTP/1.1\r\n%bX: a\x7fb",
    "bare LF between fields": b"GET / HTTP/1.1\r\n%bX: a\nY: b",
    "bare CR in value": b"GET / HTTP/1.1\r\n%bX: a\rY: b",
    "bare LF after request line": b"GET / HTTP/1.1\n%b",
    "NUL in value": b"GET / HTTP/1.1\r\n%bX: \0",
    "NUL in target": b"GET /\0 HTTP/1.1\r\n%b",
    "no host": b"GET / HTTP/1.1\r\nX: a",
    "two hosts": b"GET / HTTP/1.1\r\n%bHost: a",
    "two hosts in HTTP/1.0": b"GET / HTTP/1.0\r\n%bHost: b",
    "list of hosts with space": b"GET / HTTP/1.1\r\nHost: a b",
    "host with user": b"GET / HTTP/1.1\r\nHost: user@a",
    "host with path": b"GET / HTTP/1.1\r\nHost: a/b",
    "space in target": b"GET /a b HTTP/1.1\r\n%b",
    "two spaces": b"GET  / HTTP/1.1\r\n%b",
    "tab for space": b"GET\t/ HTTP/1.1\r\n%b",
    "space before method": b" GET / HTTP/1.1\r\n%b",
    "space after version": b"GET / HTTP/1.1 \r\n%b",
    "fragment": b"GET /a#b HTTP/1.1\r\n%b",
    "relative target": b"GET a HTTP/1.1\r\n%b",
    "empty target": b"GET  HTTP/1.1\r\n%b",
    "HTTP/0.9": b"GET /",
    "lower-case version": b"GET / http/1.1\r\n%b",
    "long version": b"GET / HTTP/1.1.1\r\n%b",
    "CONNECT": b"CONNECT a:80 HTTP/1.1\r\n%b",
    "authority form": b"GET a:80 HTTP/1.1\r\n%b",
    "asterisk for GET": b"GET * HTTP/1.1\r\n%b",
    "absolute form with user": b"GET http://user@a/ HTTP/1.1\r\n%b",
    "absolute form without host": b"GET http:///a HTTP/1.1\r\n%b",
    "absolute form of another scheme": b"GET ftp://a/ HTTP/1.1\r\n%b",
    "method with bracket": b"GE(T / HTTP/1.1\r\n%b",
}


def read(template: bytes) -> None:
    raw = template.replace(b"%b", HOST).removesuffix(b"\r\n") + b"\r\n\r\n"
    head = HeadScanner().take(bytearray(raw))
    assert head is not None
    parse_request(head)


@pytest.mark.parametrize("template", CATALOGUE.values(), ids=CATALOGUE.keys())
def test_an_ambiguous_request_is_400(template: bytes) -> None:
    with pytest.raises(BadMessage) as error:
        read(template)
    assert error.value.status == 400


@pytest.mark.parametrize("version", ["2.0", "1.2", "0.9", "3", "2"])
def test_other_versions_are_505(version: str) -> None:
    with pytest.raises(BadMessage) as error:
        read(b"GET / HTTP/%b\r\n" % version.encode())
    assert error.value.status == 505


def test_the_preface_of_http_2_is_505() -> None:
    with pytest.raises(BadMessage) as error:
        read(b"PRI * HTTP/2.0\r\n\r\n")
    assert error.value.status == 505


@pytest.mark.parametrize(
    ("line", "path", "host"),
    [
        (b"GET http://b:81/x?y HTTP/1.1", b"/x?y", b"b:81"),
        (b"GET HTTP://b HTTP/1.1", b"/", b"b"),
        (b"GET http://b?q HTTP/1.1", b"/?q", b"b"),
        (b"GET https://[::1]:8/ HTTP/1.1", b"/", b"[::1]:8"),
        (b"OPTIONS http://b HTTP/1.1", b"*", b"b"),
        (b"OPTIONS * HTTP/1.1", b"*", b"a"),
        (b"GET //a//b HTTP/1.1", b"//a//b", b"a"),
    ],
)
def test_an_absolute_target_overrules_host(line: bytes, path: bytes, host: bytes) -> None:
    head = parse_request(line + b"\r\nHost: a\r\n\r\n")
    assert (head.target.path, head.host) == (path, host)


def test_http_1_0_may_go_without_host() -> None:
    assert parse_request(b"GET / HTTP/1.0\r\n\r\n").host == b""
