"""`msctl why` with real programs: what it says, and that it is so."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest

from tests.fleet.project import Project, eventually, free_port

NEEDS_CACHE = """
    import os, socket

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        status, body = 200, b"fine"
        try:
            socket.create_connection(("127.0.0.1", int(os.environ["CACHE_PORT"])), 0.5).close()
        except OSError as error:
            status, body = 503, f"no cache: {error}".encode()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})
    """


def chain(project: Project, name: str) -> list[dict[str, Any]]:
    document = project.ok("why", name, "--json").json()
    assert (document["schema_version"], document["service"]) == (1, name)
    steps: list[dict[str, Any]] = document["chain"]
    return steps


def told(steps: list[dict[str, Any]]) -> str:
    return "\n".join(f"{step['service']}: {step['what']}" for step in steps)


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server here")
def test_a_killed_redis_is_named_for_the_service_that_depends_on_it(project: Project) -> None:
    project.write("shop.py", NEEDS_CACHE)
    project.config(
        {
            "app": {"app": "shop:app", "port": free_port(), "dependencies": ["cache"]},
            "cache": {
                "service_type": "cache",
                "port": free_port(),
                "command": 'redis-server --port ${PORT} --save "" --dir ${MSCTL_DATA_DIR}',
                "restart": "no",
            },
        }
    )
    project.ok("up")
    assert told(chain(project, "app")).endswith("app: nothing is wrong")
    redis = project.instance("cache")["pid"]
    os.kill(redis, signal.SIGKILL)
    eventually(lambda: project.service("app")["health"] == "unhealthy", "the app misses it")

    steps = eventually(
        lambda: found if "last line" in told(found := chain(project, "app")) else None,
        "the last line is told",
    )
    assert [step["instance"] for step in steps] == [None, "app-1", "cache-1", "cache-1"]
    assert steps[0]["what"].startswith("unhealthy for ")
    assert steps[1]["what"].startswith("its health check answered 503: no cache: ")
    assert steps[2]["what"].startswith("killed by signal 9 (SIGKILL), ")
    assert steps[2]["evidence"][0].startswith(f"pid {redis} ran for ")
    assert "Ready to accept connections" in steps[3]["what"]

    text = project.ok("why", "app").out
    assert "← cache-1: killed by signal 9 (SIGKILL)" in text
    assert "what to do: see msctl logs cache-1, then: msctl start cache" in text
    project.ok("start", "cache")
    eventually(lambda: project.service("app")["health"] == "healthy", "it is well again")
    assert told(chain(project, "app")).endswith("app: nothing is wrong")


def test_a_start_that_failed_is_told_without_a_daemon_too(project: Project) -> None:
    project.write("broken.py", "def connect():\n    raise ValueError('no DSN')\n\nconnect()\n")
    project.config({"app": {"app": "broken:app", "port": free_port()}})
    assert project.run("up").code == 1
    eventually(lambda: not (project.directory / ".msctl/control.sock").exists(), "it has ended")
    result = project.run("why", "app")
    assert result.code == 4
    assert "not running: no fleet is running here" in result.out
    assert "← app-1: ValueError: no DSN" in result.out
    assert "broken.py:2 in connect" in result.out


def test_a_suspended_process_is_told_with_the_way_to_wake_it(project: Project) -> None:
    health = {"interval": 0.1, "timeout": 0.2}
    project.config({"app": {"port": free_port(), "health": health}})
    project.ok("up")
    pid = project.instance("app")["pid"]
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: project.service("app")["health"] == "unhealthy", "it does not answer")
    step = chain(project, "app")[-1]
    assert step["what"].startswith(f"it hangs: pid {pid} is alive")
    assert step["evidence"][0].startswith("it is suspended (state T)")
    assert step["hint"] == f"kill -CONT {pid}"
    os.kill(pid, signal.SIGCONT)


def test_a_port_that_somebody_else_has_is_told_with_its_holder(project: Project) -> None:
    program = (
        "import socket, time\n"
        "s = socket.create_server(('127.0.0.1', 0))\n"
        "print(s.getsockname()[1], flush=True)\n"
        "time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", program], stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout is not None
            port = int(holder.stdout.readline())
            with socket.create_connection(("127.0.0.1", port)):
                project.config({"app": {"port": port}, "other": {"port": free_port()}})
            assert project.run("up").code == 1
            assert project.ok("up", "other").code == 0
            step = chain(project, "app")[-1]
            assert step["what"].startswith(f"port {port} is held by pid {holder.pid} (")
            assert step["hint"].startswith(f"kill {holder.pid}, or set services.app.port")
        finally:
            holder.kill()


def test_what_was_stopped_by_a_command_is_no_riddle(project: Project) -> None:
    project.config({"app": {"port": free_port()}, "other": {"port": free_port()}})
    project.ok("up")
    project.ok("stop", "app")
    (step,) = chain(project, "app")
    assert step["what"].startswith("not running: stopped ")
    assert step["hint"] == "msctl start app"
    unknown = project.run("why", "aap")
    assert unknown.code == 2
    assert "did you mean app?" in unknown.err
