"""What `msctl doctor` finds out about a configuration, its programs, ports and state."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msctl.client import ControlClient
from msctl.clock import SystemClock
from msctl.config.fleet import GATEWAY_PORT
from msctl.config.models import FleetConfig, HealthConfig, ServiceConfig
from msctl.errors import MsctlError
from msctl.runtime import ports
from msctl.runtime.doctor_fleet import PortFacts, ProgramFacts, StateFacts
from msctl.runtime.doctor_warm import WarmFacts, why_cold
from msctl.runtime.environment import working_dir
from msctl.runtime.launcher import INTERPRETER_FLAGS
from msctl.runtime.portholders import find_holders
from msctl.runtime.proctree import descendants
from msctl.runtime.statedir import StateDir

_TIME_LIMIT = 20.0
"""Seconds for an interpreter to look for modules, or to import those of `preload`."""
_PATIENCE = 2.0  # seconds for the daemon's answer
_FINDER = Path(__file__).with_name("module_finder.py")
_IMPORT = """
import importlib, json, sys
failures = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except BaseException as error:
        failures[name] = f"{type(error).__name__}: {error}"
print(json.dumps(failures))
"""


def look_at_state(state: StateDir) -> StateFacts:
    """Return whether a daemon runs, and what lies around."""
    pid, locked = run_pid(state), state.is_locked()
    projects = state.root / "projects"
    stale = [
        directory
        for directory in (sorted(projects.iterdir()) if projects.is_dir() else ())
        if run_pid(other := StateDir(directory)) is not None and not other.is_locked()
    ]
    return StateFacts(
        directory=state.root,
        run_pid=pid,
        alive=pid is not None and _exists(pid),
        locked=locked,
        has_socket=state.socket.exists(),
        answer_ms=_answer_time(state) if locked else None,
        stale_projects=tuple(stale),
    )


def run_pid(state: StateDir) -> int | None:
    """Return the daemon's process id as its run file has it; None when there is none."""
    try:
        return int(json.loads(state.run_file.read_bytes())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _answer_time(state: StateDir) -> float | None:
    clock = SystemClock()
    begin = clock.now()
    try:
        ControlClient(state.socket).request("GET", "/ping", timeout=_PATIENCE)
    except MsctlError:
        return None
    return (clock.now() - begin) * 1000


def look_at_ports(fleet: FleetConfig, state: StateFacts) -> PortFacts:
    """Return who has the ports that the fleet would bind."""
    wanted = {s.port: s.name for s in fleet.services.values() if isinstance(s.port, int)}
    gateway = fleet.gateway.port
    default = GATEWAY_PORT if gateway is None else None
    if gateway is not None:
        wanted[gateway] = "gateway"
    holders = find_holders({*wanted, GATEWAY_PORT})
    own = {state.run_pid, *descendants(state.run_pid)} if state.locked and state.run_pid else set()
    return PortFacts(
        wanted=wanted,
        holders=holders,
        own={pid for pid in own if pid is not None},
        refused=dict(_refused(fleet, wanted, holders.keys())),
        default_gateway=default,
    )


def _refused(
    fleet: FleetConfig, wanted: Mapping[int, str], held: Collection[int]
) -> Iterator[tuple[int, str]]:
    for port, who in wanted.items():
        if port not in held:
            host = fleet.gateway.host if who == "gateway" else fleet.services[who].host
            try:
                ports.check_free(who, host, port)
            except MsctlError as error:
                yield port, str(error).removeprefix(f"{who}: ")


def look_at_programs(fleet: FleetConfig, environ: Mapping[str, str]) -> list[ProgramFacts]:
    """Return what the services name and what is not there."""
    found: dict[str, list[tuple[str, str]]] = {}
    apps: dict[tuple[str, Path, str], list[ServiceConfig]] = {}
    for service in fleet.services.values():
        directory = working_dir(service, fleet.project_dir)
        environment = {**environ, **service.file_environment, **service.environment}
        missing = [*_missing(service, directory, environment)]
        found[service.name] = missing
        if service.command is None and not missing:
            python = service.python or sys.executable
            key = (python, directory, environment.get("PYTHONPATH", ""))
            apps.setdefault(key, []).append(service)
    for (python, directory, path), services in apps.items():
        environment = {**environ, "PYTHONPATH": path}
        names = {(s.effective_app or "").partition(":")[0] for s in services}
        absent = _absent_modules(python, directory, sorted(names), environment)
        for service in services:
            module = (service.effective_app or "").partition(":")[0]
            if module in absent:
                message = f"{service.effective_app}: there is no module {module} in {directory}"
                found[service.name].append(("app", message))
    return [ProgramFacts(service=name, missing=missing) for name, missing in found.items()]


def _missing(
    service: ServiceConfig, directory: Path, environment: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    if not directory.is_dir():
        yield "working_dir", f"{directory} is not a directory"
        return
    checked = service.health.command if isinstance(service.health, HealthConfig) else None
    programs = {
        "command": service.command,
        "python": (service.python,) if service.python else None,
        "health.command": checked,
        "liveness.command": service.liveness.command if service.liveness else None,
    }
    for key, command in programs.items():
        if (
            command
            and "${" not in command[0]
            and not _is_program(command[0], directory, environment)
        ):
            yield key, f"{command[0]}: no such program"


def _is_program(name: str, directory: Path, environment: Mapping[str, str]) -> bool:
    if "/" in name:
        return shutil.which(directory / name) is not None
    return shutil.which(name, path=environment.get("PATH", os.defpath)) is not None


def _absent_modules(
    python: str, directory: Path, names: list[str], environment: Mapping[str, str]
) -> Collection[str]:
    """Return the modules that this interpreter does not find; all is well if it does not tell."""
    said = _ask([python, str(_FINDER), str(directory), *names], directory, environment)
    return said if isinstance(said, list) else ()


def look_at_warm_start(fleet: FleetConfig, environ: Mapping[str, str]) -> WarmFacts:
    """Return what decides how instances are started; imports `preload`, in a process of its own."""
    services = list(fleet.services.values())
    forked = any(why_cold(service) is None for service in services)
    failures = _preload_failures(fleet, environ) if forked and fleet.preload else {}
    return WarmFacts(
        platform=sys.platform,
        services=services,
        environment=environ,
        preload=fleet.preload,
        failures=failures,
    )


def _preload_failures(fleet: FleetConfig, environ: Mapping[str, str]) -> Mapping[str, str]:
    command = [sys.executable, *INTERPRETER_FLAGS, "-c", _IMPORT, *fleet.preload]
    said = _ask(command, fleet.project_dir, environ)
    if isinstance(said, dict):
        return said
    return dict.fromkeys(fleet.preload, f"not imported within {_TIME_LIMIT:g} s, or ended early")


def _ask(command: list[str], directory: Path, environment: Mapping[str, str]) -> object:
    """Return what a Python program answers in JSON, on its last line; None when it does not."""
    with suppress(OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        done = subprocess.run(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIME_LIMIT,
            check=False,
        )
        answer: object = json.loads(done.stdout.splitlines()[-1])
        return answer
    return None
