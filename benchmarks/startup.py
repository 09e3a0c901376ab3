"""How long a fleet takes to be up, from the shell prompt: msctl beside other process managers.

    python benchmarks/startup.py [--independent 30] [--chain 10] [--rounds 3] [--peers DIR]
        [--json FILE] [--plot FILE.svg]

Small FastAPI services under uvicorn. msctl's time ends when `msctl up` returns, which it does when
all are healthy; that of the others when all answer /health. Each round gives everyone a turn,
another one first each time, and the ratios are taken within a round. A chain is for those that
know dependencies: its measure is the single start, one service run by uvicorn alone, which it can
at best take as often as it has links. DIR holds the peers: a venv with honcho and supervisor, a
prefix of npm with pm2 (`npm install --prefix DIR pm2`); those not found there are looked for on
PATH.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import charts
from managers import (
    Manager,
    Msctl,
    Service,
    lasting_ports,
    managers,
    until_all_answer,
)
from processes import Program, ended_by_signals, usage_of

ROOT = Path(__file__).parents[1]
REFERENCE = "honcho"
EXAMPLES = "the three examples"
APP = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "healthy"}
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """One start of one fleet by one manager."""

    shape: str
    manager: str
    round: int
    seconds: float
    cpu: float
    """Seconds that the whole machine spent meanwhile."""
    pss: float
    """Bytes of memory an instance, shared pages divided among those that share them."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Medians over the rounds."""

    shape: str
    manager: str
    seconds: float
    cpu: float
    pss: float
    ratio: float | None
    """Time over the reference's of the same round; less is better."""
    ratio_low: float | None
    ratio_high: float | None


def independent(directory: Path, count: int) -> list[Service]:
    return [
        Service(f"s{number}", "bench_app:app", port, directory)
        for number, port in enumerate(lasting_ports(count))
    ]


def chain(directory: Path, count: int) -> list[Service]:
    return [
        Service(f"s{number}", "bench_app:app", port, directory, needs=(f"s{number - 1}",) * (number > 0))
        for number, port in enumerate(lasting_ports(count))
    ]  # fmt: skip


def examples(directory: Path) -> list[Service]:
    needs = {
        "user-service": (),
        "order-service": ("user-service",),
        "payment-service": ("user-service", "order-service"),
    }
    ports = dict(zip(needs, lasting_ports(len(needs)), strict=True))
    urls = {f"{n.replace('-', '_').upper()}_URL": f"http://localhost:{p}" for n, p in ports.items()}
    return [
        Service(
            name,
            f"services.{name.replace('-', '_')}:app",
            ports[name],
            ROOT,
            needs=needed,
            environment={**urls, "MSCTL_DATA_DIR": str(directory / "data" / name)},
        )
        for name, needed in needs.items()
    ]


def trial(shape: str, manager: Manager, number: int, services: list[Service]) -> Trial:
    with tempfile.TemporaryDirectory() as directory:
        for one in services:
            (Path(directory) / "data" / one.name).mkdir(parents=True)
        cpu, began = system_cpu(), time.perf_counter()
        try:
            manager.begin(Path(directory), services)
            if not isinstance(manager, Msctl):
                until_all_answer([one.port for one in services])
            seconds, cpu = time.perf_counter() - began, system_cpu() - cpu
            until_all_answer([one.port for one in services])
            pss = sum(usage_of(pid).pss for pid in manager.instances()) / len(services)
        finally:
            manager.end()
    return Trial(shape, manager.name, number, seconds, cpu, pss)


def single_start(directory: Path) -> float:
    """Return the seconds that one service under uvicorn alone takes to its first answer."""
    (service,) = independent(directory, 1)
    began = time.perf_counter()
    program = Program(service.command, directory=directory)
    try:
        until_all_answer([service.port])
        return time.perf_counter() - began
    finally:
        program.stop()


