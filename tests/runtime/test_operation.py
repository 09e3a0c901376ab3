import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from msctl.errors import ConfigError, Failure, MsctlError, PortInUse, Problem, UnknownService
from msctl.runtime.changes import Notifier
from msctl.runtime.events import EventLog
from msctl.runtime.operation import Change, Ending, Operation, Outcome
from tests.core.fake_clock import FakeClock
from tests.runtime.virtual import run_virtual, settle

PROBLEM = Problem(Path("/p/msctl.yaml"), 3, "services.a.port", "expected a port")


class Desk:
    """Where operations are begun and their facts change."""

    def __init__(self) -> None:
        self.changed = Notifier()
        self.events = EventLog(FakeClock())

    def operation(self) -> Operation:
        return Operation(7, self.changed, self.events)


async def status_of(names: list[str]) -> dict[str, Any]:
    return {"services": names}


def result_of(work: Callable[[Operation], Awaitable[Outcome]]) -> dict[str, Any]:
    """The last message of an operation that does this work."""

    async def main() -> dict[str, Any]:
        operation = Desk().operation()
        code = await operation.run(work, status_of)
        messages = [message async for message in operation.messages()]
        assert code == messages[-1]["exit_code"]
        return messages[-1]

    return run_virtual(main())


def raising(error: Exception) -> dict[str, Any]:
    async def work(_: Operation) -> Outcome:
        raise error

    return result_of(work)


EMPTY: dict[str, Any] = {
    "type": "result", "exit_code": 0, "message": "", "failures": [], "problems": [],
    "changes": [], "requests": None, "status": {"services": []},
}  # fmt: skip


def test_an_outcome_becomes_the_result_message() -> None:
    async def work(_: Operation) -> Outcome:
        return Outcome(
            exit_code=1,
            message="failed: a",
            failures=[Failure("a", "a-1", "exited with code 1", ("last", "words"))],
            changes=[
                Change(service="a", action="started"),
                Change(service="b", action="unchanged", reason="x"),
            ],
            services=["a", "b"],
        )

    assert result_of(work) == {
        "type": "result",
        "exit_code": 1,
        "message": "failed: a",
        "failures": [
            {
                "service": "a",
                "instance": "a-1",
                "reason": "exited with code 1",
                "logs": ["last", "words"],
            }
        ],
        "problems": [],
        "changes": [
            {"service": "a", "action": "started", "reason": ""},
            {"service": "b", "action": "unchanged", "reason": "x"},
        ],
        "requests": None,
        "status": {"services": ["a", "b"]},
    }


def test_a_bad_configuration_is_exit_2_with_every_problem() -> None:
    assert raising(ConfigError([PROBLEM, PROBLEM])) == EMPTY | {
        "exit_code": 2,
        "message": "the configuration has problems",
        "problems": 2
        * [
            {
                "file": "/p/msctl.yaml",
                "line": 3,
                "where": "services.a.port",
                "message": "expected a port",
            }
        ],
    }


def test_an_unknown_service_is_exit_2_and_names_the_nearest() -> None:
    expected = EMPTY | {"exit_code": 2, "message": "unknown service usr; did you mean user?"}
    assert raising(UnknownService("usr", "user")) == expected


def test_ports_in_use_are_exit_1_and_one_failure_each() -> None:
    errors = [PortInUse("a", 8001, "pid 1 (x)"), PortInUse("b", 8002)]
    result = raising(ExceptionGroup("ports in use", errors))
    assert (result["exit_code"], result["message"]) == (1, "nothing was started")
    assert [failure["service"] for failure in result["failures"]] == ["a", "b"]
    assert result["failures"][0]["reason"] == str(errors[0])


def test_other_errors_of_ours_are_exit_1_in_their_own_words() -> None:
    result = raising(MsctlError("cannot listen on 192.0.2.1"))
    assert (result["exit_code"], result["message"]) == (1, "cannot listen on 192.0.2.1")
    both = ExceptionGroup("", [PortInUse("a", 1), MsctlError("cannot listen")])
    assert raising(both)["message"] == "cannot listen"
    assert len(raising(both)["failures"]) == 1


def test_an_internal_error_is_exit_1_and_is_logged_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    result = raising(ZeroDivisionError("division by zero"))
    assert result["exit_code"] == 1
    assert result["message"] == "internal error: ZeroDivisionError('division by zero')"
    assert "Traceback" in caplog.text
    grouped = raising(ExceptionGroup("", [KeyError("x")]))
    assert grouped["message"] == "internal error: KeyError('x')"


def test_messages_come_in_order_and_the_result_last() -> None:
    async def main() -> None:
        desk = Desk()
        operation = desk.operation()

        async def work(operation: Operation) -> Outcome:
            operation.say("accepted", operation=operation.id)
            operation.warn("careful")
            return Outcome()

        await operation.run(work, status_of)
        operation.say("too late")
        messages = [message async for message in operation.messages()]
        assert [m["type"] for m in messages] == ["accepted", "warning", "result"]
        assert messages[0] == {"type": "accepted", "operation": "op-7"}
        assert messages[1] == {"type": "warning", "message": "careful"}

    run_virtual(main())


def test_it_follows_the_events_of_its_services_until_it_has_enough() -> None:
    async def main() -> None:
        desk = Desk()
        operation = desk.operation()
        unfollow = operation.follow(["a"])
        desk.events.record("a", "a-1", "status", ("starting", "running"))
        desk.events.record("b", "b-1", "status", ("starting", "running"))
        unfollow()
        desk.events.record("a", "a-1", "status", ("running", "stopping"))
        operation.say("result")
        messages = [message async for message in operation.messages()]
        assert [m["type"] for m in messages] == ["event", "result"]
        assert (messages[0]["instance"], messages[0]["to"]) == ("a-1", "running")

    run_virtual(main())


def test_waiting_ends_when_what_is_waited_for_is_true() -> None:
    async def main() -> None:
        desk, facts = Desk(), set[str]()
        operation = desk.operation()
        for word, ending in [("done", Ending.DONE), ("failed", Ending.FAILED)]:
            facts.clear()
            waiting = asyncio.create_task(
                operation.until(lambda: "done" in facts, failed=lambda: "failed" in facts)
            )
            await settle()
            desk.changed.notify()
            await settle()
            assert not waiting.done()
            facts.add(word)
            desk.changed.notify()
            assert await waiting is ending

    run_virtual(main())


def test_what_is_true_already_is_not_waited_for() -> None:
    async def main() -> None:
        operation = Desk().operation()
        assert await operation.until(lambda: True, timeout=0) is Ending.DONE
        assert await operation.until(lambda: True, failed=lambda: True) is Ending.FAILED

    run_virtual(main())


def test_waiting_ends_when_its_time_is_over() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        assert await Desk().operation().until(lambda: False, timeout=12.5) is Ending.EXPIRED
        assert loop.time() - begun == pytest.approx(12.5)

    run_virtual(main())


def test_a_cancelled_operation_waits_no_more() -> None:
    async def main() -> None:
        desk = Desk()
        operation = desk.operation()
        waiting = asyncio.create_task(operation.until(lambda: False))
        await settle()
        operation.cancel()
        assert await waiting is Ending.CANCELLED
        assert await operation.until(lambda: True) is Ending.CANCELLED

    run_virtual(main())
