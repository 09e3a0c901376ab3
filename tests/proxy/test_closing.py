"""How connections and doors end."""

import asyncio
import socket

import pytest

from msctl.core.router import RoutePolicy
from msctl.proxy import connection
from tests.proxy.harness import (
    Peer,
    Upstream,
    answering,
    fleet,
    get,
    listening,
    ok,
    run,
    until,
)
from tests.proxy.scripts import LOOPS, open_gateway


@LOOPS
def test_a_closed_front_door_refuses_at_once_and_its_port_is_free(loop: str) -> None:
    async def main() -> None:
        async with fleet() as f:
            await f.gateway.close_front_door("api", drain_timeout=0)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", f.port)
            with socket.socket() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(("127.0.0.1", f.port))
            await f.gateway.close_front_door("api", drain_timeout=0)

    run(main(), loop)


@LOOPS
def test_closing_ends_idle_connections_at_once_and_lets_the_others_finish(loop: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await go_on.wait()
        peer.send(ok("done"))

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as idle, f.client() as busy:
                busy.send(get())
                await until(lambda: upstream.requests, "the request does not arrive")
                closing = asyncio.create_task(f.gateway.close_front_door("api", drain_timeout=5))
                assert await idle.ended()
                assert not closing.done()
                go_on.set()
                response = await busy.response()
                assert response.body == b"done"
                assert response.one("Connection") == "close"
                assert await busy.ended()
                await closing

    go_on = asyncio.Event()
    run(main(), loop)


@LOOPS
def test_what_does_not_finish_in_the_drain_time_is_cut(loop: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if await peer.ended():
            raise ConnectionError

    async def main() -> None:
        async with Upstream(script) as upstream, fleet() as f:
            f.add(upstream)
            async with f.client() as busy:
                busy.send(get())
                await until(lambda: upstream.requests, "the request does not arrive")
                await f.gateway.close_front_door("api", drain_timeout=0.05)
                assert f.connections() == 0
                await until(lambda: upstream.cut_at, "the instance is not cancelled")
                assert await busy.ended()

    run(main(), loop)


@LOOPS
def test_closing_the_gateway_leaves_nothing_open_whatever_is_under_way(loop: str) -> None:
    async def hang(peer: Peer) -> None:
        await peer.request()
        await peer.ended()

    async def main() -> None:
        async with Upstream(answering(ok("x"))) as quick, Upstream(hang) as slow, fleet() as f:
            f.add(quick, 1)
            f.router.configure("other", RoutePolicy())
            f.add(slow, service="other")
            port = await open_gateway(f)
            await f.call(get())
            async with f.client(port) as busy, f.client(port) as idle, f.client() as half:
                busy.send(get("/other/x"))
                half.send("GET / HT")
                await until(lambda: slow.requests, "the request does not arrive")
                await f.gateway.close()
                assert [await peer.ended() for peer in (busy, idle, half)] == [True] * 3

    run(main(), loop)


def test_sockets_that_cannot_be_opened_are_closed_and_the_door_stays_free() -> None:
    async def main() -> None:
        async with fleet() as f:
            f.router.configure("other", RoutePolicy())
            good, bad = listening(), socket.socket(type=socket.SOCK_DGRAM)
            with pytest.raises(ValueError, match=r"[Ss]tream"):
                await f.gateway.open_front_door("other", [good, bad])
            assert good.fileno() == bad.fileno() == -1
            await f.gateway.open_front_door("other", [listening()])

    run(main())


def test_a_head_that_does_not_come_to_its_end_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_TIME", 0.05)

    async def main() -> None:
        async with fleet() as f, f.client() as client:
            client.send("GET / HT")
            assert (await client.response()).status == 408
            assert await client.ended()

    run(main())


def test_a_connection_without_requests_is_closed_in_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "KEEP_ALIVE", 0.05)

    async def main() -> None:
        async with fleet() as f, f.client() as client:
            assert await client.ended()

    run(main())


def test_a_defect_costs_one_connection_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_raw: bytes) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(connection, "parse_request", fail)

    async def main() -> None:
        async with fleet() as f:
            for _ in range(2):
                async with f.client() as client:
                    client.send(get())
                    assert await client.ended()
            door = f.gateway._front_doors["api"]
            await until(lambda: door.connections == 0, "its connection stays")

    run(main())
    assert "client connection failed" in caplog.text
