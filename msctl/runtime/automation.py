"""What a daemon does without being told: scaling, memory limits, restarts after a change."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from msctl.core.watching import Watched
from msctl.proxy.meters import Meters
from msctl.runtime.background import in_background
from msctl.runtime.commands import Commands
from msctl.runtime.environment import working_dir
from msctl.runtime.memory_watch import MemoryWatch
from msctl.runtime.orchestrator import Orchestrator
from msctl.runtime.scaler import Scaler
from msctl.runtime.statedir import StateDir
from msctl.runtime.watcher import Watcher

_LOOK = 1.0
"""Seconds between two looks at what the watched services have imported."""


class Automation:
    """Runs beside the commands, and goes the same way as they do: by wishes."""

    def __init__(
        self, fleet: Orchestrator, commands: Commands, meters: Meters, state: StateDir
    ) -> None:
        self._fleet = fleet
        self._commands = commands
        self._state = state
        self._scaler = Scaler(fleet, meters, commands.adjust)
        self._memory = MemoryWatch(fleet)
        self._watcher = Watcher(self)
        fleet.router.on_shortage(self._scaler.summon)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Do all of it while the context lasts."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._scaler.running())
            await stack.enter_async_context(self._memory.running())
            await stack.enter_async_context(self._watcher.running())
            await stack.enter_async_context(in_background(self._refresh(), "watch list"))
            yield

    async def _refresh(self) -> None:
        """Follow what is watched: it changes with the wishes."""
        while True:
            before = self.watched()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._fleet.changed.until(lambda seen=before: self.watched() != seen)  # type: ignore[misc]  # bound now
            await self._watcher.refresh()

    # What the watcher asks

    def watched(self) -> Sequence[Watched]:
        """Return the services whose files are watched, by the config or by `up --watch`."""
        found = []
        for name in self._fleet.wanted():
            service = self._fleet.config(name)
            if service is None or not (service.watch or name in self._commands.watched):
                continue
            root = working_dir(service, self._fleet.fleet.project_dir).resolve()
            patterns = service.watch if isinstance(service.watch, tuple) else ()
            found.append(Watched(name, root, patterns))
        return found

    async def places(self) -> frozenset[Path]:
        """Return the directories of imported files that lie outside the watched roots."""
        watched = self.watched()
        roots = [Path(each.root) for each in watched]
        found: set[Path] = set()
        for each in watched:
            for file in await self.imported(each.service) or ():
                if not any(file.is_relative_to(root) for root in roots):
                    found.add(file.parent)
        return frozenset(found)

    async def imported(self, service: str) -> Collection[Path] | None:
        """Return the Python files that a service has imported; None where that is not known."""
        names = [instance.id for instance in self._fleet.instances(service)]
        return await asyncio.to_thread(self._read_imports, names)

    async def renew(self, service: str, reason: str) -> None:
        """Restart it rolling; raises FleetError when the new instances do not become healthy."""
        await self._commands.renew(service, reason)

    def _read_imports(self, instances: Sequence[str]) -> set[Path] | None:
        found: set[Path] = set()
        for name in instances:
            try:
                found.update(map(Path, self._state.imports(name).read_text().splitlines()))
            except OSError:
                return None
        return found or None
