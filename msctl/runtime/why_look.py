"""What `msctl why` finds in files and in /proc. All of it blocks: not for the loop's thread."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from msctl.core.last_words import ports_in_use
from msctl.core.why_facts import PortHolder, ServiceFacts, Situation
from msctl.runtime.portholders import find_holders
from msctl.runtime.proctree import read_proc
from msctl.runtime.runs import read_runs

_VMSTAT = Path("/proc/vmstat")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Completes what a daemon knows of its services by what the machine tells.

    `own` are processes whose ports say nothing: the daemon holds the front doors.
    """

    logs: Path
    own: Collection[int] = field(default=())

    def complete(self, situation: Situation) -> Situation:
        """Return the situation with logs, the states of processes and the holders of ports."""
        runs = read_runs(self.logs, situation.services)
        services = {
            name: replace(
                service,
                runs=runs.get(name, {}),
                instances=tuple(
                    replace(each, process_state=process_state(each.pid))
                    for each in service.instances
                ),
            )
            for name, service in situation.services.items()
        }
        holders = self._holders(set(_ports_that_matter(services.values())))
        return replace(situation, services=services, holders=holders)

    def _holders(self, ports: Collection[int]) -> Mapping[int, PortHolder]:
        found = find_holders(ports) if ports else {}
        return {
            port: PortHolder(text=str(holder), pid=holder.pid)
            for port, holder in found.items()
            if holder.pid not in self.own
        }


def _ports_that_matter(services: Iterable[ServiceFacts]) -> Iterable[int]:
    """Yield what services could not bind, and what those would bind that do not run."""
    for service in services:
        mentioned = [
            ports_in_use(run.lines)
            for instance in service.runs
            if (run := service.last_run(instance)) is not None
        ]
        taken = [ports for ports in mentioned if ports is not None]
        for ports in taken:
            yield from ports
        if service.port is not None and (taken or not (service.wanted or service.instances)):
            yield service.port


def process_state(pid: int | None) -> str:
    """Return the letter of /proc/PID/stat, such as T for suspended; empty when it has gone."""
    if pid is not None:
        with suppress(OSError, ValueError, IndexError):
            stat = read_proc(pid, "stat")
            return stat[stat.rindex(b")") + 2 :].split()[0].decode()
    return ""


def memory_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory, control groups included."""
    with suppress(OSError, ValueError):
        for line in _VMSTAT.read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return 0
