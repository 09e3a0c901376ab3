"""msctl's front door beside HAProxy, nginx, Envoy, Traefik and Caddy.

    python benchmarks/proxy.py [--rounds 5] [--seconds 5] [--only msctl,haproxy] [--json FILE]
                               [--plot FILE.svg] [--no-pin] [--with-log-load]

One nginx with a fixed small answer and three listeners is the upstream of them all; wrk with one
thread and 32 connections is the client. Everything is on loopback, with ports from the system.
With two processors or more each proxy has one to itself, client and upstream have the others.
Proxies that are not installed are left out:

    apt-get install nginx haproxy wrk; pip install ".[bench]"
"""

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import log_load
import plot
from contenders import CONTENDERS, Contender, upstream
from load import Wrk
from measure import Contestant, Trial, as_json, run_rounds, summarize, table
from processes import Program, ended_by_signals, free_ports

UPSTREAMS = 3


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare msctl's front door with other proxies.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of one trial")
    parser.add_argument("--only", type=lambda names: names.split(","), metavar="NAME,NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all trials and their summaries")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    parser.add_argument("--no-pin", action="store_true", help="let the kernel choose processors")
    parser.add_argument(
        "--with-log-load",
        action="store_true",
        help="p99 of msctl and HAProxy alone and beside a service that logs 20 MB/s, nothing else",
    )
    return parser.parse_args(arguments)


def processors(*, pin: bool) -> tuple[frozenset[int] | None, frozenset[int] | None]:
    """Return those of the proxy, and those of client and upstream; None: any."""
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if not pin or len(usable) < 2:
        return None, None
    return frozenset(usable[:1]), frozenset(usable[1:])


def chosen(only: Sequence[str] | None) -> list[tuple[Contender, str]]:
    """Return the contenders that take part, with their programs; the others are named."""
    names = [one.name for one in CONTENDERS]
    if unknown := set(only or ()) - set(names):
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    found = []
    for one in CONTENDERS:
        if only and one.name not in only:
            continue
        program = one.find()
        if program is None:
            print(f"{one.name} is left out: {one.program} is not installed ({one.source})")
        else:
            found.append((one, program))
    return found


def start(
    stack: ExitStack, directory: Path, only: Sequence[str] | None, *, pin: bool
) -> tuple[Wrk, list[Contestant]]:
    """Start the upstream and every proxy; the stack ends them."""
    for_proxy, for_others = processors(pin=pin)
    nginx = next(one for one in CONTENDERS if one.name == "nginx").find()
    if nginx is None:
        raise SystemExit("nginx is needed as the upstream: apt-get install nginx")
    ports = free_ports(UPSTREAMS)
    setup = upstream(nginx, directory, ports)
    back = Program(setup.command, cpus=for_others, directory=directory)
    stack.callback(back.stop)
    back.wait_for_port(ports[0])
    contestants = []
    for contender, program in chosen(only):
        (port,) = free_ports(1)
        setup = contender.setup(program, directory, port, ports)
        front = Program(
            setup.command, cpus=for_proxy, environment=setup.environment, directory=directory
        )
        stack.callback(front.stop)
        front.wait_for_port(port)
        contestants.append(Contestant(contender.name, front, port))
    return Wrk(directory, for_others), contestants


def tell(trial: Trial) -> None:
    print(
        f"round {trial.round + 1}  {trial.row.value:<22}{trial.proxy:<9}"
        f"{trial.load.rate:>8.0f}/s  {trial.cpu_per_request * 1e6:>6.1f} us of CPU",
        flush=True,
    )


def main() -> None:
    options = parse()
    with ended_by_signals(), ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if options.with_log_load:
            log_load.compare(directory, rounds=options.rounds, seconds=options.seconds)
            return
        wrk, contestants = start(stack, directory, options.only, pin=not options.no_pin)
        trials = run_rounds(
            wrk, contestants, rounds=options.rounds, seconds=options.seconds, tell=tell
        )
    summaries = summarize(trials)
    print(table(summaries))
    document = {
        "machine": {"processors": os.cpu_count(), "system": platform.platform()},
        "rounds": options.rounds,
        "seconds": options.seconds,
        "pinned": not options.no_pin,
        "summaries": [as_json(one) for one in summaries],
        "trials": [as_json(one) for one in trials],
    }
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    if options.plot:
        plot.draw(document, options.plot)


if __name__ == "__main__":
    main()
