from pathlib import Path

import pytest

from msctl.config.nodes import Listing, Scalar, Table, faults_of, locate, plain
from msctl.config.reader import Unreadable, parse_tree, read_tree

FILE = Path("x.yaml")


def table(text: str) -> Table:
    root = parse_tree(text, FILE)
    assert isinstance(root, Table)
    return root


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "~", "null"])
def test_nothing_gives_no_tree(text: str) -> None:
    assert parse_tree(text, FILE) is None


def test_every_scalar_stays_the_text_that_was_written() -> None:
    root = table("a: 010\nb: 1.10\nc: no\nd: 12:30\ne: 2020-01-01\nf: 'x'\non: 1")
    assert plain(root) == {
        "a": "010",
        "b": "1.10",
        "c": "no",
        "d": "12:30",
        "e": "2020-01-01",
        "f": "x",
        "on": "1",
    }


def test_keys_without_a_value_are_as_if_not_written() -> None:
    assert plain(table("a:\nb: ~\nc: ''\nd: {e: null}")) == {"c": "", "d": {}}


def test_every_key_and_item_knows_its_line() -> None:
    root = table("a:\n  - x\n  - b:\n      1\n")
    assert locate(root, ("a", 0))[0].line == 2
    mark, path, node = locate(root, ("a", 1, "b", "further"))
    assert (mark.line, path) == (3, ("a", 1, "b"))
    assert isinstance(node, Scalar)


def test_a_duplicate_key_is_a_fault_and_the_first_one_counts() -> None:
    root = table("a: {x: 1,\n  x: 2}")
    [(path, fault)] = faults_of(root)
    assert (path, fault.key, fault.mark.line) == (("a",), "x", 2)
    assert "first given on line 1" in fault.message
    assert plain(root) == {"a": {"x": "1"}}


def test_merge_keys_bring_what_is_not_there() -> None:
    root = table("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], a: 0}")
    assert plain(root) == {
        "x": {"a": "1", "b": "1"},
        "y": {"b": "2", "c": "2"},
        "z": {"b": "1", "c": "2", "a": "0"},
    }
    assert locate(root, ("z", "c"))[0].line == 2


def test_a_merge_key_without_a_mapping_is_a_fault() -> None:
    [(_, fault)] = faults_of(table("a: {<<: 5}"))
    assert "expected a mapping to merge" in fault.message


def test_a_key_that_is_no_word_is_a_fault() -> None:
    root = table("? [a, b]\n: 1\nc: 2")
    assert [fault.message for _, fault in faults_of(root)] == ["a key must be a plain word"]
    assert plain(root) == {"c": "2"}


def test_aliases_stand_for_what_they_name() -> None:
    root = parse_tree("- &a [1, &b 2]\n- *a\n- *b", FILE)
    assert isinstance(root, Listing)
    assert plain(root) == [["1", "2"], ["1", "2"], "2"]


BOMB = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 20)
)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: [1,\n", 3, "YAML syntax"),
        ("a: 1\n\tb: 2", 2, "YAML syntax"),
        ("a: b: c", 1, "quote texts that contain a colon"),
        ("a: @x", 1, "quote texts that begin with @"),
        ("a: 'x", 1, "YAML syntax"),
        ("a: 1\nb: \x01", 2, "a character that YAML does not allow"),
        ("a: 1\n---\nb: 2", 2, "a second document"),
        ("a:\n  !env X", 2, "the tag !env means nothing here"),
        ("a: &a\n  b: *a", 2, "stands inside what it refers to"),
        ("a: *b", 1, r"refers to nothing; write &b before it"),
        ("[" * 60 + "]" * 60, 1, "nested more than 50 deep"),
        ("[" * 5000, 1, "nest|YAML syntax"),
        (BOMB, 6, "use fewer aliases"),
        ("%YAML 3.0\n---\na: 1", 1, "YAML syntax"),
    ],
)
def test_what_gives_no_tree_is_reported_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(Unreadable, match=message) as caught:
        parse_tree(text, FILE)
    assert caught.value.problem.line == line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"a: 1\n\x80", "x.yaml:2: is not UTF-8"),
        (b"# " + b"x" * 1024 * 1024, "larger than 1 MiB"),
    ],
)
def test_what_is_no_text_is_reported(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(content)
    with pytest.raises(Unreadable, match=message):
        read_tree(file)


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1")
    root = read_tree(file)
    assert root is not None
    assert plain(root) == {"a": "1"}


def test_a_missing_file_and_a_directory_are_reported(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="is not a file"):
        read_tree(tmp_path)
    with pytest.raises(Unreadable, match="does not exist"):
        read_tree(tmp_path / "x.yaml")


def test_a_file_that_may_not_be_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("a: 1")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(Unreadable, match="cannot be read: permission denied"):
        read_tree(file)
