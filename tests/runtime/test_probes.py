import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from msctl.core.health import ProbeKind, ProbeResult
from msctl.runtime import ports
from msctl.runtime.probes import CommandProbe, HttpProbe, TcpProbe, ask
from msctl.runtime.proctree import descendants
from tests.runtime import real
from tests.runtime.virtual import eventually

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers every connection with the same bytes, then closes, or stays as it is."""

    def __init__(self, answer: bytes, *, stays: bool = False) -> None:
        self.received = b""
        self.connections = 0
        self._answer = answer
        self._stays = stays
        self._open: set[asyncio.StreamWriter] = set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            self.received = await reader.readuntil(b"\r\n\r\n")
            writer.write(self._answer)
            await writer.drain()
            if self._stays:
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(server: Server, host: str = "127.0.0.1") -> AsyncIterator[int]:
    listener = await asyncio.start_server(server.handle, host, 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for writer in server._open:
            writer.close()


def answered(
    answer: bytes, *, stays: bool = False, timeout: float = 10, **keys: object
) -> ProbeResult:
    async def main() -> ProbeResult:
        async with serving(Server(answer, stays=stays)) as port:
            probe = HttpProbe("127.0.0.1", port, "/health", **keys)  # type: ignore[arg-type]
            return await ask(probe, timeout)

    return real.run(main())


def free_port() -> int:
    with ports.listen_privately(frozenset()) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_it_asks_for_the_path_on_a_connection_of_its_own_which_it_leaves() -> None:
    async def main() -> None:
        server = Server(OK, stays=True)
        async with serving(server) as port:
            probe = HttpProbe("127.0.0.1", port, "/ready?x=1")
            for _ in range(2):
                assert (await ask(probe, 10)).kind is ProbeKind.OK
            assert server.connections == 2
            head = server.received.decode().split("\r\n")
            assert head[0] == "GET /ready?x=1 HTTP/1.1"
            assert f"Host: localhost:{port}" in head
            assert "Connection: close" in head
            await eventually(lambda: all(w.is_closing() for w in server._open), "both are closed")

    real.run(main())


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, ProbeKind.OK),
        (204, ProbeKind.OK),
        (302, ProbeKind.OK),
        (404, ProbeKind.NOT_FOUND),
        (401, ProbeKind.FAILED),
        (500, ProbeKind.FAILED),
        (503, ProbeKind.UNAVAILABLE),
    ],
)
def test_the_status_is_the_verdict(status: int, kind: ProbeKind) -> None:
    result = answered(b"HTTP/1.1 %d Whatever\r\nContent-Length: 0\r\n\r\n" % status, stays=True)
    assert (result.kind, result.status) == (kind, status)
    assert f"answered {status}" in result.detail


def test_only_what_is_expected_passes() -> None:
    answer = b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n"
    assert answered(answer % 401, expect_status=(401,)).kind is ProbeKind.OK
    assert answered(answer % 200, expect_status=(401,)).kind is ProbeKind.FAILED


BODY = b'{"status": "degraded"}'


@pytest.mark.parametrize("stays", [False, True])
@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY),
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n"
        % (BODY[:5], len(BODY) - 5, BODY[5:]),
    ],
    ids=["length", "chunk", "chunks"],
)
def test_a_body_that_says_degraded_is_heard_however_it_is_sent(framing: bytes, stays: bool) -> None:  # noqa: FBT001  a parameter
    assert answered(b"HTTP/1.1 200 OK\r\n" + framing, stays=stays).kind is ProbeKind.DEGRADED


def test_a_body_may_end_with_the_connection() -> None:
    assert answered(b"HTTP/1.0 200 OK\r\n\r\n" + BODY).kind is ProbeKind.DEGRADED


def test_a_body_without_end_is_not_waited_for() -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 200_000
    assert answered(endless, stays=True).kind is ProbeKind.OK


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_is_complete_with_its_head(status: int) -> None:
    assert answered(b"HTTP/1.1 %d X\r\n\r\n" % status, stays=True).kind is ProbeKind.OK


def test_interim_answers_are_skipped() -> None:
    assert answered(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK).status == 200


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\x16\x03\x01\x00\x00\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\r\n\r\n",
        b"\xff" * 100_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ntoo short",
    ],
)
def test_an_answer_that_is_not_http_is_a_failure_that_says_so(garbage: bytes) -> None:
    result = answered(garbage)
    assert result.kind is ProbeKind.FAILED
    assert result.status is None
    assert result.detail


def test_no_answer_at_all_is_a_failure() -> None:
    assert "closed" in answered(b"").detail


def test_a_hung_server_is_a_failure_after_the_time_limit() -> None:
    begun = time.monotonic()
    result = answered(b"HTTP/1.1 200 OK\r\nConte", stays=True, timeout=0.05)
    assert result == ProbeResult(ProbeKind.FAILED, "no answer within 0.05 s")
    assert time.monotonic() - begun < 10


def test_a_connection_that_nobody_accepts_waits_until_the_time_limit() -> None:
    async def main() -> ProbeResult:
        with ports.listen_privately(frozenset()) as listener:
            return await ask(HttpProbe("127.0.0.1", listener.getsockname()[1], "/"), 0.05)

    assert real.run(main()).detail == "no answer within 0.05 s"


def test_a_refused_connection_is_a_failure_that_says_so() -> None:
    http = real.run(ask(HttpProbe("127.0.0.1", free_port(), "/"), 10))
    tcp = real.run(ask(TcpProbe("127.0.0.1", free_port()), 10))
    assert http == tcp == ProbeResult(ProbeKind.FAILED, "connection refused")


def test_a_reset_connection_is_a_failure_that_says_so() -> None:
    async def main() -> ProbeResult:
        async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.abort()

        server = await asyncio.start_server(reset, "127.0.0.1", 0)
        async with server:
            return await ask(HttpProbe("127.0.0.1", server.sockets[0].getsockname()[1], "/"), 10)

    assert real.run(main()).kind is ProbeKind.FAILED


def test_tcp_is_fine_when_the_connection_is_accepted() -> None:
    async def main() -> None:
        async with serving(Server(b"")) as port:
            result = await ask(TcpProbe("127.0.0.1", port), 10)
            assert result == ProbeResult(ProbeKind.OK, f"port {port} accepts connections")

    real.run(main())


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("make", [HttpProbe, TcpProbe])
def test_localhost_is_found_in_both_families(make: type, address: str) -> None:
    async def main() -> None:
        try:
            async with serving(Server(OK), address) as port:
                probe = make("localhost", port, *["/"] * (make is HttpProbe))
                assert (await ask(probe, 10)).kind is ProbeKind.OK
        except OSError:
            pytest.skip(f"{address} is not there")

    real.run(main())


def test_a_host_may_have_any_name() -> None:
    async def main() -> None:
        name = socket.gethostname()
        address = str((await asyncio.get_running_loop().getaddrinfo(name, 0))[0][4][0])
        async with serving(Server(OK), address) as port:
            assert (await ask(HttpProbe(name, port, "/"), 10)).kind is ProbeKind.OK

    real.run(main())


def test_a_name_without_an_address_is_a_failure_that_says_so() -> None:
    result = real.run(ask(TcpProbe("no..name", 80), 10))
    assert result.kind is ProbeKind.FAILED
    assert result.detail


def test_a_probe_that_ends_at_once_is_told_of_later() -> None:
    async def main() -> None:
        for host in ("127.0.0.1", "::1", "localhost"):
            told: list[ProbeResult] = []
            HttpProbe(host, free_port(), "/").begin(10, told.append)
            assert told == []
            await eventually(told.copy, "it was told")

    real.run(main())


def test_one_that_was_cancelled_is_never_told_of() -> None:
    async def main() -> None:
        told: list[ProbeResult] = []
        async with serving(Server(OK)) as port:
            for wait in (0, 0.001, 0.002, 0.005):
                cancel = HttpProbe("127.0.0.1", port, "/").begin(10, told.append)
                await asyncio.sleep(wait)
                heard = len(told)
                cancel()
                await ask(HttpProbe("127.0.0.1", port, "/"), 10)
                assert len(told) == heard

    real.run(main())


def test_no_descriptor_is_left_open() -> None:
    async def main() -> None:
        async with serving(Server(OK, stays=True)) as port:
            await ask(HttpProbe("127.0.0.1", port, "/"), 10)
            for _ in range(5):
                await ask(HttpProbe("127.0.0.1", port, "/"), 10)
                await ask(TcpProbe("127.0.0.1", port), 10)
                await ask(HttpProbe("localhost", free_port(), "/"), 10)
            assert port not in connected_to()

    real.run(main())


def connected_to() -> set[int | None]:
    """The ports at the other ends of the connections that are open here."""
    return {_peer(int(entry.name)) for entry in Path("/proc/self/fd").iterdir()}


def _peer(descriptor: int) -> int | None:
    """The port at the other end of a connection, None when it is none."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            port: int = connection.getpeername()[1]
            return port
    except (OSError, IndexError):
        return None


