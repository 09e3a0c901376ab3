import os
import socket

from msctl.runtime.portholders import Holder, find_holders


def test_each_port_that_is_listened_on_has_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("", 0)) as two:
        ports = {one.getsockname()[1], two.getsockname()[1]}
        found = find_holders(ports)
        assert found.keys() == ports
        assert {holder.pid for holder in found.values()} == {os.getpid()}
        assert str(found[min(ports)]).startswith(f"pid {os.getpid()} (")
    assert find_holders(ports) == {}


def test_a_port_that_is_only_bound_or_connected_has_no_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        with client, socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            assert find_holders({client.getsockname()[1], bound.getsockname()[1]}) == {}


def test_a_holder_that_is_not_shown_is_somebody_elses() -> None:
    assert str(Holder()) == "a process of another user"
