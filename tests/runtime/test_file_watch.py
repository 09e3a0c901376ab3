"""Changes of real files, as the kernel tells them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from msctl.runtime import file_watch
from msctl.runtime.file_watch import changes

WAIT = 10.0
AGAIN = 0.1


class Told:
    """Collects what is told about some directories."""

    def __init__(self) -> None:
        self._files: set[Path] = set()
        self._news = asyncio.Event()

    async def follow(self, stream: AsyncIterator[set[Path]]) -> None:
        async for files in stream:
            self._files |= files
            self._news.set()

    async def until(self, *wanted: Path, act: Callable[[], object]) -> set[Path]:
        """Do it again and again until all of it is told; the watch takes a moment to begin."""
        self._files.clear()
        async with asyncio.timeout(WAIT):
            while not self._files.issuperset(wanted):
                self._news.clear()
                act()
                try:
                    async with asyncio.timeout(AGAIN):
                        await self._news.wait()
                except TimeoutError:
                    continue
        return set(self._files)


@asynccontextmanager
async def watching(*roots: Path) -> AsyncIterator[Told]:
    end, told = asyncio.Event(), Told()
    task = asyncio.create_task(told.follow(changes(roots, end)))
    try:
        yield told
    finally:
        end.set()
        async with asyncio.timeout(WAIT):
            await task


def test_a_written_a_new_and_a_replaced_file_are_told(tmp_path: Path) -> None:
    old, new, moved = (tmp_path / name for name in ("old.py", "new.py", "moved.py"))
    old.write_text("")

    async def main() -> None:
        async with watching(tmp_path) as told:
            assert await told.until(old, act=lambda: old.write_text("1")) == {old}
            assert await told.until(new, act=lambda: new.write_text("1")) == {new}
            aside = tmp_path / "aside.tmp"

            def replace() -> None:
                aside.write_text("2")
                aside.rename(moved)

            assert await told.until(moved, act=replace) == {moved}

    uvloop.run(main())


def test_what_nobody_edits_is_not_told(tmp_path: Path) -> None:
    seen = tmp_path / "seen.py"
    unseen = [tmp_path / name for name in (".git/a.py", "node_modules/a.py", "seen.py~", "a.pyc")]
    for file in unseen:
        file.parent.mkdir(exist_ok=True)

    def act() -> None:
        for file in (*unseen, seen):
            file.write_text("1")

    async def main() -> None:
        async with watching(tmp_path) as told:
            assert await told.until(seen, act=act) == {seen}

    uvloop.run(main())


def test_a_new_directory_is_watched_from_then_on(tmp_path: Path) -> None:
    first = tmp_path / "new/deep/first.py"
    later = tmp_path / "new/deep/later.py"
    start = tmp_path / "start.py"

    def make() -> None:
        first.parent.mkdir(parents=True, exist_ok=True)
        first.write_text("1")

    async def main() -> None:
        async with watching(tmp_path) as told:
            await told.until(start, act=lambda: start.write_text("1"))
            assert await told.until(first, act=make) == {first}
            assert await told.until(later, act=lambda: later.write_text("1")) == {later}

    uvloop.run(main())


def test_a_root_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "a.py"

    async def main() -> None:
        async with watching(tmp_path / "nowhere", tmp_path) as told:
            await told.until(file, act=lambda: file.write_text("1"))
        async with watching(tmp_path / "nowhere"):
            pass  # it ends by itself

    uvloop.run(main())


def test_a_disk_is_not_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        (tmp_path / f"d{number}").mkdir()
    assert len(file_watch._directories([tmp_path])) == 6
    monkeypatch.setattr(file_watch, "MOST_DIRECTORIES", 3)
    assert len(file_watch._directories([tmp_path])) == 3
