"""`/metrics` on the gateway port, and what the slow path counts."""

import asyncio

import pytest

from msctl.core.router import LimitOptions, RoutePolicy
from msctl.model import Health, ServiceInstance, ServiceStatus
from tests.proxy.harness import (
    Fleet,
    Peer,
    Response,
    Upstream,
    answering,
    echo,
    fleet,
    get,
    ok,
    post,
    run,
    until,
)
from tests.proxy.scrape import Scrape
from tests.proxy.scripts import LOOPS, hang, open_gateway, problem, reset

EVENTS = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


async def page(f: Fleet, port: int, text: str | None = None) -> Response:
    async with f.client(port) as client:
        client.send(get("/metrics") if text is None else text)
        return await client.response(bodiless=text is not None and text.startswith("HEAD"))


async def scrape(f: Fleet) -> Scrape:
    port = await open_gateway(f)
    response = await page(f, port)
    assert response.status == 200
    return Scrape(response.body.decode())


@LOOPS
def test_metrics_are_prometheus_text_on_the_gateway_port_only(loop: str) -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, fleet() as f:
            f.add(upstream)
            port = await open_gateway(f)
            response = await page(f, port)
            assert response.one("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
            assert response.one("Cache-Control") == "no-store"
            names = Scrape(response.body.decode()).families
            assert names
            assert all(name.startswith("msctl_") for name in names)
            assert (await f.call(get("/metrics"))).all("Content-Type") == []
            by_host = "GET /metrics HTTP/1.1\r\nHost: api.localhost\r\n\r\n"
            assert (await page(f, port, by_host)).one("X-Msctl-Instance") == "api-1"
            assert [each.line for each in upstream.requests] == ["GET /metrics HTTP/1.1"] * 2

    run(main(), loop)


def test_the_page_can_only_be_read_and_leaves_the_connection_usable() -> None:
    async def main() -> None:
        async with fleet() as f:
            port = await open_gateway(f)
            async with f.client(port) as client:
                client.send(post("x" * 1000).replace("POST /", "POST /metrics"))
                response = await client.response()
                assert problem(response) == (405, "bad_request")
                assert response.one("Allow") == "GET, HEAD"
                client.send(get("/metrics?x=1", method="HEAD"))
                assert int((await client.response(bodiless=True)).one("Content-Length")) > 100
                client.send(get("/metrics", "Connection: close"))
                assert (await client.response()).one("Connection") == "close"
                assert await client.ended()
            assert problem(await page(f, port, get("/metrics/x"))) == (404, "unknown_service")

    run(main())


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
        (
            "text/plain;q=0.5, application/openmetrics-text;version=x",
            "application/openmetrics-text",
        ),
        ("text/html, */*", "text/plain"),
        ("text/plain; version=none", "text/plain"),
    ],
)
def test_the_format_is_the_one_that_accept_asks_for(accept: str, expected: str) -> None:
    async def main() -> None:
        async with fleet() as f:
            response = await page(f, await open_gateway(f), get("/metrics", f"Accept: {accept}"))
            assert response.one("Content-Type").partition(";")[0] == expected

    run(main())


def test_answers_are_counted_by_instance_and_status_with_their_duration() -> None:
    async def main() -> None:
        answers = ok(), ok(), "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"
        async with Upstream(answering(*answers)) as upstream, fleet() as f:
            f.add(upstream)
            for _ in answers:
                async with f.client() as client:
                    client.send(get())
                    await client.response()
            found = await scrape(f)
            assert found.labels("msctl_requests_total", "code", instance="api-1") == {
                "200": 2,
                "404": 1,
            }
            name = "msctl_request_duration_seconds"
            assert found.sum(f"{name}_count", service="api", instance="api-1") == 3
            assert found.sum(f"{name}_bucket", instance="api-1", le="+Inf") == 3
            assert 0 < found.sum(f"{name}_sum", instance="api-1") < 3
            buckets = list(found.values(f"{name}_bucket", instance="api-1"))
            assert buckets == sorted(buckets)
            assert found.labels("msctl_attempts_total", "outcome") == {"answered": 3}
            assert found.sum("msctl_retries_total") == 0

    run(main())


