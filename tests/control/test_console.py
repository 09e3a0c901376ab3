"""What the console shows of a real fleet, and what becomes of a command that goes away."""

import json
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from msctl.client import frames
from tests.control.fleet import ControlledFleet
from tests.runtime.bench import api, worker
from tests.runtime.fakes import OK, REFUSED
from tests.runtime.real import PATIENCE

SHOP = [api("user"), api("order", dependencies=["user"]), worker("mailer")]
TERMINAL = {"stderr_decorated": "", "stderr_size": "80 24", "stdout_size": "80 24"}


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[ControlledFleet]:
    with ControlledFleet(tmp_path, *SHOP) as fleet:
        yield fleet


@dataclass
class Shown:
    """A command at the console, and all that it was sent."""

    fleet: ControlledFleet
    command: str
    fields: dict[str, Any] = field(default_factory=dict)
    out: str = ""
    err: str = ""
    afterwards: str = ""
    undo: dict[bytes, str] = field(default_factory=dict)
    code: int | None = None

    def __post_init__(self) -> None:
        self._frames = frames.FrameReader()
        self._head: bytes | None = b""
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.settimeout(PATIENCE)
        self._connection.connect(str(self.fleet.socket))
        pairs = [("cwd", "/")]
        for name, value in self.fields.items():
            pairs += [(name, text) for text in ([value] if isinstance(value, str) else value)]
        request = frames.frame(frames.COMMAND, frames.encode(self.command, pairs))
        self._connection.sendall(frames.GREETING + request)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()

    def leave(self) -> None:
        self._connection.close()

    def send(self, kind: bytes, payload: bytes) -> None:
        self._connection.sendall(frames.frame(kind, payload))

    def interrupt(self, number: int = signal.SIGINT) -> None:
        self.send(frames.SIGNAL, b"%d" % number)

    def until(self, text: str) -> Self:
        """Read until this text was shown on either stream."""
        while text not in self.out + self.err:
            assert self._receive(), f"{text!r} never came: {self}"
        return self

    def to_end(self) -> Self:
        while self._receive():
            pass
        self.leave()
        return self

    def _receive(self) -> bool:
        data = self._connection.recv(65536)
        going_on = bool(data)
        if self._head is not None:
            head, end, data = (self._head + data).partition(b"\r\n\r\n")
            self._head = None if end else head
        for kind, payload in self._frames.feed(data) if self._head is None else ():
            self._take(kind, payload.decode())
        return going_on

    def _take(self, kind: bytes, text: str) -> None:
        match kind:
            case frames.STDOUT:
                self.out += text
            case frames.STDERR:
                self.err += text
            case frames.AFTERWARDS:
                self.afterwards += text
            case frames.EXIT:
                self.code = int(text)
            case _:
                self.undo[kind] = text


def show(fleet: ControlledFleet, command: str, **fields: Any) -> Shown:
    return Shown(fleet, command, fields).to_end()


def holding(fleet: ControlledFleet, instance: str) -> Any:
    """Keep an instance from becoming healthy; returns its probe."""
    probe = fleet.parts.lives.probes[instance]
    probe.answer = REFUSED
    return probe


# Looking


def test_the_status_in_every_form(fleet: ControlledFleet) -> None:
    assert show(fleet, "up").code == 0
    table = show(fleet, "status", services=["user"])
    assert (table.code, table.err) == (0, "")
    assert [line.split()[0] for line in table.out.splitlines()] == ["NAME", "user"]
    document = json.loads(show(fleet, "status", as_json="").out)
    assert [s["name"] for s in document["services"]] == ["user", "order", "mailer"]
    assert show(fleet, "status", quiet="").out == "user\norder\nmailer\n"
    assert show(fleet, "status", check="").code == 0


def test_check_tells_what_is_not_healthy(fleet: ControlledFleet) -> None:
    shown = show(fleet, "status", check="", services=["user"])
    assert shown.code == 3
    assert shown.err == "error: not healthy: user (stopped)\n"


