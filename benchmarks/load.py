"""wrk: a closed loop of connections, each sending its next request when it has its answer."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

CONNECTIONS = 32
BODY = json.dumps({"user_id": 1, "note": "x" * 995})
"""1 KB."""

# wrk calls `done` with numbers in microseconds; what else it prints is for people.
_SCRIPT = """
{request}
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('\\nJSON {{"requests": %d, "duration": %d, "p50": %f, "p99": %f, '
    .. '"max": %f, "errors": %d}}\\n', summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), latency.max,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


class Row(StrEnum):
    """The kinds of requests that are compared."""

    GET = "keep-alive GET"
    POST = "keep-alive POST, 1 KB"
    CONNECT = "new connections"


_REQUESTS: Mapping[Row, str] = {
    Row.GET: "",
    Row.POST: f"wrk.method = 'POST'\nwrk.body = '{BODY}'\n"
    "wrk.headers['Content-Type'] = 'application/json'",
    Row.CONNECT: "wrk.headers['Connection'] = 'close'",
}


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk saw; times in seconds."""

    requests: int
    duration: float
    p50: float
    p99: float
    max: float
    errors: int

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.duration


class Wrk:
    """Runs wrk with its scripts from `directory`, on these processors."""

    def __init__(self, directory: Path, cpus: frozenset[int] | None) -> None:
        program = shutil.which("wrk")
        if program is None:
            raise SystemExit("wrk is needed: apt-get install wrk")
        pin = ("taskset", "-c", ",".join(map(str, sorted(cpus)))) if cpus else ()
        self._command = (*pin, program, "-t1", f"-c{CONNECTIONS}")
        self._scripts = {row: directory / f"{row.name}.lua" for row in Row}
        for row, script in self._scripts.items():
            script.write_text(_SCRIPT.format(request=_REQUESTS[row]))

    def run(self, port: int, row: Row, seconds: float) -> Load:
        """Load one port; wrk takes whole seconds only."""
        done = subprocess.run(
            (
                *self._command,
                f"-d{max(1, round(seconds))}s",
                "-s",
                str(self._scripts[row]),
                f"http://127.0.0.1:{port}/orders/1",
            ),
            capture_output=True,
            text=True,
            check=True,
        )
        numbers = json.loads(done.stdout.rpartition("JSON ")[2])
        return Load(
            requests=numbers["requests"],
            errors=numbers["errors"],
            **{key: numbers[key] / 1e6 for key in ("duration", "p50", "p99", "max")},
        )
