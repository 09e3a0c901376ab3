"""Having a daemon: started once, found again, and why there is none when there is none."""

import json
import os
import socket
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from msctl.client import ControlClient
from msctl.errors import ConfigError, MsctlError
from msctl.runtime import launcher, ports
from msctl.runtime.launcher import DaemonSpec, ensure_daemon, is_running, start_daemon
from msctl.runtime.statedir import StateDir
from tests.runtime import real

FAKE_DAEMON = '''
#!{python}
"""Stands where the daemon's process is started: … -m msctl _daemon CHANNEL PROJECT."""
import sys
sys.path[:] = {path}
import os, socket, time
from msctl.runtime.launcher import receive_spec, report_failure, report_ready
from msctl.errors import ConfigError, MsctlError, Problem
channel = int(sys.argv[sys.argv.index("_daemon") + 1])
spec = receive_spec(channel)
state = spec.state()

def serve():
    """Answer /ping until /end is asked for."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(state.socket))
    listener.listen()
    return listener

def answer(listener):
    while True:
        connection, _ = listener.accept()
        asked = connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{{}}")
        connection.close()
        if b"/end" in asked:
            os._exit(0)

{body}
'''

SERVES = """
lock = state.try_lock()
if lock is None:
    report_failure(channel, None)
    sys.exit(0)
state.remove_leftovers()
if os.fork():
    os._exit(0)
listener = serve()
report_ready(channel)
answer(listener)
"""

UseDaemon = Callable[[str], None]


@pytest.fixture(autouse=True)
def _subreaper() -> Iterator[None]:
    with real.subreaper():
        yield


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> UseDaemon:
    """Have something else run where the daemon should."""
    python = sys.executable

    def install(body: str) -> None:
        script = tmp_path / "daemon"
        source = FAKE_DAEMON.format(python=python, path=sys.path, body=textwrap.dedent(body))
        script.write_text(source.lstrip())
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))

    return install


@pytest.fixture
def spec(tmp_path: Path) -> DaemonSpec:
    project = tmp_path / "project"
    project.mkdir()
    return DaemonSpec(project_dir=project, files=(), state_dir=project / ".msctl")


def ensure(spec: DaemonSpec) -> bool:
    return ensure_daemon(spec, os.environ)


def end(spec: DaemonSpec) -> None:
    ControlClient(spec.state().socket).request("GET", "/end", timeout=real.PATIENCE)
    real.wait_until(lambda: not spec.state().is_locked(), "the daemon has ended")


def error_of(spec: DaemonSpec) -> str:
    with pytest.raises(MsctlError) as caught:
        ensure(spec)
    return str(caught.value)


def test_a_daemon_is_started_once_and_found_again(spec: DaemonSpec, use: UseDaemon) -> None:
    use(SERVES)
    assert not is_running(spec.state())
    assert ensure(spec) is True
    assert is_running(spec.state())
    assert ensure(spec) is False
    end(spec)
    assert ensure(spec) is True
    end(spec)


def test_of_two_at_once_one_starts_it_and_the_other_finds_it(
    spec: DaemonSpec, use: UseDaemon
) -> None:
    use(SERVES.replace("listener = serve()", "time.sleep(0.2); listener = serve()"))
    with ThreadPoolExecutor() as pool:
        assert sorted(pool.map(ensure, [spec] * 4)) == [False, False, False, True]
    end(spec)


def test_whoever_wants_one_to_himself_is_told_when_another_has_it(
    spec: DaemonSpec, use: UseDaemon
) -> None:
    use(SERVES)
    with ThreadPoolExecutor() as pool:
        started = pool.map(lambda spec: start_daemon(spec, os.environ), [spec] * 3)
        assert sorted(started) == [False, False, True]
    end(spec)


def test_a_socket_that_a_killed_daemon_left_does_not_count(
    spec: DaemonSpec, use: UseDaemon
) -> None:
    use(SERVES)
    spec.state().create()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(spec.state().socket))
        stale.listen()
    assert not is_running(spec.state())
    assert ensure(spec) is True
    end(spec)


def test_a_daemon_that_ends_just_now_is_waited_for_and_replaced(
    spec: DaemonSpec, use: UseDaemon
) -> None:
    use(SERVES)
    spec.state().create()
    lock = spec.state().try_lock()
    assert lock is not None
    ending = threading.Timer(0.1, os.close, [lock])
    ending.start()
    assert ensure(spec) is True
    ending.join()
    end(spec)


def test_one_that_hangs_up_while_it_is_asked_is_no_daemon(spec: DaemonSpec) -> None:
    spec.state().create()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(spec.state().socket))
        listener.listen()

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(1024)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert not is_running(spec.state())
        thread.join()


def test_one_that_does_not_answer_is_an_error_that_says_so(
    spec: DaemonSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "PATIENCE", 0.05)
    spec.state().create()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(spec.state().socket))
        listener.listen()
        assert "does not answer" in error_of(spec)


def test_one_that_holds_the_lock_and_never_serves_is_given_up(
    spec: DaemonSpec, use: UseDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(SERVES)
    monkeypatch.setattr(launcher, "PATIENCE", 0.1)
    spec.state().create()
    lock = spec.state().try_lock()
    assert lock is not None
    message = error_of(spec)
    os.close(lock)
    assert "another msctl has been starting or ending this fleet" in message
    assert str(spec.state().daemon_log) in message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("print('cannot import uvloop', file=sys.stderr); sys.exit(1)", "cannot import uvloop"),
        ("raise RuntimeError('half way')", "RuntimeError: half way"),
        ("os.kill(os.getpid(), 9)", "the daemon could not start"),
    ],
)
def test_a_daemon_that_dies_while_it_starts_is_an_error_with_its_last_words(
    spec: DaemonSpec, use: UseDaemon, body: str, said: str
) -> None:
    use(body)
    spec.state().create()
    spec.state().daemon_log.write_text("of an earlier run\n")
    message = error_of(spec)
    assert message.startswith("the daemon could not start")
    assert said in message
    assert "earlier run" not in message