@pytest.mark.parametrize("command", ["status", "events", "start", "stop", "wait", "restart"])
def test_an_unknown_service_is_wrong_use_and_names_the_nearest(
    fleet: ControlledFleet, command: str
) -> None:
    shown = show(fleet, command, services=["usr"])
    assert (shown.code, shown.out) == (2, "")
    assert shown.err == "error: unknown service usr; did you mean user?\n"


def test_the_events_that_are_kept_and_those_of_some_services(fleet: ControlledFleet) -> None:
    assert show(fleet, "events").err == "no events\n"
    show(fleet, "up")
    assert "order-1" in show(fleet, "events").out
    lines = show(fleet, "events", services=["mailer"], as_json="").out.splitlines()
    assert {json.loads(line)["service"] for line in lines} == {"mailer"}


def test_a_command_that_the_daemon_does_not_know_is_an_error(fleet: ControlledFleet) -> None:
    shown = show(fleet, "dance")
    assert shown.code == 1
    assert "knows no command dance" in shown.err


# Operations


def test_operations_show_their_steps_and_what_came_of_them(fleet: ControlledFleet) -> None:
    up = show(fleet, "up", services=["user"])
    assert up.code == 0
    assert up.out.splitlines()[1].split()[:2] == ["user", "running"]
    assert [line.split(" after ")[0] for line in up.err.splitlines()[:2]] == [
        "user: starting",
        "user: healthy",
    ]
    assert "1 started in" in up.err
    assert show(fleet, "wait", goal="healthy", services=["user"]).code == 0
    assert "1 restarted in" in show(fleet, "restart", services=["user"]).err
    assert show(fleet, "start", environment=["A=1", "B=x=y"]).code == 0
    stopped = show(fleet, "stop", services=["order"], kill="")
    assert (stopped.code, stopped.afterwards) == (0, "")
    assert "1 stopped in" in stopped.err
    assert show(fleet, "wait", goal="stopped", services=["order"]).code == 0
    assert show(fleet, "wait", goal="stopped", services=["user"], timeout="0.01").code == 124


def test_scale_has_so_many_instances(fleet: ControlledFleet) -> None:
    show(fleet, "up")
    shown = show(fleet, "scale", scale=["user=3", "mailer=0"])
    assert shown.code == 0, shown.err
    assert fleet.running() == ["order-1", "user-1", "user-2", "user-3"]
    assert "2 scaled in" in shown.err


def test_when_everything_was_stopped_the_last_word_waits_for_the_daemons_end(
    fleet: ControlledFleet,
) -> None:
    show(fleet, "up")
    shown = show(fleet, "stop")
    assert shown.code == 0
    assert shown.afterwards.startswith("3 stopped in ")
    fleet.join()


def test_a_signal_cancels_and_the_result_is_waited_for(fleet: ControlledFleet) -> None:
    show(fleet, "up", services=["mailer"])
    holding(fleet, "user-1")
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with Shown(fleet, "up", {"services": ["user"]}) as shown:
            shown.until("user: starting")
            shown.interrupt(number)
            assert shown.to_end().code == code
            assert "cancelling; interrupt again to leave at once\n" in shown.err
            assert fleet.running() == ["mailer-1"]


def test_a_command_that_goes_away_cancels(fleet: ControlledFleet) -> None:
    show(fleet, "up", services=["mailer"])
    holding(fleet, "user-1")
    with Shown(fleet, "up", {"services": ["user"]}) as shown:
        shown.until("user: starting")
    fleet.until(lambda: not fleet.api._desk._operations, "the operation has ended")
    assert fleet.running() == ["mailer-1"]


def test_on_a_terminal_a_picture_is_drawn_and_taken_away(fleet: ControlledFleet) -> None:
    probe = holding(fleet, "user-1")
    with Shown(fleet, "up", {"services": ["user"], **TERMINAL}) as shown:
        shown.until("0 of 1 healthy")
        shown.send(frames.SIZE, b"40 10")
        probe.answer = OK
        shown.to_end()
    assert shown.code == 0
    assert shown.undo == {frames.UNDO_STDERR: ""}, "nothing is left to be undone"
    after = shown.err.rpartition("\x1b[?25h")[2]
    assert "\x1b[?25l" not in after
    assert "1 started in" in after


