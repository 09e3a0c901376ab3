"""The socket itself: who may open it, where it may lie, and what is handed to whom."""

import asyncio
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from msctl.client import ControlClient
from msctl.control.server import control_server
from tests.control.fleet import CallProtocol, ControlledFleet
from tests.runtime.bench import worker
from tests.runtime.real import PATIENCE, run

PING = b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CALL = b"POST /call/user/orders?a=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[ControlledFleet]:
    with ControlledFleet(tmp_path, worker("w")) as fleet:
        yield fleet


def connect(fleet: ControlledFleet) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE)
    connection.connect(str(fleet.socket))
    return connection


def receive(connection: socket.socket, end: bytes) -> bytes:
    received = b""
    while not received.endswith(end):
        data = connection.recv(65536)
        assert data, received
        received += data
    return received


def test_only_its_owner_may_open_it_and_the_umask_is_given_back(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with ControlledFleet(tmp_path, worker("w")) as fleet:
            assert stat.S_IMODE(fleet.socket.stat().st_mode) == 0o600
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_its_path_may_be_longer_than_the_kernel_allows(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 100) / ("e" * 100)
    with ControlledFleet(directory, worker("w")) as fleet:
        assert len(str(fleet.socket)) > 200
        assert fleet.socket.is_socket()
        assert fleet.client.request("GET", "/ping") == (200, {"project": "shop"})
        assert fleet.run("/up", {})["exit_code"] == 0


@pytest.mark.parametrize("depth", [1, 200])
def test_a_path_that_is_taken_is_an_error(tmp_path: Path, depth: int) -> None:
    path = tmp_path / ("d" * depth) / "control.sock"
    path.parent.mkdir()
    path.touch()

    async def main() -> None:
        async with control_server(path, FastAPI(), CallProtocol, CallProtocol):
            pass

    with pytest.raises(OSError, match="in use"):
        run(main())


def test_calls_go_to_the_router_with_every_byte(fleet: ControlledFleet) -> None:
    with connect(fleet) as connection:
        connection.sendall(CALL)
        answer = receive(connection, b"body")
        assert b"X-Router: yes" in answer
        assert answer.endswith(CALL)
        connection.sendall(b"more")
        assert receive(connection, b"more").endswith(b"more")


def test_everything_else_goes_to_the_control_api(fleet: ControlledFleet) -> None:
    for target in (b"/ping", b"/callous", b"/cal", b"/", b"/status?x=/call/"):
        with connect(fleet) as connection:
            connection.sendall(PING.replace(b"/ping", target))
            answer = receive(connection, b"}")
            assert b"X-Router" not in answer
            assert answer.startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("whole", [CALL, PING], ids=["call", "control"])
def test_the_first_line_may_come_in_pieces(fleet: ControlledFleet, whole: bytes) -> None:
    async def fed_byte_by_byte() -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(fleet.socket))
        for byte in whole:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        writer.close()
        await writer.wait_closed()
        return answer

    answer = asyncio.run(fed_byte_by_byte())
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert (b"X-Router" in answer) is (whole is CALL)


def test_a_connection_may_ask_more_than_once(fleet: ControlledFleet) -> None:
    with connect(fleet) as connection:
        for _ in range(3):
            connection.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b'{"project":"shop"}' in receive(connection, b"}")


@pytest.mark.parametrize("garbage", [b"\n", b"\x00\xff\n\n", b"hello\r\n\r\n", b"GET\n", b""])
def test_garbage_harms_nobody(fleet: ControlledFleet, garbage: bytes) -> None:
    with connect(fleet) as connection:
        connection.sendall(garbage)
        assert fleet.client.request("GET", "/ping")[0] == 200
    assert fleet.client.request("GET", "/ping")[0] == 200


def test_who_says_nothing_does_not_keep_the_daemon(tmp_path: Path) -> None:
    with ControlledFleet(tmp_path, worker("w")) as fleet:
        silent, idle = connect(fleet), connect(fleet)
        idle.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        receive(idle, b"}")
        fleet.run("/stop", {})
        fleet.join()
        assert idle.recv(1) == b""
        silent.close()
        idle.close()


def test_an_answer_that_is_under_way_is_finished(tmp_path: Path) -> None:
    app = FastAPI()
    reached, go_on = asyncio.Event(), asyncio.Event()

    @app.get("/slow")
    async def slow() -> dict[str, str]:
        reached.set()
        await go_on.wait()
        return {"answer": "whole"}

    async def main() -> None:
        async with control_server(tmp_path / "s", app, CallProtocol, CallProtocol):
            client = ControlClient(tmp_path / "s")
            asked = asyncio.create_task(asyncio.to_thread(client.request, "GET", "/slow"))
            await asyncio.wait_for(reached.wait(), PATIENCE)
            asyncio.get_running_loop().call_later(0.05, go_on.set)
        assert await asyncio.wait_for(asked, PATIENCE) == (200, {"answer": "whole"})

    run(main())
