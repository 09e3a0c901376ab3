"""Events as people and programs read them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msctl.model import BreakerState, Health, ServiceStatus
from msctl.render.style import Style, paint
from msctl.render.text import one_line

_MILLISECONDS = len("2026-01-01T00:00:00.000")
_KIND_WIDTH = len("breaker")
_GOOD = frozenset({ServiceStatus.RUNNING, Health.HEALTHY, BreakerState.CLOSED})
_BAD = frozenset(
    {ServiceStatus.ERROR, Health.UNHEALTHY, BreakerState.OPEN, BreakerState.FORCED_OPEN}
)


@dataclass(slots=True, kw_only=True)
class EventText:
    """Makes text of events; names have the width of the longest so far, to stay aligned."""

    json: bool = False
    decorated: bool = False
    _width: int = 0

    def text(self, events: Sequence[Mapping[str, Any]]) -> str:
        """Return a line for each event."""
        self._expect(events)
        return "".join(f"{self._line(event)}\n" for event in events)

    def _expect(self, events: Iterable[Mapping[str, Any]]) -> None:
        self._width = max([self._width, *(len(_name(event)) for event in events)])

    def _line(self, event: Mapping[str, Any]) -> str:
        if self.json:
            return json.dumps(event, ensure_ascii=False)
        after = event["to"]
        style = Style.GOOD if after in _GOOD else Style.BAD if after in _BAD else Style.CAUTION
        change = f"{event['from']} → {paint(after, style, decorated=self.decorated)}"
        time = paint(event["time"][:_MILLISECONDS] + "Z", Style.QUIET, decorated=self.decorated)
        reason = f" ({one_line(event['reason'])})" if event["reason"] else ""
        return f"{time}  {_name(event):<{self._width}}  {event['kind']:<{_KIND_WIDTH}}  {change}{reason}"


def _name(event: Mapping[str, Any]) -> str:
    """Return whose event it is: an instance's id begins with its service's name."""
    return str(event["instance"] or event["service"])