def test_a_picture_that_breaks_off_can_be_undone(fleet: ControlledFleet) -> None:
    holding(fleet, "user-1")
    with Shown(fleet, "up", {"services": ["user"], **TERMINAL}) as shown:
        shown.until("0 of 1 healthy")
        while frames.UNDO_STDERR not in shown.undo:
            assert shown._receive()
        assert shown.undo[frames.UNDO_STDERR] == "\r\x1b[2A\x1b[J\x1b[?25h"


# Following


def test_followers_are_sent_home_when_the_daemon_ends(fleet: ControlledFleet) -> None:
    show(fleet, "up")
    with (
        Shown(fleet, "events", {"follow": ""}) as events,
        Shown(fleet, "status", {"watch": "", "as_json": ""}) as watch,
        Shown(fleet, "status", {"watch": "", "stdout_decorated": "", **TERMINAL}) as screen,
    ):
        events.until("healthy")
        watch.until("}\n")
        screen.until("3 of 3 running")
        assert show(fleet, "stop").code == 0
        assert [shown.to_end().code for shown in (events, watch, screen)] == [0, 0, 0]
    assert watch.err == screen.err == "the fleet was stopped\n"
    assert screen.out.endswith("\x1b[?25h\x1b[?1049l")
    assert screen.undo == {frames.UNDO_STDOUT: ""}


def test_a_follower_that_goes_away_is_forgotten(fleet: ControlledFleet) -> None:
    with Shown(fleet, "events", {"follow": ""}) as events:
        fleet.until(lambda: fleet.parts.events._listeners, "it listens")
        events.leave()
        fleet.until(lambda: not fleet.parts.events._listeners, "it no longer listens")
    fleet.until(lambda: not fleet.api.console._tasks, "its session has ended")


def test_in_the_foreground_the_fleet_ends_with_the_command(fleet: ControlledFleet) -> None:
    with Shown(fleet, "foreground") as shown:
        shown.until("all up; Ctrl-C stops everything")
        assert len(fleet.running()) == 3
    fleet.join()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_in_the_foreground_a_signal_stops_everything(
    fleet: ControlledFleet, number: int, code: int
) -> None:
    with Shown(fleet, "foreground") as shown:
        shown.until("all up")
        shown.interrupt(number)
        assert shown.to_end().code == code
    assert "stopping; interrupt again to kill\n" in shown.err
    fleet.join()


def test_in_the_foreground_it_ends_when_the_fleet_does(fleet: ControlledFleet) -> None:
    with Shown(fleet, "foreground") as shown:
        shown.until("all up")
        assert show(fleet, "stop").code == 0
        assert shown.to_end().code == 0
    assert shown.err.endswith("the fleet was stopped\n")
    fleet.join()


# The connection


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        frames.GREETING[:-2],
        frames.GREETING,
        frames.GREETING + b"c\xff\xff\xff\xff",
        frames.GREETING + b"c\x00\x00\x00\x10status",
        frames.GREETING + frames.frame(b"?", b"x"),
        frames.GREETING + frames.frame(frames.COMMAND, b"\0\0=\0\xff"),
        frames.GREETING + frames.frame(frames.COMMAND, b"status") + b"s\x00\x00\x00\x01x",
    ],
)
def test_what_is_none_of_its_words_harms_nobody(fleet: ControlledFleet, garbage: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(str(fleet.socket))
        connection.sendall(garbage)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    assert show(fleet, "status", quiet="").code == 0
    fleet.until(lambda: not fleet.api.console._tasks, "no session is left")


def test_who_reads_nothing_does_not_keep_the_daemon(tmp_path: Path) -> None:
    services = [worker(f"w{number}") for number in range(200)]
    with (
        ControlledFleet(tmp_path, *services) as fleet,
        Shown(fleet, "status", {"watch": "", "as_json": ""}),
    ):
        fleet.until(lambda: fleet.api.console._terminals, "it has begun")
        fleet.run("/stop", {})
        fleet.join()
