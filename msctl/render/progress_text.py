"""Progress in words: one line for each service's step, or a picture that is redrawn."""

from collections.abc import Sequence

from msctl.render.progress import Goal, Phase, Progress, ServiceProgress
from msctl.render.style import Style, paint
from msctl.render.text import one_line

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAME = 0.1  # seconds
_STYLES = {
    Phase.WAITING: Style.QUIET,
    Phase.STARTING: Style.CAUTION,
    Phase.HEALTHY: Style.GOOD,
    Phase.COMPLETED: Style.GOOD,
    Phase.UNHEALTHY: Style.CAUTION,
    Phase.FAILED: Style.BAD,
    Phase.STOPPING: Style.CAUTION,
    Phase.STOPPED: Style.GOOD,
}
_MARKS = {Phase.WAITING: "·", Phase.FAILED: "✘"}
_URGENCY = (
    Phase.FAILED,
    Phase.UNHEALTHY,
    Phase.STOPPING,
    Phase.STARTING,
    Phase.WAITING,
    Phase.HEALTHY,
    Phase.COMPLETED,
    Phase.STOPPED,
)
"""What is shown first when there is not room for all."""
_GOALS = {Goal.HEALTHY: "healthy", Goal.STOPPED: "stopped", Goal.COMPLETED: "completed"}


def step_line(progress: Progress, service: ServiceProgress) -> str:
    """Return the line that says what has just become of a service."""
    parts = [f"{service.name}: {service.phase.value}"]
    if progress.reached(service) and service.ended is not None:
        parts.append(f"after {service.ended - service.began:.1f} s")
    elif progress.goal is Goal.HEALTHY and 0 < service.ready < service.replicas:
        parts.append(f"({service.ready} of {service.replicas} ready)")
    text = " ".join(parts)
    if service.reason and not progress.reached(service):
        text += f" ({one_line(service.reason)})"
    return text


def picture(progress: Progress, *, now: float, width: int, height: int) -> list[str]:
    """Return the coloured lines of the live view; never more than fit, the pressing first."""
    services = [*progress.services.values()]
    room = max(1, height - 1)
    shown = services if len(services) < room else _pressing(services, room - 1)
    label = max((len(service.name) for service in shown), default=0)
    label = min(label, max(8, width - 24))
    lines = [_row(progress, service, label, now, width) for service in shown]
    return [_headline(progress, services, len(shown)), *lines]


def _headline(progress: Progress, services: Sequence[ServiceProgress], shown: int) -> str:
    done = sum(progress.reached(service) for service in services)
    text = f"{done} of {len(services)} {_GOALS[progress.goal]}"
    if shown < len(services):
        text += f", {len(services) - shown} not shown"
    return paint(text, Style.STRONG, decorated=True)


def _pressing(services: Sequence[ServiceProgress], room: int) -> list[ServiceProgress]:
    chosen = sorted(services, key=lambda service: _URGENCY.index(service.phase))[:room]
    names = {service.name for service in chosen}
    return [service for service in services if service.name in names]


def _row(progress: Progress, service: ServiceProgress, label: int, now: float, width: int) -> str:
    reached = progress.reached(service)
    spinning = _SPINNER[int(now / _FRAME) % len(_SPINNER)]
    mark = "✔" if reached else _MARKS.get(service.phase, spinning)
    seconds = (service.ended if service.ended is not None else now) - service.began
    text = f"{service.phase.value:<9}"
    if service.phase is not Phase.WAITING and not (reached and service.ended is None):
        text += f" {seconds:5.1f} s"
    if service.replicas > 1 and progress.goal is Goal.HEALTHY:
        text += f"  {service.ready}/{service.replicas}"
    if note := _note(progress, service, reached=reached):
        text += f"  {note}"
    room = max(0, width - label - 5)
    name = service.name if len(service.name) <= label else service.name[: label - 1] + "…"
    painted = paint(f"{mark} ", _STYLES[service.phase], decorated=True)
    return f" {painted}{name:<{label}}  " + paint(text[:room], _detail(service), decorated=True)


def _detail(service: ServiceProgress) -> str:
    return Style.BAD if service.phase is Phase.FAILED else Style.QUIET


def _note(progress: Progress, service: ServiceProgress, *, reached: bool) -> str:
    if reached:
        return ""
    if service.phase is Phase.WAITING and (others := progress.waits_for(service)):
        return "for " + ", ".join(others)
    return one_line(service.reason)
