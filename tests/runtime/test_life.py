"""What a new process is given: its port, its environment, its program, and how it is checked."""

import sys
from collections.abc import Container
from pathlib import Path
from typing import Any

import pytest

from msctl.config.models import ServiceConfig
from msctl.core.health import HealthUpdate
from msctl.runtime.life import Life
from msctl.runtime.probes import CommandProbe, HttpProbe, Probe, TcpProbe
from msctl.runtime.release import Release
from msctl.runtime.spawner import AsgiProgram, Launch, SpawnError
from tests.runtime.bench import Bench, api, worker
from tests.runtime.fakes import Behaviour
from tests.runtime.supervised import bench
from tests.runtime.virtual import run_virtual

CACHE = {"service_type": "cache", "port": 6379, "command": "redis"}


class Ignored:
    """Somebody whom nothing concerns."""

    def health_changed(self, update: HealthUpdate, detail: str) -> None: ...

    def not_alive(self, reason: str) -> None: ...


async def begin(parts: Bench, service: ServiceConfig) -> Life:
    log = parts.logs.instance("a-1")
    release = Release(service=service, environment={})
    return await parts.lives.begin("a-1", release, log, Ignored())


def launched(
    directory: Path, service: ServiceConfig, **parts_of: Any
) -> tuple[Launch, Probe | None]:
    """Begin a life, end it, and return what was launched and how it would be checked."""

    async def main() -> tuple[Launch, Probe | None]:
        parts = bench(directory)
        parts.lives.real = True
        for name, part in parts_of.items():
            setattr(parts.lives, name, part)
        life = await begin(parts, service)
        process = parts.spawner.last("a-1")
        await process.clear(0)
        await life.end()
        return process.launch, life.prober._probe if life.prober else None

    return run_virtual(main())


def test_an_application_is_run_on_a_socket_of_its_own(tmp_path: Path) -> None:
    launch, probe = launched(tmp_path, api("a", app="shop:make", factory=True, access_log=True))
    assert launch.program == AsgiProgram(
        app="shop:make",
        factory=True,
        access_log=True,
        health_path="/health",
        imports=tmp_path / ".msctl/imports/a-1",
        warm=True,
    )
    assert launch.listener is not None
    assert launch.working_dir == tmp_path
    assert probe == HttpProbe("127.0.0.1", int(launch.environment["PORT"]), "/health")


@pytest.mark.parametrize(
    ("keys", "warm"),
    [({}, True), ({"start": "exec"}, False), ({"python": sys.executable}, False)],
)
def test_it_may_be_forked_unless_another_interpreter_or_exec_is_asked_for(
    tmp_path: Path, keys: dict[str, Any], *, warm: bool
) -> None:
    launch, _ = launched(tmp_path, api("a", app="shop:app", **keys))
    assert isinstance(launch.program, AsgiProgram)
    assert launch.program.warm is warm


def test_a_command_gets_the_number_of_its_port(tmp_path: Path) -> None:
    launch, probe = launched(
        tmp_path,
        api(
            "a",
            app=None,
            command="serve --port ${PORT}",
            health={"path": "/up", "expect_status": 204},
        ),
    )
    port = launch.environment["PORT"]
    assert launch.program == ("serve", "--port", port)
    assert launch.listener is None
    assert probe == HttpProbe("127.0.0.1", int(port), "/up", (204,))


def test_a_service_that_binds_its_own_port_is_checked_there_over_tcp(tmp_path: Path) -> None:
    launch, probe = launched(tmp_path, ServiceConfig(name="a", **CACHE))
    assert launch.environment["PORT"] == "6379"
    assert probe == TcpProbe("localhost", 6379)


def test_another_port_may_be_checked(tmp_path: Path) -> None:
    _, probe = launched(tmp_path, ServiceConfig(name="a", **CACHE, health={"tcp": 7000}))
    assert probe == TcpProbe("localhost", 7000)


def test_a_command_checks_in_the_environment_and_place_of_the_instance(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    service = ServiceConfig(
        name="a", **CACHE, working_dir="web", health={"command": "redis-cli -p ${PORT} ping"}
    )
    launch, probe = launched(tmp_path, service)
    assert isinstance(probe, CommandProbe)
    assert probe.command == ("redis-cli", "-p", "6379", "ping")
    assert probe.environment == launch.environment
    assert probe.working_dir == tmp_path / "web"


def test_a_worker_has_no_port_and_no_check(tmp_path: Path) -> None:
    launch, probe = launched(tmp_path, worker("a"))
    assert "PORT" not in launch.environment
    assert probe is None


def test_an_application_of_a_worker_is_checked_on_its_private_port(tmp_path: Path) -> None:
    launch, probe = launched(tmp_path, ServiceConfig(name="a", service_type="worker", app="x:app"))
    assert probe == HttpProbe("127.0.0.1", int(launch.environment["PORT"]), "/health")


def test_its_data_directory_is_there_before_it_runs(tmp_path: Path) -> None:
    launch, _ = launched(tmp_path, worker("a"))
    assert Path(launch.environment["MSCTL_DATA_DIR"]).is_dir()


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / ".msctl").mkdir()
    (tmp_path / ".msctl" / "data").touch()
    with pytest.raises(SpawnError, match=r"cannot make its data directory .*/data/a"):
        launched(tmp_path, worker("a"))


class Everything(Container[int]):
    def __contains__(self, _: object) -> bool:
        return True


@pytest.mark.parametrize("keys", [{}, {"app": None, "command": "serve"}], ids=["app", "command"])
def test_when_no_private_port_is_left_it_is_an_error(tmp_path: Path, keys: dict[str, Any]) -> None:
    with pytest.raises(SpawnError, match="no private port"):
        launched(tmp_path, api("a", **keys), named_ports=Everything())


@pytest.mark.parametrize("keys", [{}, {"app": None, "command": "serve"}], ids=["app", "command"])
def test_a_port_of_one_that_cannot_be_started_is_given_back(
    tmp_path: Path, keys: dict[str, Any]
) -> None:
    """An unclosed socket would be a warning, and a warning is an error."""

    async def main() -> None:
        parts = bench(tmp_path)
        parts.spawner.behave = lambda _: Behaviour(error="command not found: serve")
        with pytest.raises(SpawnError, match="command not found"):
            await begin(parts, api("a", **keys))

    run_virtual(main())
