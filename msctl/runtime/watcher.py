"""Restarts the services whose files have changed, each one at a time and no other."""

import asyncio
import contextlib
import glob
import logging
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol

from msctl.core.watching import Watched
from msctl.errors import MsctlError
from msctl.runtime.file_watch import changes

logger = logging.getLogger(__name__)

_NAMED: Final = 3
"""Changed files that a reason names; of more it gives the number."""


class WatchedFleet(Protocol):
    """What the watcher needs to know of a fleet, and can have it do."""

    def watched(self) -> Sequence[Watched]:
        """Return what is watched now."""
        ...

    async def places(self) -> frozenset[Path]:
        """Return the directories of imported files that lie outside the watched roots."""
        ...

    async def imported(self, service: str) -> Collection[Path] | None:
        """Return the Python files that the service's instances have imported; None: unknown."""
        ...

    async def renew(self, service: str, reason: str) -> None:
        """Restart it rolling; raises MsctlError when the new instances do not become healthy."""
        ...


class Watcher:
    """Follows the files of the services that are watched.

    While a service is being restarted its further changes wait, and bring one more restart.
    """

    def __init__(self, fleet: WatchedFleet) -> None:
        self._fleet = fleet
        self._roots: frozenset[Path] = frozenset()
        self._beside: frozenset[Path] = frozenset()
        self._again = asyncio.Event()
        """Set when there are other roots: the watch begins anew."""
        self._broken: set[str] = set()
        """Services whose last restart failed: what it would have imported is not known."""
        self._due: dict[str, set[Path]] = {}
        self._renewals: dict[str, asyncio.Task[None]] = {}

    async def refresh(self) -> None:
        """Take in that other services are watched now, or other files imported."""
        if (self._wanted_roots(), await self._fleet.places()) != (self._roots, self._beside):
            self._again.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch while the context lasts."""
        follower = asyncio.create_task(self._follow(), name="watch")
        try:
            yield
        finally:
            tasks = [follower, *self._renewals.values()]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def take(self, files: Collection[Path]) -> None:
        """Have the services restarted that these changed files concern."""
        await asyncio.to_thread(_drop_bytecode, files)
        for watched in self._fleet.watched():
            imported = None
            if not watched.patterns and watched.service not in self._broken:
                imported = await self._fleet.imported(watched.service)
            if concerning := watched.concerning(files, imported):
                self._due.setdefault(watched.service, set()).update(map(Path, concerning))
                self._begin(watched.service)

    async def _follow(self) -> None:
        while True:
            self._again = asyncio.Event()
            self._roots, self._beside = self._wanted_roots(), await self._fleet.places()
            async for files in changes(self._roots, self._again, self._beside):
                await self.take(files)
            await self._again.wait()

    def _wanted_roots(self) -> frozenset[Path]:
        return frozenset(Path(watched.root) for watched in self._fleet.watched())

    def _begin(self, service: str) -> None:
        if service not in self._renewals:
            task = asyncio.create_task(self._renew(service), name=f"watch {service}")
            self._renewals[service] = task

    async def _renew(self, service: str) -> None:
        try:
            while files := self._due.pop(service, None):
                await asyncio.to_thread(_drop_bytecode, files)  # written again meanwhile, maybe
                try:
                    await self._fleet.renew(service, changed(files))
                except MsctlError as error:
                    # The old instances serve on; the next change is the next attempt.
                    self._broken.add(service)
                    logger.warning("%s: %s", changed(files), error, extra={"service": service})
                else:
                    self._broken.discard(service)
        finally:
            del self._renewals[service]


def changed(files: Collection[Path]) -> str:
    """Say which files have changed."""
    names = sorted(file.name for file in files)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more} changed"


def _drop_bytecode(files: Iterable[Path]) -> None:
    """Remove what Python has compiled of these files.

    It compares whole seconds and sizes: a second save within the second would not be seen.
    """
    for file in files:
        if file.suffix == ".py":
            for cached in (file.parent / "__pycache__").glob(f"{glob.escape(file.stem)}.*.pyc"):
                cached.unlink(missing_ok=True)
