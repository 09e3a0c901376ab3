"""The command's side of the console, against a daemon that behaves as the test has it."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from msctl.cli.conversation import Conversation, Left
from msctl.client import frames
from msctl.client.response import BrokenResponse
from msctl.errors import MsctlError, NoDaemon

DEADLINE = 20.0  # seconds; only a failing test waits that long
Behaviour = Callable[[socket.socket], None]
Serve = Callable[[Behaviour], str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Accept one connection and have it served; gives the socket's path."""
    threads: list[threading.Thread] = []

    def start(behaviour: Behaviour) -> str:
        path = str(tmp_path / "s")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()

        def run() -> None:
            with listener:
                connection, _ = listener.accept()
            with connection:
                connection.settimeout(DEADLINE)
                behaviour(connection)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return path

    yield start
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive()


def answers(*messages: tuple[bytes, bytes], piece: int = 1 << 20) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        data = frames.WELCOME + b"".join(frames.frame(*message) for message in messages)
        for start in range(0, len(data), piece):
            connection.sendall(data[start : start + piece])

    return behave


def asked(path: str, patience: float | None = DEADLINE) -> Conversation:
    conversation = Conversation(path, patience)
    conversation.ask("status", [("services", "a"), ("services", "b")])
    return conversation


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_what_comes_is_written_where_it_belongs(
    serve: Serve, capfd: pytest.CaptureFixture[str], piece: int
) -> None:
    messages = [
        (frames.STDOUT, b"data \xc3\xa9\n"),
        (frames.STDERR, b"progress\n"),
        (frames.STDOUT, b"more\n"),
        (frames.EXIT, b"3"),
    ]
    assert asked(serve(answers(*messages, piece=piece))).listen() == 3
    assert capfd.readouterr() == ("data é\nmore\n", "progress\n")


def test_the_daemon_is_told_what_is_wanted_and_how_the_streams_are(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    heard: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        heard.append(connection.recv(65536))
        answer = frames.WELCOME + frames.frame(frames.EXIT, b"0")
        connection.sendall(answer)

    assert asked(serve(behave)).listen() == 0
    head, _, rest = heard[0].partition(b"\r\n\r\n")
    assert head.startswith(b"GET /console HTTP/1.1\r\n")
    ((kind, payload),) = frames.FrameReader().feed(rest)
    assert kind == frames.COMMAND
    assert frames.decode(payload) == (
        "status",
        [("cwd", str(tmp_path)), ("services", "a"), ("services", "b")],
    )


def test_a_daemon_that_goes_away_is_an_error_and_leaves_the_terminal_as_it_was(
    serve: Serve, capfd: pytest.CaptureFixture[str]
) -> None:
    path = serve(
        answers(
            (frames.UNDO_STDERR, b"not this one"),
            (frames.UNDO_STDERR, b"cursor back"),
            (frames.UNDO_STDOUT, b"screen back"),
        )
    )
    with pytest.raises(BrokenResponse, match="went away"):
        asked(path).watch()
    assert capfd.readouterr() == ("screen back", "cursor back")


def test_what_was_undone_by_the_daemon_itself_is_not_undone_again(
    serve: Serve, capfd: pytest.CaptureFixture[str]
) -> None:
    path = serve(answers((frames.UNDO_STDERR, b"back"), (frames.UNDO_STDERR, b"")))
    with pytest.raises(BrokenResponse):
        asked(path).see_through()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 404 Not Found\r\n\r\n{}", b"HTTP/1.1 200 OK\r\n\r\nx", b"what\r\n\r\n"]
)
def test_a_daemon_that_knows_no_console_is_of_another_version(serve: Serve, answer: bytes) -> None:
    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    with pytest.raises(MsctlError, match="another version"):
        asked(serve(behave)).listen()


def test_a_daemon_that_says_nothing_is_given_up_after_the_patience(serve: Serve) -> None:
    given_up = threading.Event()

    def behave(_connection: socket.socket) -> None:
        assert given_up.wait(DEADLINE)

    path = serve(behave)
    with pytest.raises(BrokenResponse, match="gives no answer; is it stopped"):
        asked(path, 0.05).listen()
    given_up.set()


def test_nobody_is_no_daemon(tmp_path: Path) -> None:
    with pytest.raises(NoDaemon):
        Conversation(str(tmp_path / "none"))


class Signals:
    """Sends this process a signal from the tick of a conversation, where it is only noted."""

    def __init__(self) -> None:
        self._due: list[int] = []

    def send(self, number: int) -> None:
        self._due.append(number)

    def __call__(self) -> None:
        while self._due:
            os.kill(os.getpid(), self._due.pop())


def test_signals_are_passed_on_and_the_second_leaves(
    serve: Serve, capfd: pytest.CaptureFixture[str]
) -> None:
    heard: list[tuple[bytes, bytes]] = []
    signals = Signals()

    def behave(connection: socket.socket) -> None:
        reader = frames.FrameReader()
        reader.feed(connection.recv(65536).partition(b"\r\n\r\n")[2])
        connection.sendall(frames.WELCOME + frames.frame(frames.UNDO_STDERR, b"undone"))
        signals.send(signal.SIGTERM)
        while not heard:
            heard.extend(reader.feed(connection.recv(65536)))
        signals.send(signal.SIGINT)
        assert connection.recv(1) == b"", "it hangs up"

    with pytest.raises(Left) as left:
        asked(serve(behave), None).see_through(signals)
    assert left.value.code == 130
    assert heard == [(frames.SIGNAL, b"%d" % signal.SIGTERM)]
    assert capfd.readouterr().err == "undone"


def test_where_nobody_leaves_every_signal_is_passed_on(serve: Serve) -> None:
    heard: list[tuple[bytes, bytes]] = []
    signals = Signals()

    def behave(connection: socket.socket) -> None:
        reader = frames.FrameReader()
        reader.feed(connection.recv(65536).partition(b"\r\n\r\n")[2])
        connection.sendall(frames.WELCOME)
        for count in (1, 2):
            signals.send(signal.SIGINT)
            while len(heard) < count:
                heard.extend(reader.feed(connection.recv(65536)))
        connection.sendall(frames.frame(frames.EXIT, b"130"))

    assert asked(serve(behave), None).see_through(signals, leave=False) == 130
    assert heard == [(frames.SIGNAL, b"2")] * 2


def test_a_new_size_of_the_terminal_is_passed_on(serve: Serve) -> None:
    heard: list[tuple[bytes, bytes]] = []
    signals = Signals()

    def behave(connection: socket.socket) -> None:
        reader = frames.FrameReader()
        reader.feed(connection.recv(65536).partition(b"\r\n\r\n")[2])
        connection.sendall(frames.WELCOME)
        signals.send(signal.SIGWINCH)
        while not heard:
            heard.extend(reader.feed(connection.recv(65536)))
        connection.sendall(frames.frame(frames.EXIT, b"0"))

    assert asked(serve(behave), None).see_through(signals) == 0
    assert heard == [(frames.SIZE, b"")]
