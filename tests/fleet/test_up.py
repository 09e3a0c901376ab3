"""`msctl up` and what it leaves: an honest answer, and nothing that it should not."""

import os
import signal
import socket
import threading
from collections.abc import Callable

from msctl.runtime.proctree import read_proc
from tests.fleet.project import Project, Result, eventually, free_port, is_alive

FAILS_TO_IMPORT = "import nothing_of_this_name\n"
NEVER_HEALTHY = """
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b"db refused"})
    """


def chain(length: int) -> tuple[dict[str, dict[str, object]], list[int]]:
    ports = [free_port() for _ in range(length)]
    services: dict[str, dict[str, object]] = {}
    for number, port in enumerate(ports):
        services[f"s{number}"] = {"port": port}
        if number:
            services[f"s{number}"]["dependencies"] = [f"s{number - 1}"]
    return services, ports


def test_up_starts_dependencies_first_and_stop_leaves_nothing(project: Project) -> None:
    services, ports = chain(3)
    project.config(services)

    up = project.ok("up")

    assert [name in up.out for name in services] == [True] * 3
    assert "msctl stop" in up.err
    document = project.status()
    assert document["schema_version"] == 1
    assert (document["total_services"], document["running_services"]) == (3, 3)
    assert document["registered_services"] == 3
    assert [s["health"] for s in document["services"]] == ["healthy"] * 3
    started = [s["instances"][0]["started_at"] for s in document["services"]]
    assert started == sorted(started)
    project.ok("stop")
    project.assert_nothing_left(ports)


def test_a_project_path_of_200_characters_works(
    new_project: Callable[[str], Project],
) -> None:
    project = new_project("/".join(["d" * 60] * 4))
    assert len(str(project.directory)) > 200
    project.config({"a": {"port": free_port()}})
    project.ok("up")
    assert project.ok("call", "a", "GET", "/x").json()["service"] == "a"
    project.ok("stop")
    project.assert_nothing_left()


def test_up_again_changes_only_what_the_config_changed(project: Project) -> None:
    services, _ = chain(2)
    project.config(services)
    project.ok("up")
    before = {s["name"]: s["instances"][0]["pid"] for s in project.status()["services"]}

    services["s1"]["environment"] = {"GREETING": "hello"}
    services["s0"]["timeout"] = 7
    project.config(services)
    project.ok("up")

    after = {s["name"]: s["instances"][0]["pid"] for s in project.status()["services"]}
    assert after["s0"] == before["s0"]
    assert after["s1"] != before["s1"]

    del services["s1"]
    project.config(services)
    project.ok("up")
    assert [s["name"] for s in project.status()["services"]] == ["s0"]
    assert not is_alive(after["s1"])


def test_an_invalid_config_starts_nothing_and_names_every_problem(project: Project) -> None:
    project.write(
        "msctl.yaml",
        """\
        services:
          a:
            port: 99999
            depends_on: [b]
          b:
            port: 8001
            replicas: many
        """,
    )
    result = project.run("up")
    assert result.code == 2
    for words in ("msctl.yaml:3", "msctl.yaml:4", "msctl.yaml:7", "dependencies"):
        assert words in result.err
    assert not result.out
    project.assert_nothing_left()


def test_no_config_is_a_usage_error(project: Project) -> None:
    result = project.run("up")
    assert result.code == 2
    assert "msctl.yaml" in result.err


def test_an_import_error_is_shown_with_the_last_lines_and_nothing_stays(
    project: Project,
) -> None:
    port = free_port()
    project.write("broken.py", FAILS_TO_IMPORT)
    project.config({"a": {"port": port, "app": "broken:app"}})
    result = project.run("up")
    assert result.code == 1
    assert "nothing_of_this_name" in result.err
    assert "exited with code 1" in result.err
    project.assert_nothing_left([port])


def test_a_port_in_use_names_its_holder_and_starts_nothing(project: Project) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken, free = holder.getsockname()[1], free_port()
        project.config({"a": {"port": free}, "b": {"port": taken}})
        result = project.run("up")
    assert result.code == 1
    assert f"port {taken}" in result.err
    assert f"pid {os.getpid()}" in result.err
    assert not list((project.directory / ".msctl/logs").iterdir())
    project.assert_nothing_left([free])