def test_why_it_cannot_run_is_told_in_its_own_words(spec: DaemonSpec, use: UseDaemon) -> None:
    use("report_failure(channel, MsctlError('gateway: port 8700 is in use'))")
    assert error_of(spec) == "gateway: port 8700 is in use"


def test_the_problems_of_a_configuration_come_back_as_they_were(
    spec: DaemonSpec, use: UseDaemon
) -> None:
    use("""
        from pathlib import Path
        problems = [Problem(Path("/p/a.yaml"), 3, "services.a", "bad"), Problem(Path("/p"), 0, "", "x")]
        report_failure(channel, ConfigError(problems))
    """)
    with pytest.raises(ConfigError) as caught:
        ensure(spec)
    assert [str(problem) for problem in caught.value.problems] == [
        "/p/a.yaml:3: services.a: bad", "/p: x"
    ]  # fmt: skip


def test_the_daemon_gets_the_spec_the_directory_and_the_environment(
    spec: DaemonSpec, use: UseDaemon
) -> None:
    use("""
        import json
        facts = {"spec": spec.to_json(), "cwd": os.getcwd(), "mark": os.environ.get("MARK"),
                 "session": os.getsid(0) == os.getpid()}
        report_failure(channel, MsctlError(json.dumps(facts)))
    """)
    with pytest.raises(MsctlError) as caught:
        ensure_daemon(spec, os.environ | {"MARK": "ä"})
    facts = json.loads(str(caught.value))
    assert DaemonSpec.from_json(facts.pop("spec")) == spec
    assert facts == {"cwd": str(spec.project_dir), "mark": "ä", "session": True}


def test_a_spec_survives_being_written_down() -> None:
    full = DaemonSpec(
        project_dir=Path("/p"), files=(Path("/p/a.yaml"), Path("/p/b.yaml")),
        state_dir=Path("/tmp/s"), data_dir=Path("/p/data"),
        project="ci", isolated=True, temporary=True,
    )  # fmt: skip
    assert DaemonSpec.from_json(full.to_json()) == full
    assert full.state().data("a") == Path("/p/data/a")
    assert full.state().temporary


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    spec = DaemonSpec(project_dir=tmp_path, files=(), state_dir=tmp_path / "file" / ".msctl")
    assert "cannot keep the fleet's state" in error_of(spec)


def test_the_real_daemon_of_two_at_once_runs_once(spec: DaemonSpec) -> None:
    with ports.listen_privately(frozenset()) as listener:
        port = listener.getsockname()[1]
    config = spec.project_dir / "msctl.yaml"
    service = {"service_type": "worker", "command": ["sleep", "100"]}
    config.write_text(json.dumps({"gateway": {"port": port}, "services": {"w": service}}))
    real_spec = DaemonSpec(project_dir=spec.project_dir, files=(config,), state_dir=spec.state_dir)
    state: StateDir = real_spec.state()
    with ThreadPoolExecutor() as pool:
        assert sorted(pool.map(ensure, [real_spec] * 3)) == [False, False, True]
    client = ControlClient(state.socket)
    assert client.request("GET", "/ping") == (200, {"project": "project"})
    run = json.loads(state.run_file.read_text())
    assert run["gateway"] == f"http://127.0.0.1:{port}"
    assert real.is_alive(run["pid"])
    *_, result = client.stream("POST", "/stop", {})
    assert result["exit_code"] == 0
    real.wait_until(lambda: not state.is_locked(), "it has ended")
    assert not state.socket.exists()
    assert not state.run_file.exists()


def test_the_real_daemon_of_a_fleet_beside_the_first_has_its_name_and_its_own_ports(
    spec: DaemonSpec,
) -> None:
    with ports.listen_privately(frozenset()) as taken:
        port = taken.getsockname()[1]
        config = spec.project_dir / "msctl.yaml"
        config.write_text(json.dumps({
            "gateway": {"port": port},
            "services": {"a": {"port": port + 1, "command": ["sleep", "100"]}},
        }))  # fmt: skip
        beside = DaemonSpec(
            project_dir=spec.project_dir, files=(config,), project="ci", isolated=True,
            state_dir=StateDir.for_project(spec.project_dir, "ci").root, temporary=True,
        )  # fmt: skip
        assert ensure(beside) is True
    state = beside.state()
    client = ControlClient(state.socket)
    status = client.fetch("GET", "/status")
    assert (status["project"], status["isolated"]) == ("ci", True)
    assert [service["port"] for service in status["services"]] == ["auto"]
    assert status["gateway"] != f"http://127.0.0.1:{port}"
    assert json.loads(state.run_file.read_text())["project"] == "ci"
    for _ in client.stream("POST", "/stop", {}):
        pass
    real.wait_until(lambda: not state.root.exists(), "nothing of it is left")


def test_the_real_daemon_refuses_a_bad_configuration(spec: DaemonSpec) -> None:
    config = spec.project_dir / "msctl.yaml"
    config.write_text("services:\n  a: {prot: 8001}\n")
    bad = DaemonSpec(project_dir=spec.project_dir, files=(config,), state_dir=spec.state_dir)
    with pytest.raises(ConfigError) as caught:
        ensure(bad)
    assert any("services.a.prot" in str(problem) for problem in caught.value.problems)
    real.wait_until(lambda: not bad.state().is_locked(), "nothing is left running")
