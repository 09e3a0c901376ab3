"""Ten minutes of steady GETs, while something happens to an instance every 5 s.

    python benchmarks/soak.py [--minutes 10] [--rate 200] [--every 5] [--seed N]

The real daemon, three instances, keep-alive connections. Exit code 1 if a single GET failed,
took over `--slowest` seconds, or was answered with another one's answer, or if the daemon has
more descriptors, threads or tasks afterwards than it had before, at rest both times.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import uvloop
from client import Connections
from faults import Faults
from fleet import SERVICE, Fleet, running
from processes import ended_by_signals, free_ports, usage_of

SETTLE = 15.0
"""Seconds for restarts, probes and kept connections to come to an end after the last request."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the daemon holds on to."""

    descriptors: int
    threads: int
    tasks: int

    @classmethod
    def of(cls, fleet: Fleet) -> "Held":
        used = usage_of(fleet.daemon)
        gateway = json.loads((fleet.directory / ".msctl/run.json").read_text())["gateway"]
        with urllib.request.urlopen(f"{gateway}/metrics") as page:
            lines = page.read().decode().splitlines()
        tasks = next(line for line in lines if line.startswith("msctl_daemon_tasks "))
        return cls(used.descriptors, used.threads, int(float(tasks.split()[1])))

    def exceeds(self, before: "Held") -> bool:
        return (
            self.descriptors > before.descriptors
            or self.threads > before.threads
            or self.tasks > before.tasks
        )


@dataclass(slots=True)
class Tally:
    """What became of the requests."""

    done: int = 0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)


async def one_get(connections: Connections, number: int, tally: Tally) -> None:
    path, began = f"/item/{number}", time.monotonic()
    try:
        answer = await connections.get(path)
        if answer.status != 200:
            tally.failures.append(f"{path}: {answer.status} {answer.body.decode()}")
        elif json.loads(answer.body)["path"] != path:
            tally.failures.append(f"{path}: got the answer {answer.body.decode()}")
    except (OSError, EOFError) as error:
        tally.failures.append(f"{path}: {error!r}")
    tally.done += 1
    tally.slowest = max(tally.slowest, time.monotonic() - began)


async def steady(port: int, rate: float, seconds: float, tally: Tally) -> None:
    """Begin `rate` requests each second, whatever became of those before."""
    connections, loop = Connections(port), asyncio.get_running_loop()
    began, number = loop.time(), 0
    async with asyncio.TaskGroup() as group:
        while (due := began + number / rate) < began + seconds:
            await asyncio.sleep(max(0.0, due - loop.time()))
            group.create_task(one_get(connections, number, tally))
            number += 1
    connections.close()


async def watch(fleet: Fleet, tally: Tally, faults: Faults) -> None:
    """Print a line at the start and every minute, until cancelled."""
    began = time.monotonic()
    while True:
        print_line(fleet, tally, faults, time.monotonic() - began)
        await asyncio.sleep(60)


def print_line(fleet: Fleet, tally: Tally, faults: Faults, seconds: float) -> None:
    used = usage_of(fleet.daemon)
    struck = sum(n for what, n in faults.counts.items() if not what.startswith("skipped"))
    print(
        f"{seconds:5.0f} s  {tally.done:>7} GETs  {len(tally.failures)} failed  "
        f"slowest {tally.slowest:.2f} s  {struck} faults  daemon: "
        f"RSS {used.rss / 1e6:.1f} MB, PSS {used.pss / 1e6:.1f} MB, {used.threads} threads, "
        f"{used.descriptors} descriptors, {used.cpu:.1f} s of CPU",
        flush=True,
    )


async def soak(fleet: Fleet, port: int, options: argparse.Namespace) -> Tally:
    tally, faults = Tally(), Faults(fleet, Random(options.seed))
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        aside = [
            group.create_task(watch(fleet, tally, faults)),
            group.create_task(faults.run(options.every)),
        ]
        await steady(port, options.rate, options.minutes * 60, tally)
        for task in aside:
            task.cancel()
    print_line(fleet, tally, faults, time.monotonic() - began)
    print(", ".join(f"{what}: {count}" for what, count in sorted(faults.counts.items())))
    return tally


def settled(fleet: Fleet, goal: Held) -> Held:
    """Return what the daemon holds at rest: as soon as it is no more than `goal`, or at last."""
    deadline = time.monotonic() + SETTLE
    while (held := Held.of(fleet)).exceeds(goal) and time.monotonic() < deadline:
        time.sleep(0.5)
    return held


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Steady load with faults, on the real daemon.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=200, help="GETs per second")
    parser.add_argument("--every", type=float, default=5, help="seconds between two faults")
    parser.add_argument("--slowest", type=float, default=10, help="seconds a GET may take")
    parser.add_argument("--seed", type=int, default=None, help="of the faults")
    return parser.parse_args()


def main() -> int:
    options = parse()
    (port,) = free_ports(1)
    service = {"port": port, "app": "bench_app:app", "replicas": 3}
    with (
        ended_by_signals(),
        tempfile.TemporaryDirectory() as directory,
        running(Path(directory), {SERVICE: service}) as fleet,
    ):
        uvloop.run(steady(port, options.rate, 5, Tally()))  # until all that is lazy is there
        before = settled(fleet, Held(0, 0, 0))
        tally = uvloop.run(soak(fleet, port, options))
        after = settled(fleet, before)
    for failure in tally.failures[:20]:
        print(failure, file=sys.stderr)
    print(
        f"{tally.done} GETs, {len(tally.failures)} failed, the slowest took {tally.slowest:.2f} s"
    )
    print(f"at rest before: {before}\nat rest after:  {after}")
    is_well = not tally.failures and tally.slowest <= options.slowest and not after.exceeds(before)
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
