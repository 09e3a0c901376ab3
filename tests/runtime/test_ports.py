import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Container, Iterator

import pytest

from msctl.errors import MsctlError, PortInUse
from msctl.runtime import ports

Draw = Callable[[Container[int]], socket.socket]
HAS_IPV6 = ports._has_ipv6_loopback()


@contextlib.contextmanager
def front_door(host: str = "localhost", port: int = 0) -> Iterator[list[socket.socket]]:
    listeners = ports.bind_front_door("api", host, port)
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


def names(listeners: list[socket.socket]) -> list[str]:
    return [listener.getsockname()[0] for listener in listeners]


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_localhost_is_both_loopback_addresses_with_one_port() -> None:
    with front_door() as listeners:
        assert names(listeners) == ["127.0.0.1", "::1"] if HAS_IPV6 else ["127.0.0.1"]
        assert len({port_of(listener) for listener in listeners}) == 1
        for listener in listeners:
            socket.create_connection(listener.getsockname()[:2], timeout=5).close()


def test_a_host_that_is_named_is_bound_alone() -> None:
    with front_door("127.0.0.1") as listeners:
        assert names(listeners) == ["127.0.0.1"]
    with front_door("0.0.0.0") as listeners:
        assert names(listeners) == ["0.0.0.0"]


@pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 here")
def test_ipv6_does_not_take_ipv4_along() -> None:
    with front_door("::1") as listeners:
        assert refuses(port_of(listeners[0]))


def test_a_door_does_not_block_the_loop() -> None:
    with front_door() as listeners, pytest.raises(BlockingIOError):
        listeners[0].accept()


def test_a_door_can_be_opened_again_at_once() -> None:
    with front_door() as listeners:
        port = port_of(listeners[0])
        client = socket.create_connection(("127.0.0.1", port), timeout=5)
        served, _ = listeners[0].accept()
        served.close()  # the side that closes first stays in TIME_WAIT
        client.close()
    with front_door(port=port) as listeners:
        assert port_of(listeners[0]) == port


def test_a_port_in_use_is_an_error_that_names_its_holder() -> None:
    with front_door() as listeners:
        port = port_of(listeners[0])
        with pytest.raises(PortInUse) as caught:
            ports.bind_front_door("order-service", "localhost", port)
    error = caught.value
    assert (error.service, error.port) == ("order-service", port)
    assert error.holder is not None
    assert error.holder.startswith(f"pid {os.getpid()} (")
    assert f"order-service: port {port} is in use by pid" in str(error)


@pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 here")
def test_a_port_that_is_taken_on_ipv6_alone_is_in_use_and_nothing_stays_bound() -> None:
    with front_door("localhost") as (ipv4, ipv6):
        port = port_of(ipv6)
        ipv4.close()  # bound until now, so that no connection of somebody else has the number
        with pytest.raises(PortInUse):
            ports.bind_front_door("api", "localhost", port)
        with front_door("127.0.0.1", port):
            pass


def test_the_holder_is_told_by_its_pid_and_command() -> None:
    code = (
        "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n"
        "print(s.getsockname()[1], flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code, "my-server"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        port = int(holder.stdout.readline())
        assert holder.poll() is None
        told = ports.holder_of(port)
        holder.communicate("\n")
    assert told is not None
    assert told.startswith(f"pid {holder.pid} ({sys.executable} -I -S -c import socket")
    assert len(told) < 160


def test_a_port_that_nobody_listens_on_has_no_holder() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert ports.holder_of(bound.getsockname()[1]) is None


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a" * 70])
def test_an_address_that_is_not_ours_is_an_error_of_the_service(host: str) -> None:
    with pytest.raises(MsctlError, match=rf"^api: cannot listen on {host}:\d+: "):
        ports.bind_front_door("api", host, 0)


def test_checking_a_port_leaves_it_free() -> None:
    with front_door() as listeners:
        port = port_of(listeners[0])
        with pytest.raises(PortInUse, match=r"db: port .* is in use"):
            ports.check_free("db", "localhost", port)
    ports.check_free("db", "localhost", port)
    assert refuses(port)


def test_the_gateway_binds_one_address() -> None:
    with ports.bind_gateway("127.0.0.1", 0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        with pytest.raises(PortInUse, match="gateway: port"):
            ports.bind_gateway("127.0.0.1", port_of(listener))


class AllBut:
    """A set of ports that leaves out the ones it has said yes to `count` times."""

    def __init__(self, count: float) -> None:
        self.refused: list[object] = []
        self._count = count

    def __contains__(self, port: object) -> bool:
        if len(self.refused) >= self._count:
            return False
        self.refused.append(port)
        return True


@pytest.mark.parametrize("draw", [ports.listen_privately, ports.reserve])
def test_a_private_port_is_never_one_that_the_config_names(draw: Draw) -> None:
    named = AllBut(5)
    with draw(named) as held:
        assert held.getsockname()[0] == "127.0.0.1"
        assert port_of(held) not in named.refused
        assert len(named.refused) == 5


@pytest.mark.parametrize("draw", [ports.listen_privately, ports.reserve])
def test_when_every_port_is_named_there_is_none(draw: Draw) -> None:
    with pytest.raises(OSError, match="no private port is free"):
        draw(AllBut(float("inf")))


def test_a_private_socket_listens_and_stops_when_it_is_closed() -> None:
    with ports.listen_privately(frozenset()) as listener:
        port = port_of(listener)
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    assert refuses(port)


def test_a_reserved_port_can_be_bound_over_by_a_server_and_by_nobody_by_chance() -> None:
    with ports.reserve(frozenset()) as held:
        port = port_of(held)
        assert refuses(port)
        with socket.socket() as unwitting, pytest.raises(OSError, match="in use"):
            unwitting.bind(("127.0.0.1", port))
        for address in ("127.0.0.1", "0.0.0.0"):
            with socket.socket() as server:
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                server.bind((address, port))
                server.listen()
                assert not refuses(port)
