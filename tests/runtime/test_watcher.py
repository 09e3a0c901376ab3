"""Which restarts changed files bring, with a fleet that only notes them."""

import asyncio
import py_compile
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest
import uvloop

from msctl.core.watching import Watched
from msctl.errors import MsctlError
from msctl.runtime.watcher import Watcher, changed

WAIT = 10.0


class NotingFleet:
    """Takes note of restarts; each lasts until it is let go."""

    def __init__(self, root: Path) -> None:
        self.services = [Watched("order", root)]
        self.files: dict[str, Collection[Path] | None] = {}
        self.renewals: list[tuple[str, str]] = []
        self.beside: frozenset[Path] = frozenset()
        self.fails = False
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()

    def watched(self) -> Sequence[Watched]:
        return self.services

    async def places(self) -> frozenset[Path]:
        return self.beside

    async def imported(self, service: str) -> Collection[Path] | None:
        return self.files.get(service)

    async def renew(self, service: str, reason: str) -> None:
        self.renewals.append((service, reason))
        self.begun.set()
        await self.go.wait()
        if self.fails:
            raise MsctlError(f"{service} is broken")

    async def until(self, number: int) -> None:
        async with asyncio.timeout(WAIT):
            while len(self.renewals) < number:
                self.begun.clear()
                await self.begun.wait()


def save(file: Path) -> None:
    file.write_text("1")


def test_only_the_services_that_have_imported_a_file_are_restarted(tmp_path: Path) -> None:
    async def main() -> None:
        fleet = NotingFleet(tmp_path)
        fleet.services = [Watched(name, tmp_path) for name in ("order", "payment", "job")]
        shared, own = tmp_path / "shared.py", tmp_path / "order.py"
        fleet.files = {"order": {shared, own}, "payment": {shared}, "job": None}
        watcher = Watcher(fleet)
        await watcher.take({own})
        await fleet.until(2)
        assert {name for name, _ in fleet.renewals} == {"order", "job"}
        await watcher.take({shared})
        await fleet.until(5)
        assert {name for name, _ in fleet.renewals[2:]} == {"order", "payment", "job"}

    uvloop.run(main())


def test_changes_during_a_restart_bring_one_more(tmp_path: Path) -> None:
    async def main() -> None:
        fleet = NotingFleet(tmp_path)
        fleet.go.clear()
        watcher = Watcher(fleet)
        await watcher.take({tmp_path / "a.py"})
        await fleet.until(1)
        await watcher.take({tmp_path / "b.py"})
        await watcher.take({tmp_path / "c.py"})
        assert len(fleet.renewals) == 1
        fleet.go.set()
        await fleet.until(2)
        assert fleet.renewals[1] == ("order", "b.py, c.py changed")

    uvloop.run(main())


def test_a_restart_that_fails_leaves_the_watch_in_place(tmp_path: Path) -> None:
    async def main() -> None:
        fleet = NotingFleet(tmp_path)
        fleet.fails = True
        watcher = Watcher(fleet)
        for number in (1, 2):
            await watcher.take({tmp_path / "a.py"})
            await fleet.until(number)
            await asyncio.gather(*watcher._renewals.values())
        assert len(fleet.renewals) == 2

    uvloop.run(main())


def test_after_a_restart_that_failed_any_python_file_may_be_the_repair(tmp_path: Path) -> None:
    async def main() -> None:
        fleet = NotingFleet(tmp_path)
        fleet.files = {"order": {tmp_path / "a.py"}}
        watcher = Watcher(fleet)
        fleet.fails = True
        await watcher.take({tmp_path / "a.py"})
        await fleet.until(1)
        await asyncio.gather(*watcher._renewals.values())
        fleet.fails = False
        await watcher.take({tmp_path / "never_imported_yet.py"})
        await fleet.until(2)
        await asyncio.gather(*watcher._renewals.values())
        await watcher.take({tmp_path / "unrelated.py"})
        assert len(fleet.renewals) == 2

    uvloop.run(main())


def test_bytecode_of_a_changed_file_goes(tmp_path: Path) -> None:
    source, other = tmp_path / "order.py", tmp_path / "order2.py"
    compiled = []
    for file in (source, other):
        file.write_text("x = 1\n")
        name = py_compile.compile(str(file))
        assert name is not None
        compiled.append(Path(name))
    uvloop.run(Watcher(NotingFleet(tmp_path)).take({source}))
    assert [path.exists() for path in compiled] == [False, True]


def test_the_files_are_followed_while_it_runs_and_roots_may_change(tmp_path: Path) -> None:
    first, second, beside = (tmp_path / name for name in ("first", "second", "beside"))

    async def edited(fleet: NotingFleet, file: Path) -> None:
        number = len(fleet.renewals) + 1
        async with asyncio.timeout(WAIT):
            while len(fleet.renewals) < number:
                fleet.begun.clear()
                save(file)
                try:
                    async with asyncio.timeout(0.1):
                        await fleet.begun.wait()
                except TimeoutError:
                    continue

    async def main() -> None:
        fleet = NotingFleet(first)
        watcher = Watcher(fleet)
        async with watcher.running():
            await edited(fleet, first / "a.py")
            fleet.services.append(Watched("payment", second))
            await watcher.refresh()
            await edited(fleet, second / "b.py")
            assert fleet.renewals[-1] == ("payment", "b.py changed")
            fleet.files = {"order": {beside / "c.py"}, "payment": set()}
            fleet.beside = frozenset({beside})
            await watcher.refresh()
            await edited(fleet, beside / "c.py")
            assert fleet.renewals[-1] == ("order", "c.py changed")
            fleet.services.clear()
            await watcher.refresh()

    for directory in (first, second, beside):
        directory.mkdir()
    uvloop.run(main())


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["a.py"], "a.py changed"),
        (["c.py", "a.py", "b.py"], "a.py, b.py, c.py changed"),
        (["c.py", "a.py", "b.py", "d.py", "e.py"], "a.py, b.py, c.py and 2 more changed"),
    ],
)
def test_a_reason_names_the_first_files(names: list[str], text: str) -> None:
    assert changed([Path("/x", name) for name in names]) == text
