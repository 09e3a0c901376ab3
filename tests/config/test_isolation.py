"""The same configuration for one more fleet."""

from pathlib import Path

from msctl.config.fleet import FleetConfig, GatewayConfig
from msctl.config.isolation import isolated, under_name
from msctl.config.models import ServiceConfig

FLEET = FleetConfig(
    project="shop",
    project_dir=Path("/shop"),
    gateway=GatewayConfig(port=8700),
    services={
        each.name: each
        for each in (
            ServiceConfig(name="user", port=8001),
            ServiceConfig(name="db", service_type="database", command="pg", port=5432),
            ServiceConfig(name="job", service_type="worker", command="work"),
        )
    },
)


def test_all_ports_are_drawn_and_nothing_else_changes() -> None:
    other = isolated(FLEET)
    assert [s.port for s in other.services.values()] == ["auto", "auto", None]
    assert other.gateway.port is None
    as_before = {n: s.model_copy(update={"port": FLEET.services[n].port})
                 for n, s in other.services.items()}  # fmt: skip
    assert as_before == FLEET.services


def test_what_the_files_name_is_left_to_others() -> None:
    assert FLEET.named_ports == {8001, 5432, 8700}
    other = isolated(FLEET)
    assert (FLEET.isolated, other.isolated) == (False, True)
    assert other.named_ports == FLEET.named_ports
    assert isolated(other).named_ports == FLEET.named_ports


def test_a_check_of_its_own_port_goes_along_and_one_of_another_port_stays() -> None:
    def check(port: int) -> object:
        db = ServiceConfig(
            name="db", service_type="database", command="pg", port=5432, health={"tcp": port}
        )
        other = isolated(FLEET.model_copy(update={"services": {"db": db}})).services["db"]
        assert other.effective_check is not None
        return other.effective_check.tcp

    assert check(5432) is None
    assert check(5433) == 5433


def test_the_name_is_all_that_another_name_changes() -> None:
    assert under_name(FLEET, "ci") == FLEET.model_copy(update={"project": "ci"})
