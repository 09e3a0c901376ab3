"""Which services are not as they are wanted, for `status --check`."""

from collections.abc import Mapping, Sequence
from typing import Any

from msctl.model import Health, ServiceStatus

Document = Mapping[str, Any]


def unwell(document: Document, named: Sequence[str] = ()) -> list[str]:
    """Return the services that are wanted but not running and healthy, with their state.

    One that was stopped is not wanted, unless it is asked for by name; a completed job is
    fine. When nothing at all is wanted, nothing is healthy either.
    """
    wanted = [s for s in document["services"] if _is_wanted(s, named)]
    if not wanted:
        return ["nothing is running"]
    return [f"{s['name']} ({_state(s)})" for s in wanted if not _is_well(s)]


def _is_wanted(service: Document, named: Sequence[str]) -> bool:
    stopped = service["status"] == ServiceStatus.STOPPED
    return service["name"] in named or bool(service.get("wanted", not stopped))


def _is_well(service: Document) -> bool:
    status, health = ServiceStatus(service["status"]), Health(service["health"])
    running_well = status is ServiceStatus.RUNNING and health is Health.HEALTHY
    return running_well or status is ServiceStatus.COMPLETED


def _state(service: Document) -> str:
    running = service["status"] == ServiceStatus.RUNNING
    return str(service["health"] if running else service["status"])
