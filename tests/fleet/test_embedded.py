"""A program with a fleet of its own, run as the user runs it: another process, real ports."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
PROGRAM = """
import asyncio, json, sys
from msctl import MicroserviceOrchestrator, ServiceClient, ServiceConfig
from services import OrderService, PaymentService, UserService

def say(value):
    print(json.dumps(value), flush=True)

async def hear():
    return await asyncio.to_thread(sys.stdin.readline)

def fleet(ports):
    orchestrator = MicroserviceOrchestrator()
    for kind, port in zip((UserService, OrderService, PaymentService), ports):
        orchestrator.add_service(kind(kind.config.model_copy(update={"port": port})))
    return orchestrator

async def flow(client):
    user = await client.call_service(
        "user-service", "POST", "/users", {"name": "Ada", "email": "ada@example.com"}
    )
    order = await client.call_service(
        "order-service", "POST", "/orders",
        {"user_id": user["id"], "items": [{"product": "x", "quantity": 2, "price": 1.5}]},
    )
    return await client.call_service(
        "payment-service", "POST", "/payments",
        {"order_id": order["id"], "user_id": user["id"], "amount": 3, "method": "card"},
    )

async def main():
    orchestrator = fleet(map(int, sys.argv[1:]))
    say(orchestrator.get_service_status())
    await SCENARIO(orchestrator)

"""
FLOW = """
async def SCENARIO(orchestrator):
    await orchestrator.start_all_services()
    say(orchestrator.get_service_status())
    async with ServiceClient(orchestrator) as client:
        say(await flow(client))
    await orchestrator.stop_all_services()
    say(orchestrator.get_service_status())

asyncio.run(main())
"""
STAY = """
async def SCENARIO(orchestrator):
    await orchestrator.start_all_services()
    say("up")
    await hear()

asyncio.run(main())
"""
BROKEN = """
async def SCENARIO(orchestrator):
    orchestrator.add_service(ServiceConfig(
        name="broken", service_type="worker", restart="no",
        command=[sys.executable, "-c", "print('no luck'); raise SystemExit(9)"],
        dependencies=["user-service"],
    ))
    try:
        await orchestrator.start_all_services()
    except Exception as error:
        say([type(error).__name__, str(error)])
    say(orchestrator.get_service_status())

asyncio.run(main())
"""
CANCELLED = """
async def SCENARIO(orchestrator):
    orchestrator.add_service(ServiceConfig(
        name="slow", port="auto", start_timeout=600,
        command=[sys.executable, "-c", "import time; time.sleep(600)"],
    ))
    start = asyncio.create_task(orchestrator.start_all_services())
    while orchestrator.get_service_status()["running_services"] < 3:
        await asyncio.sleep(0.05)
    start.cancel()
    try:
        await start
    except asyncio.CancelledError:
        say("cancelled")
    say(orchestrator.get_service_status())

asyncio.run(main())
"""


class Program:
    """The program at work: what it says, line by line, and what it left behind."""

    def __init__(self, project: Path, temporary: Path, scenario: str) -> None:
        self.temporary = temporary
        self.ports = free_ports(3)
        script = project / "program.py"
        script.write_text(PROGRAM + scenario)
        environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONWARNINGS": "error",
            "TMPDIR": str(temporary),
        }
        self.process = subprocess.Popen(
            [sys.executable, str(script), *map(str, self.ports)],
            cwd=project,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def hears(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"the program ended with {self.process.wait(10)}"
        return json.loads(line)

    def ends(self) -> int:
        assert self.process.stdin
        self.process.stdin.close()
        return self.process.wait(60)

    def fleet_processes(self) -> list[int]:
        """Return the processes that have the program's temporary directory about them."""
        mark = str(self.temporary).encode()
        found = []
        for directory in Path("/proc").glob("[0-9]*"):
            pid = int(directory.name)
            try:
                if (
                    pid == self.process.pid
                    or directory.joinpath("stat").read_text().split()[2] == "Z"
                ):
                    continue
                texts = [directory.joinpath(name).read_bytes() for name in ("environ", "cmdline")]
            except OSError:
                continue
            if any(mark in text for text in texts):
                found.append(pid)
        return found

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()
        self.leaves_no_process()

    def leaves_no_process(self) -> None:
        until(lambda: not self.fleet_processes(), "the fleet to be gone")


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(server.getsockname()[1]) for server in sockets]
    for server in sockets:
        server.close()
    return ports


def until(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


Start = Callable[[str], Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    programs: list[Program] = []
    (tmp_path / "project").mkdir()
    (tmp_path / "tmp").mkdir()

    def start(scenario: str) -> Program:
        program = Program(tmp_path / "project", tmp_path / "tmp", scenario)
        programs.append(program)
        return program

    yield start
    for program in programs:
        program.close()


def statuses(report: dict[str, Any]) -> dict[str, str]:
    return {service["name"]: service["status"] for service in report["services"]}


NAMES = ["user-service", "order-service", "payment-service"]


def test_a_program_starts_calls_and_stops_its_fleet(start: Start, tmp_path: Path) -> None:
    program = start(FLOW)
    before, running, payment = program.hears(), program.hears(), program.hears()
    after = program.hears()
    assert program.ends() == 0
    assert statuses(before) == statuses(after) == dict.fromkeys(NAMES, "stopped")
    assert statuses(running) == dict.fromkeys(NAMES, "running")
    assert [service["port"] for service in running["services"]] == program.ports
    assert running["total_services"] == running["running_services"] == 3
    assert running["registered_services"] == 3
    assert payment["status"] == "completed"
    program.leaves_no_process()
    assert list((tmp_path / "tmp").iterdir()) == [], "only the data stay"
    assert (tmp_path / "project/.msctl/data/user-service").is_dir()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_fleet_ends_when_the_program_dies(start: Start, number: signal.Signals) -> None:
    program = start(STAY)
    program.hears()
    assert program.hears() == "up"
    assert all(map(is_open, program.ports))
    program.process.send_signal(number)
    program.process.wait(10)
    until(lambda: not any(map(is_open, program.ports)), "the ports to be closed")
    program.leaves_no_process()


def test_the_fleet_ends_with_a_program_that_forgets_it(start: Start, tmp_path: Path) -> None:
    program = start(STAY)
    program.hears()
    assert program.hears() == "up"
    assert program.ends() == 0
    program.leaves_no_process()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_failed_start_says_why_and_leaves_nothing(start: Start, tmp_path: Path) -> None:
    program = start(BROKEN)
    program.hears()
    kind, message = program.hears()
    assert kind == "FleetError"
    assert "broken" in message
    assert set(statuses(program.hears()).values()) == {"stopped"}
    program.leaves_no_process()
    assert list((tmp_path / "tmp").iterdir()) == []
    assert program.ends() == 0


def test_a_cancelled_start_leaves_nothing(start: Start, tmp_path: Path) -> None:
    program = start(CANCELLED)
    program.hears()
    assert program.hears() == "cancelled"
    assert set(statuses(program.hears()).values()) == {"stopped"}
    program.leaves_no_process()
    assert list((tmp_path / "tmp").iterdir()) == []
    assert program.ends() == 0
