import pytest

from msctl.client.response import BrokenResponse, ResponseReader

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n"
    b"5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n"
)
WITH_LENGTH = b"HTTP/1.1 201 Created\r\ncontent-length: 11\r\n\r\nhello world"


def read(data: bytes, *, size: int, method: str = "GET") -> tuple[ResponseReader, bytes]:
    reader, body = ResponseReader(method), b""
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
        body += reader.take()
    return reader, body


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("data", [CHUNKED, WITH_LENGTH])
def test_a_response_is_read_from_pieces_of_any_size(data: bytes, size: int) -> None:
    reader, body = read(data, size=size)
    assert reader.complete
    assert body == b"hello world"


def test_the_head_is_there_before_the_body_is() -> None:
    reader = ResponseReader("GET")
    reader.feed(b"HTTP/1.1 404 Not Found\r\nA: 1\r\nContent-Length: 3\r\n\r\n")
    assert reader.head is not None
    assert (reader.head.status, reader.head.reason) == (404, "Not Found")
    assert reader.head.header("a") == "1"
    assert not reader.complete


def test_interim_responses_are_skipped() -> None:
    reader, body = read(b"HTTP/1.1 100 Continue\r\n\r\n" + WITH_LENGTH, size=5)
    assert reader.head is not None
    assert (reader.head.status, body) == (201, b"hello world")


def test_a_response_to_head_has_no_body() -> None:
    reader, body = read(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", size=9, method="HEAD")
    assert reader.complete
    assert body == b""


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_some_statuses_have_no_body(status: bytes) -> None:
    reader, _ = read(b"HTTP/1.1 " + status + b"\r\n\r\n", size=100)
    assert reader.complete


def test_without_length_the_body_lasts_until_the_connection_closes() -> None:
    reader, body = read(b"HTTP/1.1 200 OK\r\n\r\nabc", size=100)
    assert (body, reader.complete) == (b"abc", False)
    reader.feed(b"")
    assert reader.complete


@pytest.mark.parametrize("end", [0, 10, 60, len(CHUNKED) - 1])
def test_an_early_end_is_never_a_clean_end(end: int) -> None:
    reader, _ = read(CHUNKED[:end], size=1000)
    with pytest.raises(BrokenResponse):
        reader.feed(b"")


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
    ],
)
def test_what_is_no_http_is_refused(data: bytes) -> None:
    with pytest.raises(BrokenResponse):
        read(data, size=1000)


@pytest.mark.parametrize("size", ["-2", "+2", "0x2", "1_0", "", "g"])
def test_a_chunk_size_is_hexadecimal_digits_and_nothing_else(size: str) -> None:
    head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with pytest.raises(BrokenResponse, match="chunk size"):
        ResponseReader("GET").feed(f"{head}{size}\r\nok\r\n0\r\n\r\n".encode())


@pytest.mark.parametrize("length", ["-1", "+1", "1_0", "0x1", ""])
def test_a_length_is_digits_and_nothing_else(length: str) -> None:
    with pytest.raises(BrokenResponse, match="Content-Length"):
        ResponseReader("GET").feed(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode())