def test_a_cancelled_probe_leaves_no_connection() -> None:
    async def main() -> None:
        server = Server(b"", stays=True)
        async with serving(server) as port:
            probe = asyncio.create_task(ask(HttpProbe("127.0.0.1", port, "/"), 100))
            await eventually(lambda: server.received, "the server was asked")
            probe.cancel()
            await eventually(lambda: all(w.is_closing() for w in server._open), "it is closed")
            with pytest.raises(asyncio.CancelledError):
                await probe

    real.run(main())


# Commands


@pytest.fixture(autouse=True)
def _subreaper() -> Iterator[None]:
    with real.subreaper():
        yield


def command(*words: str, timeout: float = 20, directory: Path = Path("/")) -> ProbeResult:
    async def main() -> ProbeResult:
        async with real.reaping() as reaper:
            environment = {"PATH": os.environ["PATH"], "PORT": "40123"}
            return await ask(CommandProbe(words, environment, directory, reaper), timeout)

    return real.run(main())


@pytest.mark.parametrize(("code", "kind"), [(0, ProbeKind.OK), (3, ProbeKind.FAILED)])
def test_the_exit_code_of_a_command_is_the_verdict(code: int, kind: ProbeKind) -> None:
    result = command("sh", "-c", f"exit {code}")
    assert result == ProbeResult(kind, f"sh ended with exit code {code}")


