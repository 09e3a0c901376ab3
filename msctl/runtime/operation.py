"""One command of a user on its way: what it says meanwhile, and how it ends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from msctl.errors import ConfigError, Failure, MsctlError, PortInUse, Problem, UsageError
from msctl.runtime.changes import Notifier
from msctl.runtime.events import Event, EventLog
from msctl.runtime.requests import RequestReport

logger = logging.getLogger(__name__)

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_TIME_LIMIT, EXIT_INTERRUPTED = 0, 1, 2, 124, 130
"""Exit codes of contract.md that the daemon decides."""


class Ending(Enum):
    """How a wait came to its end."""

    DONE = auto()
    FAILED = auto()
    EXPIRED = auto()
    CANCELLED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a command did to one service, and why."""

    service: str
    action: str
    reason: str = ""

    def document(self) -> dict[str, str]:
        """Return the JSON object of the control API."""
        return {"service": self.service, "action": self.action, "reason": self.reason}


@dataclass(slots=True, kw_only=True)
class Outcome:
    """The answer to a command."""

    exit_code: int = EXIT_OK
    message: str = ""
    failures: list[Failure] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    """The services concerned, in start order."""
    requests: RequestReport | None = None
    """What became of the requests meanwhile, where running instances were changed."""


class Operation:
    """Carries a command's messages from the daemon to whoever asked for it."""

    def __init__(self, number: int, changed: Notifier, events: EventLog) -> None:
        self.id = f"op-{number}"
        self._changed = changed
        self._events = events
        self._cancelled = False
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def cancel(self) -> None:
        """Interrupt the command; it still tidies up and answers."""
        self._cancelled = True
        self._changed.notify()

    def say(self, kind: str, /, **fields: Any) -> None:
        """Send a message of this type."""
        self._messages.put_nowait({"type": kind, **fields})

    def warn(self, message: str) -> None:
        """Send a warning."""
        self.say("warning", message=message)

    def follow(self, services: Collection[str]) -> Callable[[], None]:
        """Pass on the events of these services; call what is returned to end that."""

        def heard(event: Event) -> None:
            if event.service in services:
                self.say("event", **event.document())

        return self._events.subscribe(heard)

    async def until(
        self,
        done: Callable[[], bool],
        *,
        failed: Callable[[], bool] = lambda: False,
        timeout: float | None = None,
    ) -> Ending:
        """Wait for one of the endings; `timeout` in seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._changed.until(lambda: self._cancelled or failed() or done())
            if self._cancelled:
                return Ending.CANCELLED
            return Ending.FAILED if failed() else Ending.DONE
        return Ending.EXPIRED

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what the command says as it says it; the result comes last."""
        while True:
            message = await self._messages.get()
            yield message
            if message["type"] == "result":
                return

    async def run(
        self,
        work: Callable[["Operation"], Awaitable[Outcome]],
        status_of: Callable[[list[str]], Awaitable[dict[str, Any]]],
    ) -> int:
        """Do the work, whatever comes of it send a result, and return its exit code."""
        problems: list[Problem] = []
        try:
            outcome = await work(self)
        except* MsctlError as group:
            errors = _leaves(group)
            problems = [p for e in errors if isinstance(e, ConfigError) for p in e.problems]
            outcome = _refusal(errors)
        except* Exception as group:
            logger.exception("command failed", extra={"operation": self.id})
            outcome = Outcome(
                exit_code=EXIT_FAILED, message=f"internal error: {_leaves(group)[0]!r}"
            )
        self.say(
            "result",
            exit_code=outcome.exit_code,
            message=outcome.message,
            failures=[_failure_document(failure) for failure in outcome.failures],
            problems=[_problem_document(problem) for problem in problems],
            changes=[change.document() for change in outcome.changes],
            requests=outcome.requests.document() if outcome.requests else None,
            status=await status_of(outcome.services),
        )
        return outcome.exit_code


def _refusal(errors: list[MsctlError]) -> Outcome:
    """Turn the errors that kept a command from being carried out into its answer."""
    if any(isinstance(error, ConfigError) for error in errors):
        return Outcome(exit_code=EXIT_USAGE, message="the configuration has problems")
    if any(isinstance(error, UsageError) for error in errors):
        return Outcome(exit_code=EXIT_USAGE, message=str(errors[0]))
    failures = [Failure(e.service, None, str(e)) for e in errors if isinstance(e, PortInUse)]
    others = [str(error) for error in errors if not isinstance(error, PortInUse)]
    message = "; ".join(others) or "nothing was started"
    return Outcome(exit_code=EXIT_FAILED, message=message, failures=failures)


def _leaves(group: BaseExceptionGroup[Any]) -> list[Any]:
    found = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def _failure_document(failure: Failure) -> dict[str, Any]:
    return {
        "service": failure.service,
        "instance": failure.instance,
        "reason": failure.reason,
        "logs": list(failure.logs),
    }


def _problem_document(problem: Problem) -> dict[str, Any]:
    return {
        "file": str(problem.file),
        "line": problem.line,
        "where": problem.where,
        "message": problem.message,
    }
