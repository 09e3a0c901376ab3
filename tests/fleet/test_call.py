"""`msctl call`: one request through balancer and breaker, its body and its exit code."""

import json
import os
import signal
import subprocess
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from tests.fleet.project import MSCTL, Project, eventually, free_port

SLOW = """
    import asyncio
    async def app(scope, receive, send):
        if scope["type"] == "http":
            if scope["path"] != "/health":
                await asyncio.sleep(600)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})
    """


@pytest.fixture
def fleet(project: Project) -> Project:
    project.config({"order-service": {"port": free_port()}, "other": {"port": free_port()}})
    project.ok("up")
    return project


def test_a_body_comes_from_the_argument_a_file_or_stdin(fleet: Project) -> None:
    fleet.write("body.json", '{"from": "file"}')
    ways = [
        (["POST", "/o", '{"from": "argument"}'], None),
        (["POST", "/o", "@body.json"], None),
        (["POST", "/o", "-"], '{"from": "stdin"}'),
        (["POST", "/o"], '{"from": "pipe"}'),
    ]
    bodies = [
        fleet.ok("call", "order-service", *arguments, input=stdin).json()["body"]
        for arguments, stdin in ways
    ]
    sources = [json.loads(body)["from"] for body in bodies]
    assert sources == ["argument", "file", "stdin", "pipe"]


def test_get_leaves_stdin_alone(fleet: Project) -> None:
    answer = fleet.ok("call", "order-service", "GET", "/o", input="not for you").json()
    assert answer["body"] == ""


def test_headers_query_and_routing_are_shown_where_asked(fleet: Project) -> None:
    result = fleet.ok("call", "order-service", "GET", "/o", "-i", "-v", "-q", "a=b c", "-q", "d=é")
    head, _, body = result.out.partition("\n\n")
    assert head.startswith("HTTP/1.1 200")
    assert "order-service-1" in result.err
    assert parse_qsl(json.loads(body)["query"]) == [("a", "b c"), ("d", "é")]


@pytest.mark.parametrize(
    ("path", "flags", "code"),
    [
        ("/status/204", [], 0),
        ("/status/302", [], 0),
        ("/status/404", [], 22),
        ("/status/404", ["--no-fail"], 0),
        ("/status/500", [], 22),
        ("/status/503", [], 22),
    ],
)
def test_the_exit_code_follows_the_status(
    fleet: Project, path: str, flags: list[str], code: int
) -> None:
    result = fleet.run("call", "order-service", "GET", path, *flags)
    assert result.code == code
    if path != "/status/204":
        assert json.loads(result.out)["path"] == path, "the body is printed all the same"


def test_an_unknown_service_exits_2_and_names_the_nearest(fleet: Project) -> None:
    result = fleet.run("call", "order-servise", "GET", "/")
    assert result.code == 2
    assert "order-service" in result.err


def test_a_service_that_does_not_run_exits_7(fleet: Project) -> None:
    fleet.ok("stop", "other")
    result = fleet.run("call", "other", "GET", "/")
    assert result.code == 7
    assert "no_instances" in result.err + result.out


def test_without_a_daemon_it_exits_4(project: Project) -> None:
    project.config({"a": {"port": free_port()}})
    assert project.run("call", "a", "GET", "/").code == 4


def test_the_time_limit_exits_28(project: Project) -> None:
    project.write("slow.py", SLOW)
    project.config({"slow": {"port": free_port(), "app": "slow:app"}})
    project.ok("up")
    result = project.run("call", "slow", "GET", "/", "--timeout", "0.5")
    assert result.code == 28


def test_an_open_breaker_exits_75(project: Project) -> None:
    project.config(
        {"a": {"port": free_port(), "breaker": {"failure_threshold": 2, "minimum_calls": 2}}}
    )
    project.ok("up")

    def is_open() -> bool:
        return project.run("call", "a", "POST", "/status/500", "{}").code == 75

    eventually(is_open, "the breaker refuses")
    assert project.service("a")["breaker"]["state"] == "open"


def test_a_pinned_instance_answers(project: Project) -> None:
    project.config({"a": {"port": free_port(), "replicas": 3}})
    project.ok("up")
    seen = {
        project.ok("call", "a", "GET", "/", "--instance", "a-2").json()["instance"]
        for _ in range(3)
    }
    assert seen == {"a-2"}
    assert project.run("call", "a", "GET", "/", "--instance", "a-9").code in {2, 7}


def test_the_pipelines_of_the_manual_work(fleet: Project) -> None:
    def shell(command: str) -> str:
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=fleet.directory,
            env=fleet.environment() | {"PATH": f"{MSCTL.parent}:{os.environ['PATH']}"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    python = "python3 -c 'import json, sys; print(json.load(sys.stdin)[\"{}\"])'"
    assert shell(f"msctl status --json | {python.format('total_services')}") == "2"
    assert (
        shell(
            "echo '{\"a\": 1}' | msctl call order-service POST /orders | " + python.format("body")
        )
        == '{"a": 1}'
    )


def test_a_reader_that_closes_the_pipe_ends_the_command_quietly(fleet: Project) -> None:
    result = subprocess.run(
        ["bash", "-c", f"({MSCTL} logs; echo code=$? >&2) | head -c 1 >/dev/null"],
        cwd=fleet.directory,
        env=fleet.environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in result.stderr
    assert "BrokenPipe" not in result.stderr


def test_a_follower_ends_at_once_when_its_reader_has_gone(fleet: Project) -> None:
    with fleet.popen("logs", "-f") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        process.wait(timeout=5)


def test_the_last_answer_of_a_dying_instance_is_no_clean_end(project: Project) -> None:
    project.write(
        "half.py",
        """
        import asyncio, os
        async def app(scope, receive, send):
            if scope["type"] == "http":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"half", "more_body": True})
                if scope["path"] != "/health":
                    await asyncio.sleep(0.2)
                    os.kill(os.getpid(), 9)
                await send({"type": "http.response.body", "body": b""})
        """,
    )
    project.config({"a": {"port": free_port(), "app": "half:app"}})
    project.ok("up")
    result = project.run("call", "a", "GET", "/x")
    assert result.code not in {0, 22}
    assert "Traceback" not in result.err


def test_output_goes_to_a_file_when_asked(fleet: Project, tmp_path: Path) -> None:
    target = tmp_path / "answer.json"
    result = fleet.ok("call", "order-service", "GET", "/o", "-o", str(target))
    assert not result.out
    assert json.loads(target.read_text())["path"] == "/o"


def test_ctrl_c_during_a_call_exits_130(project: Project) -> None:
    project.write("slow.py", SLOW)
    project.config({"slow": {"port": free_port(), "app": "slow:app"}})
    project.ok("up")
    with project.popen("call", "slow", "GET", "/") as process:
        eventually(lambda: project.instance("slow")["connections"] == 1, "the call is under way")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    assert process.returncode == 130
    eventually(lambda: project.instance("slow")["connections"] == 0, "its upstream is cancelled")