def test_every_request_of_a_connection_is_counted() -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                for n in range(20):
                    client.send(post("x" * n) if n % 2 else get("/"))
                    await client.response()
            found = await scrape(f)
            assert found.labels("msctl_requests_total", "code", instance="api-1") == {"200": 20}
            assert found.sum("msctl_request_duration_seconds_count", instance="api-1") == 20
            assert found.labels("msctl_attempts_total", "outcome") == {"answered": 20}

    run(main())


def test_retries_and_attempts_are_counted_where_they_happened() -> None:
    async def main() -> None:
        unavailable = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
        async with (
            Upstream(reset) as broken,
            Upstream(answering(unavailable)) as busy,
            Upstream(echo) as good,
            fleet() as f,
        ):
            f.add(broken, 1)
            f.add(busy, 2)
            f.add(good, 3)
            attempts = 0
            while not (broken.requests and busy.requests):
                attempts += int((await f.call(get())).one("X-Msctl-Attempts"))
            found = await scrape(f)
            by = {n: found.labels("msctl_attempts_total", "outcome", instance=n) for n in ALL}
            assert by["api-1"] == {"reset": 1}
            assert by["api-2"] == {"answered": 1}
            calls = found.sum("msctl_requests_total", code="200")
            assert by["api-3"] == {"answered": calls}
            assert found.sum("msctl_attempts_total") == attempts == calls + 2
            assert found.sum("msctl_retries_total", service="api") == 2

    ALL = ("api-1", "api-2", "api-3")  # noqa: N806 - a constant of this test
    run(main())


def test_a_stale_connection_is_an_attempt_but_no_retry() -> None:
    async def close_after_one(peer: Peer) -> None:
        await peer.request()
        peer.send(ok())
        await peer.request()
        peer.cut()

    async def main() -> None:
        async with Upstream(close_after_one) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                for _ in range(2):
                    client.send(get())
                    assert (await client.response()).status == 200
            found = await scrape(f)
            assert found.labels("msctl_attempts_total", "outcome") == {
                "answered": 2,
                "stale_connection": 1,
            }
            assert found.sum("msctl_retries_total") == 0

    run(main())


def test_refusals_are_counted_by_reason_and_as_answers_of_no_instance() -> None:
    async def main() -> None:
        async with Upstream(echo) as dead, fleet() as f:
            await f.call(get())
            await f.call(get("/", "X-Msctl-Deadline-Ms: 0"))
            f.add(dead)
            await dead.stop()
            assert problem(await f.call(get())) == (502, "connect_failed")
            port = await open_gateway(f)
            async with f.client(port) as client:
                client.send(get("/nobody"))
                assert problem(await client.response()) == (404, "unknown_service")
            found = Scrape((await page(f, port)).body.decode())
            assert found.labels("msctl_refusals_total", "reason", service="api") == {
                "no_instances": 1,
                "timeout": 1,
                "connect_failed": 1,
            }
            assert found.labels("msctl_refusals_total", "reason", service="") == {
                "unknown_service": 1
            }
            assert found.labels("msctl_requests_total", "code", service="api", instance="") == {
                "502": 1,
                "503": 1,
                "504": 1,
            }
            assert found.labels("msctl_attempts_total", "outcome") == {"not_sent": 1}

    run(main())


def test_a_client_that_leaves_before_its_answer_is_no_answer() -> None:
    async def main() -> None:
        async with Upstream(hang) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(get())
                await until(lambda: upstream.requests, "the request does not arrive")
            await until(lambda: not f.connections(), "the call does not end")
            found = await scrape(f)
            assert found.labels("msctl_unanswered_total", "reason") == {"client_gone": 1}
            assert found.labels("msctl_attempts_total", "outcome") == {"client_gone": 1}
            assert found.sum("msctl_requests_total") == 0

    run(main())


