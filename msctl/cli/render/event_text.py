"""Events as people and programs read them."""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from msctl.cli import streams
from msctl.cli.render.style import Style, one_line, paint
from msctl.model import BreakerState, Health, ServiceStatus

_MILLISECONDS = len("2026-01-01T00:00:00.000")
_KIND_WIDTH = len("breaker")
_GOOD = frozenset({ServiceStatus.RUNNING, Health.HEALTHY, BreakerState.CLOSED})
_BAD = frozenset(
    {ServiceStatus.ERROR, Health.UNHEALTHY, BreakerState.OPEN, BreakerState.FORCED_OPEN}
)


@dataclass(slots=True)
class EventPrinter:
    """Writes events to stdout; names have the width of the longest so far, to stay aligned."""

    json: bool = False
    _width: int = 0
    _decorated: bool = field(default_factory=lambda: streams.is_decorated(sys.stdout))

    def show(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Write the events and bring them out."""
        events = list(events)
        if not events:
            return
        self._width = max([self._width, *(len(_name(event)) for event in events)])
        sys.stdout.write("".join(f"{self.text(event)}\n" for event in events))
        streams.flush()

    def text(self, event: Mapping[str, Any]) -> str:
        """Return one line without its end."""
        if self.json:
            return json.dumps(event, ensure_ascii=False)
        after = event["to"]
        style = Style.GOOD if after in _GOOD else Style.BAD if after in _BAD else Style.CAUTION
        change = f"{event['from']} → {paint(after, style, decorated=self._decorated)}"
        time = paint(event["time"][:_MILLISECONDS] + "Z", Style.QUIET, decorated=self._decorated)
        reason = f" ({one_line(event['reason'])})" if event["reason"] else ""
        return f"{time}  {_name(event):<{self._width}}  {event['kind']:<{_KIND_WIDTH}}  {change}{reason}"


def _name(event: Mapping[str, Any]) -> str:
    """Return whose event it is: an instance's id begins with its service's name."""
    return str(event["instance"] or event["service"])
