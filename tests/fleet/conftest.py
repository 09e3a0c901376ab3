from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fleet.project import Project


@pytest.fixture
def new_project(tmp_path: Path) -> Iterator[Callable[[str], Project]]:
    """Make projects; every process that came from them is gone after the test."""
    made: list[Project] = []

    def make(name: str) -> Project:
        directory = tmp_path / name
        directory.mkdir(parents=True)
        made.append(Project(directory))
        return made[-1]

    yield make
    for project in made:
        project.clean_up()


@pytest.fixture
def project(new_project: Callable[[str], Project]) -> Project:
    return new_project("shop")
