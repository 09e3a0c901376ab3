"""From a draft in a file to a service whose paths and variables are final."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from msctl.config.contents import Draft, fault_problems
from msctl.config.envfiles import EnvFiles, default_files
from msctl.config.messages import problem_at
from msctl.config.nodes import Entry, Scalar, Table
from msctl.config.paths import absolute, is_dir, is_file
from msctl.config.prepare import inherited, prepared
from msctl.config.service import ServiceConfig
from msctl.config.validate import name_problem, validate, validate_service
from msctl.errors import Problem

_UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class Built:
    """A service as far as it is valid, and the tree that it came from."""

    name: str | None
    """None while what the file gives is no name."""
    table: Table
    label: str
    service: ServiceConfig
    problems: tuple[Problem, ...]

    def problem(self, path: tuple[str | int, ...], message: str) -> Problem:
        """Return a problem with one of its keys."""
        return problem_at(self.table, self.label, path, message)


def build_service(draft: Draft, defaults: Table | None, variables: Mapping[str, str]) -> Built:
    """Return the service that a draft describes; `variables` are those of `${…}`."""
    table = inherited(defaults, prepared(draft.table, variables))
    problem = name_problem(draft.name, draft.table, draft.label)
    name = None if problem else draft.name
    mark = table.entries["name"].mark if "name" in table else draft.mark
    named = Entry(mark, Scalar(mark, name or _UNNAMED))
    complete = Table(table.mark, {**table.entries, "name": named}, table.faults)
    service, problems = validate_service(complete, draft.label)
    problems += fault_problems(table, draft.label)
    if problem:
        problems.append(problem)
    # The draft's mark: without a file's own key to show, a problem is where the service begins.
    shown = Table(draft.mark, complete.entries, complete.faults)
    return Built(name, shown, draft.label, service, tuple(problems))


def default_problems(defaults: Table) -> list[Problem]:
    """Return what is wrong in the defaults by themselves, also where every service overrides it."""
    problems: list[Problem] = []
    if "name" in defaults:
        message = "is no default: every service has its own name; remove it"
        problems.append(problem_at(defaults, "defaults", ("name",), message))
    mark = defaults.mark
    named = Entry(mark, Scalar(mark, _UNNAMED))
    table = Table(mark, {**defaults.entries, "name": named}, defaults.faults)
    _, found, _ = validate(ServiceConfig, table, "defaults")
    return [*problems, *found]


def resolve(
    built: Built, project_dir: Path, env_files: EnvFiles
) -> tuple[ServiceConfig, list[Problem]]:
    """Return the service with absolute paths and its env files read, and what is wrong with those.

    Relative paths are relative to the project directory. The interpreter's links are kept: a
    virtual environment's `python` is one, and is not what it points to.
    """
    service = built.service
    problems: list[Problem] = []
    working_dir = service.working_dir and absolute(service.working_dir, project_dir)
    if working_dir and not is_dir(working_dir):
        message = f"there is no directory {working_dir}; create it or correct the path"
        problems.append(built.problem(("working_dir",), message))
    files = [absolute(file, project_dir) for file in service.env_file]
    for index, file in enumerate(files):
        if not is_file(file):
            message = f"there is no file {file}; create it or correct the path"
            problems.append(built.problem(("env_file", index), message))
    python = service.python
    if python and "/" in python:
        python = str(absolute(Path(python), project_dir))
    variables = env_files.merge(
        [*default_files(project_dir), *(file for file in files if is_file(file))],
        [dependency.name for dependency in service.dependencies],
    )
    update = {
        "working_dir": working_dir,
        "env_file": tuple(files),
        "python": python,
        "file_environment": variables,
    }
    return service.model_copy(update=update), problems
