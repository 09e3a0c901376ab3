from hypothesis import given
from hypothesis import strategies as st

from msctl.client.frames import FrameReader, decode, encode, frame

ARGUMENTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
FRAMES = st.lists(st.tuples(st.sampled_from([b"o", b"e", b"x"]), st.binary(max_size=50)))


@given(FRAMES, st.integers(1, 20))
def test_messages_arrive_whole_however_they_are_cut(
    messages: list[tuple[bytes, bytes]], piece: int
) -> None:
    data = b"".join(frame(kind, payload) for kind, payload in messages)
    reader = FrameReader()
    found = []
    for start in range(0, len(data), piece):
        found += reader.feed(data[start : start + piece])
    assert found == messages


@given(ARGUMENTS, st.lists(st.tuples(st.sampled_from(["a", "b"]), ARGUMENTS)))
def test_a_command_and_its_fields_arrive_as_they_were(
    command: str, fields: list[tuple[str, str]]
) -> None:
    assert decode(encode(command, fields)) == (command, fields)


def test_an_argument_that_is_no_utf_8_arrives_byte_for_byte() -> None:
    odd = b"\xff=\xfe".decode("utf-8", "surrogateescape")
    assert decode(encode("call", [("services", odd)])) == ("call", [("services", odd)])
