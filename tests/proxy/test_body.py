import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.proxy.body import BodyReader, BodyWriter, ChunkedReader, CloseReader, LengthReader
from msctl.proxy.faults import BadMessage


def feed(reader: BodyReader, pieces: list[bytes]) -> tuple[bytes, str, bytes]:
    """Everything read, the fault (or ""), and what was left."""
    buffer, data = bytearray(), b""
    try:
        for piece in (*pieces, b""):
            buffer += piece
            while not reader.done and (part := reader.take(buffer)):
                data += part
        reader.end()
    except BadMessage as fault:
        return data, fault.detail, b""
    return data, "", bytes(buffer)


@pytest.mark.parametrize(
    ("raw", "data", "left"),
    [
        (b"0\r\n\r\n", b"", b""),
        (b"3\r\nabc\r\n0\r\n\r\nnext", b"abc", b"next"),
        (b"3\r\nabc\r\n002\r\nde\r\n000\r\n\r\n", b"abcde", b""),
        (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", b""),
        (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789", b""),
        (b'1;a=b;c="d"\r\nx\r\n0;e\r\n\r\n', b"x", b""),
        (b"1 ;a\r\nx\r\n0\r\n\r\n", b"x", b""),
        (b"1\r\n\n\r\n0\r\n\r\n", b"\n", b""),
        (b"0\r\nX: a\r\n\r\nnext", b"", b"next"),
    ],
)
def test_chunks_are_joined_and_extensions_dropped(raw: bytes, data: bytes, left: bytes) -> None:
    assert feed(ChunkedReader(), [raw]) == (data, "", left)


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n",
        b"g\r\n",
        b"-1\r\nx",
        b"+1\r\nx",
        b"0x1\r\nx",
        b"1_0\r\nx",
        b" 1\r\nx",
        b"1 \r\nx",
        b"1\nx\n",
        b"1\r\nx\n0\n\n",
        b"1\r\nxy\r\n0\r\n\r\n",
        b"1\r\nx0\r\n\r\n",
        b"1\rx",
        b"1;a\nb\r\nx",
        b"1;a\0\r\nx",
        b"1;\x01\r\nx",
        b"11111111111111111\r\n",
        b"1;" + b"a" * 5000,
        b"1;" + b"a" * 5000 + b"\r\nx\r\n0\r\n\r\n",
        b"0\r\nX : a\r\n\r\n",
        b"0\r\n X: a\r\n\r\n",
        b"0\r\nX: a\n\r\n",
        b"0\r\nX: a\r\n folded\r\n\r\n",
        b"0\r\nnonsense\r\n\r\n",
        b"0\r\n\n",
        b"0\r\nX: " + b"a" * 20000,
        b"0\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
    ],
)
def test_a_malformed_chunk_is_refused_without_waiting_for_more(raw: bytes) -> None:
    reader, buffer = ChunkedReader(), bytearray(raw)
    with pytest.raises(BadMessage):  # noqa: PT012 - content before the fault comes out first
        reader.take(buffer)
        reader.take(buffer)


def test_content_before_a_fault_is_handed_out_first() -> None:
    data, fault, _ = feed(ChunkedReader(), [b"3\r\nabc\r\nz\r\n"])
    assert (data, fault) == (b"abc", "a chunk's size is malformed")


@pytest.mark.parametrize("raw", [b"", b"3", b"3\r\nab", b"3\r\nabc", b"3\r\nabc\r\n0\r\n"])
def test_a_chunked_body_that_breaks_off_is_no_end(raw: bytes) -> None:
    assert feed(ChunkedReader(), [raw])[1] == "the chunked body ended early"


def test_trailers_are_kept_but_not_those_that_frame_or_route() -> None:
    reader = ChunkedReader()
    raw = b"0\r\nX-Sum: 1\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\nHost: b\r\n\r\n"
    reader.take(bytearray(raw))
    assert [field.line for field in reader.trailers] == [b"X-Sum: 1"]
    assert BodyWriter(chunked=True).finish(reader.trailers) == b"0\r\nX-Sum: 1\r\n\r\n"


def test_a_body_of_known_length_ends_there() -> None:
    assert feed(LengthReader(3), [b"ab", b"cd"]) == (b"abc", "", b"d")
    assert feed(LengthReader(0), [b"x"]) == (b"", "", b"x")
    assert feed(LengthReader(3), [b"ab"])[1] == "the body ended 1 bytes early"


def test_a_body_until_close_is_all_there_is() -> None:
    assert feed(CloseReader(), [b"ab", b"c"]) == (b"abc", "", b"")


CHUNK_LIKE = st.lists(
    st.sampled_from(
        [
            b"1\r\nx\r\n",
            b"a;b\r\n",
            b"0123456789\r\n",
            b"0\r\n",
            b"\r\n",
            b"\r",
            b"\n",
            b"X: y",
            b"0\r\n\r\n",
            b";",
            b" ",
            b"2",
            b"z",
            b"\x00",
            b"0" * 17,
        ]
    ),
    max_size=10,
).map(b"".join)


@given(CHUNK_LIKE, st.lists(st.integers(0, 60), max_size=6))
def test_any_split_of_the_bytes_gives_the_same_body(raw: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    pieces = [raw[a:b] for a, b in itertools.pairwise(edges)]
    whole = feed(ChunkedReader(), [raw])
    assert feed(ChunkedReader(), pieces) == whole
    assert feed(ChunkedReader(), [raw[i : i + 1] for i in range(len(raw))]) == whole


@given(st.lists(st.binary(max_size=50), max_size=6), st.integers(1, 9))
def test_what_the_writer_writes_the_reader_reads(pieces: list[bytes], step: int) -> None:
    writer = BodyWriter(chunked=True)
    raw = b"".join(map(writer.encode, pieces)) + writer.finish(())
    split = [raw[i : i + step] for i in range(0, len(raw), step)]
    assert feed(ChunkedReader(), split) == (b"".join(pieces), "", b"")