def test_an_answer_that_breaks_off_is_counted_with_its_status_and_as_cut() -> None:
    async def half(peer: Peer) -> None:
        await peer.request()
        # Too long to be waited for as a whole: what is here is relayed.
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nhalf")
        await peer.writer.drain()
        peer.cut()

    async def main() -> None:
        async with Upstream(half) as upstream, fleet() as f:
            f.add(upstream)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await f.call(get())
            await until(lambda: not f.connections(), "the call does not end")
            found = await scrape(f)
            assert found.labels("msctl_responses_cut_total", "reason") == {"broken_body": 1}
            assert found.labels("msctl_requests_total", "code") == {"200": 1}
            assert found.labels("msctl_attempts_total", "outcome") == {"answered": 1}

    run(main())


def test_an_event_stream_is_counted_but_its_length_is_no_latency() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(EVENTS)

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            await f.call(get())
            found = await scrape(f)
            assert found.labels("msctl_requests_total", "code") == {"200": 1}
            assert found.sum("msctl_request_duration_seconds_count") == 0

    run(main())


def test_a_call_that_is_cut_off_with_its_front_door_is_unanswered() -> None:
    async def main() -> None:
        async with Upstream(hang) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(get())
                await until(lambda: upstream.requests, "the request does not arrive")
                await f.gateway.close_front_door("api", drain_timeout=0)
            found = await scrape(f)
            assert found.labels("msctl_unanswered_total", "reason") == {"stopped": 1}

    run(main())


def test_what_waits_and_what_is_under_way_is_read_at_the_moment() -> None:
    async def main() -> None:
        policy = RoutePolicy(limits=LimitOptions(in_flight=1, queue=1))
        async with Upstream(hang) as upstream, fleet(policy) as f:
            f.add(upstream)
            async with f.client() as one, f.client() as two:
                route = f.router.route("api")
                assert route is not None
                one.send(get())
                await until(lambda: upstream.requests, "the first does not arrive")
                two.send(get())
                await until(lambda: route.queued, "the second does not queue")
                found = await scrape(f)
                assert found.sum("msctl_requests_in_flight", service="api") == 1
                assert found.sum("msctl_requests_queued", service="api") == 1
                assert found.sum("msctl_connections", service="api", instance="api-1") == 1

    run(main())


def test_the_state_of_instances_and_breakers_is_one_sample_of_1_for_each() -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, fleet() as f:
            f.add(upstream, 1)
            f.add(upstream, 2)
            f.registry.update("api-1", 1, health=Health.DEGRADED, restarts=3)
            f.registry.update("api-2", 1, status=ServiceStatus.BACKOFF, health=Health.UNHEALTHY)
            worker = ServiceInstance(id="job-1", service="job", status=ServiceStatus.RUNNING)
            f.registry.register_service(worker)
            route = f.router.route("api")
            assert route is not None
            route.instance_breaker("api-2").force_open(0.0, None)
            found = await scrape(f)
            assert found.labels("msctl_instance_up", "instance") == {"api-1": 1, "job-1": 1}
            assert found.labels("msctl_instance_health", "health", instance="api-1") == {
                "degraded": 1
            }
            assert found.labels("msctl_instance_restarts_total", "instance") == {"api-1": 3}
            states = {
                name: found.labels("msctl_breaker_state", "state", instance=name)
                for name in ("", "api-1", "api-2", "job-1")
            }
            assert states == {
                "": {"closed": 1},
                "api-1": {"closed": 1},
                "api-2": {"forced_open": 1},
                "job-1": {},
            }
            assert len(list(found.values("msctl_breaker_state", instance="api-2"))) == 5

    run(main())


def test_counters_of_an_instance_that_is_gone_stay() -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, fleet() as f:
            f.add(upstream)
            await f.call(get())
            f.registry.unregister_service("api-1")
            found = await scrape(f)
            assert found.sum("msctl_requests_total", instance="api-1") == 1
            assert list(found.values("msctl_instance_up")) == []

    run(main())


def test_tasks_of_the_loop_are_counted_while_they_last() -> None:
    async def main() -> None:
        async with fleet() as f:
            before = (await scrape(f)).sum("msctl_daemon_tasks")
            waiting = [asyncio.create_task(asyncio.Event().wait()) for _ in range(3)]
            assert (await scrape(f)).sum("msctl_daemon_tasks") == before + 3
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)
            assert (await scrape(f)).sum("msctl_daemon_tasks") == before

    run(main())
