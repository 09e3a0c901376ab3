"""Trials of several proxies, interleaved, and what they come to.

The processor time of a proxy, divided by the requests, is the figure to trust: on a machine that
others use too, or that is slower at one minute than at another, requests per second swing by a
half while this one moves by a few per cent. Each ratio is taken within one round, in which all
had the same minutes, and its median over the rounds is reported with the extremes.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from load import Load, Row, Wrk
from processes import Program

REFERENCE = "haproxy"


@dataclass(frozen=True, slots=True)
class Trial:
    """One proxy under one kind of load for some seconds."""

    proxy: str
    row: Row
    round: int
    load: Load
    cpu: float
    """Seconds of processor time that the proxy took."""
    rss: int
    """Bytes at the end, all its processes."""

    @property
    def cpu_per_request(self) -> float:
        return self.cpu / max(1, self.load.requests)


@dataclass(frozen=True, slots=True)
class Summary:
    """Medians over the rounds of one proxy in one row; times in seconds."""

    proxy: str
    row: Row
    rate: float
    p50: float
    p99: float
    cpu_per_request: float
    rss: int
    ratio: float | None
    """The reference's processor time per request divided by this one's; more is better."""
    ratio_low: float | None
    ratio_high: float | None
    errors: int


@dataclass(frozen=True, slots=True)
class Contestant:
    """A proxy that runs, and the port it listens on."""

    name: str
    program: Program
    port: int


def run_rounds(
    wrk: Wrk,
    contestants: Sequence[Contestant],
    *,
    rounds: int,
    seconds: float,
    tell: Callable[[Trial], None],
) -> list[Trial]:
    """Let each have its turn in each row, round after round, another one first each time."""
    for one in contestants:
        for row in Row:
            wrk.run(one.port, row, 1)  # connections to the upstream, caches, lazy imports
    trials = []
    for number in range(rounds):
        for row in Row:
            first = number % len(contestants)
            for one in (*contestants[first:], *contestants[:first]):
                trials.append(trial(wrk, one, row, number, seconds))
                tell(trials[-1])
    return trials


def trial(wrk: Wrk, one: Contestant, row: Row, number: int, seconds: float) -> Trial:
    time.sleep(0.2)  # let the others' connections close
    before = one.program.usage().cpu
    load = wrk.run(one.port, row, seconds)
    after = one.program.usage()
    return Trial(one.name, row, number, load, after.cpu - before, after.rss)


def summarize(trials: Sequence[Trial]) -> list[Summary]:
    """Reduce trials to one line for each row and proxy, in the order of their first turn."""
    names = dict.fromkeys(trial.proxy for trial in trials)
    return [
        _summary([t for t in trials if (t.row, t.proxy) == (row, name)], trials)
        for row in Row
        for name in names
    ]


def _summary(own: Sequence[Trial], everyone: Sequence[Trial]) -> Summary:
    name, row = own[0].proxy, own[0].row
    reference = {
        t.round: t.cpu_per_request for t in everyone if t.row is row and t.proxy == REFERENCE
    }
    ratios = [reference[t.round] / t.cpu_per_request for t in own if t.round in reference]
    return Summary(
        proxy=name,
        row=row,
        rate=statistics.median(t.load.rate for t in own),
        p50=statistics.median(t.load.p50 for t in own),
        p99=statistics.median(t.load.p99 for t in own),
        cpu_per_request=statistics.median(t.cpu_per_request for t in own),
        rss=max(t.rss for t in own),
        ratio=statistics.median(ratios) if ratios else None,
        ratio_low=min(ratios, default=None),
        ratio_high=max(ratios, default=None),
        errors=sum(t.load.errors for t in own),
    )


def table(summaries: Sequence[Summary]) -> str:
    """Render the summaries for people."""
    lines = []
    for row in Row:
        lines.append(
            f"\n{row.value:<22}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU us/req':>12}"
            f"{'RSS MB':>9}   ratio to {REFERENCE} (lowest to highest)"
        )
        lines += [_line(one) for one in summaries if one.row is row]
    return "\n".join(lines)


def _line(one: Summary) -> str:
    ratio = "-"
    if one.ratio is not None:
        ratio = f"{one.ratio:.2f} ({one.ratio_low:.2f} to {one.ratio_high:.2f})"
    errors = f"   {one.errors} ERRORS" if one.errors else ""
    return (
        f"  {one.proxy:<20}{one.rate:>9.0f}{one.p50 * 1e3:>9.2f}{one.p99 * 1e3:>9.2f}"
        f"{one.cpu_per_request * 1e6:>12.1f}{one.rss / 1e6:>9.1f}   {ratio}{errors}"
    )


def as_json(value: Any) -> dict[str, Any]:
    """Return a trial or a summary as JSON values."""
    return asdict(value)
