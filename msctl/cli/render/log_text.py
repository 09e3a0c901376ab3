"""Log lines as people and programs read them."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from msctl.cli import streams
from msctl.cli.render.style import SERVICE_COLOURS, Style, paint
from msctl.runtime.logline import LogLine


@dataclass(slots=True)
class LogPrinter:
    """Writes lines to stdout, each with the instance that it comes from.

    The prefix is as wide as the longest name so far, so that messages stay aligned.
    """

    json: bool = False
    prefix: bool = True
    timestamps: bool = False
    _width: int = 0
    _colours: dict[str, str] = field(default_factory=dict)
    _decorated: bool = field(default_factory=lambda: streams.is_decorated(sys.stdout))

    def expect(self, instances: Iterable[str]) -> None:
        """Make room for these names from the first line on."""
        self._width = max([self._width, *map(len, instances)])

    def show(self, lines: Iterable[LogLine]) -> None:
        """Write the lines and bring them out."""
        text = "".join(f"{self.text(line)}\n" for line in lines)
        if text:
            sys.stdout.write(text)
            streams.flush()

    def text(self, line: LogLine) -> str:
        """Return one line without its end."""
        if self.json:
            return json.dumps(asdict(line), ensure_ascii=False)
        message = line.message
        if line.stream == "msctl":
            message = paint(message, Style.QUIET, decorated=self._decorated)
        if self.timestamps:
            time = paint(line.time, Style.QUIET, decorated=self._decorated)
            message = f"{time} {message}"
        if not self.prefix:
            return message
        self.expect([line.instance])
        prefix = f"{line.instance:<{self._width}} |"
        return f"{paint(prefix, self._colour(line.service), decorated=self._decorated)} {message}"

    def _colour(self, service: str) -> str:
        if service not in self._colours:
            self._colours[service] = SERVICE_COLOURS[len(self._colours) % len(SERVICE_COLOURS)]
        return self._colours[service]
