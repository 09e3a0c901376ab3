"""Commands beside a fleet of their own, and in the place of an instance."""

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.project import HELLO, MSCTL, PATIENCE, Project, eventually, free_port

ENVIRONMENT = "import json, os; print(json.dumps({'cwd': os.getcwd(), **os.environ}))"
TELL = (sys.executable, "-c", ENVIRONMENT)


@pytest.fixture
def shop(project: Project) -> Project:
    project.config(
        {
            "user-service": {"port": free_port()},
            "order": {"port": free_port(), "dependencies": ["user-service"]},
            "other": {"port": free_port()},
        }
    )
    return project


def assert_nothing_left(project: Project) -> None:
    project.assert_nothing_left()
    eventually(lambda: not fleets(project), "the fleet's directory is gone")


def fleets(project: Project) -> list[Path]:
    return [*(project.directory / ".msctl/projects").glob("*")]


def test_the_command_finds_the_services_that_were_started(shop: Project) -> None:
    done = shop.ok("with", "order", "--", *TELL)
    told = json.loads(done.out)  # stdout is the command's alone
    assert told["USER_SERVICE_URL"] == f"http://localhost:{told['USER_SERVICE_PORT']}"
    assert told["ORDER_HOST"] == "localhost"
    assert "OTHER_URL" not in told
    assert told["MSCTL_GATEWAY_URL"].startswith("http://127.0.0.1:")
    assert told["MSCTL_PROJECT"].startswith("shop-with-")
    assert told["cwd"] == str(shop.directory)
    assert "order: healthy" in done.err
    assert_nothing_left(shop)


def test_without_names_all_are_there_and_msctl_inside_means_them(shop: Project) -> None:
    shop.ok("up", "other")
    inside = f"{MSCTL} status -q; {MSCTL} call order GET /x; {MSCTL} projects --json"
    done = shop.ok("with", "--", "sh", "-c", inside)
    names, _, rest = done.out.partition("{")
    assert names.split() == ["user-service", "order", "other"]
    assert '"path": "/x"' in rest
    assert shop.service("other")["status"] == "running"
    shop.ok("stop")
    assert_nothing_left(shop)


def test_a_configuration_that_was_named_counts_inside_too(shop: Project) -> None:
    config = str(shop.directory / "msctl.yaml")
    away = shop.directory.parent
    done = shop.ok("-f", config, "with", "other", "--", str(MSCTL), "status", "-q", cwd=away)
    assert done.out.split() == ["user-service", "order", "other"]
    assert_nothing_left(shop)


def test_stdin_is_the_commands(shop: Project) -> None:
    assert shop.ok("with", "other", "--", "cat", input="a\nb").out == "a\nb"


