"""The example services and the demo, as the README shows them, on ports from the system."""

import subprocess
from pathlib import Path

import pytest

from tests.fleet.project import MSCTL, Project, free_port

ROOT = Path(__file__).parents[2]
NEEDS = {
    "user-service": [],
    "order-service": ["user-service"],
    "payment-service": ["user-service", "order-service"],
}


@pytest.fixture
def shop(project: Project) -> Project:
    project.config(
        {
            name: {
                "app": f"services.{name.replace('-', '_')}:app",
                "port": free_port(),
                "working_dir": str(ROOT),
                "dependencies": needs,
            }
            for name, needs in NEEDS.items()
        }
    )
    return project


def test_the_demo_prints_a_completed_payment_and_leaves_nothing(shop: Project) -> None:
    demo = subprocess.run(
        ["sh", str(ROOT / "configs/demo.sh")],
        env=shop.environment()
        | {
            "PATH": f"{MSCTL.parent}:/usr/local/bin:/usr/bin:/bin",
            "MSCTL_CONFIG": str(shop.directory / "msctl.yaml"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert '"status":"completed"' in demo.stdout
    assert demo.stdout.count("running (healthy)") == 6, "after up, and in status"
    shop.assert_nothing_left()


def test_data_survives_a_restart_and_is_shared_by_replicas(shop: Project) -> None:
    shop.ok("up", "user-service", "--scale", "user-service=3")
    user = shop.ok(
        "call", "user-service", "POST", "/users", '{"name": "Ada", "email": "ada@example.com"}'
    ).json()
    seen = [shop.ok("call", "user-service", "GET", f"/users/{user['id']}").json() for _ in "abc"]
    assert seen == [user] * 3
    shop.ok("stop")
    shop.ok("up", "user-service")
    assert shop.ok("call", "user-service", "GET", f"/users/{user['id']}").json() == user


def test_an_order_is_refused_clearly_while_the_user_service_is_down(shop: Project) -> None:
    shop.ok("up")
    shop.ok("stop", "user-service")
    body = '{"user_id": 1, "items": [{"product": "x", "quantity": 1, "price": 2.5}]}'
    result = shop.run("call", "order-service", "POST", "/orders", body, "-i")
    assert result.code == 22
    assert result.out.startswith("HTTP/1.1 424")
    assert "user-service" in result.out
    assert shop.service("order-service")["health"] == "healthy"
