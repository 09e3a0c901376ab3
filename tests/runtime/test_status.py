"""The status document, key by key (contract.md, Output)."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from msctl.config.models import ServiceConfig
from msctl.core.reconcile import Wish
from msctl.runtime.orchestrator import StopOptions
from tests.runtime.bench import GATEWAY_URL, Bench, api, fleet_of, worker
from tests.runtime.fakes import REFUSED, UNAVAILABLE
from tests.runtime.virtual import VirtualClock, eventually, run_virtual

DOCUMENT = {
    "schema_version", "project", "gateway", "uptime", "total_services", "running_services",
    "registered_services", "services", "isolated",
}  # fmt: skip
SERVICE = {
    "name", "service_type", "status", "health", "port", "url", "replicas", "ready", "restarts",
    "dependencies", "balancer", "breaker", "instances",
}  # fmt: skip
INSTANCE = {
    "id", "generation", "pid", "host", "port", "status", "health", "connections", "breaker",
    "restarts", "exit_code", "started_at", "uptime", "rss",
}  # fmt: skip
SERVICES = [
    api("user", port="auto"),
    api("order", dependencies=["user"], balancer="p2c", replicas=2),
    worker("mailer"),
]


async def document(parts: Bench, *names: str) -> dict[str, Any]:
    return json.loads(json.dumps(await parts.status.document(names)))  # type: ignore[no-any-return]


def by_name(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {service["name"]: service for service in document["services"]}


async def begin(parts: Bench, *names: str) -> None:
    for name in names:
        service = parts.fleet.services[name]
        parts.orchestrator.want(
            service, Wish(replicas=service.replicas, dependencies=service.dependencies)
        )
    await eventually(
        lambda: all(
            parts.orchestrator.summary(n).ready == parts.fleet.services[n].replicas for n in names
        ),
        "all are ready",
    )


def bench(directory: Path, *services: ServiceConfig) -> Bench:
    return Bench(directory, fleet_of(directory, *(services or SERVICES)))


def test_before_anything_runs_every_service_is_listed_as_stopped(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, api("user", port=8001), worker("mailer"))
        found = await document(parts)
        assert found.keys() >= DOCUMENT
        assert found["project"] == "shop"
        assert found["gateway"] == GATEWAY_URL
        counts = [found[f"{what}_services"] for what in ("total", "running", "registered")]
        assert counts == [2, 0, 0]
        user, mailer = found["services"]
        assert user.keys() >= SERVICE
        assert user.pop("breaker")["state"] == "closed"
        assert {key: user[key] for key in SERVICE - {"breaker"}} == {
            "name": "user", "service_type": "api", "status": "stopped", "health": "unknown",
            "port": 8001, "url": "http://localhost:8001", "replicas": 1, "ready": 0,
            "restarts": 0, "dependencies": [], "balancer": "round_robin",
            "instances": [],
        }  # fmt: skip
        assert (mailer["port"], mailer["url"], mailer["service_type"]) == (None, None, "worker")

    run_virtual(main())


def test_a_running_fleet(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            await parts.doors.open_all([SERVICES[0]], set())
            await begin(parts, "user", "order", "mailer")
            found = await document(parts)
            counts = [found[f"{what}_services"] for what in ("total", "running", "registered")]
            assert counts == [3, 3, 4]
            services = by_name(found)
            order = services["order"]
            assert (order["status"], order["health"]) == ("running", "healthy")
            assert (order["replicas"], order["ready"]) == (2, 2)
            assert (order["dependencies"], order["balancer"]) == (["user"], "p2c")
            port = services["user"]["port"]
            assert isinstance(port, int)
            assert services["user"]["url"] == f"http://localhost:{port}"
            assert [i["id"] for i in order["instances"]] == ["order-1", "order-2"]
            one = order["instances"][0]
            assert one.keys() >= INSTANCE
            process = parts.spawner.last("order-1")
            expected = {
                "id": "order-1", "generation": 1, "pid": process.pid, "host": "127.0.0.1",
                "port": int(process.launch.environment["PORT"]), "status": "running",
                "health": "healthy", "connections": 0,
                "restarts": 0, "exit_code": None, "rss": None,
            }  # fmt: skip
            assert {key: one[key] for key in expected} == expected
            assert one["breaker"]["state"] == "closed"
            assert one["started_at"].startswith("2026-01-01T00:16:40.")
            assert one["started_at"].endswith("Z")

    run_virtual(main())


def test_uptimes_are_in_seconds(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w"))
        async with parts.running():
            await begin(parts, "w")
            await asyncio.sleep(90.5)
            found = await document(parts)
            assert found["uptime"] == pytest.approx(90.5, abs=0.1)
            assert by_name(found)["w"]["instances"][0]["uptime"] == pytest.approx(90.5, abs=0.1)

    run_virtual(main())


def test_names_limit_the_list_and_not_the_totals(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            await begin(parts, "user", "mailer")
            found = await document(parts, "mailer", "order")
            assert list(by_name(found)) == ["order", "mailer"]
            assert (found["total_services"], found["running_services"]) == (3, 2)

    run_virtual(main())


def test_the_memory_of_a_process_is_told_in_bytes(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w"))
        async with parts.running():
            await begin(parts, "w")
            parts.registry.update("w-1", 1, pid=os.getpid())
            rss = by_name(await document(parts))["w"]["instances"][0]["rss"]
            assert 5_000_000 < rss < 5_000_000_000

    run_virtual(main())


def test_an_exit_is_told_with_its_code_and_reason(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w", restart="no"))
        async with parts.running():
            await begin(parts, "w")
            parts.spawner.last("w-1").exit(3)
            await eventually(lambda: parts.status_of("w-1") == "error", "it has failed")
            service = by_name(await document(parts))["w"]
            assert (service["status"], service["health"]) == ("error", "unhealthy")
            assert service["reason"] == "exited with code 3 (restart: no)"
            (one,) = service["instances"]
            assert (one["exit_code"], one["pid"], one["uptime"], one["rss"]) == (
                3,
                None,
                None,
                None,
            )

    run_virtual(main())


def test_restarts_are_counted_over_all_instances(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w", replicas=2))
        async with parts.running():
            await begin(parts, "w")
            for id_ in ("w-1", "w-2"):
                parts.spawner.last(id_).exit(1)
            await eventually(
                lambda: all(parts.spawner.started(f"w-{n}") == 2 for n in (1, 2)), "restarted"
            )
            service = by_name(await document(parts))["w"]
            assert service["restarts"] == 2
            assert [i["restarts"] for i in service["instances"]] == [1, 1]

    run_virtual(main())


def test_a_service_that_waits_says_for_whom(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        parts.lives.probes["user-1"].answer = REFUSED
        async with parts.running():
            for name in ("user", "order"):
                service = parts.fleet.services[name]
                wish = Wish(replicas=service.replicas, dependencies=service.dependencies)
                parts.orchestrator.want(service, wish)
            await eventually(lambda: parts.status_of("user-1") == "starting", "it starts")
            services = by_name(await document(parts))
            assert services["order"]["status"] == "stopped"
            assert services["order"]["reason"] == "waits for user"
            assert services["user"]["status"] == "starting"

    run_virtual(main())


def test_some_healthy_replicas_are_a_degraded_service(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path)
        async with parts.running():
            await begin(parts, "order")
            parts.lives.probes["order-2"].answer = UNAVAILABLE
            await eventually(
                lambda: parts.instance("order-2").health == "unhealthy", "one is unhealthy"
            )
            service = by_name(await document(parts))["order"]
            assert (service["status"], service["health"], service["ready"]) == (
                "running", "degraded", 1
            )  # fmt: skip
            assert service["reason"] == "answered 503"

    run_virtual(main())


def test_replicas_are_the_wanted_ones_and_those_of_the_config_when_it_is_stopped(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("w"))
        async with parts.running() as fleet:
            fleet.want(parts.fleet.services["w"], Wish(replicas=3))
            await eventually(lambda: fleet.summary("w").ready == 3, "three run")
            assert by_name(await document(parts))["w"]["replicas"] == 3
            fleet.unwant(["w"], StopOptions())
            await eventually(lambda: fleet.is_gone("w"), "it is gone")
            service = by_name(await document(parts))["w"]
            assert (service["replicas"], service["status"]) == (1, "stopped")

    run_virtual(main())


def test_what_the_config_has_lost_is_listed_as_long_as_it_runs(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, worker("old"), worker("new"))
        async with parts.running() as fleet:
            await begin(parts, "old")
            fleet.fleet = fleet_of(tmp_path, worker("new"))
            found = await document(parts)
            assert list(by_name(found)) == ["new", "old"]
            assert found["total_services"] == 2

    run_virtual(main())


class TickingClock(VirtualClock):
    """A clock on which each look takes a tenth of a millisecond."""

    def __init__(self) -> None:
        self._looks = 0

    def now(self) -> float:
        self._looks += 1
        return super().now() + self._looks / 10_000


def test_others_have_their_turns_while_a_big_document_is_made(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, *(api(f"s{number}", port="auto") for number in range(200)))
        parts.orchestrator.clock = TickingClock()
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(others())
        found = await document(parts)
        beside.cancel()
        assert len(found["services"]) == 200
        assert turns >= 200 * 0.0001 / 0.0005

    run_virtual(main())


def test_what_the_config_loses_meanwhile_is_in_the_document_that_was_begun(tmp_path: Path) -> None:
    async def main() -> None:
        parts = bench(tmp_path, *(api(f"s{number}", port="auto") for number in range(200)))
        parts.orchestrator.clock = TickingClock()
        asked = asyncio.create_task(document(parts))
        await asyncio.sleep(0)
        parts.orchestrator.fleet = fleet_of(tmp_path)
        assert (await asked)["total_services"] == 200

    run_virtual(main())