@pytest.mark.parametrize(
    ("script", "code"), [("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_the_exit_code_is_the_commands(shop: Project, script: str, code: int) -> None:
    assert shop.run("with", "other", "--", "sh", "-c", script).code == code
    assert_nothing_left(shop)


def test_a_command_that_cannot_be_run_is_refused_before_anything_starts(shop: Project) -> None:
    (shop.directory / "data").touch()
    for name, code in (("no-such-program", 127), ("./data", 126), ("./", 126)):
        done = shop.run("with", "--", name)
        assert (done.code, done.out) == (code, "")
        assert done.err.startswith(f"error: {name}: ")
    assert not (shop.directory / ".msctl").exists()


def test_a_start_that_fails_is_1_and_the_command_is_not_run(shop: Project) -> None:
    crash = "print('no database', flush=True); raise SystemExit(3)"
    command = [sys.executable, "-c", crash]
    shop.config({"bad": {"port": free_port(), "command": command}})
    done = shop.run("with", "--", "touch", "ran")
    assert (done.code, done.out) == (1, "")
    assert "error: bad: " in done.err
    assert "| no database" in done.err
    assert not (shop.directory / "ran").exists()
    assert_nothing_left(shop)


def test_wrong_use_and_the_time_limit_have_their_codes(shop: Project) -> None:
    assert shop.run("with", "usr-service", "--", "true").code == 2
    shop.config({"never": {"port": free_port(), "command": "sleep 100"}})
    assert shop.run("with", "--timeout", "0.3", "--", "true").code == 124
    shop.write("msctl.yaml", "services: {a: {prot: 1}}\n")
    assert shop.run("with", "--", "true").code == 2
    assert_nothing_left(shop)


def test_every_run_begins_with_fresh_data(shop: Project) -> None:
    script = "d=$(echo .msctl/projects/$MSCTL_PROJECT/data/other); ls $d; touch $d/mark; ls $d"
    for _ in range(2):
        assert shop.ok("with", "other", "--", "sh", "-c", script).out == "mark\n"
    assert not (shop.directory / ".msctl/data").exists()


def test_two_at_the_same_moment_know_nothing_of_each_other(shop: Project) -> None:
    running = [shop.popen("with", "--", *TELL) for _ in range(2)]
    told = [json.loads(process.communicate(timeout=60)[0]) for process in running]
    for name in ("MSCTL_PROJECT", "ORDER_URL", "MSCTL_GATEWAY_URL"):
        assert told[0][name] != told[1][name]
    assert_nothing_left(shop)


def test_ctrl_c_is_the_commands_and_then_the_fleet_is_stopped(shop: Project) -> None:
    script = "trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.05; done"
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(shop.directory)
        command = [str(MSCTL), "with", "other", "--", "sh", "-c", script]
        os.execve(command[0], command, shop.environment() | {"TERM": "dumb"})
    try:
        read_until(terminal, b"ready")
        os.write(terminal, b"\x03")
        read_until(terminal, b"interrupted")
        read_until(terminal, b"other: stopped")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    finally:
        os.close(terminal)
    assert_nothing_left(shop)


def read_until(terminal: int, text: bytes) -> None:
    seen, deadline = b"", time.monotonic() + PATIENCE
    while text not in seen:
        assert time.monotonic() < deadline, f"{text!r} never came, only {seen!r}"
        if select.select([terminal], [], [], 0.1)[0]:
            seen += os.read(terminal, 65536)


def test_an_interrupt_during_the_start_ends_all(shop: Project) -> None:
    shop.config({"never": {"port": free_port(), "command": "sleep 100"}})
    with shop.popen("with", "--", "touch", "ran") as process:
        assert process.stderr is not None
        assert "never: starting" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert not (shop.directory / "ran").exists()
    assert_nothing_left(shop)


def until_the_command_runs(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    told: dict[str, Any] = json.loads(process.stdout.readline())
    return told


WAITS = (sys.executable, "-u", "-c", f"{ENVIRONMENT}; import time; time.sleep(600)")


def test_a_term_reaches_the_command_and_the_fleet_ends(shop: Project) -> None:
    with shop.popen("with", "other", "--", *WAITS) as process:
        until_the_command_runs(process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143
    assert_nothing_left(shop)


def test_the_fleet_ends_when_with_is_killed(shop: Project) -> None:
    with shop.popen("with", "other", "--", *WAITS) as process:
        until_the_command_runs(process)
        command = next(pid for pid, said in shop.processes().items() if "sleep(600)" in said
                       and pid != process.pid)  # fmt: skip
        process.kill()
        eventually(lambda: {*shop.processes()} <= {command}, "nothing is left but the command")
        os.kill(command, signal.SIGKILL)
    assert_nothing_left(shop)


# run


def run_tells(project: Project, *arguments: str, **options: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(project.ok(*arguments, "--", *TELL, **options).out)
    return told


def test_run_gives_what_an_instance_gets(shop: Project) -> None:
    shop.write("sub/hello.py", HELLO)
    (shop.directory / "extra.env").write_text("FROM_FILE=file\n")
    user = free_port()
    shop.config(
        {
            "user-service": {"port": user},
            "order": {
                "port": "auto",
                "dependencies": ["user-service"],
                "environment": {"MODE": "x"},
                "env_file": "extra.env",
                "working_dir": "sub",
            },
        }
    )
    without = run_tells(shop, "run", "order")
    shop.ok("up")
    with_daemon = run_tells(shop, "run", "order")
    pid = shop.instance("order")["pid"]
    pairs = Path(f"/proc/{pid}/environ").read_text().split("\0")
    instance = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    for told in (without, with_daemon):
        assert told["MSCTL_INSTANCE"] == "order-run"
        assert told["USER_SERVICE_URL"] == f"http://localhost:{user}"
        assert (told["MODE"], told["FROM_FILE"]) == ("x", "file")
        assert told["cwd"] == str(shop.directory / "sub")
        assert told["PORT"] != instance["PORT"]
    differing = {"MSCTL_INSTANCE", "PORT", "cwd", "PWD", "OLDPWD", "SHLVL", "_"}
    names = {name for name in instance if name.startswith(("MSCTL_", "USER_", "PYTHONUNB"))}
    assert {n: with_daemon[n] for n in names - differing} == {
        n: instance[n] for n in names - differing
    }
    shop.ok("stop")


def test_run_in_an_isolated_fleet_finds_its_ports(shop: Project) -> None:
    shop.ok("-p", "ci", "up", "--isolated")
    document = shop.ok("-p", "ci", "status", "--json").json()
    told = run_tells(shop, "-p", "ci", "run", "order")
    urls = {each["name"]: each["url"] for each in document["services"]}
    assert told["USER_SERVICE_URL"] == urls["user-service"]
    assert told["MSCTL_GATEWAY_URL"] == document["gateway"]
    assert told["MSCTL_PROJECT"] == "ci"
    assert told["MSCTL_DATA_DIR"] == str(shop.directory / ".msctl/projects/ci/data/order")
    shop.ok("-p", "ci", "stop")


def test_run_becomes_the_command(shop: Project) -> None:
    assert shop.run("run", "order", "--", "sh", "-c", "exit 9").code == 9
    assert shop.run("run", "order", "--", "sh", "-c", "kill -9 $$").code == -9
    assert shop.ok("run", "order", "--", "cat", input="x").out == "x"
    with shop.popen("run", "order", "--", "sh", "-c", "echo $$; exec sleep 600") as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == process.pid
        process.kill()
    # A pipe that nobody reads ends it, as anywhere.
    assert shop.ok("run", "order", "--", "sh", "-c", "yes | head -n 1").out == "y\n"


def test_run_of_what_cannot_be_run(shop: Project) -> None:
    assert shop.run("run", "order", "--", "no-such-program").code == 127
    assert shop.run("run", "order", "--", "/").code == 126
    unknown = shop.run("run", "odrer", "--", "env")
    assert unknown.code == 2
    assert "did you mean order?" in unknown.err
    shop.write("gone/hello.py", HELLO)
    shop.config({"order": {"port": free_port(), "working_dir": "gone"}})
    shop.ok("up")
    shutil.rmtree(shop.directory / "gone")
    missing = shop.run("run", "order", "--", "env")
    assert missing.code == 1
    assert "gone is not a directory" in missing.err
    shop.ok("stop")
