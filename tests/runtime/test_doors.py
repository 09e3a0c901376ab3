import asyncio
import socket

import pytest

from msctl.config.models import ServiceConfig
from msctl.errors import PortInUse
from msctl.runtime import ports
from msctl.runtime.doors import Doors
from tests.runtime.bench import api, worker
from tests.runtime.fakes import FakeGateway
from tests.runtime.virtual import run_virtual


def free_port() -> int:
    with ports.listen_privately(frozenset()) as listener:
        port: int = listener.getsockname()[1]
    return port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def doors_of(gateway: FakeGateway) -> Doors:
    return Doors(gateway)


async def close_all(doors: Doors) -> None:
    for name in doors.names():
        await doors.close(name)


def test_a_door_is_open_until_it_is_closed() -> None:
    async def main() -> None:
        gateway, port = FakeGateway(), free_port()
        doors = doors_of(gateway)
        assert await doors.open_all([api("a", port=port, drain_timeout=3)], set()) == ["a"]
        assert doors.names() == ["a"]
        assert listens(port)
        await doors.close("a")
        assert doors.names() == []
        assert not listens(port)
        assert gateway.drain_timeouts == {"a": 3.0}
        await doors.close("a")

    run_virtual(main())


class _Drawn:
    """Named ports that happen to be those that are drawn first."""

    def __init__(self, refusals: int) -> None:
        self.asked_about: list[object] = []
        self._refusals = refusals

    def __contains__(self, port: object) -> bool:
        self.asked_about.append(port)
        return len(self.asked_about) <= self._refusals


def test_a_port_that_is_drawn_is_none_that_the_config_names() -> None:
    async def main() -> None:
        for service in (
            api("a", port="auto"),
            ServiceConfig(name="b", port="auto", service_type="database", command="db"),
        ):
            named = _Drawn(refusals=2)
            doors = Doors(FakeGateway(), named)
            await doors.open_all([service], set())
            assert doors.resolved(service).port == named.asked_about[2]
            await close_all(doors)

    run_virtual(main())


def test_a_door_that_is_open_is_left_alone() -> None:
    async def main() -> None:
        doors = doors_of(FakeGateway())
        service = api("a")
        await doors.open_all([service], set())
        assert await doors.open_all([service, api("b")], {"a"}) == ["b"]
        await close_all(doors)

    run_virtual(main())


def test_auto_is_resolved_to_the_port_that_was_drawn_while_the_door_is_open() -> None:
    async def main() -> None:
        doors = doors_of(FakeGateway())
        service = api("a")
        assert doors.resolved(service).port == "auto"
        await doors.open_all([service], set())
        port = doors.resolved(service).port
        assert isinstance(port, int)
        assert listens(port)
        await doors.open_all([service], set())
        assert doors.resolved(service).port == port
        await close_all(doors)
        assert doors.resolved(service).port == "auto"

    run_virtual(main())


def test_a_door_moves_when_its_port_changes() -> None:
    async def main() -> None:
        doors, old, new = doors_of(FakeGateway()), free_port(), free_port()
        await doors.open_all([api("a", port=old)], set())
        await doors.open_all([api("a", port=new)], {"a"})
        assert (listens(old), listens(new)) == (False, True)
        await close_all(doors)

    run_virtual(main())


def test_when_one_port_is_taken_no_door_is_opened_and_all_that_are_taken_are_named() -> None:
    async def main() -> None:
        gateway, free = FakeGateway(), free_port()
        doors = doors_of(gateway)
        with ports.listen_privately(frozenset()) as one, ports.listen_privately(()) as two:
            taken = [listener.getsockname()[1] for listener in (one, two)]
            services = [
                api("a", port=free),
                api("b", port=taken[0]),
                ServiceConfig(name="c", port=taken[1], service_type="cache", command="redis"),
            ]
            with pytest.raises(ExceptionGroup) as caught:
                await doors.open_all(services, set())
        errors = caught.value.exceptions
        assert [(e.service, e.port) for e in errors if isinstance(e, PortInUse)] == [
            ("b", taken[0]), ("c", taken[1])
        ]  # fmt: skip
        assert doors.names() == []
        assert not gateway.doors
        assert not listens(free)

    run_virtual(main())


def test_a_service_that_binds_its_own_port_is_checked_only_before_it_runs() -> None:
    async def main() -> None:
        doors = doors_of(FakeGateway())
        with ports.listen_privately(frozenset()) as held:
            port = held.getsockname()[1]
            cache = ServiceConfig(name="c", port=port, service_type="cache", command="redis")
            assert await doors.open_all([cache], {"c"}) == []
        assert await doors.open_all([cache], set()) == []
        assert doors.names() == []

    run_virtual(main())


def test_workers_have_no_door() -> None:
    async def main() -> None:
        doors = doors_of(FakeGateway())
        assert await doors.open_all([worker("w")], set()) == []

    run_virtual(main())


def test_a_door_that_the_gateway_does_not_take_closes_those_before_it() -> None:
    async def main() -> None:
        gateway = FakeGateway()
        gateway.refuses = {"b"}
        doors = doors_of(gateway)
        used = [free_port(), free_port(), free_port()]
        services = [api(name, port=port) for name, port in zip("abc", used, strict=True)]
        with pytest.raises(OSError, match="Too many open files"):
            await doors.open_all(services, set())
        assert doors.names() == []
        assert not any(map(listens, used))

    run_virtual(main())


def test_two_who_open_the_same_doors_at_once_share_them() -> None:
    async def main() -> None:
        doors = doors_of(FakeGateway())
        service = api("a", port=free_port())
        opened = await asyncio.gather(
            doors.open_all([service], set()), doors.open_all([service], set())
        )
        assert sorted(opened) == [[], ["a"]]
        await close_all(doors)

    run_virtual(main())


def test_a_service_that_binds_its_port_itself_gets_a_number_that_nobody_else_does() -> None:
    async def main() -> None:
        gateway = FakeGateway()
        doors = Doors(gateway)
        cache = ServiceConfig(name="c", service_type="cache", command="redis", port="auto")
        await doors.open_all([cache], set())
        port = doors.resolved(cache).port
        assert isinstance(port, int)
        assert gateway.doors == {}
        assert await doors.open_all([cache], {"c"}) == []
        assert doors.resolved(cache).port == port, "it stays while the service is wanted"
        with socket.socket() as program:  # as the program itself would
            program.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            program.bind(("127.0.0.1", port))
            program.listen()
        await doors.close("c")
        assert doors.resolved(cache).port == "auto"

    run_virtual(main())
