"""Every move of a breaker is an event at its time, whether or not anybody calls."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msctl.core.outcome import Verdict
from msctl.core.reconcile import Wish
from msctl.errors import MsctlError
from msctl.runtime.breaker_watch import BreakerWatch
from msctl.runtime.breakers import BreakerAction, Breakers
from tests.runtime.bench import Bench, api, fleet_of, worker
from tests.runtime.virtual import START, VirtualClock, eventually, run_virtual

SERVICES = [api("order", replicas=2), api("user"), worker("mailer")]
Move = tuple[str, str, str, str]


class Watched:
    """A fleet of which `order` runs, its breakers, and what was recorded of them."""

    def __init__(self, directory: Path) -> None:
        self.parts = Bench(directory, fleet_of(directory, *SERVICES))
        watch = BreakerWatch(
            self.parts.router, self.parts.registry, self.parts.events, VirtualClock()
        )
        self.breakers = Breakers(self.parts.orchestrator, watch)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.parts.running() as fleet:
            fleet.want(self.parts.fleet.services["order"], Wish(replicas=2))
            await eventually(lambda: fleet.summary("order").ready == 2, "it runs")
            yield

    def moves(self) -> list[Move]:
        return [
            (event.instance or event.service, event.before, event.after, event.reason)
            for event in self.parts.events.kept()
            if event.kind == "breaker"
        ]

    def fail(self, instance: str, times: int) -> None:
        route = self.parts.router.route("order")
        assert route is not None
        breaker, now = route.instance_breaker(instance), self.now()
        for _ in range(times):
            permit = breaker.try_acquire(now)
            assert permit is not None
            permit.release(Verdict.FAILURE, now)

    def state(self, name: str) -> str:
        """The state as the last one left it who looked: this is not one."""
        service, _, instance = name.partition("/")
        route = self.parts.router.route(service)
        assert route is not None
        return str(route.instance_breaker_state(instance) if instance else route.breaker_state)

    def names(self, document: dict[str, list[dict[str, str]]]) -> list[str]:
        return [entry["instance"] or entry["service"] for entry in document["breakers"]]

    def refusal(self, action: BreakerAction, name: str, seconds: float | None = None) -> str:
        try:
            self.breakers.act(action, name, seconds)
        except MsctlError as error:
            return str(error)
        raise AssertionError(f"{action} {name} was accepted")

    @staticmethod
    def now() -> float:
        return asyncio.get_running_loop().time()


def test_what_opened_is_half_open_at_its_time_without_a_call(tmp_path: Path) -> None:
    async def main() -> None:
        watched = Watched(tmp_path)
        async with watched.running():
            watched.fail("order-1", 5)
            await asyncio.sleep(7.6)  # 5 s and up to half of it
            assert watched.state("order/order-1") == "half_open"
            opened, tried = watched.moves()
            assert opened == ("order-1", "closed", "open", "5 failures in a row")
            assert tried[:3] == ("order-1", "open", "half_open")
            assert tried[3].startswith("after ")

    run_virtual(main())


def test_a_forcing_ends_at_its_time_and_the_event_has_that_time(tmp_path: Path) -> None:
    async def main() -> None:
        watched = Watched(tmp_path)
        async with watched.running():
            began = VirtualClock().wall()
            watched.breakers.act(BreakerAction.OPEN, "order/order-2", 30)
            await asyncio.sleep(31)
            assert watched.moves() == [
                ("order-2", "closed", "forced_open", "by command, for 30 s"),
                ("order-2", "forced_open", "closed", "the time of the forcing is over"),
            ]
            ended = watched.parts.events.kept()[-1].time
            document = watched.breakers.document()["breakers"]
            since = next(b["since"] for b in document if b["instance"] == "order-2")
            assert ended[:22] == since[:22], "to a hundredth of a second"
            assert VirtualClock().wall() - began > 30

    run_virtual(main())


def test_a_new_time_replaces_the_old_one(tmp_path: Path) -> None:
    async def main() -> None:
        watched = Watched(tmp_path)
        async with watched.running():
            for seconds in (10, 60, None, 60):
                watched.breakers.act(BreakerAction.CLOSE, "order/order-1", seconds)
            await asyncio.sleep(59)
            assert watched.state("order/order-1") == "forced_closed"
            await asyncio.sleep(2)
            assert watched.state("order/order-1") == "closed"
            assert [move[1:] for move in watched.moves()] == [
                ("closed", "forced_closed", "by command, for 10 s"),
                ("forced_closed", "forced_closed", "by command, for 60 s"),
                ("forced_closed", "forced_closed", "by command"),
                ("forced_closed", "forced_closed", "by command, for 60 s"),
                ("forced_closed", "closed", "the time of the forcing is over"),
            ]

    run_virtual(main())


def test_a_reset_is_an_event_also_where_the_state_stays(tmp_path: Path) -> None:
    async def main() -> None:
        watched = Watched(tmp_path)
        async with watched.running():
            watched.fail("order-1", 4)
            watched.breakers.act(BreakerAction.RESET, "order/order-1")
            watched.fail("order-1", 4)
            assert watched.state("order/order-1") == "closed", "the four before are forgotten"
            assert watched.moves() == [("order-1", "closed", "closed", "reset, by command")]

    run_virtual(main())


def test_auto_of_what_is_not_forced_changes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        watched = Watched(tmp_path)
        async with watched.running():
            watched.breakers.act(BreakerAction.AUTO, "order")
            assert watched.moves() == []

    run_virtual(main())


def test_a_service_breaker_closes_once_every_instance_was_replaced(tmp_path: Path) -> None:
    async def main() -> None:
        watched = Watched(tmp_path)
        async with watched.running():
            route = watched.parts.router.route("order")
            assert route is not None
            route.breaker.trip(watched.now(), "because")
            for number in (1, 2):
                watched.parts.spawner.last(f"order-{number}").exit(1)
            summary = watched.parts.orchestrator.summary
            await eventually(lambda: summary("order").ready == 0, "they are gone")
            await eventually(lambda: summary("order").ready == 2, "others are there")
            assert watched.state("order") == "closed"
            assert watched.moves()[-1] == (
                "order", "open", "closed", "every instance has been replaced"
            )  # fmt: skip

    run_virtual(main())


def test_a_service_breaker_closes_when_the_last_old_instance_is_replaced(tmp_path: Path) -> None:
    async def main() -> None:
        watched = Watched(tmp_path)
        async with watched.running():
            fleet = watched.parts.orchestrator
            route = watched.parts.router.route("order")
            assert route is not None
            route.breaker.trip(watched.now(), "because")
            fleet.want(watched.parts.fleet.services["order"], Wish(replicas=2, revision=2))
            await eventually(lambda: fleet.is_current("order"), "all are replaced")
            assert watched.state("order") == "closed"

    run_virtual(main())


# Names


def test_a_service_stands_for_all_its_breakers_and_an_instance_for_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        watched = Watched(tmp_path)
        async with watched.running():
            act = watched.breakers.act
            assert watched.names(act(BreakerAction.OPEN, "order")) == [
                "order",
                "order-1",
                "order-2",
            ]
            assert watched.names(act(BreakerAction.AUTO, "order/order-2")) == ["order-2"]
            states = [watched.state(n) for n in ("order", "order/order-1", "order/order-2")]
            assert states == ["forced_open", "forced_open", "closed"]
            assert watched.names(watched.breakers.document()) == [
                "order", "order-1", "order-2", "user"
            ]  # fmt: skip

    run_virtual(main())


def test_wrong_names_are_refused_with_what_was_meant(tmp_path: Path) -> None:
    async def main() -> None:
        watched = Watched(tmp_path)
        async with watched.running():
            refusals = [
                watched.refusal(BreakerAction.OPEN, name)
                for name in ("ordre", "order-1", "order/ordr-1", "user/user-1", "mailer", "")
            ]
            assert refusals == [
                "unknown service ordre; did you mean order?",
                "unknown service order-1; did you mean order/order-1?",
                "unknown instance order/ordr-1; did you mean order/order-1?",
                "unknown instance user/user-1",
                "mailer has no breaker: it is not called through a front door",
                "unknown service ",
            ]
            assert "takes no time" in watched.refusal(BreakerAction.RESET, "order", 3)
            assert watched.moves() == []

    run_virtual(main())


def test_a_service_can_be_forced_before_it_starts(tmp_path: Path) -> None:
    async def main() -> None:
        watched = Watched(tmp_path)
        async with watched.running():
            watched.breakers.act(BreakerAction.OPEN, "user")
            fleet = watched.parts.orchestrator
            fleet.want(watched.parts.fleet.services["user"], Wish(replicas=1))
            await eventually(lambda: fleet.summary("user").ready == 1, "it runs")
            assert watched.state("user") == "forced_open"

    run_virtual(main())


# What is shown


def test_an_entry_tells_everything_of_a_breaker(tmp_path: Path) -> None:
    async def main() -> None:
        watched = Watched(tmp_path)
        async with watched.running():
            watched.fail("order-1", 2)
            watched.breakers.act(BreakerAction.OPEN, "order/order-2", 10)
            await asyncio.sleep(4)
            service, first, second, user = watched.breakers.document()["breakers"]
            assert first == {
                "service": "order", "instance": "order-1", "enabled": True, "state": "closed",
                "reason": "", "since": None, "until": None, "failures_in_a_row": 2, "calls": 2,
                "failures": 2, "generation": 0,
            }  # fmt: skip
            assert (second["state"], second["until"], second["generation"]) == ("forced_open", 6, 1)
            assert second["since"].startswith("2026-01-01T00:16:4")
            assert (service["instance"], user["service"]) == (None, "user")
            assert watched.now() > START

    run_virtual(main())


def test_the_status_document_tells_reason_and_remaining_seconds(tmp_path: Path) -> None:
    async def main() -> None:
        watched = Watched(tmp_path)
        async with watched.running():
            watched.breakers.act(BreakerAction.OPEN, "order/order-2", 10)
            watched.breakers.act(BreakerAction.OPEN, "order/order-1")
            await asyncio.sleep(4)
            document = await watched.parts.status.document(["order"])
            (order,) = document["services"]
            assert order["breaker"] == {"state": "closed", "reason": ""}
            assert [i["breaker"] for i in order["instances"]] == [
                {"state": "forced_open", "reason": "by command"},
                {"state": "forced_open", "reason": "by command, for 10 s", "until": 6},
            ]

    run_virtual(main())