def test_a_health_check_that_never_passes_fails_with_the_probes_answer(
    project: Project,
) -> None:
    port = free_port()
    project.write("sick.py", NEVER_HEALTHY)
    project.config({"a": {"port": port, "app": "sick:app", "start_timeout": 1.5}})
    result = project.run("up")
    assert result.code == 1
    assert "not healthy within 1.5 s" in result.err
    assert "500" in result.err
    assert "db refused" in result.err
    project.assert_nothing_left([port])


def test_a_failed_up_stops_what_it_started_and_nothing_else(project: Project) -> None:
    services, _ = chain(1)
    project.config(services)
    project.ok("up")
    pid = project.instance("s0")["pid"]
    project.write("broken.py", FAILS_TO_IMPORT)
    project.config(
        services
        | {
            "fine": {"port": free_port()},
            "broken": {"port": free_port(), "app": "broken:app", "dependencies": ["fine"]},
        }
    )
    assert project.run("up").code == 1
    assert project.instance("s0")["pid"] == pid
    assert project.service("fine")["status"] == "stopped"
    assert project.service("broken")["status"] == "stopped"


def test_keep_leaves_everything_as_it_is(project: Project) -> None:
    project.write("broken.py", FAILS_TO_IMPORT)
    project.config({"a": {"port": free_port()}, "b": {"port": free_port(), "app": "broken:app"}})
    assert project.run("up", "--keep").code == 1
    assert project.service("b")["status"] == "error"
    assert project.run("status", "--check").code == 3
    project.write("broken.py", "from hello import app\n")
    project.ok("start", "b")
    project.ok("wait", "--timeout", "20")
    project.ok("status", "--check")


def test_the_timeout_of_up_exits_124_and_rolls_back(project: Project) -> None:
    project.write("sick.py", NEVER_HEALTHY)
    project.config({"a": {"port": free_port(), "app": "sick:app"}})
    result = project.run("up", "--timeout", "1")
    assert result.code == 124
    project.assert_nothing_left()


def test_an_interrupted_up_exits_130_and_rolls_back(project: Project) -> None:
    project.write("sick.py", NEVER_HEALTHY)
    project.config({"a": {"port": free_port(), "app": "sick:app"}})
    with project.popen("up") as process:
        eventually((project.directory / ".msctl/run.json").exists, "the daemon runs")
        eventually(lambda: len(project.processes()) > 3, "the instance runs")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    project.assert_nothing_left()


