"""How long a fleet takes to be up: a chain of services, and independent ones.

    python benchmarks/startup.py [--chain 10] [--independent 30] [--rounds 3]

A single start is one such service run by uvicorn alone, from exec to its first 200 on
/health. A chain can at best take the sum of its single starts; independent services at best
the CPU time that they need, divided by the cores.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.error
import urllib.request
from pathlib import Path

MSCTL = Path(sys.executable).with_name("msctl")
APP = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "healthy"}
"""


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def write_project(directory: Path, count: int, *, chained: bool) -> None:
    (directory / "bench_app.py").write_text(textwrap.dedent(APP))
    lines = ["services:"]
    for number, port in enumerate(free_ports(count)):
        lines += [f"  s{number}:", f"    port: {port}", "    app: bench_app:app"]
        if chained and number:
            lines.append(f"    dependencies: [s{number - 1}]")
    (directory / "msctl.yaml").write_text("\n".join(lines) + "\n")


def single_start(directory: Path) -> float:
    port = free_ports(1)[0]
    began = time.perf_counter()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "uvicorn",
            "bench_app:app",
            "--port",
            str(port),
            "--log-level",
            "error",
        ],
        cwd=directory,
    )
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                return time.perf_counter() - began
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.002)
    finally:
        process.kill()
        process.wait()


def up(directory: Path) -> tuple[float, float]:
    """Return the seconds `msctl up` took, and the CPU seconds that the fleet had used by then."""
    cpu_before = _system_cpu()
    began = time.perf_counter()
    subprocess.run([str(MSCTL), "up"], cwd=directory, check=True, capture_output=True)
    took = time.perf_counter() - began
    cpu = _system_cpu() - cpu_before
    subprocess.run([str(MSCTL), "stop"], cwd=directory, check=True, capture_output=True)
    return took, cpu


def _system_cpu() -> float:
    """CPU seconds that the whole machine has spent so far."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    busy = sum(map(int, fields)) - int(fields[3]) - int(fields[4])
    return busy / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--chain", type=int, default=10)
    parser.add_argument("--independent", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    singles, chains, fleets, cpus = [], [], [], []
    with tempfile.TemporaryDirectory() as chain, tempfile.TemporaryDirectory() as flat:
        write_project(Path(chain), options.chain, chained=True)
        write_project(Path(flat), options.independent, chained=False)
        for _ in range(options.rounds):
            singles.append(statistics.median(single_start(Path(chain)) for _ in range(5)))
            chains.append(up(Path(chain))[0])
            took, cpu = up(Path(flat))
            fleets.append(took)
            cpus.append(cpu)
    cores = os.cpu_count() or 1
    single, chained = statistics.median(singles), statistics.median(chains)
    flat_time, cpu = statistics.median(fleets), statistics.median(cpus)
    print(f"single start, median of {options.rounds}: {single:.3f} s")
    print(
        f"chain of {options.chain}: {chained:.3f} s; the sum of its single starts is "
        f"{single * options.chain:.3f} s; without 0.7 s for the daemon that is "
        f"{(chained - 0.7) / (single * options.chain):.2f} of it"
    )
    print(
        f"{options.independent} independent: {flat_time:.3f} s; {cpu:.2f} s of CPU on {cores} "
        f"cores, so {cpu / cores / flat_time:.0%} of the time the processor was the limit"
    )


if __name__ == "__main__":
    main()
