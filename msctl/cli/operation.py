"""Following an operation of the daemon to its result: progress, warnings, Ctrl-C."""

import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msctl.cli import streams
from msctl.cli.errors import ExitCode, warn
from msctl.cli.interrupts import Interrupts
from msctl.cli.progress import Goal, Progress
from msctl.cli.views import View, view_of
from msctl.client import BrokenResponse, ControlClient, MessageStream
from msctl.clock import SystemClock
from msctl.errors import Failure, MsctlError, Problem

_TICK = 0.1  # seconds between two pictures
_CANCEL_TIMEOUT = 2.0

Ticker = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Result:
    """How an operation ended."""

    exit_code: int
    message: str = ""
    failures: tuple[Failure, ...] = ()
    problems: tuple[Problem, ...] = ()
    changes: tuple[Mapping[str, str], ...] = ()
    status: Mapping[str, Any] | None = None
    seconds: float = 0.0
    left: bool = False
    """The user did not wait for the end."""


class Follower:
    """Follows one operation; the first Ctrl-C or SIGTERM cancels it, the second leaves."""

    def __init__(
        self,
        client: ControlClient,
        goal: Goal,
        *,
        live: bool = True,
        on_tick: Ticker = lambda: None,
    ) -> None:
        self._client = client
        self._clock = SystemClock()
        self._began = self._clock.now()
        self._progress = Progress(goal)
        self._view: View = view_of(self._progress, live=live)
        self._on_tick = on_tick
        self._operation: str | None = None
        self._interrupted: ExitCode | None = None

    def follow(self, path: str, body: Mapping[str, Any]) -> Result:
        """Start the operation and return its result; raises what the daemon refuses with."""
        with Interrupts() as interrupts:
            return self.follow_with(interrupts, path, body)

    def follow_with(self, interrupts: Interrupts, path: str, body: Mapping[str, Any]) -> Result:
        """Do the same under a caller that notes the interrupts itself, also afterwards."""
        stream = self._client.stream("POST", path, body)
        try:
            return self._to_result(stream, interrupts)
        finally:
            self._view.clear()
            stream.close()

    def _to_result(self, stream: MessageStream, interrupts: Interrupts) -> Result:
        while not stream.ended:
            pause = 0.0 if stream.ready else _TICK
            readable = streams.wait([stream, interrupts], pause)
            for number in interrupts.take():
                if not self._cancel(number):
                    return self._result({"exit_code": self._interrupted, "left": True})
            if stream in readable or stream.ready:
                for message in stream.receive():
                    if message["type"] == "result":
                        return self._result(message)
                    self._take(message)
            self._on_tick()
            if self._progress.services:
                self._view.tick(self._clock.now())
        raise BrokenResponse("the daemon ended before it had finished")

    def _take(self, message: Mapping[str, Any]) -> None:
        now = self._clock.now()
        match message["type"]:
            case "accepted":
                self._operation = message.get("operation")
                if self._interrupted is not None:
                    self._ask_to_cancel()
                self._progress.accepted(message, now)
            case "warning":
                self._view.clear()
                warn(message["message"])
            case "event":
                if (service := self._progress.event(message, now)) is not None:
                    self._view.changed(service)

    def _cancel(self, number: signal.Signals) -> bool:
        """Cancel, as soon as the operation is known; False when the user has had enough."""
        again = self._interrupted is not None
        terminated = number == signal.SIGTERM
        self._interrupted = ExitCode.TERMINATED if terminated else ExitCode.INTERRUPTED
        self._view.clear()
        if again:
            return False
        streams.say("cancelling; interrupt again to leave at once")
        if self._operation is not None:
            self._ask_to_cancel()
        return True

    def _ask_to_cancel(self) -> None:
        with suppress(MsctlError):  # it has ended, or the daemon has
            path = f"/operations/{self._operation}/cancel"
            self._client.request("POST", path, {}, timeout=_CANCEL_TIMEOUT)

    def _result(self, message: Mapping[str, Any]) -> Result:
        code = message["exit_code"]
        if code == ExitCode.INTERRUPTED and self._interrupted is not None:
            code = self._interrupted
        return Result(
            exit_code=code,
            message=message.get("message", ""),
            failures=tuple(_failure(entry) for entry in message.get("failures", ())),
            problems=tuple(_problem(entry) for entry in message.get("problems", ())),
            changes=tuple(message.get("changes", ())),
            status=message.get("status"),
            seconds=self._clock.now() - self._began,
            left=message.get("left", False),
        )


def _failure(entry: Mapping[str, Any]) -> Failure:
    return Failure(
        service=entry["service"],
        instance=entry.get("instance"),
        reason=entry["reason"],
        logs=tuple(entry.get("logs", ())),
    )


def _problem(entry: Mapping[str, Any]) -> Problem:
    return Problem(Path(entry["file"]), entry["line"], entry["where"], entry["message"])
