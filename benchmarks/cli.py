"""How long the hot commands take, from their start to their end: msctl beside its peers.

    python benchmarks/cli.py [--rounds 20] [--peers DIR] [--json FILE] [--plot FILE.svg]

Three small services run under each manager. Every command has its turn in each round, another one
first each time; the ratio to a bare `python -c pass` is taken within the round. CPU is what the
command itself took, user and system. Output goes to /dev/null. DIR as for startup.py.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import charts
from fleet import MSCTL, Fleet
from managers import (
    Foreground,
    Manager,
    Msctl,
    Pm2,
    Service,
    find,
    lasting_ports,
    supervisor_setup,
    until_all_answer,
)
from processes import ended_by_signals
from startup import APP

REFERENCE = "python -c pass"
NAMES = ("user-service", "order-service", "payment-service")
IDLE = "idle"
"""A service that never runs: to stop it is the shortest conversation there is."""
GOAL = 2.5
"""Times the reference, for what only talks to the daemon."""


def environment() -> dict[str, str]:
    """Return ours without what would lead msctl to another fleet."""
    return {key: value for key, value in os.environ.items() if not key.startswith("MSCTL")}


@dataclass(frozen=True, slots=True)
class Command:
    """One command line, run in a directory."""

    name: str
    words: Sequence[str]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=environment)


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of one command; seconds."""

    command: str
    round: int
    seconds: float
    cpu: float
    exit_code: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Medians over the rounds."""

    command: str
    seconds: float
    cpu: float
    ratio: float
    """Time over the reference's of the same round; less is better."""
    ratio_low: float
    ratio_high: float


def run(command: Command, number: int) -> Trial:
    """Run it once: with as little between the clock and the program as there can be."""
    home = Path.cwd()
    os.chdir(command.directory)
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    began = time.perf_counter()
    pid = os.posix_spawn(command.words[0], command.words, command.environment, file_actions=null)
    _, status, used = os.wait4(pid, 0)
    seconds = time.perf_counter() - began
    os.chdir(home)
    code = os.waitstatus_to_exitcode(status)
    return Trial(command.name, number, seconds, used.ru_utime + used.ru_stime, code)


def begin(stack: ExitStack, manager: Manager) -> Path:
    """Have a manager run the three services until the stack ends."""
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    (directory / "bench_app.py").write_text(APP)
    ports = lasting_ports(len(NAMES))
    services = [
        Service(name, "bench_app:app", port, directory)
        for name, port in zip(NAMES, ports, strict=True)
    ]
    stack.callback(manager.end)
    manager.begin(directory, services)
    until_all_answer(ports)
    return directory


def msctl_commands(stack: ExitStack) -> list[Command]:
    directory = begin(stack, Msctl("msctl", "auto"))
    config = json.loads((directory / "msctl.yaml").read_text())
    config["services"][IDLE] = {"service_type": "worker", "command": ["sleep", "1000"]}
    (directory / "msctl.yaml").write_text(json.dumps(config))
    user = NAMES[0]
    lines = {
        "status": ("status",),
        "status --json": ("status", "--json"),
        f"call {user} GET /health": ("call", user, "GET", "/health"),
        f"wait {user}": ("wait", user),
        f"scale {user}=1": ("scale", f"{user}=1"),
        f"stop {IDLE}": ("stop", IDLE),
        "logs -n 10": ("logs", "-n", "10"),
    }
    # The daemon reads the file again, and the idle service is there from then on.
    Fleet(directory).msctl("up", *NAMES)
    commands = [
        Command(f"msctl {name}", (str(MSCTL), *words), directory) for name, words in lines.items()
    ]
    if curl := shutil.which("curl"):
        port = config["services"][user]["port"]
        socket = str(directory / ".msctl/control.sock")
        commands += [
            Command(
                "curl the control socket",
                (curl, "-s", "--unix-socket", socket, "http://localhost/status"),
                directory,
            ),
            Command(
                "curl a front door", (curl, "-s", f"http://127.0.0.1:{port}/health"), directory
            ),
        ]
    return commands


