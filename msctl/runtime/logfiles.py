"""Which log files there are, and how to hold on to one while it is being rotated."""

import os

from msctl.runtime.logline import service_of

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than `logs` may
if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path
    from typing import BinaryIO

_SUFFIX = ".log"


class InstanceFiles:
    """The files of one instance at one moment, oldest first.

    A rotation renames files, so they are told apart by inode.
    """

    __slots__ = ("_path", "inodes", "instance")

    def __init__(self, instance: str, path: str, inodes: tuple[int, ...]) -> None:
        self.instance = instance
        self.inodes = inodes
        self._path = path
        """Of the newest one."""

    def open(self, inode: int) -> "BinaryIO | None":
        """Open the file with this inode wherever it has moved; None when it was dropped."""
        age = 0
        while True:
            try:
                file = open(f"{self._path}.{age}" if age else self._path, "rb")  # noqa: SIM115 - the caller closes it
            except FileNotFoundError:
                if age:
                    return None
            else:
                if os.fstat(file.fileno()).st_ino == inode:
                    return file
                file.close()
            age += 1


def find(directory: "Path | str", wanted: "Collection[str]" = ()) -> list[InstanceFiles]:
    """Return the logs of these services or instances, all of them when none is named."""
    ages: dict[str, dict[int, int]] = {}
    try:
        entries = [*os.scandir(directory)]  # one call: this runs many times a second
    except (FileNotFoundError, NotADirectoryError):
        return []
    for entry in entries:
        instance, age = _parts(entry.name)
        if instance is None or not _is_wanted(instance, wanted):
            continue
        try:
            ages.setdefault(instance, {})[age] = entry.stat().st_ino
        except FileNotFoundError:
            continue  # rotated away meanwhile
    return [
        InstanceFiles(
            instance,
            f"{directory}/{instance}{_SUFFIX}",
            tuple(of_age[age] for age in sorted(of_age)[::-1]),
        )
        for instance, of_age in sorted(ages.items())
        if of_age
    ]


def _parts(name: str) -> tuple[str | None, int]:
    """Return whose file it is by its name, `NAME-N.log` or `NAME-N.log.AGE`, and how old."""
    instance, _, age = name.rpartition(_SUFFIX)
    if not instance or (age and not (age[0] == "." and age[1:].isdigit())):
        return None, 0
    return instance, int(age[1:] or 0)


def _is_wanted(instance: str, wanted: "Collection[str]") -> bool:
    return not wanted or instance in wanted or service_of(instance) in wanted
