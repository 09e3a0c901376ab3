"""From a tree to a model, with every problem on the way."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from msctl.config.contradictions import contradictions
from msctl.config.messages import explain, problem_at, unknown_key
from msctl.config.nodes import Steps, Table, faults_of, plain, pruned
from msctl.config.service import COLLECT_CONTRADICTIONS, ServiceConfig
from msctl.config.values import service_name
from msctl.errors import Problem

M = TypeVar("M", bound=BaseModel)

_INTERNAL = "file_environment"
_FOLLOWS_TYPE = frozenset({"port", "replicas", "scaling", "health", "health_check_path"})


def validate(model: type[M], table: Table, label: str) -> tuple[M, list[Problem], set[Steps]]:
    """Return the model that a tree describes, the problems, and what was left out because of them.

    Each invalid value is taken out and the rest validated again, so that one run finds the
    problems that pydantic looks for only when there are no others, and so that what is valid
    can still be compared with other services. `label` is the tree's own path.
    """
    problems: list[Problem] = []
    invalid: set[Steps] = set()
    while True:
        try:
            value = model.model_validate(plain(table), context={COLLECT_CONTRADICTIONS: True})
        except ValidationError as error:
            explained = [
                explain(detail, table, label) for detail in error.errors(include_url=False)
            ]
            paths = {path for _, path in explained}
            if () in paths:
                raise  # the caller gives every required key: this is not the file's fault
            problems += [problem for problem, _ in explained]
            invalid |= paths
            remaining = pruned(table, paths)
            assert isinstance(remaining, Table)
            table = remaining
        else:
            return value, problems, invalid


def validate_service(table: Table, label: str) -> tuple[ServiceConfig, list[Problem]]:
    """Return the service that a tree describes, as far as it is valid, and its problems.

    The tree must have a valid `name`.
    """
    problems: list[Problem] = []
    if _INTERNAL in table:
        message = unknown_key(_INTERNAL, (), label)
        problems.append(problem_at(table, label, (_INTERNAL,), message))
        table = table.without(_INTERNAL)
    service, found, invalid = validate(ServiceConfig, table, label)
    problems += found
    # A key that is there but bad must not be reported as missing too.
    silent = {path[0] for path in invalid if len(path) == 1}
    silent |= {fault.key for path, fault in faults_of(table) if not path and fault.key is not None}
    if "service_type" in silent:
        silent |= _FOLLOWS_TYPE
    for path, message in contradictions(service):
        if path[0] not in silent:
            problems.append(problem_at(table, label, path, message))
    return service, problems


def name_problem(name: str | None, table: Table, label: str) -> Problem | None:
    """Return what is wrong with a service's name, if anything."""
    path: Steps = ("name",) if "name" in table else ()
    if name is None:
        if path or any(fault.key == "name" for fault in table.faults):
            message = "expected text"
        else:
            message = "has no name; give it one: name: my-service"
        return problem_at(table, label, path, message)
    try:
        service_name(name)
    except PydanticCustomError as error:
        return problem_at(table, label, path, error.message())
    return None
