"""The ways in: front doors, the gateway port, the control socket."""

import asyncio
import json
import socket
from pathlib import Path

import pytest

from msctl.core.router import RoutePolicy
from tests.proxy.harness import (
    Fleet,
    Peer,
    Response,
    Upstream,
    echo,
    fleet,
    get,
    listening,
    ok,
    post,
    run,
    until,
)
from tests.proxy.scripts import LOOPS, open_gateway


async def through_gateway(f: Fleet, port: int, text: str) -> Response:
    async with f.client(port) as client:
        client.send(text)
        return await client.response()


@LOOPS
def test_the_gateway_takes_the_prefix_off_and_says_so(loop: str) -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, fleet() as f:
            f.add(upstream)
            port = await open_gateway(f)
            for path in ("/api/orders/1?x=/y", "/api", "/api?x", "/api/", "/api//a/../b%2f"):
                text = get(path, "X-Forwarded-Prefix: /forged")
                assert (await through_gateway(f, port, text)).status == 200
            targets = [request.line.split()[1] for request in upstream.requests]
            assert targets == ["/orders/1?x=/y", "/", "/?x", "/", "//a/../b%2f"]
            prefixes = {request.one("X-Forwarded-Prefix") for request in upstream.requests}
            assert prefixes == {"/api"}

    run(main(), loop)


@pytest.mark.parametrize("host", ["api.localhost", "API.localhost:8700", "api.localhost.:1"])
def test_the_gateway_finds_a_service_by_host_and_leaves_the_path_alone(host: str) -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, fleet() as f:
            f.add(upstream)
            port = await open_gateway(f)
            text = f"GET /api/x HTTP/1.1\r\nHost: {host}\r\n\r\n"
            assert (await through_gateway(f, port, text)).status == 200
            assert upstream.requests[0].line == "GET /api/x HTTP/1.1"
            assert upstream.requests[0].all("X-Forwarded-Prefix") == []

    run(main())


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (get("/apo/x"), "did you mean api?"),
        (get("/"), "name a service: api"),
        (get("//api"), "name a service: api"),
        (get("/%61pi"), "no service is called"),
        ("GET /api HTTP/1.1\r\nHost: apii.localhost\r\n\r\n", "did you mean api?"),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "name a service"),
    ],
)
def test_the_gateway_names_the_nearest_service_when_there_is_no_such_one(
    text: str, hint: str
) -> None:
    async def main() -> None:
        async with fleet() as f:
            response = await through_gateway(f, await open_gateway(f), text)
            assert response.status == 404
            assert response.one("X-Msctl-Reason") == "unknown_service"
            assert hint in json.loads(response.body)["detail"]

    run(main())


def test_a_front_door_forwards_any_host_and_any_path() -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, fleet() as f:
            f.add(upstream)
            for text in (
                "GET /other/x HTTP/1.1\r\nHost: other.localhost\r\n\r\n",
                "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
                "GET http://evil.example/p HTTP/1.1\r\nHost: a\r\n\r\n",
            ):
                assert (await f.call(text)).status == 200
            lines = [(r.line, r.one("Host")) for r in upstream.requests]
            assert lines == [
                ("GET /other/x HTTP/1.1", "other.localhost"),
                ("OPTIONS * HTTP/1.1", "a"),
                ("GET /p HTTP/1.1", "evil.example"),
            ]

    run(main())


async def control(f: Fleet, path: Path) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_unix_server(f.gateway.call_protocol_factory, str(path))


@LOOPS
def test_a_call_over_the_control_socket_can_choose_instance_and_deadline(
    loop: str, tmp_path: Path
) -> None:
    async def main() -> None:
        async with Upstream(echo) as one, Upstream(echo) as two, fleet() as f:
            f.add(one, 1)
            f.add(two, 2)
            server = await control(f, tmp_path / "s")
            client = Peer(*await asyncio.open_unix_connection(str(tmp_path / "s")))
            for _ in range(3):
                steering = ("X-Msctl-Instance: api-2", "X-Msctl-Deadline-Ms: 90000")
                client.send(get("/call/api/a?b", *steering))
                response = await client.response()
                assert response.one("X-Msctl-Instance") == "api-2"
            request = two.requests[0]
            assert request.line == "GET /a?b HTTP/1.1"
            assert 80_000 < int(request.one("X-Msctl-Deadline-Ms")) <= 90_000
            assert request.all("X-Forwarded-Prefix") == request.all("X-Msctl-Instance") == []
            assert request.all("X-Forwarded-For") == []
            assert one.requests == []
            await client.close()
            server.close()

    run(main(), loop)


@pytest.mark.parametrize(
    ("path", "lines", "status", "reason"),
    [
        ("/call/nope/x", (), 404, "unknown_service"),
        ("/status", (), 404, "bad_request"),
        ("/call/api/x", ("X-Msctl-Instance: api-9",), 503, "no_instances"),
    ],
)
def test_what_the_control_socket_cannot_call_is_refused(
    path: str, lines: tuple[str, ...], status: int, reason: str, tmp_path: Path
) -> None:
    async def main() -> None:
        async with Upstream(echo) as upstream, fleet() as f:
            f.add(upstream)
            server = await control(f, tmp_path / "s")
            client = Peer(*await asyncio.open_unix_connection(str(tmp_path / "s")))
            client.send(get(path, *lines))
            response = await client.response()
            assert (response.status, response.one("X-Msctl-Reason")) == (status, reason)
            await client.close()
            server.close()

    run(main())


def test_a_front_door_may_stand_on_several_sockets_of_several_kinds(tmp_path: Path) -> None:
    async def main() -> None:
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(str(tmp_path / "s"))
        unix.listen()
        tcp = listening()
        async with Upstream(echo) as upstream, fleet() as f:
            f.router.configure("other", RoutePolicy())
            f.add(upstream, service="other")
            door = await f.gateway.open_front_door("other", [unix, tcp])
            assert door.service == "other"
            with pytest.raises(ValueError, match="front door already"):
                await f.gateway.open_front_door("other", [])
            for peer in (
                Peer(*await asyncio.open_unix_connection(str(tmp_path / "s"))),
                Peer(*await asyncio.open_connection(*tcp.getsockname())),
            ):
                peer.send(post("x"))
                assert (await peer.response()).body == b"x"
                await peer.close()

    run(main())


def test_both_sides_have_nagle_off() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await asked.wait()
        peer.send(ok("x"))

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            task = asyncio.create_task(f.call(get()))
            await until(lambda: upstream.requests, "the request does not arrive")
            streams = [*f.gateway._proxy.pool._open, *f.gateway._front_doors["api"]._connections]
            socks = [stream._transport.get_extra_info("socket") for stream in streams]  # type: ignore[union-attr]  # open ones have one
            assert [s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for s in socks] == [1, 1]
            asked.set()
            await task

    asked = asyncio.Event()
    run(main())
