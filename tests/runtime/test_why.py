"""`msctl why` in a fleet of fake processes: the facts that are gathered, and the chain."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from msctl.config.models import ServiceConfig
from msctl.core.health import ProbeKind, ProbeResult
from msctl.core.reconcile import Wish
from msctl.errors import UnknownInstance, UnknownService
from msctl.runtime.orchestrator import StopOptions
from msctl.runtime.why import SCHEMA_VERSION, Why, document_without_daemon
from msctl.runtime.why_look import memory_kills, process_state
from tests.runtime.bench import Bench, api, fleet_of, worker
from tests.runtime.commanding import restart, running, up
from tests.runtime.fakes import NOT_FOUND, REFUSED, Behaviour
from tests.runtime.real import wait_until
from tests.runtime.virtual import eventually, run_virtual

Chain = list[tuple[str, str]]
LATER = 1_767_300_000.0


def bench(directory: Path, *services: ServiceConfig) -> Bench:
    return Bench(directory, fleet_of(directory, *services))


async def begin(parts: Bench, *names: str) -> None:
    for name in names:
        service = parts.fleet.services[name]
        wish = Wish(replicas=service.replicas, dependencies=service.dependencies)
        parts.orchestrator.want(service, wish)
    await eventually(
        lambda: all(parts.orchestrator.summary(name).ready for name in names), "all are ready"
    )


async def ask(parts: Bench, name: str) -> dict[str, Any]:
    """The document, when what the instances wrote has reached the disk."""
    wait_until(lambda: parts.logs._queued == parts.logs._written, "it is written")
    document = await Why(parts.orchestrator, parts.state).document(name)
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]


def told(document: dict[str, Any]) -> Chain:
    return [(s["instance"] or s["service"], s["what"]) for s in document["chain"]]


def test_a_document_has_the_keys_that_scripts_rely_on(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w"))
        async with parts.running():
            await begin(parts, "w")
            document = await ask(parts, "w")
            assert document.keys() == {
                "schema_version", "project", "service", "instance", "chain"
            }  # fmt: skip
            assert (document["schema_version"], document["project"]) == (SCHEMA_VERSION, "shop")
            assert (document["service"], document["instance"]) == ("w", None)
            for step in document["chain"]:
                assert step.keys() == {"service", "instance", "what", "evidence", "hint"}
            assert document["chain"][0]["what"].startswith("healthy for ")
            assert document["chain"][-1]["what"] == "nothing is wrong"

    run_virtual(main())


def test_a_503_leads_to_the_process_that_died(tmp_path: Path) -> None:
    async def main() -> None:
        database = worker("database", restart="no")
        parts = bench(tmp_path, database, api("order", dependencies=["database"]))
        async with parts.running():
            await begin(parts, "database", "order")
            process = parts.spawner.last("database-1")
            process.say(b"PANIC: no space left on device\n", "stderr")
            process.exit(1)
            answer = ProbeResult(ProbeKind.UNAVAILABLE, "answered 503: db refused", 503)
            parts.lives.probes["order-1"].answer = answer
            await eventually(
                lambda: parts.instance("order-1").health == "unhealthy", "it is unhealthy"
            )
            document = await ask(parts, "order")
            steps = told(document)
            assert steps[0][1].startswith("unhealthy for ")
            assert steps[1] == ("order-1", "its health check answered 503: db refused")
            assert steps[2][1].startswith("exited with code 1, ")
            assert steps[3] == ("database-1", 'its last line: "PANIC: no space left on device"')
            exit_step = document["chain"][2]
            assert "given up: restart: no, so it is not started again" in exit_step["evidence"]

    run_virtual(main())


def test_backoff_tells_when_it_is_started_again(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w"))
        async with parts.running():
            await begin(parts, "w")
            parts.spawner.last("w-1").exit(7)
            await eventually(lambda: parts.status_of("w-1") == "backoff", "it waits")
            document = await ask(parts, "w")
            (again,) = [e for e in document["chain"][1]["evidence"] if "started again in" in e]
            seconds = float(again.split()[-2])
            assert 0 < seconds <= 1.2

    run_virtual(main())


def test_a_failed_restart_is_told_until_a_later_one_succeeds(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("app"))
        async with parts.running():
            await up(parts).result()
            probe, behave = parts.lives.probes["app-2"], parts.spawner.behave
            healthy, probe.answer = probe.answer, REFUSED
            parts.spawner.behave = lambda _: Behaviour(
                exit_code=1, lasts=0.5, says=(("stderr", b"boom\n"),)
            )
            assert (await restart(parts, "app").result())["exit_code"] == 1
            assert running(parts) == ["app-1"]
            document = await ask(parts, "app")
            (_, (where, what), (_, words)) = told(document)
            assert (where, words) == ("app", 'its last line: "boom"')
            assert what.startswith("it is healthy, but its last restart failed: app-2 exited with")
            assert document["chain"][-1]["hint"].endswith("then: msctl restart app")
            probe.answer, parts.spawner.behave = healthy, behave
            await asyncio.sleep(1)
            assert (await restart(parts, "app").result())["exit_code"] == 0
            assert told(await ask(parts, "app"))[1:] == [("app", "nothing is wrong")]

    run_virtual(main())


def test_what_waits_leads_to_what_does_not_start(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("user"), api("order", dependencies=["user"]))
        parts.lives.probes["user-1"].answer = REFUSED
        async with parts.running():
            for service in parts.fleet.services.values():
                wish = Wish(replicas=1, dependencies=service.dependencies)
                parts.orchestrator.want(service, wish)
            await eventually(
                lambda: parts.status_of("user-1") == "starting" and parts.instance("user-1").reason,
                "it starts",
            )
            document = await ask(parts, "order")
            assert told(document)[:2] == [
                ("order", "not started: 0 of 1 instance ready"),
                ("order", "it waits for user to be healthy"),
            ]
            assert document["chain"][-1]["evidence"] == ["last check: connection refused"]

    run_virtual(main())


def test_a_command_that_stopped_it_is_told_with_its_time(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w"))
        async with parts.running() as fleet:
            assert told(await ask(parts, "w")) == [("w", "not running: it was not started")]
            await begin(parts, "w")
            fleet.unwant(["w"], StopOptions())
            await eventually(lambda: fleet.is_gone("w"), "it is gone")
            await asyncio.sleep(30)
            ((_, what),) = told(await ask(parts, "w"))
            assert what == "not running: stopped 30 s ago"
            fleet.want(parts.fleet.services["w"], Wish(replicas=0, standby=True))
            assert told(await ask(parts, "w")) == [("w", "scaled to 0 instances")]
            fleet.unwant(["w"], StopOptions())

    run_virtual(main())


def test_a_health_path_that_is_not_there_is_recognised(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("app"))
        parts.lives.probes["app-1"].answer = NOT_FOUND
        async with parts.running():
            await begin(parts, "app")
            step = (await ask(parts, "app"))["chain"][-1]
            assert step["what"].startswith("its health check is misconfigured: GET /health")
            assert "health_check_path" in step["hint"]

    run_virtual(main())


def test_a_forced_breaker_is_told_until_when(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("app"))
        async with parts.running():
            await begin(parts, "app")
            route = parts.router.route("app")
            assert route is not None
            now = parts.orchestrator.clock.now()
            route.breaker.force_open(now, 60)
            await asyncio.sleep(10)
            step = (await ask(parts, "app"))["chain"][-1]
            assert step["what"] == (
                "its circuit breaker is forced open for 10 s: by command, for 60 s"
            )
            assert step["evidence"][0] == "50.0 s are left of that"

    run_virtual(main())


def test_an_instance_can_be_asked_for_by_its_name(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w", replicas=2))
        async with parts.running():
            await begin(parts, "w")
            document = await ask(parts, "w/w-2")
            assert document["instance"] == "w-2"
            with pytest.raises(UnknownInstance, match="did you mean w/w-"):
                await ask(parts, "w/w-9")
            with pytest.raises(UnknownService, match="did you mean w"):
                await ask(parts, "ww")

    run_virtual(main())


@contextmanager
def child(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program that has said a line."""
    command = [sys.executable, "-I", "-S", "-u", "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()


def test_a_suspended_process_is_told_by_its_state(tmp_path: Path) -> None:
    async def main(pid: int) -> None:
        parts = bench(tmp_path, api("app"))
        async with parts.running():
            await begin(parts, "app")
            parts.lives.probes["app-1"].answer = None
            parts.registry.update("app-1", 1, pid=pid)
            await eventually(
                lambda: parts.instance("app-1").health == "unhealthy", "it is unhealthy"
            )
            step = (await ask(parts, "app"))["chain"][-1]
            assert step["what"].startswith(f"it hangs: pid {pid} is alive")
            assert step["hint"] == f"kill -CONT {pid}"

    with child("import time; print('up'); time.sleep(600)") as process:
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: process_state(process.pid) == "T", "it is suspended")
        run_virtual(main(process.pid))


