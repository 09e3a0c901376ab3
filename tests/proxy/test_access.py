"""What the access log is told, and the ids that tie its lines to other logs."""

from dataclasses import asdict

from tests.proxy.harness import (
    Upstream,
    echo,
    fleet,
    get,
    post,
    run,
    until,
)
from tests.proxy.scrape import Memory
from tests.proxy.scripts import hang, open_gateway, reset

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_line_says_what_became_of_a_request() -> None:
    async def main() -> None:
        log = Memory()
        async with Upstream(echo) as upstream, fleet(access_log=log) as f:
            f.add(upstream)
            await f.call(post("x", "X-Request-Id: mine", f"traceparent: {PARENT}", method="PUT"))
            [line] = map(asdict, log.lines)
            assert 0 < line.pop("seconds") < 5
            assert line == {
                "service": "api",
                "instance": "api-1",
                "method": "PUT",
                "path": "/",
                "status": 200,
                "attempts": 1,
                "request_id": "mine",
                "trace_id": PARENT.split("-")[1],
                "reason": None,
                "client": "127.0.0.1",
            }

    run(main())


def test_the_ids_of_a_line_are_those_that_the_instance_was_given() -> None:
    async def main() -> None:
        log = Memory()
        async with Upstream(echo) as upstream, fleet(access_log=log) as f:
            f.add(upstream)
            response = await f.call(get())
            [sent], [line] = upstream.requests, log.lines
            assert line.request_id == sent.one("X-Request-Id")
            assert line.trace_id == sent.one("traceparent").split("-")[1]
            assert line.instance == response.one("X-Msctl-Instance")
            assert str(line.attempts) == response.one("X-Msctl-Attempts")

    run(main())


def test_a_query_is_never_logged_and_the_path_is_the_services_own() -> None:
    async def main() -> None:
        log = Memory()
        async with Upstream(echo) as upstream, fleet(access_log=log) as f:
            f.add(upstream)
            async with f.client(await open_gateway(f)) as client:
                for path in ("/api/a/b?token=s3cret", "/nobody/x?password=s3cret"):
                    client.send(get(path))
                    await client.response()
                client.send("GET http://u:s3cret@api.localhost/c?s3cret HTTP/1.1\r\n")
                client.send("Host: api.localhost\r\n\r\n")
                await client.response()
            assert [line.path for line in log.lines[:2]] == ["/a/b", "/nobody/x"]
            assert "s3cret" not in repr(log.lines)

    run(main())


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    async def main() -> None:
        log = Memory()
        async with Upstream(echo) as upstream, fleet(access_log=log) as f:
            f.add(upstream)
            await f.call(get("/\xff"))
            assert log.lines[0].path == "/\\xff"

    run(main())


def test_a_refusal_and_a_retry_are_told_with_reason_and_attempts() -> None:
    async def main() -> None:
        log = Memory()
        async with Upstream(reset) as broken, fleet(access_log=log) as f:
            await f.call(get("/", "X-Msctl-Hops: 99"))
            f.add(broken, 1)
            f.add(broken, 2)
            await f.call(get())
            first, second = log.lines
            assert (first.status, first.reason, first.instance) == (508, "loop", None)
            assert (first.attempts, first.trace_id, first.request_id) == (0, None, None)
            assert (second.status, second.reason, second.attempts) == (502, "upstream_reset", 2)
            assert second.instance in {"api-1", "api-2"}

    run(main())


def test_a_request_for_nobody_has_no_service() -> None:
    async def main() -> None:
        log = Memory()
        async with fleet(access_log=log) as f:
            async with f.client(await open_gateway(f)) as client:
                client.send(get("/nobody", "X-Request-Id: mine"))
                await client.response()
                client.send(get("/metrics"))
                await client.response()
            [line] = log.lines
            assert (line.service, line.status, line.reason) == (None, 404, "unknown_service")
            assert line.request_id == "mine"

    run(main())


def test_a_client_that_left_has_no_status() -> None:
    async def main() -> None:
        log = Memory()
        async with Upstream(hang) as upstream, fleet(access_log=log) as f:
            f.add(upstream)
            async with f.client() as client:
                client.send(get())
                await until(lambda: upstream.requests, "the request does not arrive")
            await until(lambda: log.lines, "the call does not end")
            assert (log.lines[0].status, log.lines[0].reason) == (None, "client_gone")

    run(main())


def test_no_line_is_made_while_nobody_wants_it() -> None:
    async def main() -> None:
        log = Memory(enabled=False)
        async with Upstream(echo) as upstream, fleet(access_log=log) as f:
            f.add(upstream)
            for path in ("/off", "/on", "/off"):
                log.enabled = path == "/on"
                await f.call(get(path))
            assert [line.path for line in log.lines] == ["/on"]

    run(main())


def test_every_request_of_a_connection_is_logged() -> None:
    async def main() -> None:
        log = Memory()
        async with Upstream(echo) as upstream, fleet(access_log=log) as f:
            f.add(upstream)
            async with f.client() as client:
                for n in range(5):
                    client.send(get(f"/{n}"))
                    await client.response()
            await until(lambda: len(log.lines) == 5, "five lines are there")
            assert [line.path for line in log.lines] == [f"/{n}" for n in range(5)]

    run(main())
