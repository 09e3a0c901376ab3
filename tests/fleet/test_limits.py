"""Processes that hang, and processes that use more than they may."""

from tests.fleet.project import Project, eventually, free_port

HANGS = """
import os, time
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/hang":
        hang_here()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})

def hang_here():
    time.sleep(1000)
"""


def test_a_process_that_hangs_writes_its_stacks_and_is_started_again(project: Project) -> None:
    project.write("hangs.py", HANGS)
    port = free_port()
    liveness = {"path": "/alive", "interval": 0.3, "timeout": 0.3, "fall": 2}
    project.config({"a": {"port": port, "app": "hangs:app", "liveness": liveness}})
    project.ok("up")
    first = project.instance("a")
    assert first["restarts"] == 0
    project.run("call", "a", "GET", "/hang", "--timeout", "0.5")
    eventually(
        lambda: project.instance("a")["restarts"] == 1 and project.service("a")["ready"] == 1,
        "started again",
    )
    logs = project.ok("logs", "a").out
    assert "exec'd, not forked" not in logs
    assert "liveness check failed 2 times in a row: no answer within 0.3 s; killing it" in logs
    assert "hang_here" in logs
    assert "hangs.py" in logs


def test_limits_are_applied_and_it_says_by_which_means(project: Project) -> None:
    limits = {"memory": "200M", "cpus": 0.5, "nice": 4, "open_files": 99}
    code = (
        "import os, resource; print(os.getpriority(os.PRIO_PROCESS, 0), "
        "resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    project.config(
        {
            "a": {
                "service_type": "worker",
                "command": ["sh", "-c", f"sleep 0.5; python3 -c '{code}'; exec sleep 1000"],
                "resources": limits,
            }
        }
    )
    project.ok("up")
    eventually(lambda: "(99, 99)" in project.ok("logs", "a").out, "the limits are there")
    text = project.ok("logs", "a").out
    assert "limits: " in text
    assert "memory 200 MiB" in text
    assert "cpus 0.5" in text
    assert "open_files 99, nice 4" in text
    project.ok("stop")
    project.assert_nothing_left()