def test_a_port_that_another_program_holds_is_told_with_its_pid(tmp_path: Path) -> None:
    program = (
        "import socket, time; s = socket.create_server(('127.0.0.1', 0));"
        "print(s.getsockname()[1]); time.sleep(600)"
    )
    command = [sys.executable, "-I", "-S", "-u", "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            port = int(holder.stdout.readline())

            async def main() -> None:
                cache = ServiceConfig(
                    name="cache", service_type="cache", port=port, command="redis", restart="no"
                )
                parts = bench(tmp_path, cache, worker("app", dependencies=["cache"]))
                async with parts.running():
                    await begin(parts, "cache", "app")
                    process = parts.spawner.last("cache-1")
                    process.say(b"bind: Address already in use\n")
                    process.exit(1)
                    await eventually(lambda: parts.status_of("cache-1") == "error", "it failed")
                    document = await ask(parts, "app")
                    assert document["chain"][-1]["what"].startswith(
                        f"port {port} is held by pid {holder.pid} ("
                    )

            run_virtual(main())
            fleet = fleet_of(tmp_path, api("web", port=port))
            parts = Bench(tmp_path, fleet)
            document = document_without_daemon(fleet, parts.state, "web", LATER)
            assert document["chain"][-1]["what"].startswith(f"port {port} is held by pid ")
        finally:
            holder.kill()


def test_the_ports_that_the_fleet_itself_holds_are_no_evidence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        async def main() -> None:
            parts = bench(tmp_path, api("app", port=port))
            async with parts.running():
                assert told(await ask(parts, "app")) == [("app", "not running: it was not started")]

        run_virtual(main())


def test_what_has_no_process_has_no_state_and_the_kernels_counter_is_a_number() -> None:
    assert process_state(None) == ""
    assert process_state(2**22 + 1) == ""
    assert process_state(os.getpid()) in {"R", "S"}
    assert memory_kills() >= 0


# Without a daemon


def test_without_a_daemon_the_last_run_is_read_from_its_logs(tmp_path: Path) -> None:
    async def main() -> Bench:
        parts = bench(tmp_path, worker("db", restart="no"), worker("app", dependencies=["db"]))
        async with parts.running():
            await begin(parts, "db", "app")
            parts.spawner.last("db-1").say(b"out of ideas\n", "stderr")
            parts.spawner.last("db-1").exit(4)
            await eventually(lambda: parts.status_of("db-1") == "error", "it failed")
        return parts

    parts = run_virtual(main())

    found = document_without_daemon(parts.fleet, parts.state, "db", LATER)
    assert told(found)[0] == ("db", "not running: no fleet is running here")
    assert told(found)[1][1].startswith("exited with code 4, ")
    assert told(found)[2] == ("db-1", 'its last line: "out of ideas"')
    with pytest.raises(UnknownService):
        document_without_daemon(parts.fleet, parts.state, "dbb", LATER)
