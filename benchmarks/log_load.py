"""The front door's latency while another service of the fleet logs as fast as a disk writes.

The real daemon with three nginx processes as instances, HAProxy in front of the same three, and
a worker that logs 20 MB/s, which is started and stopped between trials. The daemon takes the log
in both cases. Two loads are measured: wrk in a closed loop, which keeps all processors busy and
so shows what the logging costs, and 200 requests per second, which shows how long the event loop
makes a request wait.
"""

import asyncio
import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop
from client import Connections
from contenders import ANSWER, CONTENDERS
from fleet import SERVICE, Fleet, running
from load import Row, Wrk
from processes import Program, free_ports, usage_of

RATE = 20_000_000
STEADY = 200
NOISY = "noisy"

# nginx knows no environment variables: the configuration is made from the port at the start.
_INSTANCE = f"""
worker_processes 1; daemon off; pid nginx-PORT.pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000; server {{ listen 127.0.0.1:PORT;
location / {{ default_type application/json; return 200 '{ANSWER}'; }} }} }}
"""
_START = 'sed "s/PORT/$PORT/g" instance.conf > nginx-$PORT.conf; exec nginx -p . -e stderr -c $PWD/nginx-$PORT.conf'

_WORKER = f"""
import os, pathlib, time
block = ("x" * 199 + "\\n") * 500
written, began = 0, time.monotonic()
while True:
    print(block, end="", flush=True)
    written += len(block)
    ahead = began + written / {RATE} - time.monotonic()
    if ahead > 0:
        time.sleep(ahead)
    pathlib.Path("written.new").write_text(str(written))
    os.replace("written.new", "written")
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One trial, with or without the noise; times in seconds."""

    front: str
    noisy: bool
    logged: float
    """Bytes per second that the worker got rid of."""
    closed_rate: float
    closed_p99: float
    steady_p50: float
    steady_p99: float
    daemon_cpu: float
    """Of one processor, during the steady load."""


def compare(directory: Path, *, rounds: int, seconds: float) -> None:
    """Print the latencies with and without the noise, trials interleaved."""
    (directory / "instance.conf").write_text(_INSTANCE)
    (directory / "noisy.py").write_text(_WORKER)
    (port,) = free_ports(1)
    services = {
        SERVICE: {"port": port, "command": ["sh", "-c", _START], "replicas": 3,
                  "health_check_path": "/"},
        NOISY: {"service_type": "worker", "command": [sys.executable, "noisy.py"]},
    }  # fmt: skip
    wrk, samples = Wrk(directory, None), []
    with running(directory, services, up=(SERVICE,)) as fleet, ExitStack() as stack:
        fronts = {"msctl": port} | _haproxy(stack, directory, fleet)
        for one in fronts.values():
            wrk.run(one, Row.GET, 1)
        for _ in range(rounds):
            for noisy in (False, True):
                with _noise(fleet, on=noisy) as counter:
                    for front, one in fronts.items():
                        trial = _sample(fleet, wrk, front, one, seconds, counter, noisy=noisy)
                        samples.append(trial)
                        print(_line("trial", [trial]), flush=True)
    print()
    for noisy in (False, True):
        for front in fronts:
            chosen = [one for one in samples if (one.noisy, one.front) == (noisy, front)]
            print(_line("median", chosen))


def _haproxy(stack: ExitStack, directory: Path, fleet: Fleet) -> dict[str, int]:
    """Put HAProxy in front of the fleet's instances, where it is installed."""
    contender = next(one for one in CONTENDERS if one.name == "haproxy")
    program = contender.find()
    if program is None:
        print(f"haproxy is left out: it is not installed ({contender.source})")
        return {}
    (port,) = free_ports(1)
    upstreams = [instance["port"] for instance in fleet.instances()]
    setup = contender.setup(program, directory, port, upstreams)
    front = Program(setup.command, environment=setup.environment, directory=directory)
    stack.callback(front.stop)
    front.wait_for_port(port)
    return {contender.name: port}


def _sample(  # noqa: PLR0917  plain values of one trial
    fleet: Fleet, wrk: Wrk, front: str, port: int, seconds: float, counter: Path, *, noisy: bool
) -> Sample:
    written = _read(counter)
    closed = wrk.run(port, Row.GET, seconds)
    cpu = usage_of(fleet.daemon).cpu
    steady = uvloop.run(_steady(port, seconds))
    cpu = usage_of(fleet.daemon).cpu - cpu
    logged = (_read(counter) - written) / (closed.duration + seconds)
    return Sample(
        front=front,
        noisy=noisy,
        logged=logged,
        closed_rate=closed.rate,
        closed_p99=closed.p99,
        steady_p50=statistics.median(steady),
        steady_p99=statistics.quantiles(steady, n=100)[-1],
        daemon_cpu=cpu / seconds,
    )


@contextmanager
def _noise(fleet: Fleet, *, on: bool) -> Iterator[Path]:
    counter = fleet.directory / "written"
    counter.write_text("0")
    if on:
        fleet.msctl("start", NOISY)
    try:
        yield counter
    finally:
        if on:
            fleet.msctl("stop", NOISY)


def _read(counter: Path) -> int:
    return int(counter.read_text())


async def _steady(port: int, seconds: float) -> list[float]:
    """Return how long each of some steady requests took."""
    connections, loop = Connections(port), asyncio.get_running_loop()
    began, tasks = loop.time(), []
    async with asyncio.TaskGroup() as group:
        for number in range(int(STEADY * seconds)):
            await asyncio.sleep(max(0.0, began + number / STEADY - loop.time()))
            tasks.append(group.create_task(connections.get("/")))
    connections.close()
    return [task.result().seconds for task in tasks]


def _line(name: str, samples: list[Sample]) -> str:
    def median(field: str) -> float:
        return statistics.median(getattr(one, field) for one in samples)

    kind = f"beside {median('logged') / 1e6:4.1f} MB/s of log" if samples[0].noisy else "alone"
    return (
        f"{name:<7} {samples[0].front:<8} {kind:<23}  wrk: {median('closed_rate'):6.0f}/s, p99 "
        f"{median('closed_p99') * 1e3:6.2f} ms   {STEADY}/s: p50 "
        f"{median('steady_p50') * 1e3:5.2f} ms, p99 {median('steady_p99') * 1e3:6.2f} ms, "
        f"daemon {median('daemon_cpu'):.0%} of a processor"
    )
