"""Programs that msctl runs: found, signalled and ended as in a shell."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from msctl.cli.program import NoProgram, find, see_through
from tests.cli.terminal import ROOT, environment, on_terminal

SEE_THROUGH = """
import os, sys
from msctl.cli.program import see_through
sys.exit(see_through(sys.argv[1], sys.argv[1:], os.environ))
"""
ENDS_LATER = "trap 'echo got it; exit 5' INT TERM; echo ready; while :; do sleep 0.05; done"


def program(directory: Path, name: str, mode: int = 0o755) -> Path:
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\nexit 3\n")
    path.chmod(mode)
    return path


def code_of(name: str, directory: Path, path: str = "bin") -> int:
    with pytest.raises(NoProgram) as caught:
        find(name, {"PATH": path}, str(directory))
    return caught.value.code


def test_a_program_is_found_on_the_path_or_where_it_is_said_to_be(tmp_path: Path) -> None:
    path = str(program(tmp_path / "bin", "tool"))
    for name in ("tool", "bin/tool", path):
        assert find(name, {"PATH": "none:bin"}, str(tmp_path)) == path


def test_what_is_not_there_is_127_and_what_cannot_be_executed_126(tmp_path: Path) -> None:
    program(tmp_path / "bin", "data", 0o644)
    for name in ("nope", "./nope", "", "data/x"):
        assert code_of(name, tmp_path) == 127
    for name in ("data", "./bin/data", "./bin"):
        assert code_of(name, tmp_path) == 126


def test_one_that_can_be_executed_further_on_is_found(tmp_path: Path) -> None:
    program(tmp_path / "first", "tool", 0o644)
    path = program(tmp_path / "bin", "tool")
    assert find("tool", {"PATH": "first:bin"}, str(tmp_path)) == str(path)


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)]
)
def test_the_exit_code_is_that_of_a_shell(script: str, code: int) -> None:
    assert see_through("/bin/sh", ("sh", "-c", script), os.environ) == code


def test_a_file_that_is_no_program_is_refused_when_it_is_started(tmp_path: Path) -> None:
    path = program(tmp_path, "tool")
    path.write_bytes(b"\x00\x01")
    with pytest.raises(NoProgram) as caught:
        see_through(str(path), ("tool",), os.environ)
    assert caught.value.code == 126


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_us_alone_is_passed_on(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SEE_THROUGH, "/bin/sh", "-c", ENDS_LATER],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.read() == "got it\n"
    assert process.returncode == 5


def test_a_signal_of_the_terminal_arrives_once(tmp_path: Path) -> None:
    """The kernel sends Ctrl-C to all of the foreground; who passes it on doubles it."""
    script = tmp_path / "counts.py"
    script.write_text(
        "import os, signal, time\n"
        "seen = []\n"
        "signal.signal(signal.SIGINT, lambda *_: seen.append(1))\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('seen', len(seen)), os._exit(0)))\n"
        "os.killpg(0, signal.SIGINT)\n"  # as the terminal does
        "while not seen: time.sleep(0.01)\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"  # handled there after the first one
        "while True: time.sleep(0.01)\n"
    )
    run = f"import os, pty; pty.spawn([{sys.executable!r}, '-c', {SEE_THROUGH!r}, {sys.executable!r}, {str(script)!r}])"
    done = on_terminal(
        tmp_path, [], program=[sys.executable, "-c", run], env={"PYTHONPATH": str(ROOT)}
    )
    assert "seen 1" in done.out
