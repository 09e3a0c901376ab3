"""Where each microsecond of a keep-alive GET through msctl's front door goes.

    python benchmarks/breakdown.py [--seconds 8] [--rate 500]

The same set-up as `benchmarks/proxy.py` with msctl alone, sampled by py-spy with native frames.
A share of the samples is a share of the CPU time per request, which is measured beside it. The
sampler stops the process for every sample, so the sum is a little higher than without it.

    apt-get install nginx wrk; pip install ".[bench]"
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from load import Row
from processes import ended_by_signals
from proxy import start

_KERNEL = {"write": "send", "read": "receive", "epoll_pwait": "wait for events", "poll": "ask"}
_PYTHON = re.compile(r"(?P<function>\S+) \((?P<file>msctl/\S+\.py):\d+\)")
_LIBRARY = re.compile(r"(?P<function>\S+) \((?P<library>\S+)\)")
_SMALLEST = 0.05
"""Microseconds; what is less is summed up."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rate", type=int, default=500, help="samples per second")
    options = parser.parse_args()
    with ended_by_signals(), ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        wrk, (msctl,) = start(stack, directory, ["msctl"], pin=True)
        wrk.run(msctl.port, Row.GET, 1)
        stacks = directory / "stacks"
        recorder = subprocess.Popen(
            [_py_spy(), "record", "--native", "--rate", str(options.rate), "--format", "raw",
             "--duration", str(options.seconds), "--output", str(stacks),
             "--pid", str(msctl.program.pid)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        before = msctl.program.usage().cpu
        load = wrk.run(msctl.port, Row.GET, options.seconds)
        each = (msctl.program.usage().cpu - before) / load.requests
        if recorder.wait() != 0:
            raise SystemExit("py-spy could not look into the process; it needs the right to trace")
        samples = read(stacks.read_text())
    print(f"{load.rate:.0f} requests/s, {each * 1e6:.1f} us of CPU each, sampled\n")
    print_table(samples, each * 1e6)


def _py_spy() -> str:
    here = Path(sys.executable).with_name("py-spy")
    program = str(here) if here.exists() else shutil.which("py-spy")
    if program is None:
        raise SystemExit('py-spy is needed: pip install ".[bench]"')
    return program


def read(text: str) -> Counter[tuple[str, str]]:
    """Return how many samples were in which part; a line is `outermost;...;innermost COUNT`."""
    samples: Counter[tuple[str, str]] = Counter()
    for line in text.splitlines():
        frames, count = line.rsplit(" ", 1)
        samples[part(frames.split(";"))] += int(count)
    return samples


def part(frames: list[str]) -> tuple[str, str]:
    """Return whose time it is, and what it was spent on."""
    found = [match for frame in frames if (match := _PYTHON.fullmatch(frame))]
    ours = f"{found[-1]['file'].removeprefix('msctl/')} {found[-1]['function']}" if found else ""
    leaf = _LIBRARY.fullmatch(frames[-1])
    if leaf and leaf["library"].startswith("libc") and leaf["function"] in _KERNEL:
        what = _KERNEL[leaf["function"]]
        if what == "send":
            to = "the client" if "answered" in ours else "the instance"
            what = f"send to {to}"
        return "kernel", what
    # What runs below the interpreter counts for the Python function that called it.
    return ("router", ours) if ours else ("event loop", "uvloop and libuv")


def print_table(samples: Counter[tuple[str, str]], each: float) -> None:
    total = samples.total()
    for owner in ("kernel", "event loop", "router"):
        mine = {what: n for (who, what), n in samples.items() if who == owner}
        print(f"{sum(mine.values()) / total * each:6.2f} us  {owner}")
        small = 0.0
        for what, count in sorted(mine.items(), key=lambda one: -one[1]):
            share = count / total * each
            if share < _SMALLEST:
                small += share
            else:
                print(f"{share:12.2f}  {what}")
        if small:
            print(f"{small:12.2f}  less than {_SMALLEST} each")


if __name__ == "__main__":
    main()
