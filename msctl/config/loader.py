"""Loads a fleet's configuration, or reports everything that is wrong with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from msctl.config.contents import Draft, fault_problems
from msctl.config.envfiles import EnvFiles, default_files
from msctl.config.files import Files
from msctl.config.fleet import FleetConfig, FleetSettings
from msctl.config.location import ConfigLocation
from msctl.config.messages import problem_at
from msctl.config.nodes import Entry, Scalar, Table
from msctl.config.prepare import inherited, prepared
from msctl.config.rules import check_fleet
from msctl.config.service import ServiceConfig
from msctl.config.validate import name_problem, validate, validate_service
from msctl.errors import ConfigError, Problem

_UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A service as far as it is valid, and the draft that it came from."""

    draft: Draft
    service: ServiceConfig
    problems: tuple[Problem, ...]


def load_fleet(location: ConfigLocation, environ: Mapping[str, str]) -> FleetConfig:
    """Read the configuration at `location`, with `environ` for its `${…}`.

    Raises ConfigError with all problems of all files, by file and line.
    """
    env_files = EnvFiles(environ)
    variables = env_files.variables(location.project_dir)
    files = Files(variables)
    files.load(location.files)
    defaults = prepared(files.defaults, variables) if files.defaults else None
    loaded = [_load_service(draft, defaults, variables) for draft in files.drafts]
    unique = {each.service.name: each for each in reversed(loaded) if _is_named(each)}
    services = {name: unique[name] for name in dict.fromkeys(_names(loaded)) if name in unique}
    settings = FleetSettings.model_validate(files.settings)

    problems = [*files.problems, *(problem for each in loaded for problem in each.problems)]
    problems += _default_problems(defaults)
    problems += _duplicates(loaded, services)
    problems += _fleet_problems(services, loaded, settings, location.project_dir)
    resolved: dict[str, ServiceConfig] = {}
    for name, each in services.items():
        resolved[name], found = _resolved(each, location.project_dir, env_files)
        problems += found
    problems += env_files.problems
    if not loaded and not problems:
        message = "declares no service; write some under services, or name files in include"
        problems.append(Problem(location.files[0], 0, "", message))
    if problems:
        raise ConfigError(sorted(set(problems)))
    return FleetConfig(
        project=settings.project or location.project_dir.name or "root",
        project_dir=location.project_dir,
        gateway=settings.gateway,
        services=resolved,
        preload=settings.preload,
        files=tuple(files.read),
    )
