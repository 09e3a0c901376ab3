from pathlib import Path

import pytest

from msctl.runtime.logfollower import LogFollower
from msctl.runtime.logline import LogLine, parse
from msctl.runtime.logreader import read_logs


def stamp(second: int) -> str:
    return f"2026-01-01T00:00:{second:02}.000000Z"


def write(directory: Path, name: str, *seconds: int, stream: str = "stdout") -> Path:
    path = directory / name
    with path.open("a") as file:
        for second in seconds:
            file.write(f"{stamp(second)} {stream} message {second}\n")
    return path


def seconds(lines: list[LogLine]) -> list[int]:
    return [int(line.message.removeprefix("message ")) for line in lines]


def test_a_line_has_the_keys_of_the_contract() -> None:
    line = parse(f"{stamp(1)} stderr two words".encode(), "order-service-2")
    assert {key: getattr(line, key) for key in LogLine.__slots__} == {
        "time": stamp(1),
        "service": "order-service",
        "instance": "order-service-2",
        "stream": "stderr",
        "message": "two words",
    }


@pytest.mark.parametrize("raw", [b"", b"torn", b"2026-01-01T00:00:01", b"\xff\xfe", b"a b c"])
def test_a_torn_line_keeps_its_text_and_the_time_before_it(raw: bytes) -> None:
    line = parse(raw, "a-1", stamp(7))
    assert (line.time, line.message) == (stamp(7), raw.decode("utf-8", "replace"))


def test_an_empty_message_is_a_line() -> None:
    assert parse(f"{stamp(1)} stdout ".encode(), "a-1").message == ""


def test_all_instances_and_rotated_files_are_merged_by_time(tmp_path: Path) -> None:
    write(tmp_path, "a-1.log.2", 1, 4)
    write(tmp_path, "a-1.log.1", 6)
    write(tmp_path, "a-1.log", 9)
    write(tmp_path, "b-1.log", 2, 5, 7)
    write(tmp_path, "b-2.log", 3, 8)
    assert seconds([*read_logs(tmp_path)]) == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_services_and_instances_are_chosen_by_name(tmp_path: Path) -> None:
    write(tmp_path, "a-1.log", 1)
    write(tmp_path, "a-b-1.log", 2)
    write(tmp_path, "a-b-2.log", 3)
    assert seconds([*read_logs(tmp_path, ["a"])]) == [1]
    assert seconds([*read_logs(tmp_path, ["a-b"])]) == [2, 3]
    assert seconds([*read_logs(tmp_path, ["a-b-2"])]) == [3]


@pytest.mark.parametrize("count", [0, 1, 3, 5, 9, 50])
def test_the_last_lines_are_those_of_the_merged_whole(tmp_path: Path, count: int) -> None:
    write(tmp_path, "a-1.log.1", 1, 4)
    write(tmp_path, "a-1.log", 6, 9)
    write(tmp_path, "b-1.log", 2, 3, 5, 7, 8)
    everything = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    expected = everything[-count:] if count else []
    assert seconds([*read_logs(tmp_path, count=count)]) == expected


def test_the_end_of_a_long_file_is_found_across_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a-1.log"
    lines = [f"{stamp(n % 60)} stdout {'x' * 5000} {n}" for n in range(100)]
    path.write_text("\n".join(lines) + "\n")
    found = [line.message.split()[1] for line in read_logs(tmp_path, count=40)]
    assert found == [str(n) for n in range(60, 100)]


def test_since_leaves_older_lines_out(tmp_path: Path) -> None:
    write(tmp_path, "a-1.log", 1, 2, 3)
    assert seconds([*read_logs(tmp_path, since=stamp(2))]) == [2, 3]
    assert seconds([*read_logs(tmp_path, since=stamp(2), count=1)]) == [3]


def test_no_directory_is_no_lines(tmp_path: Path) -> None:
    assert [*read_logs(tmp_path / "none")] == []
    assert LogFollower(tmp_path / "none").poll() == []


def test_a_follower_gives_only_what_is_new_by_time(tmp_path: Path) -> None:
    write(tmp_path, "a-1.log", 1)
    write(tmp_path, "b-1.log", 2)
    follower = LogFollower(tmp_path)
    assert follower.poll() == []
    write(tmp_path, "b-1.log", 3, 5)
    write(tmp_path, "a-1.log", 4)
    assert seconds(follower.poll()) == [3, 4, 5]
    assert follower.poll() == []
    follower.close()


def test_a_follower_waits_for_the_end_of_a_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a-1.log", 1)
    with path.open("a") as file:
        file.write(f"{stamp(2)} stdout mess")
        file.flush()
        follower = LogFollower(tmp_path)
        assert follower.poll() == []
        file.write("age 2\n")
    assert seconds(follower.poll()) == [2]
    follower.close()


def test_a_follower_sees_new_instances_and_only_the_chosen_ones(tmp_path: Path) -> None:
    follower = LogFollower(tmp_path, ["a"])
    write(tmp_path, "a-2.log", 1)
    write(tmp_path, "b-1.log", 2)
    assert seconds(follower.poll()) == [1]
    follower.close()


def test_a_follower_loses_nothing_when_files_are_rotated(tmp_path: Path) -> None:
    path = write(tmp_path, "a-1.log", 1)
    follower = LogFollower(tmp_path)
    write(tmp_path, "a-1.log", 2)
    path.rename(tmp_path / "a-1.log.1")
    write(tmp_path, "a-1.log", 3)
    assert seconds(follower.poll()) == [2, 3]
    write(tmp_path, "a-1.log", 4)
    (tmp_path / "a-1.log.1").rename(tmp_path / "a-1.log.2")
    path.rename(tmp_path / "a-1.log.1")
    write(tmp_path, "a-1.log", 5)
    (tmp_path / "a-1.log.2").rename(tmp_path / "a-1.log.3")
    (tmp_path / "a-1.log.1").rename(tmp_path / "a-1.log.2")
    path.rename(tmp_path / "a-1.log.1")
    write(tmp_path, "a-1.log", 6)
    assert seconds(follower.poll()) == [4, 5, 6]
    follower.close()


def test_a_follower_starts_again_in_a_truncated_file(tmp_path: Path) -> None:
    path = write(tmp_path, "a-1.log", 1, 2, 3)
    follower = LogFollower(tmp_path)
    path.write_text("")
    write(tmp_path, "a-1.log", 4)
    assert seconds(follower.poll()) == [4]
    follower.close()


def test_reading_and_following_together_lose_and_repeat_nothing(tmp_path: Path) -> None:
    write(tmp_path, "a-1.log", 1, 2)
    follower = LogFollower(tmp_path)
    write(tmp_path, "a-1.log", 3)
    write(tmp_path, "b-1.log", 4)
    assert seconds([*read_logs(tmp_path, ["a"], limits=follower.limits)]) == [1, 2]
    assert seconds([*read_logs(tmp_path, ["a"], count=9, limits=follower.limits)]) == [1, 2]
    assert seconds(follower.poll()) == [3, 4]
    follower.close()
