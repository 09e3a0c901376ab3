"""Programs in any language: a real redis, a Node server, shell scripts, jobs and workers."""

import shutil
import socket
from typing import Any

import pytest

from tests.fleet.project import Project, eventually, free_port

NODE = """
const http = require("http");
const server = http.createServer((request, response) => {
  const answer = { path: request.url, instance: process.env.MSCTL_INSTANCE, cwd: process.cwd(),
                   cache: process.env.CACHE_URL };
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify(answer));
});
process.on("SIGINT", () => { console.log("asked to end"); server.close(() => process.exit(0)); });
server.listen(Number(process.env.PORT), process.env.HOST);
"""
needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no node")


def redis(**keys: Any) -> dict[str, Any]:
    return {
        "service_type": "cache",
        "command": 'redis-server --port ${PORT} --save "" --dir ${MSCTL_DATA_DIR}',
        **keys,
    }


def ask_redis(port: int, *words: str) -> str:
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        parts = [f"*{len(words)}", *(f"${len(word)}\r\n{word}" for word in words), ""]
        connection.sendall("\r\n".join(parts).encode())
        return connection.recv(1000).decode()


@needs_redis
@pytest.mark.parametrize(("port", "kind"), [("auto", "cache"), ("number", "database")])
def test_redis_is_checked_over_tcp_and_found_by_those_who_need_it(
    project: Project, port: str, kind: str
) -> None:
    number = free_port()
    project.config(
        {
            "cache": redis(port="auto" if port == "auto" else number, service_type=kind),
            "app": {
                "port": free_port(),
                "dependencies": ["cache"],
                "command": "sh serve.sh",
                "health_check_path": "/serve.sh",
            },
        }
    )
    project.write("serve.sh", 'echo "cache at $CACHE_URL"; exec python3 -m http.server $PORT\n')
    project.ok("up")
    cache = project.service("cache")
    assert (cache["status"], cache["health"]) == ("running", "healthy")
    assert cache["port"] == number or port == "auto"
    assert cache["url"] == f"tcp://localhost:{cache['port']}"
    assert ask_redis(cache["port"], "SET", "a", "1") == "+OK\r\n"
    assert f"cache at tcp://localhost:{cache['port']}" in project.ok("logs", "app").out
    project.ok("restart", "cache")
    assert project.service("cache")["port"] == cache["port"]
    assert ask_redis(cache["port"], "PING") == "+PONG\r\n"
    project.ok("stop")
    project.assert_nothing_left([cache["port"]])


@needs_node
def test_a_node_server_is_balanced_rolled_and_stopped_by_its_own_signal(project: Project) -> None:
    (project.directory / "web").mkdir()
    project.write("web/server.js", NODE)
    project.config(
        {
            "web": {
                "port": free_port(),
                "command": "node server.js",
                "working_dir": "web",
                "replicas": 2,
                "stop_signal": "INT",
                "health": {"path": "/ready"},
            }
        }
    )
    project.ok("up")
    answers = [project.ok("call", "web", "GET", "/x?y=1").json() for _ in range(4)]
    assert {answer["instance"] for answer in answers} == {"web-1", "web-2"}
    assert {answer["path"] for answer in answers} == {"/x?y=1"}
    assert {answer["cwd"] for answer in answers} == {str(project.directory / "web")}
    project.ok("restart", "web")
    assert project.service("web")["ready"] == 2
    project.ok("stop")
    assert project.ok("logs", "web").out.count("asked to end") == 4
    project.assert_nothing_left()


def test_a_script_a_job_a_worker_and_a_command_that_checks(project: Project) -> None:
    project.write("work.sh", 'echo "works with $1"; touch alive; exec sleep 1000\n')
    project.write("migrate.sh", "echo migrated; echo done > migrated\n")
    project.config(
        {
            "migrate": {"service_type": "worker", "command": "sh migrate.sh", "restart": "no"},
            "worker": {
                "service_type": "worker",
                "command": ["sh", "work.sh", "a b"],
                "health": {"command": ["test", "-e", "alive"]},
                "dependencies": {"migrate": {"condition": "completed"}},
            },
        }
    )
    project.ok("up")
    assert project.service("migrate")["status"] == "completed"
    worker = project.service("worker")
    assert (worker["health"], worker["port"], worker["url"]) == ("healthy", None, None)
    assert "works with a b" in project.ok("logs", "worker").out
    (project.directory / "alive").unlink()
    eventually(lambda: project.service("worker")["health"] == "unhealthy", "unhealthy")
    assert project.instance("worker")["restarts"] == 0, "readiness never restarts a process"
    (project.directory / "alive").touch()
    eventually(lambda: project.service("worker")["health"] == "healthy", "healthy again")


def test_a_worker_ends_by_the_signal_that_the_config_names(project: Project) -> None:
    script = "trap 'echo hung up; exit 0' HUP; echo ready; while :; do sleep 0.05; done"
    project.config(
        {"a": {"service_type": "worker", "command": ["sh", "-c", script], "stop_signal": "HUP"}}
    )
    project.ok("up")
    eventually(lambda: "ready" in project.ok("logs", "a").out, "it runs")
    project.ok("stop", "a")
    assert "hung up" in project.ok("logs", "a").out


def test_profiles_are_started_when_they_are_asked_for_or_needed(project: Project) -> None:
    project.config(
        {
            "shop": {"port": free_port()},
            "debugger": {"port": free_port(), "profiles": ["debug"]},
            "report": {"port": free_port(), "profiles": ["night"], "dependencies": ["archive"]},
            "archive": {"port": free_port(), "profiles": ["other"]},
        }
    )

    def running() -> set[str]:
        return {s["name"] for s in project.status()["services"] if s["status"] == "running"}

    project.ok("up")
    assert running() == {"shop"}
    project.ok("up", "--profile", "debug")
    assert running() == {"shop", "debugger"}
    project.ok("up", "report")
    assert running() == {"shop", "debugger", "report", "archive"}