def test_a_command_runs_where_its_instance_does(tmp_path: Path) -> None:
    script = f'test "$PORT" = 40123 && test "$PWD" = {tmp_path}'
    assert command("sh", "-c", script, directory=tmp_path).kind is ProbeKind.OK


def test_a_command_that_takes_too_long_is_killed_with_its_helpers(tmp_path: Path) -> None:
    script = f"sleep 100 & echo $! > {tmp_path}/helper; wait"
    result = command("sh", "-c", script, timeout=0.2)
    assert result == ProbeResult(ProbeKind.FAILED, "sh did not end within 0.2 s")
    helper = int((tmp_path / "helper").read_text())
    real.wait_until(lambda: not real.is_alive(helper), "the helper is gone")


def test_a_cancelled_command_is_killed() -> None:
    async def main() -> None:
        async with real.reaping() as reaper:
            code = "import sys, time; time.sleep(100)"
            probe = CommandProbe((sys.executable, "-ISc", code), {}, Path("/"), reaper)
            before = set(descendants(os.getpid()))
            check = asyncio.create_task(ask(probe, 100))
            await asyncio.sleep(0)
            (pid,) = set(descendants(os.getpid())) - before
            check.cancel()
            with pytest.raises(asyncio.CancelledError):
                await check
            await eventually(lambda: not real.is_alive(pid), "it is gone")

    real.run(main())


def test_a_command_that_is_not_there_is_a_failure_that_says_so() -> None:
    result = command("none-of-that-name")
    expected = "cannot run none-of-that-name: No such file or directory"
    assert result == ProbeResult(ProbeKind.FAILED, expected)
