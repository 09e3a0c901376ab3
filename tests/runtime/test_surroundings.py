"""What a command finds that takes the place of an instance."""

from pathlib import Path
from typing import Any

import pytest

from msctl.config.models import ServiceConfig
from msctl.errors import MsctlError, UnknownService, UsageError
from msctl.runtime.environment import FleetFacts
from msctl.runtime.surroundings import Surroundings, one_service, surroundings

CACHE = ServiceConfig(name="cache", port=6379, service_type="cache", command="redis-server")
SERVICES = {"cache": CACHE, "order": ServiceConfig(name="order", port=8002)}


def found(tmp_path: Path, **keys: Any) -> Surroundings:
    facts = FleetFacts("shop", tmp_path, "http://127.0.0.1:8700", SERVICES.get)
    service = ServiceConfig(**{"name": "pay", "port": 8003, **keys})
    return surroundings(service, facts, tmp_path / "data")


def test_it_is_the_environment_of_one_more_instance(tmp_path: Path) -> None:
    given = found(tmp_path, dependencies=["cache"], environment={"A": "1"})
    assert given.environment["MSCTL_INSTANCE"] == "pay-run"
    assert given.environment["CACHE_URL"] == "tcp://localhost:6379"
    assert given.environment["A"] == "1"
    assert given.working_dir == tmp_path
    assert given.environment["MSCTL_DATA_DIR"] == str(tmp_path / "data" / "pay")
    assert (tmp_path / "data" / "pay").is_dir()


def test_the_port_is_a_free_one_and_not_the_front_door(tmp_path: Path) -> None:
    for keys in ({"app": "a:app"}, {"command": "serve"}):
        assert int(found(tmp_path, **keys).environment["PORT"]) not in {8003, 0}


def test_the_port_of_what_binds_its_own_is_the_service_port(tmp_path: Path) -> None:
    database = {"service_type": "database", "command": "pg", "port": 5432}
    assert found(tmp_path, **database).environment["PORT"] == "5432"


def test_a_worker_with_a_command_has_no_port(tmp_path: Path) -> None:
    worker = {"service_type": "worker", "command": "work", "port": None}
    assert "PORT" not in found(tmp_path, **worker).environment


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(MsctlError, match=f"cannot make its data directory {tmp_path}/data/pay"):
        found(tmp_path)


def test_one_service_is_named_or_matched() -> None:
    assert one_service("order", SERVICES) is SERVICES["order"]
    assert one_service("ord*", SERVICES) is SERVICES["order"]
    with pytest.raises(UnknownService, match="did you mean order"):
        one_service("ordr", SERVICES)
    with pytest.raises(UsageError, match=r"\* matches cache, order; name one of them"):
        one_service("*", SERVICES)
