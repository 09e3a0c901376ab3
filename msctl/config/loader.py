"""Loads a fleet's configuration, or reports everything that is wrong with it."""

from collections.abc import Mapping
from pathlib import Path

from msctl.config.build import Built, build_service, default_problems, resolve
from msctl.config.envfiles import EnvFiles
from msctl.config.files import Files
from msctl.config.fleet import FleetConfig, FleetSettings
from msctl.config.location import ConfigLocation
from msctl.config.prepare import prepared
from msctl.config.rules import check_fleet
from msctl.config.service import ServiceConfig
from msctl.errors import ConfigError, Problem


def load_fleet(
    location: ConfigLocation,
    environ: Mapping[str, str],
    unwritten: Mapping[Path, str] | None = None,
) -> FleetConfig:
    """Read the configuration at `location`, with `environ` for its `${…}`.

    `unwritten` has the texts of files that count as if they were there. Raises ConfigError
    with all problems of all files, by file and line.
    """
    project_dir = location.project_dir
    env_files = EnvFiles(environ)
    files = Files(env_files.variables(project_dir), unwritten or {})
    files.load(location.files)
    settings = FleetSettings.model_validate(files.settings)
    built = _build(files)
    fleet = _unique(built)

    problems = files.problems + [problem for each in built for problem in each.problems]
    problems += _duplicates(built, fleet)
    problems += _between(built, fleet, settings, location)
    if files.defaults:
        problems += default_problems(prepared(files.defaults, files.variables))
    services: dict[str, ServiceConfig] = {}
    for name, each in fleet.items():
        services[name], found = resolve(each, project_dir, env_files)
        problems += found
    problems += env_files.problems
    if not built and not problems:
        message = "declares no service; write some under services, or name files in include"
        problems.append(Problem(location.files[0], 0, "", message))
    if problems:
        raise ConfigError(sorted(set(problems)))
    return FleetConfig(
        project=settings.project or project_dir.name or "root",
        project_dir=project_dir,
        gateway=settings.gateway,
        services=services,
        preload=settings.preload,
        files=tuple(files.read),
    )


def _build(files: Files) -> list[Built]:
    defaults = prepared(files.defaults, files.variables) if files.defaults else None
    usable = defaults.without("name") if defaults else None
    return [build_service(draft, usable, files.variables) for draft in files.drafts]


def _unique(built: list[Built]) -> dict[str, Built]:
    """Return the services by name; of several with one name, the first."""
    fleet: dict[str, Built] = {}
    for each in built:
        if each.name is not None:
            fleet.setdefault(each.name, each)
    return fleet


def _duplicates(built: list[Built], fleet: Mapping[str, Built]) -> list[Problem]:
    problems: list[Problem] = []
    for each in built:
        first = fleet.get(each.name or "", each)
        if first is not each:
            place = f"{first.table.mark.file}:{first.table.mark.line}"
            message = f"{each.name} is defined in {place} already; rename one of them"
            problems.append(each.problem(("name",), message))
    return problems


def _between(
    built: list[Built],
    fleet: Mapping[str, Built],
    settings: FleetSettings,
    location: ConfigLocation,
) -> list[Problem]:
    """Return what the services may not say together."""
    findings = check_fleet(
        {name: each.service for name, each in fleet.items()},
        project_dir=location.project_dir,
        gateway_port=settings.gateway.port,
        # A dependency on a service whose name is bad is not unknown: the name is the problem.
        known=[each.label.removeprefix("services.") for each in built if each.name is None],
    )
    return [fleet[name].problem(path, message) for name, path, message in findings]
