from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from msctl.config.models import ServiceConfig
from msctl.runtime.environment import (
    FleetFacts,
    expand_command,
    instance_environment,
    working_dir,
)

FLEET = {
    config.name: config
    for config in (
        ServiceConfig(name="user-service", port=8001),
        ServiceConfig(name="cache", port=6379, service_type="cache", command="redis-server"),
        ServiceConfig(name="open", port=8003, host="0.0.0.0"),
        ServiceConfig(name="floating", port="auto"),
        ServiceConfig(name="mailer", service_type="worker", command="mail"),
    )
}


def environment_of(
    base: Mapping[str, str] | None = None, port: int | None = 40123, **keys: Any
) -> dict[str, str]:
    config = ServiceConfig(name="order-service", port=8002, **keys)
    return instance_environment(
        config,
        FleetFacts("shop", Path("/p"), "http://127.0.0.1:8700", FLEET.get),
        base=base or {},
        instance="order-service-2",
        port=port,
        data_dir=Path("/p/.msctl/data/order-service"),
    )


def test_every_instance_is_told_who_and_where_it_is() -> None:
    assert environment_of() == {
        "HOST": "127.0.0.1",
        "PORT": "40123",
        "PYTHONUNBUFFERED": "1",
        "MSCTL_PROJECT": "shop",
        "MSCTL_PROJECT_DIR": "/p",
        "MSCTL_SERVICE": "order-service",
        "MSCTL_INSTANCE": "order-service-2",
        "MSCTL_DATA_DIR": "/p/.msctl/data/order-service",
        "MSCTL_GATEWAY_URL": "http://127.0.0.1:8700",
    }


def test_injected_beats_environment_beats_env_file_beats_the_caller() -> None:
    names = {"A": "", "B": "", "C": "", "MSCTL_SERVICE": ""}
    found = environment_of(
        base=names | dict.fromkeys(names, "caller"),
        file_environment={"B": "file", "C": "file"},
        environment={"C": "config"},
    )
    assert {key: found[key] for key in names} == {
        "A": "caller", "B": "file", "C": "config", "MSCTL_SERVICE": "order-service"
    }  # fmt: skip


def test_the_port_and_host_of_the_callers_shell_are_not_inherited() -> None:
    found = environment_of(base={"PORT": "1", "HOST": "example"}, port=None)
    assert "PORT" not in found
    assert found["HOST"] == "127.0.0.1"


def test_dependencies_are_told_by_url_host_and_port() -> None:
    found = environment_of(dependencies=["user-service", "cache"])
    assert {key: value for key, value in found.items() if key.startswith(("USER", "CACHE"))} == {
        "USER_SERVICE_URL": "http://localhost:8001",
        "USER_SERVICE_HOST": "localhost",
        "USER_SERVICE_PORT": "8001",
        "CACHE_URL": "tcp://localhost:6379",
        "CACHE_HOST": "localhost",
        "CACHE_PORT": "6379",
    }


def test_the_host_of_a_dependency_is_the_one_in_its_url() -> None:
    found = environment_of(dependencies=["open"])
    assert found["OPEN_URL"] == "http://localhost:8003"
    assert found["OPEN_HOST"] == "localhost"


@pytest.mark.parametrize("name", ["mailer", "floating", "not-in-the-config"])
def test_a_dependency_without_an_address_is_not_told(name: str) -> None:
    found = environment_of(dependencies={name: {"required": False}})
    assert found == environment_of()


def test_arguments_are_expanded_from_the_final_environment() -> None:
    command = ("serve", "--port=${PORT}", "$PORT", "${MODE:-dev}", "$$5")
    assert expand_command(command, {"PORT": "40123"}) == (
        "serve", "--port=40123", "$PORT", "dev", "$5"
    )  # fmt: skip


def test_an_unset_variable_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match="NOPE"):
        expand_command(("serve", "${NOPE}"), {})


def test_the_working_directory_is_the_projects_unless_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/me")

    def of(place: str | None) -> Path:
        return working_dir(ServiceConfig(name="a", port=1, working_dir=place), Path("/p"))

    assert [of(place) for place in (None, "web", "/srv", "~/web")] == [
        Path("/p"), Path("/p/web"), Path("/srv"), Path("/home/me/web")
    ]  # fmt: skip