def system_cpu() -> float:
    """Seconds that all processors together have been busy so far."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    busy = sum(map(int, fields)) - int(fields[3]) - int(fields[4])
    return busy / os.sysconf("SC_CLK_TCK")


def run(options: argparse.Namespace, directory: Path) -> Iterator[Trial]:
    everyone = [
        one for one in managers(options.peers) if not options.only or one.name in options.only
    ]
    shapes = {
        f"{options.independent} independent": independent(directory, options.independent),
        f"a chain of {options.chain}": chain(directory, options.chain),
        EXAMPLES: examples(directory),
    }
    for number in range(options.rounds):
        for shape, services in shapes.items():
            turns = [m for m in everyone if "chain" not in shape or isinstance(m, Msctl)]
            first = number % len(turns)
            for manager in (*turns[first:], *turns[:first]):
                one = trial(shape, manager, number, services)
                print(
                    f"round {number + 1}  {shape:<20}{one.manager:<12}{one.seconds:>7.3f} s"
                    f"{one.cpu:>8.2f} s of CPU{one.pss / 1e6:>8.1f} MB an instance",
                    flush=True,
                )
                yield one


def summarize(trials: Sequence[Trial]) -> list[Summary]:
    kinds = dict.fromkeys((one.shape, one.manager) for one in trials)
    return [_summary(shape, manager, trials) for shape, manager in kinds]


def _summary(shape: str, manager: str, trials: Sequence[Trial]) -> Summary:
    own = [one for one in trials if (one.shape, one.manager) == (shape, manager)]
    reference = {
        one.round: one.seconds for one in trials if (one.shape, one.manager) == (shape, REFERENCE)
    }
    ratios = [one.seconds / reference[one.round] for one in own if one.round in reference]
    return Summary(
        shape=shape,
        manager=manager,
        seconds=statistics.median(one.seconds for one in own),
        cpu=statistics.median(one.cpu for one in own),
        pss=statistics.median(one.pss for one in own),
        ratio=statistics.median(ratios) if ratios else None,
        ratio_low=min(ratios, default=None),
        ratio_high=max(ratios, default=None),
    )


def table(summaries: Sequence[Summary], single: float, links: int) -> str:
    lines = []
    for shape in dict.fromkeys(one.shape for one in summaries):
        lines.append(
            f"\n{shape:<20}{'seconds':>9}{'CPU s':>8}{'MB each':>9}"
            f"   time over {REFERENCE}'s (lowest to highest)"
        )
        lines += [_line(one) for one in summaries if one.shape == shape]
    lines.append(
        f"\nsingle start under plain uvicorn: {single:.3f} s, so {single * links:.3f} s for "
        f"{links} one after the other"
    )
    return "\n".join(lines)


def _line(one: Summary) -> str:
    ratio = "-"
    if one.ratio is not None:
        ratio = f"{one.ratio:.2f} ({one.ratio_low:.2f} to {one.ratio_high:.2f})"
    return f"  {one.manager:<18}{one.seconds:>9.3f}{one.cpu:>8.2f}{one.pss / 1e6:>9.1f}   {ratio}"


def draw(document: dict[str, Any], target: Path) -> None:
    summaries = document["summaries"]
    shapes = list(dict.fromkeys(one["shape"] for one in summaries))
    with charts.panels(target, len(shapes) + 1, "from the shell prompt until all answer") as axes:
        for axis, shape in zip(axes, shapes, strict=False):
            own = {one["manager"]: one["seconds"] for one in summaries if one["shape"] == shape}
            charts.bars(axis, f"{shape}, seconds", own, "%.2f")
        memory = {o["manager"]: o["pss"] / 1e6 for o in summaries if o["shape"] == shapes[0]}
        charts.bars(axes[-1], "memory an instance, MB (PSS)", memory, "%.1f")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How long a fleet takes to be up.")
    parser.add_argument("--independent", type=int, default=30)
    parser.add_argument("--chain", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=Path, help="directory with honcho, supervisor, pm2")
    parser.add_argument("--only", type=lambda text: text.split(","), help="names, with commas")
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--plot", type=Path, help="draw them here, as SVG")
    return parser.parse_args()


def main() -> None:
    options = parse()
    with ended_by_signals(), tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "bench_app.py").write_text(APP)
        single = statistics.median(single_start(directory) for _ in range(5))
        trials = list(run(options, directory))
    summaries = summarize(trials)
    print(table(summaries, single, options.chain))
    document = {
        "machine": {"processors": os.cpu_count(), "system": platform.platform()},
        "rounds": options.rounds,
        "single_start": single,
        "summaries": [asdict(one) for one in summaries],
        "trials": [asdict(one) for one in trials],
    }
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    if options.plot:
        draw(document, options.plot)


if __name__ == "__main__":
    main()