def test_two_ups_at_once_start_one_daemon(project: Project) -> None:
    services, _ = chain(2)
    project.config(services)
    results: list[Result] = []
    threads = [threading.Thread(target=lambda: results.append(project.run("up"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(r.code, r.err) for r in results if r.code] == []
    daemons = [command for command in project.processes().values() if "_daemon" in command]
    assert len(daemons) == 2, daemons  # guardian and daemon


def test_two_fleets_in_two_directories_are_independent(
    new_project: Callable[[str], Project],
) -> None:
    first, second = new_project("one"), new_project("two")
    for project in (first, second):
        project.config({"a": {"port": free_port()}})
        project.ok("up")
    assert first.status()["gateway"] != second.status()["gateway"]
    first.ok("stop")
    first.assert_nothing_left()
    assert second.ok("call", "a", "GET", "/").json()["service"] == "a"


def test_stale_run_files_and_sockets_are_recognised(project: Project) -> None:
    project.config({"a": {"port": free_port()}})
    state = project.directory / ".msctl"
    state.mkdir()
    (state / "run.json").write_text('{"schema_version": 1, "pid": 1}')
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(state / "control.sock"))
    assert project.run("status").code == 4
    project.ok("up")
    project.ok("status", "--check")


def test_a_dry_run_prints_the_plan_and_starts_nothing(project: Project) -> None:
    services, _ = chain(2)
    project.config(services)
    result = project.ok("up", "--dry-run")
    assert result.out.index("s0") < result.out.index("s1")
    assert not (project.directory / ".msctl").exists()
    assert not project.processes()


def test_only_what_is_named_and_its_dependencies_start(project: Project) -> None:
    services, _ = chain(3)
    project.config(services)
    project.ok("up", "s1")
    assert [s["status"] for s in project.status()["services"]] == ["running", "running", "stopped"]
    project.ok("stop")
    project.ok("up", "s1", "--no-deps")
    assert [s["status"] for s in project.status()["services"]] == ["stopped", "running", "stopped"]


def test_the_state_directory_is_private_and_ignored_by_git(project: Project) -> None:
    project.config({"a": {"port": free_port()}})
    project.ok("up")
    state = project.directory / ".msctl"
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / "control.sock").stat().st_mode & 0o777 == 0o600
    assert (state / ".gitignore").read_text() == "*\n"


def test_replicas_share_the_calls(project: Project) -> None:
    project.config({"a": {"port": free_port(), "replicas": 3}})
    project.ok("up")
    assert project.service("a")["ready"] == 3
    seen = [project.ok("call", "a", "GET", "/").json()["instance"] for _ in range(6)]
    assert sorted(seen) == sorted(["a-1", "a-2", "a-3"] * 2)


def test_up_scale_sets_the_number_of_instances(project: Project) -> None:
    project.config({"a": {"port": free_port()}})
    project.ok("up", "--scale", "a=2")
    assert project.service("a")["ready"] == 2


def test_an_unwritable_project_directory_is_named(project: Project) -> None:
    project.config({"a": {"port": free_port()}})
    (project.directory / ".msctl").write_text("in the way")
    result = project.run("up")
    assert result.code == 1
    assert ".msctl" in result.err
    assert "Traceback" not in result.err


def test_wait_exits_124_when_its_time_is_over(project: Project) -> None:
    project.write("sick.py", NEVER_HEALTHY)
    project.config({"a": {"port": free_port(), "app": "sick:app"}})
    project.ok("up", "--no-wait")
    result = project.run("wait", "--timeout", "0.3")
    assert result.code == 124
    assert "500" in result.err, "it says what the health check answered"


def test_a_terminated_up_exits_143_and_rolls_back(project: Project) -> None:
    project.write("sick.py", NEVER_HEALTHY)
    project.config({"a": {"port": free_port(), "app": "sick:app"}})
    with project.popen("up") as process:
        eventually(lambda: len(project.processes()) > 3, "the instance runs")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 143
    project.assert_nothing_left()


def test_a_health_path_that_is_not_there_is_a_warning_that_names_the_key(
    project: Project,
) -> None:
    project.write(
        "lost.py",
        """
        async def app(scope, receive, send):
            if scope["type"] == "http":
                await send({"type": "http.response.start", "status": 404, "headers": []})
                await send({"type": "http.response.body", "body": b""})
        """,
    )
    project.config({"a": {"port": free_port(), "app": "lost:app"}})
    project.ok("up")
    assert "health_check_path" in project.instance("a")["reason"]
    assert "health_check_path" in project.ok("logs", "a").out


def test_a_degraded_service_is_up_and_says_so(project: Project) -> None:
    project.write(
        "weak.py",
        """
        async def app(scope, receive, send):
            if scope["type"] == "http":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b'{"status": "degraded"}'})
        """,
    )
    project.config({"a": {"port": free_port(), "app": "weak:app"}})
    project.ok("up")
    assert project.service("a")["health"] == "degraded"
    assert project.run("status", "--check").code == 3


def test_a_service_port_auto_is_chosen_by_the_system(project: Project) -> None:
    project.config({"a": {"port": "auto"}, "b": {"port": "auto", "dependencies": ["a"]}})
    project.ok("up")
    ports = [service["port"] for service in project.status()["services"]]
    assert all(isinstance(port, int) for port in ports)
    environ = read_proc(project.instance("b")["pid"], "environ").split(b"\0")
    assert f"A_URL=http://localhost:{ports[0]}".encode() in environ


def test_a_daemon_that_nobody_uses_is_not_left_by_a_killed_up(project: Project) -> None:
    project.write("sick.py", NEVER_HEALTHY)
    project.config({"a": {"port": free_port(), "app": "sick:app"}})
    with project.popen("up") as process:
        eventually(lambda: len(project.processes()) > 1, "the daemon is starting")
        process.kill()
    project.assert_nothing_left()
