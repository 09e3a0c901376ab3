"""Which log files there are, and how to hold on to one while it is being rotated."""

import os
import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from msctl.runtime.logline import service_of

_NAME = re.compile(r"(?P<instance>.+)\.log(?:\.(?P<age>\d+))?")


@dataclass(frozen=True, slots=True)
class InstanceFiles:
    """The files of one instance at one moment, oldest first.

    A rotation renames files, so they are told apart by inode.
    """

    instance: str
    directory: Path
    inodes: tuple[int, ...]

    def open(self, inode: int) -> BinaryIO | None:
        """Open the file with this inode wherever it has moved; None when it was dropped."""
        age = 0
        while True:
            name = f"{self.instance}.log.{age}" if age else f"{self.instance}.log"
            try:
                file = (self.directory / name).open("rb")
            except FileNotFoundError:
                if age:
                    return None
            else:
                if os.fstat(file.fileno()).st_ino == inode:
                    return file
                file.close()
            age += 1


def find(directory: Path, wanted: Collection[str] = ()) -> list[InstanceFiles]:
    """Return the logs of these services or instances, all of them when none is named."""
    ages: dict[str, dict[int, int]] = defaultdict(dict)
    try:
        entries = [*os.scandir(directory)]  # one call: this runs many times a second
    except (FileNotFoundError, NotADirectoryError):
        return []
    for entry in entries:
        match = _NAME.fullmatch(entry.name)
        if match is None or not _is_wanted(match["instance"], wanted):
            continue
        try:
            ages[match["instance"]][int(match["age"] or 0)] = entry.stat().st_ino
        except FileNotFoundError:
            continue  # rotated away meanwhile
    return [
        InstanceFiles(instance, directory, tuple(of_age[age] for age in sorted(of_age)[::-1]))
        for instance, of_age in sorted(ages.items())
    ]


def _is_wanted(instance: str, wanted: Collection[str]) -> bool:
    return not wanted or instance in wanted or service_of(instance) in wanted
