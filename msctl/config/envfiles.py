"""Reads the env files of a fleet, each once, and merges them for each service."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from msctl.config.dotenv import Assignment, EnvFileError, assignments, resolve
from msctl.config.environment import why_injected
from msctl.config.paths import is_file
from msctl.config.reader import Unreadable, read_text
from msctl.errors import Problem

DOTENV = ".env"


@dataclass
class EnvFiles:
    """The env files of one load; `problems` collects what is wrong in them."""

    environ: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    _read: dict[Path, tuple[Assignment, ...]] = field(default_factory=dict)

    def variables(self, project_dir: Path) -> dict[str, str]:
        """Return what `${…}` in the configuration may use: the environment over `.env`."""
        return {**self.merge(default_files(project_dir), ()), **self.environ}

    def merge(self, files: Iterable[Path], dependencies: Iterable[str]) -> dict[str, str]:
        """Return the variables of these files for a service with these dependencies.

        A later file goes over an earlier one. `${…}` in a value is replaced from the
        environment, else from what the files said so far.
        """
        merged: dict[str, str] = {}
        names = list(dependencies)
        for file in files:
            for item in self.read(file):
                why = why_injected(item.name, names)
                if why:
                    self.problems.append(Problem(file, item.line, item.name, f"{why}; remove it"))
                    continue
                try:
                    merged[item.name] = resolve(item, {**merged, **self.environ})
                except EnvFileError as error:
                    self.problems.append(Problem(file, error.line, "", error.message))
        return merged

    def read(self, file: Path) -> tuple[Assignment, ...]:
        """Return what an env file assigns, up to the first line that cannot be read."""
        if file in self._read:
            return self._read[file]
        items: list[Assignment] = []
        try:
            items.extend(assignments(read_text(file)))
        except Unreadable as error:
            self.problems.append(error.problem)
        except EnvFileError as error:
            self.problems.append(Problem(file, error.line, "", error.message))
        self._read[file] = tuple(items)
        return self._read[file]


def default_files(project_dir: Path) -> tuple[Path, ...]:
    """Return the `.env` beside the configuration, where there is one."""
    file = project_dir / DOTENV
    return (file,) if is_file(file) else ()
