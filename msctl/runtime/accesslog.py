"""The router's access log: one line of JSON for each request, in a rotated file of its own."""

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from msctl.clock import Clock, timestamp
from msctl.proxy.access import Access
from msctl.runtime.logstore import LogStore

_KEYS = tuple(field.name for field in fields(Access))


class AccessLogFile:
    """Hands the lines to the log store's thread; drops and counts them when the disk is slow.

    `enabled` is asked for each request: `up` may change the configuration.
    """

    def __init__(
        self, path: Path, logs: LogStore, clock: Clock, enabled: Callable[[], bool]
    ) -> None:
        self._path = path
        self._logs = logs
        self._clock = clock
        self._enabled = enabled
        self._dropped = 0

    @property
    def enabled(self) -> bool:
        """Whether the configuration asks for it, as it is now."""
        return self._enabled()

    def record(self, access: Access) -> None:
        """Write one line."""
        self._own_up()
        if not self._write({key: getattr(access, key) for key in _KEYS}):
            self._dropped += 1

    def _own_up(self) -> None:
        """Say how many lines are missing at this place."""
        if self._dropped and self._write({"dropped": self._dropped}):
            self._dropped = 0

    def _write(self, facts: dict[str, object]) -> bool:
        line = json.dumps({"time": timestamp(self._clock.wall()), **facts})
        return self._logs.write(self._path, line.encode() + b"\n")
