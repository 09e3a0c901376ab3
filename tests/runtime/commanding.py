"""Commands against a whole fleet with fake processes, and what each said."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msctl.config.models import ServiceConfig
from msctl.runtime.commands import Goal, RestartOptions, UpOptions
from msctl.runtime.operation import Operation, Outcome
from msctl.runtime.orchestrator import StopOptions
from tests.runtime.bench import Bench, api, fleet_of, worker

SHOP = [api("user"), api("order", dependencies=["user"]), worker("mailer")]


@dataclass
class Answer:
    """An operation that is carried out, and what it has said so far."""

    operation: Operation
    task: asyncio.Task[int]
    messages: list[dict[str, Any]] = field(default_factory=list)

    async def result(self) -> dict[str, Any]:
        await self.task
        self.messages = [message async for message in self.operation.messages()]
        return self.messages[-1]

    def said(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    def warnings(self) -> list[str]:
        return [warning["message"] for warning in self.said("warning")]


def begin(parts: Bench, work: Callable[[Operation], Awaitable[Outcome]]) -> Answer:
    operation = parts.operation()
    return Answer(operation, asyncio.create_task(operation.run(work, parts.status.document)))


def up(parts: Bench, *names: str, **options: Any) -> Answer:
    chosen = UpOptions(services=names, **options)
    return begin(parts, lambda operation: parts.commands.up(operation, chosen))


def stop(parts: Bench, *names: str, **options: Any) -> Answer:
    chosen = StopOptions(**options)
    return begin(parts, lambda operation: parts.commands.stop(operation, names, chosen))


def start(parts: Bench, *names: str, timeout: float | None = None) -> Answer:
    return begin(parts, lambda operation: parts.commands.start(operation, names, {}, timeout))


def restart(parts: Bench, *names: str, **options: Any) -> Answer:
    chosen = RestartOptions(**options)
    return begin(parts, lambda operation: parts.commands.restart(operation, names, chosen))


def scale(parts: Bench, timeout: float | None = None, **replicas: int) -> Answer:
    return begin(parts, lambda operation: parts.commands.scale(operation, replicas, timeout))


def wait(parts: Bench, goal: Goal, *names: str, timeout: float | None = None) -> Answer:
    return begin(parts, lambda operation: parts.commands.wait(operation, names, goal, timeout))


def bench(directory: Path, *services: ServiceConfig) -> Bench:
    return Bench(directory, fleet_of(directory, *(services or SHOP)))


def actions(result: dict[str, Any]) -> dict[str, str]:
    return {change["service"]: change["action"] for change in result["changes"]}


def running(parts: Bench) -> list[str]:
    return sorted(i.id for each in parts.registry.get_all_services().values() for i in each)
