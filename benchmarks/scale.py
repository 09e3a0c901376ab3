"""What a big fleet costs: the idle daemon, its memory, a status, an end; and the cores' curves.

    python benchmarks/scale.py [--services 200] [--replicas 100] [--seconds 10]
        [--json FILE] [--plot FILE.svg]

Two fleets, one after the other: so many services with an instance each, and one service with so
many instances. The instances of these are the least that answers a health check, a loop of twenty
lines under `python -S -E`: what is measured is the daemon's, and they leave it the processors.
The third fleet, which is only stopped, is of uvicorn with an application.

- CPU: of the daemon alone, idle, probing at the default interval, of one processor
- memory: growth of the daemon's RSS against a fleet of two, divided by the instances that are more
- status: `GET /status` with curl, which is the daemon's part of `msctl status --json`, and that
- stop: `msctl stop` from its start to its end, with the daemon gone
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import charts
import cores
from fleet import Fleet
from processes import ended_by_signals, usage_of

FEW = 2
"""Instances of the fleet that the others' memory is compared with."""
ENDING = 30
"""Instances of the fleet that is stopped."""
GOALS = {"cpu": 0.05, "memory": 0.3e6, "status": 0.06, "stop": 0.5}

TINY = """
import os, signal, socket

signal.signal(signal.SIGTERM, signal.SIG_DFL)
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((os.environ["HOST"], int(os.environ["PORT"])))
listener.listen(128)
BODY = b'{"status": "healthy"}'
HEAD = b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(BODY)
while True:
    connection, _ = listener.accept()
    with connection:
        if connection.recv(4096):
            connection.sendall(HEAD + BODY)
"""
APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        head = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b"{}"})
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What one fleet cost; times in seconds, memory in bytes."""

    fleet: str
    instances: int
    up: float
    cpu: float | None
    """Of one processor."""
    rss: int
    memory: float | None
    """Of the daemon, an instance."""
    status_daemon: float | None
    status_command: float
    stop: float


def tiny(count: int, replicas: int = 1) -> dict[str, Any]:
    service = {
        "port": "auto",
        "command": [sys.executable, "-S", "-E", "tiny.py"],
        "replicas": replicas,
    }
    return {f"s{number}": service for number in range(count)}


def applications(count: int) -> dict[str, Any]:
    return {f"s{number}": {"port": "auto", "app": "bench_app:app"} for number in range(count)}


@contextmanager
def project(services: Mapping[str, Any]) -> Any:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "tiny.py").write_text(TINY)
        (directory / "bench_app.py").write_text(APP)
        (directory / "msctl.yaml").write_text(json.dumps({"services": services}))  # YAML too
        fleet = Fleet(directory)
        try:
            yield fleet
        finally:
            fleet.msctl("stop")  # once more does no harm


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(
    name: str, services: Mapping[str, Any], *, seconds: float, few: int | None = None
) -> Result:
    """Start a fleet, leave it alone for a while, ask for its status, and stop it.

    `few` is the memory of a small one; without it only the status and the end are of interest.
    """
    with project(services) as fleet:
        up = timed(lambda: fleet.msctl("up"))
        pid = fleet.daemon
        instances = sum(len(fleet.instances(one)) for one in (*services,)[:1]) * len(services)
        time.sleep(2.5)  # whoever has just become healthy is checked once more
        cpu, rss = idle(pid, seconds), usage_of(pid).rss
        return Result(
            fleet=name,
            instances=instances,
            up=up,
            cpu=cpu,
            rss=rss,
            memory=None if few is None else (rss - few) / (instances - FEW),
            status_daemon=ask_daemon(fleet.directory / ".msctl/control.sock"),
            status_command=statistics.median(
                timed(lambda: fleet.msctl("status", "--json")) for _ in range(7)
            ),
            stop=timed(lambda: fleet.msctl("stop")),
        )


def idle(pid: int, seconds: float) -> float:
    """Return the share of a processor that a process takes when nobody asks it for anything."""
    before, began = usage_of(pid).cpu, time.monotonic()
    time.sleep(seconds)
    return (usage_of(pid).cpu - before) / (time.monotonic() - began)


def ask_daemon(socket: Path) -> float | None:
    """Return how long the daemon takes for a status document, sent and received; needs curl."""
    curl = shutil.which("curl")
    if curl is None:
        return None
    command = (curl, "-s", "-o", os.devnull, "-w", "%{time_total}", "--unix-socket", str(socket))
    times = [
        float(subprocess.run((*command, "http://localhost/status"), capture_output=True).stdout)  # noqa: PLW1510  no number says so too
        for _ in range(15)
    ]
    return statistics.median(times)


def fleets(options: argparse.Namespace) -> list[Result]:
    seconds = options.seconds
    small = measure(f"{FEW} services", tiny(FEW), seconds=0.1)
    results = []
    for name, services in (
        (f"{options.services} services", tiny(options.services)),
        (f"1 service, {options.replicas} instances", tiny(1, options.replicas)),
    ):
        results.append(measure(name, services, seconds=seconds, few=small.rss))
        print(line(results[-1]), flush=True)
    ends = [
        measure(f"{ENDING} applications", applications(ENDING), seconds=0.1)
        for _ in range(options.rounds)
    ]
    results.append(sorted(ends, key=lambda one: one.stop)[len(ends) // 2])
    print(line(results[-1]), flush=True)
    return results


def line(one: Result) -> str:
    def cell(value: float | None, factor: float, form: str) -> str:
        return f"{'-':>10}" if value is None else f"{value * factor:>10{form}}"

    return (
        f"  {one.fleet:<26}{one.up:>8.2f}{cell(one.cpu, 100, '.2f')}{one.rss / 1e6:>10.1f}"
        f"{cell(one.memory, 1e-6, '.3f')}{cell(one.status_daemon, 1e3, '.1f')}"
        f"{one.status_command * 1e3:>12.1f}{one.stop:>9.3f}"
    )


HEADING = (
    f"{'':<28}{'up s':>8}{'CPU %':>10}{'RSS MB':>10}{'MB each':>10}{'daemon ms':>10}"
    f"{'status ms':>12}{'stop s':>9}"
)


def draw(document: dict[str, Any], target: Path) -> None:
    results, steps = document["fleets"], document["cores"]
    with charts.panels(target, 3, "a big fleet on 2 processors") as axes:
        charts.curves(
            axes[0],
            "the cores: microseconds by instances",
            {
                name: {o["size"]: o["seconds"] * 1e6 for o in steps if o["name"] == name}
                for name in cores.EVEN
            },
        )
        cpu = {one["fleet"]: one["cpu"] * 100 for one in results if one["memory"] is not None}
        charts.bars(axes[1], "idle daemon, % of a processor (goal: 5)", cpu, "%.1f")
        stops = {f"stop {one['fleet']}": one["stop"] for one in results}
        charts.bars(axes[2], "seconds to stop all", stops, "%.2f")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a big fleet costs.")
    parser.add_argument("--services", type=int, default=200)
    parser.add_argument("--replicas", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10, help="that the daemon is left idle")
    parser.add_argument("--rounds", type=int, default=3, help="of the fleet that is stopped")
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--plot", type=Path, help="draw them here, as SVG")
    return parser.parse_args()


def main() -> None:
    options = parse()
    with ended_by_signals():
        print(HEADING)
        results = fleets(options)
        print(
            f"goals: CPU under {GOALS['cpu']:.0%}, memory under {GOALS['memory'] / 1e6:g} MB, "
            f"status under {GOALS['status'] * 1e3:g} ms, stop of {ENDING} under {GOALS['stop']} s\n"
        )
        steps = list(cores.measure())
        print(cores.table(steps))
    document = {
        "machine": {"processors": os.cpu_count(), "system": platform.platform()},
        "goals": GOALS,
        "fleets": [asdict(one) for one in results],
        "cores": [asdict(one) for one in steps],
    }
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    if options.plot:
        draw(document, options.plot)


if __name__ == "__main__":
    main()
