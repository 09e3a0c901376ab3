import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from msctl.runtime import logstore
from msctl.runtime.logreader import read_logs
from msctl.runtime.logstore import MAX_LINE, TAIL, LogStore, RotatingFile
from tests.core.fake_clock import FakeClock
from tests.runtime.real import wait_until

STAMP = "1970-01-01T00:16:40.000000Z"


@contextmanager
def opened(directory: Path) -> Iterator[LogStore]:
    """A store that writes; what it was given lies on the disk after the block."""
    store = LogStore(directory, FakeClock())
    store.open()
    try:
        yield store
    finally:
        store.close()


def lines_of(directory: Path, instance: str = "api-1") -> list[str]:
    return (directory / f"{instance}.log").read_text().splitlines()


def test_each_line_has_its_time_and_stream(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        log = store.instance("api-1")
        log.feed("stdout", b"one\ntwo\n")
        log.feed("stderr", b"three\n")
        log.note("started, pid 1")
    assert lines_of(tmp_path) == [
        f"{STAMP} stdout one",
        f"{STAMP} stdout two",
        f"{STAMP} stderr three",
        f"{STAMP} msctl started, pid 1",
    ]


def test_a_line_may_come_in_pieces_and_the_streams_do_not_mix(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        log = store.instance("api-1")
        log.feed("stdout", b"be")
        log.feed("stderr", b"er")
        log.feed("stdout", b"ginning\nun")
        log.feed("stderr", b"ror\n")
        log.feed("stdout", b"finished\n")
    assert lines_of(tmp_path) == [
        f"{STAMP} stdout beginning", f"{STAMP} stderr error", f"{STAMP} stdout unfinished"
    ]  # fmt: skip


def test_a_last_line_without_an_end_is_recorded_when_the_process_is_gone(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        log = store.instance("api-1")
        log.feed("stderr", b"panic: ")
        log.feed("stderr", b"dead")
        log.flush()
        log.flush()
        log.feed("stdout", b"next life\n")
        assert log.tail() == ("panic: dead", "next life")
    assert lines_of(tmp_path) == [f"{STAMP} stderr panic: dead", f"{STAMP} stdout next life"]


def test_empty_lines_carriage_returns_and_broken_text_are_kept_as_well_as_they_can(
    tmp_path: Path,
) -> None:
    with opened(tmp_path) as store:
        store.instance("api-1").feed("stdout", b"\na\r\n\xff\xfe\n" + "ü".encode() + b"\n")
        assert store.instance("api-1").tail() == ("", "a", "\ufffd\ufffd", "ü")
    assert [line.message for line in read_logs(tmp_path)] == ["", "a", "\ufffd\ufffd", "ü"]


@pytest.mark.parametrize("ends", [b"", b"\n"])
@pytest.mark.parametrize("piece", [MAX_LINE, MAX_LINE - 1, 3 * MAX_LINE])
def test_no_line_is_longer_than_64_kib(tmp_path: Path, piece: int, ends: bytes) -> None:
    text = b"x" * (3 * MAX_LINE + 5) + ends
    with opened(tmp_path) as store:
        log = store.instance("api-1")
        for start in range(0, len(text), piece):
            log.feed("stdout", text[start : start + piece])
        log.flush()
    messages = [line.message for line in read_logs(tmp_path)]
    assert "".join(messages) == "x" * (3 * MAX_LINE + 5)
    assert max(map(len, messages)) <= MAX_LINE


def test_the_tail_is_the_last_lines_of_this_life(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        log = store.instance("api-1")
        log.feed("stdout", b"".join(b"%d\n" % n for n in range(100)))
        assert log.tail() == tuple(str(n) for n in range(100 - TAIL, 100))
        log.note("said by msctl")
        assert "said by msctl" not in log.tail()
        log.new_life()
        assert log.tail() == ()


def test_an_instance_has_one_log(tmp_path: Path) -> None:
    store = LogStore(tmp_path, FakeClock())
    assert store.instance("a-1") is store.instance("a-1")
    assert store.instance("a-1") is not store.instance("a-2")


def test_files_go_on_where_the_last_run_ended(tmp_path: Path) -> None:
    for run in range(2):
        with opened(tmp_path) as store:
            store.instance("api-1").feed("stdout", b"run %d\n" % run)
    assert lines_of(tmp_path) == [f"{STAMP} stdout run 0", f"{STAMP} stdout run 1"]


def test_three_files_of_10_mb_are_kept(tmp_path: Path) -> None:
    assert (logstore.MAX_FILE, logstore.KEPT_FILES) == (10 * 1024 * 1024, 3)
    file = RotatingFile(tmp_path / "api-1.log")
    block = 1024 * 1024
    for number in range(35):
        file.write(b"%d" % (number % 10) * block)
    file.close()
    names = {path.name: path for path in tmp_path.iterdir()}
    assert names.keys() == {"api-1.log", "api-1.log.1", "api-1.log.2"}
    sizes = {name: path.stat().st_size // block for name, path in names.items()}
    assert sizes == {"api-1.log": 5, "api-1.log.1": 10, "api-1.log.2": 10}
    assert names["api-1.log"].read_bytes()[-1:] == b"4"
    assert names["api-1.log.1"].read_bytes()[:1] == b"0"


def test_a_rotation_loses_and_splits_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logstore, "MAX_FILE", 1000)
    with opened(tmp_path) as store:
        for number in range(60):
            store.instance("api-1").feed("stdout", b"line %d\n" % number)
    numbers = [int(line.message.removeprefix("line ")) for line in read_logs(tmp_path)]
    assert numbers == list(range(60))
    assert len([*tmp_path.iterdir()]) == 3


def test_a_block_that_is_larger_than_a_file_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logstore, "MAX_FILE", 10)
    file = RotatingFile(tmp_path / "log")
    for text in (b"a" * 20, b"b" * 20):
        file.write(text)
    file.close()
    assert (tmp_path / "log").read_bytes() == b"b" * 20
    assert (tmp_path / "log.1").read_bytes() == b"a" * 20


def test_a_place_that_cannot_be_written_costs_the_lines_and_nothing_else(tmp_path: Path) -> None:
    blocked = tmp_path / "logs"
    blocked.write_text("a file where the directory should be")
    with opened(blocked) as store:
        log = store.instance("api-1")
        log.feed("stdout", b"lost\n")
        assert log.tail() == ("lost",)
    assert blocked.read_text().startswith("a file")


def test_when_the_place_is_there_again_writing_goes_on(tmp_path: Path) -> None:
    blocked = tmp_path / "logs"
    blocked.write_text("")
    file = RotatingFile(blocked / "api-1.log")
    file.write(b"lost\n")
    blocked.unlink()
    file.write(b"kept\n")
    file.close()
    assert (blocked / "api-1.log").read_bytes() == b"kept\n"


class SlowDisk:
    """Holds the writer up at its first block, until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = threading.Event()
        self.reached = threading.Event()
        write = RotatingFile.write

        def slow(file: RotatingFile, block: bytes) -> None:
            self.reached.set()
            assert self.free.wait(20)
            write(file, block)

        monkeypatch.setattr(RotatingFile, "write", slow)


def test_lines_that_a_slow_disk_does_not_take_are_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    monkeypatch.setattr(logstore, "MAX_PENDING", 1000)
    store = LogStore(tmp_path, FakeClock())
    store.open()
    log = store.instance("api-1")
    log.feed("stdout", b"y" * 2000 + b"\n")
    log.feed("stdout", b"dropped\ndropped\n")
    log.feed("stderr", b"dropped\n")
    assert log.tail()[-1] == "dropped"  # for a failure's message they are not lost
    assert disk.reached.wait(20)
    disk.free.set()
    wait_for_writer(store)
    log.feed("stderr", b"kept\n")
    store.close()
    assert lines_of(tmp_path)[1:] == [
        f"{STAMP} msctl [3 lines dropped: the disk did not keep up]",
        f"{STAMP} stderr kept",
    ]


def test_lines_that_were_dropped_last_are_counted_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    monkeypatch.setattr(logstore, "MAX_PENDING", 1000)
    store = LogStore(tmp_path, FakeClock())
    store.open()
    store.instance("api-1").feed("stdout", b"y" * 2000 + b"\n")
    store.instance("api-1").feed("stdout", b"dropped\n")
    disk.free.set()
    store.close()
    expected = f"{STAMP} msctl [1 lines dropped: the disk did not keep up]"
    assert lines_of(tmp_path)[1:] == [expected]


def test_every_instance_is_told_its_own_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    monkeypatch.setattr(logstore, "MAX_PENDING", 1000)
    store = LogStore(tmp_path, FakeClock())
    store.open()
    store.instance("a-1").feed("stdout", b"y" * 2000 + b"\n")
    store.instance("a-1").feed("stdout", b"dropped\n")
    disk.free.set()
    wait_for_writer(store)
    store.instance("b-1").feed("stdout", b"unharmed\n")
    store.close()
    assert lines_of(tmp_path, "b-1") == [f"{STAMP} stdout unharmed"]
    assert "[1 lines dropped" in lines_of(tmp_path, "a-1")[-1]


def wait_for_writer(store: LogStore) -> None:
    wait_until(lambda: store._written == store._queued, "the writer has caught up")
