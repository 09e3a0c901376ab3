import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from msctl.errors import MsctlError
from msctl.runtime.statedir import RunFile, StateDir
from tests.runtime import real

RUN = RunFile(4711, "shop", "http://127.0.0.1:8700", "2026-01-01T00:00:00.000000Z")


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    state = StateDir.for_project(tmp_path)
    state.create()
    return state


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_private_and_git_ignores_it(state: StateDir, tmp_path: Path) -> None:
    assert state.root == tmp_path / ".msctl"
    assert mode(state.root) == 0o700
    assert (state.root / ".gitignore").read_text() == "*\n"
    assert state.logs.is_dir()


def test_one_beside_the_first_is_private_all_the_way(tmp_path: Path) -> None:
    beside = StateDir.for_project(tmp_path, "ci")
    beside.create()
    assert beside.root == tmp_path / ".msctl/projects/ci"
    for directory in (tmp_path / ".msctl", beside.root):
        assert mode(directory) == 0o700
        assert (directory / ".gitignore").read_text() == "*\n"
    assert not (tmp_path / ".msctl/logs").exists()
    beside.remove()
    assert not beside.root.exists()


def test_making_it_again_keeps_what_is_there_and_closes_what_was_opened(state: StateDir) -> None:
    (state.root / ".gitignore").write_text("my own\n")
    (state.logs / "api-1.log").write_text("kept")
    state.root.chmod(0o755)
    state.create()
    assert mode(state.root) == 0o700
    assert (state.root / ".gitignore").read_text() == "my own\n"
    assert (state.logs / "api-1.log").read_text() == "kept"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / ".msctl").write_text("a file")
    with pytest.raises(MsctlError, match=rf"cannot keep the fleet's state in {tmp_path}/\.msctl"):
        StateDir.for_project(tmp_path).create()


def test_data_directories_may_lie_elsewhere(tmp_path: Path) -> None:
    assert StateDir(tmp_path).data("a") == tmp_path / "data" / "a"
    assert StateDir(tmp_path, Path("/srv")).data("a") == Path("/srv/a")


def test_the_run_file_has_the_keys_of_the_design(state: StateDir) -> None:
    state.write_run(RUN)
    assert json.loads(state.run_file.read_text()) == {
        "schema_version": 1,
        "pid": 4711,
        "project": "shop",
        "gateway": "http://127.0.0.1:8700",
        "started_at": "2026-01-01T00:00:00.000000Z",
    }


def test_the_run_file_is_replaced_whole(state: StateDir) -> None:
    state.write_run(RUN)
    with state.run_file.open() as old:
        state.write_run(RunFile(1, "x" * 10_000, "", ""))
        assert json.loads(old.read())["pid"] == 4711
    assert [path.name for path in state.root.glob("run*")] == ["run.json"]


def test_leftovers_of_a_daemon_go_and_the_rest_stays(state: StateDir) -> None:
    state.write_run(RUN)
    state.socket.touch()
    (state.logs / "api-1.log").touch()
    for _ in range(2):
        state.remove_leftovers()
        assert not state.run_file.exists()
        assert not state.socket.exists()
    assert (state.logs / "api-1.log").exists()


def test_the_lock_belongs_to_one(state: StateDir) -> None:
    assert not state.is_locked()
    lock = state.try_lock()
    assert lock is not None
    assert state.is_locked()
    assert state.try_lock() is None
    os.close(lock)
    assert not state.is_locked()
    again = state.try_lock()
    assert again is not None
    os.close(again)


def test_without_a_directory_there_is_no_lock(tmp_path: Path) -> None:
    assert not StateDir.for_project(tmp_path).is_locked()


def test_the_lock_is_for_its_owner_alone_to_read(state: StateDir) -> None:
    lock = state.try_lock()
    assert lock is not None
    os.close(lock)
    assert mode(state.lock) == 0o600


def test_a_program_that_is_executed_does_not_keep_the_lock(state: StateDir) -> None:
    lock = state.try_lock()
    assert lock is not None
    with subprocess.Popen(["sleep", "100"], close_fds=False) as program:
        os.close(lock)
        assert not state.is_locked()
        program.kill()


def test_what_was_forked_keeps_the_lock_until_it_ends(state: StateDir) -> None:
    code = (
        "import os, sys; from pathlib import Path; from msctl.runtime.statedir import StateDir\n"
        "lock = StateDir(Path(sys.argv[1])).try_lock()\n"
        "if os.fork() == 0: sys.stdin.read(); os._exit(0)\n"
        "print('locked', flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(state.root)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        assert parent.stdin is not None
        assert parent.stdout.readline() == "locked\n"
        parent.wait()
        assert state.is_locked()
        parent.stdin.close()
        real.wait_until(lambda: not state.is_locked(), "the child has ended")
