"""What happens when instances die or fall ill while the fleet runs."""

import os
import signal
import sys
import threading

import httpx

from msctl.runtime.proctree import read_proc
from tests.fleet.project import Project, eventually, free_port

MOODY = """
    import os
    async def app(scope, receive, send):
        if scope["type"] == "http":
            ill = os.path.exists("ill")
            status = 503 if ill and scope["path"] == "/health" else 200
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b"ill" if ill else b"well"})
    """


def test_a_killed_instance_comes_back_with_its_id_and_the_next_generation(
    project: Project,
) -> None:
    project.config({"a": {"port": free_port()}})
    project.ok("up")
    before = project.instance("a")
    os.kill(before["pid"], signal.SIGKILL)

    def is_back() -> bool:
        instance = project.instance("a")
        return instance["pid"] not in (None, before["pid"]) and instance["health"] == "healthy"

    eventually(is_back, "the instance runs again")
    after = project.instance("a")
    assert (after["id"], after["generation"]) == ("a-1", 2)
    assert after["restarts"] == 1
    assert "killed by SIGKILL" in (project.directory / ".msctl/logs/a-1.log").read_text()


def test_killing_an_instance_under_load_is_repaired_without_a_command(project: Project) -> None:
    port = free_port()
    project.config({"a": {"port": port, "replicas": 3}})
    project.ok("up")
    victim = project.instance("a", 2)["pid"]
    failed: list[object] = []
    enough = threading.Event()

    def load() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            while not enough.is_set():
                response = client.get("/")
                if response.status_code != 200:
                    failed.append(response.text)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    os.kill(victim, signal.SIGKILL)
    try:
        eventually(
            lambda: (
                project.service("a")["ready"] == 3 and project.instance("a", 2)["pid"] != victim
            ),
            "three are ready again",
        )
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    assert failed == []


def test_unhealthy_and_exited_are_told_apart(project: Project) -> None:
    project.write("moody.py", MOODY)
    project.config({"a": {"port": free_port(), "app": "moody:app"}})
    project.ok("up")
    pid = project.instance("a")["pid"]
    (project.directory / "ill").touch()
    eventually(lambda: project.instance("a")["health"] == "unhealthy", "it is unhealthy")
    ill = project.instance("a")
    assert (ill["status"], ill["pid"], ill["exit_code"]) == ("running", pid, None)
    assert "503" in ill["reason"]
    assert project.run("status", "--check").code == 3
    (project.directory / "ill").unlink()
    eventually(lambda: project.instance("a")["health"] == "healthy", "it is healthy again")
    assert project.instance("a")["pid"] == pid


def test_a_crash_loop_ends_in_error_and_a_command_starts_anew(project: Project) -> None:
    project.write("flaky.py", "import time\ntime.sleep(0.05)\nraise SystemExit(7)\n")
    project.config(
        {
            "job": {
                "service_type": "worker",
                "command": [sys.executable, "flaky.py"],
                "restart": "on-failure:1",
            }
        }
    )
    project.ok("up")
    eventually(lambda: project.service("job")["status"] == "error", "it is given up")
    instance = project.instance("job")
    assert (instance["exit_code"], instance["restarts"]) == (7, 1)
    assert "exited with code 7" in instance["reason"]
    project.write("flaky.py", "import time\ntime.sleep(600)\n")
    project.ok("start", "job")
    project.ok("status", "--check")


def test_a_job_completes_and_its_dependent_waits_for_that(project: Project) -> None:
    project.write("migrate.py", "print('migrated')\n")
    project.config(
        {
            "migrate": {
                "service_type": "worker",
                "command": [sys.executable, "migrate.py"],
                "restart": "no",
            },
            "web": {
                "port": free_port(),
                "dependencies": {"migrate": {"condition": "completed"}},
            },
        }
    )
    project.ok("up")
    assert project.service("migrate")["status"] == "completed"
    assert project.service("web")["status"] == "running"
    project.ok("status", "--check")
    project.ok("wait", "migrate", "--for", "completed", "--timeout", "10")


def test_a_hung_service_delays_no_other(project: Project) -> None:
    project.write(
        "hung.py",
        """
        import asyncio
        async def app(scope, receive, send):
            await asyncio.sleep(600)
        """,
    )
    project.config(
        {
            "hung": {"port": free_port(), "app": "hung:app"},
            "fine": {"port": free_port()},
        }
    )
    project.ok("up", "--no-wait")
    project.ok("wait", "fine", "--timeout", "20")
    assert project.service("hung")["status"] == "starting"


def test_restart_replaces_the_process_and_reads_the_config_again(project: Project) -> None:
    port = free_port()
    project.config({"a": {"port": port}})
    project.ok("up")
    before = project.instance("a")["pid"]
    project.config({"a": {"port": port, "environment": {"COLOUR": "green"}}})
    project.ok("restart", "a")
    after = project.instance("a", 2)["pid"]
    assert after != before
    assert b"COLOUR=green" in read_proc(after, "environ").split(b"\0")


def test_a_restart_into_a_broken_version_exits_1_with_its_last_lines(project: Project) -> None:
    project.config({"a": {"port": free_port()}})
    project.ok("up")
    project.write("hello.py", "raise RuntimeError('of all things')\n")
    result = project.run("restart", "a")
    assert result.code == 1
    assert "of all things" in result.err
