import json
from pathlib import Path

import pytest

from msctl.runtime.statedir import StateDir
from tests.cli.fake_daemon import FakeDaemon
from tests.cli.terminal import Running, msctl, on_terminal


def stamp(second: int) -> str:
    return f"2026-01-01T00:{second // 60:02}:{second % 60:02}.000000Z"


def write(project: Path, instance: str, *seconds: int, stream: str = "stdout") -> None:
    state = StateDir.for_project(project)
    state.create()
    with (state.logs / f"{instance}.log").open("a") as file:
        file.writelines(f"{stamp(n)} {stream} message {n}\n" for n in seconds)


def test_logs_need_no_daemon_and_are_merged(project: Path) -> None:
    write(project, "user-service-1", 1, 3)
    write(project, "order-service-1", 2, stream="msctl")
    done = msctl(project, "logs")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "user-service-1  | message 1",
        "order-service-1 | message 2",
        "user-service-1  | message 3",
    ]


def test_json_has_exactly_the_keys_of_the_contract(project: Path) -> None:
    write(project, "user-service-1", 1, stream="stderr")
    assert json.loads(msctl(project, "logs", "--json").out) == {
        "time": stamp(1),
        "service": "user-service",
        "instance": "user-service-1",
        "stream": "stderr",
        "message": "message 1",
    }


def test_the_options_choose_lines_and_their_form(project: Path) -> None:
    write(project, "user-service-1", *range(1, 20))
    write(project, "order-service-1", 30)
    assert msctl(project, "logs", "-n", "1", "--no-prefix").out == "message 30\n"
    chosen = msctl(project, "logs", "user-service", "-n", "1", "--no-prefix", "-t")
    assert chosen.out == f"{stamp(19)} message 19\n"
    since = msctl(project, "logs", "--since", stamp(19), "--no-prefix")
    assert since.out == "message 19\nmessage 30\n"
    assert msctl(project, "logs", "--since", "1s").out == ""


def test_an_unknown_service_is_a_usage_error(project: Path) -> None:
    write(project, "user-service-1", 1)
    done = msctl(project, "logs", "usr-service")
    assert done.code == 2
    assert "did you mean user-service?" in done.err
    assert msctl(project, "logs", "order-service").code == 0, "it has only not run yet"


def test_a_bad_time_is_a_usage_error(project: Path) -> None:
    assert msctl(project, "logs", "--since", "yesterday").code == 2
    assert msctl(project, "logs", "-n", "-1").code == 2


def test_following_begins_with_the_last_ten_and_ends_with_the_fleet(daemon: FakeDaemon) -> None:
    write(daemon.project, "user-service-1", *range(1, 30))
    with Running(daemon.project, "logs", "-f", "--no-prefix") as command:
        assert command.read_until("message 29\n").splitlines()[0] == "message 20"
        write(daemon.project, "user-service-1", 40)
        command.read_until("message 40\n")
        write(daemon.project, "order-service-1", 41)
        command.read_until("message 41\n")
        daemon.end()
        assert command.code() == 0


def test_following_without_a_fleet_ends_after_what_there_is(project: Path) -> None:
    write(project, "user-service-1", 1)
    done = msctl(project, "logs", "-f", "--no-prefix")
    assert (done.code, done.out) == (0, "message 1\n")


def test_a_follower_ends_at_once_when_nobody_reads(daemon: FakeDaemon) -> None:
    write(daemon.project, "user-service-1", 1)
    with Running(daemon.project, "logs", "-f") as command:
        command.read_until("message 1")
        command.close_stdout()
        assert command.code() == 0
        assert command.process.stderr is not None
        assert command.process.stderr.read() == b""


def test_a_reader_that_has_enough_ends_it_quietly(project: Path) -> None:
    write(project, "user-service-1", *range(3599))
    for _ in range(6):
        write(project, "user-service-1", *range(3599))
    with Running(project, "logs") as command:
        command.read_until("message 0\n")
        command.close_stdout()
        assert command.code() == 0
        assert command.process.stderr is not None
        assert command.process.stderr.read() == b""


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_prefixes_are_coloured_on_a_terminal(
    project: Path, env: dict[str, str], *, coloured: bool
) -> None:
    write(project, "user-service-1", 1)
    done = on_terminal(project, ["logs"], env=env)
    assert ("\x1b[" in done.out) is coloured


def test_nothing_yet_is_said_on_stderr(project: Path) -> None:
    done = msctl(project, "logs")
    assert (done.code, done.out, done.err) == (0, "", "no log lines\n")
