import pytest

from msctl.render.status_table import note, status_lines
from tests.cli.documents import instance, service, status, stopped

REASON = "exited with code 1 after 0.3 s; next try in 4.2 s"
FAILING = service(
    "order-service",
    status="backoff",
    health="unhealthy",
    ready=0,
    restarts=4,
    instances=[instance("order-service-1", status="backoff", health="unknown", reason=REASON)],
)


def test_a_healthy_fleet_has_no_notes() -> None:
    lines = status_lines(status(service("user-service")), width=None, decorated=False)
    assert lines == [
        "NAME          STATUS             URL                    INSTANCES  RESTARTS  UPTIME",
        "user-service  running (healthy)  http://localhost:8001        1/1         0     11s",
    ]


def test_a_reason_stands_beside_what_it_explains() -> None:
    lines = status_lines(status(FAILING, stopped("user-service")), width=None, decorated=False)
    assert lines[0].endswith("NOTE")
    assert lines[1].endswith(REASON)
    assert lines[2].split() == ["user-service", "stopped", "http://localhost:8001", "0/1", "0", "-"]


def test_a_reason_that_does_not_fit_follows_in_full() -> None:
    lines = status_lines(status(FAILING), width=80, decorated=False)
    assert lines[-2:] == ["", f"order-service: {REASON}"]
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
def test_the_table_fits_any_terminal(width: int) -> None:
    services = [service(f"service-{n:03}", replicas=12, ready=12) for n in range(100)]
    lines = status_lines(status(*services), width=width, decorated=False)
    assert len(lines) == 101
    assert all(len(line) <= max(width, 25) for line in lines)


def test_with_several_instances_the_note_names_the_one() -> None:
    instances = [
        instance("a-1"),
        instance("a-2", health="unhealthy", reason="probe: connection\nrefused \x1b[31m"),
    ]
    assert note(service("a", replicas=2, health="degraded", instances=instances)) == (
        "a-2: probe: connection refused  [31m"
    )


def test_a_breaker_that_is_not_closed_is_noted() -> None:
    assert note(service("a", breaker={"state": "forced_open"})) == "breaker forced open"
    instances = [instance("a-1", breaker={"state": "open"}), instance("a-2")]
    assert note(service("a", instances=instances)) == "breaker open on 1 of 2"


def test_a_service_without_a_port_has_no_address() -> None:
    lines = status_lines(status(service("w", port=None, url=None)), width=None, decorated=False)
    assert lines[1].split()[3] == "-"
