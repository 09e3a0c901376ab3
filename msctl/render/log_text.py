"""Log lines as people and programs read them."""

from msctl.render.style import SERVICE_COLOURS, Style, paint

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than `logs` may
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from msctl.runtime.logline import LogLine

_KEYS = ("time", "service", "instance", "stream", "message")


class LogText:
    """Makes text of lines, each with the instance that it comes from.

    The prefix is as wide as the longest name so far, so that messages stay aligned.
    """

    def __init__(
        self,
        *,
        json: bool = False,
        prefix: bool = True,
        timestamps: bool = False,
        decorated: bool = False,
    ) -> None:
        self._quote = _json_string() if json else None
        self._prefix = prefix
        self._timestamps = timestamps
        self._decorated = decorated
        self._width = 0
        self._colours: dict[str, str] = {}

    def expect(self, instances: "Iterable[str]") -> None:
        """Make room for these names from the first line on."""
        self._width = max([self._width, *map(len, instances)])

    def text(self, line: "LogLine") -> str:
        """Return one line without its end."""
        if (quote := self._quote) is not None:
            pairs = (f'"{key}": {quote(getattr(line, key))}' for key in _KEYS)
            return f"{{{', '.join(pairs)}}}"
        message = line.message
        if line.stream == "msctl":
            message = paint(message, Style.QUIET, decorated=self._decorated)
        if self._timestamps:
            time = paint(line.time, Style.QUIET, decorated=self._decorated)
            message = f"{time} {message}"
        if not self._prefix:
            return message
        self._width = max(self._width, len(line.instance))
        prefix = f"{line.instance:<{self._width}} |"
        return f"{paint(prefix, self._colour(line.service), decorated=self._decorated)} {message}"

    def _colour(self, service: str) -> str:
        if service not in self._colours:
            self._colours[service] = SERVICE_COLOURS[len(self._colours) % len(SERVICE_COLOURS)]
        return self._colours[service]


def _json_string() -> "Callable[[str], str]":
    """Return what `json.dumps(text, ensure_ascii=False)` does, without importing `json`."""
    try:
        from _json import encode_basestring  # noqa: PLC0415 - for start-up time
    except ImportError:
        from json.encoder import encode_basestring  # noqa: PLC0415 - another interpreter
    function: Callable[[str], str] = encode_basestring
    return function