def supervisor_commands(stack: ExitStack, peers: Path | None) -> list[Command]:
    daemon, control = find("supervisord", peers), find("supervisorctl", peers)
    if daemon is None or control is None:
        return []
    directory = begin(stack, Foreground("supervisor", daemon, supervisor_setup))
    words = (control, "-c", str(directory / "supervisord.conf"), "status")
    return [Command("supervisorctl status", words, directory)]


def pm2_commands(stack: ExitStack, peers: Path | None) -> list[Command]:
    program = find("pm2", peers)
    if program is None:
        return []
    manager = Pm2(program)
    directory = begin(stack, manager)
    return [Command("pm2 jlist", (program, "jlist"), directory, manager.environment())]


def usable(commands: Sequence[Command]) -> list[Command]:
    """Run each once, so that all caches are warm; leave out what does not work here."""
    found = []
    for command in commands:
        trial = run(command, 0)
        if trial.exit_code:
            print(f"{command.name}: exit {trial.exit_code}, left out", file=sys.stderr)
        else:
            found.append(command)
    return found


def run_rounds(commands: Sequence[Command], rounds: int) -> list[Trial]:
    trials = []
    for number in range(rounds):
        first = number % len(commands)
        trials += [run(one, number) for one in (*commands[first:], *commands[:first])]
    return trials


def summarize(trials: Sequence[Trial]) -> list[Summary]:
    reference = {one.round: one.seconds for one in trials if one.command == REFERENCE}
    summaries = []
    for name in sorted({one.command for one in trials}):
        own = [one for one in trials if one.command == name]
        ratios = [one.seconds / reference[one.round] for one in own]
        summaries.append(
            Summary(
                command=name,
                seconds=statistics.median(one.seconds for one in own),
                cpu=statistics.median(one.cpu for one in own),
                ratio=statistics.median(ratios),
                ratio_low=min(ratios),
                ratio_high=max(ratios),
            )
        )
    return sorted(summaries, key=lambda one: one.seconds)


def table(summaries: Sequence[Summary]) -> str:
    lines = [f"{'':<36}{'ms':>8}{'CPU ms':>9}   time over `{REFERENCE}` (lowest to highest)"]
    lines += [
        f"  {one.command:<34}{one.seconds * 1e3:>8.1f}{one.cpu * 1e3:>9.1f}   "
        f"{one.ratio:.2f} ({one.ratio_low:.2f} to {one.ratio_high:.2f})"
        for one in summaries
    ]
    return "\n".join(lines)


def draw(document: dict[str, Any], target: Path) -> None:
    summaries = document["summaries"]
    with charts.panels(target, 2, "one command, from its start to its end") as axes:
        wanted: tuple[tuple[str, Callable[[dict[str, Any]], float], str], ...] = (
            ("milliseconds", lambda one: one["seconds"] * 1e3, "%.0f"),
            ("times a bare Python", lambda one: one["ratio"], "%.1f"),
        )
        for axis, (title, value, form) in zip(axes, wanted, strict=True):
            charts.bars(axis, title, {one["command"]: value(one) for one in summaries}, form)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How long the hot commands take.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--peers", type=Path, help="directory with supervisor and pm2")
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--plot", type=Path, help="draw them here, as SVG")
    return parser.parse_args()


def main() -> None:
    options = parse()
    with ended_by_signals(), ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        commands = usable(
            [
                Command(REFERENCE, (sys.executable, "-c", "pass"), home),
                *msctl_commands(stack),
                *supervisor_commands(stack, options.peers),
                *pm2_commands(stack, options.peers),
            ]
        )
        trials = run_rounds(commands, options.rounds)
    summaries = summarize(trials)
    print(table(summaries))
    print(f"\nthe goal for what only talks to the daemon: {GOAL:g} times `{REFERENCE}`")
    document = {
        "machine": {"processors": os.cpu_count(), "system": platform.platform()},
        "rounds": options.rounds,
        "summaries": [asdict(one) for one in summaries],
        "trials": [asdict(one) for one in trials],
    }
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    if options.plot:
        draw(document, options.plot)


if __name__ == "__main__":
    main()
