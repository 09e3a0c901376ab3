import json

from msctl.runtime.events import KEPT, Event, EventLog
from tests.core.fake_clock import FakeClock


def record(log: EventLog, number: int = 1) -> None:
    log.record("api", f"api-{number}", "status", ("running", "backoff"), "exited with code 1")


def test_an_event_has_the_keys_of_the_contract() -> None:
    log = EventLog(FakeClock(0.0))
    record(log)
    (event,) = log.kept()
    assert json.loads(json.dumps(event.document())) == {
        "time": "1970-01-01T00:00:00.000000Z",
        "service": "api",
        "instance": "api-1",
        "kind": "status",
        "from": "running",
        "to": "backoff",
        "reason": "exited with code 1",
    }


def test_the_last_thousand_are_kept() -> None:
    log = EventLog(FakeClock())
    for number in range(1100):
        record(log, number)
    kept = [event.instance for event in log.kept()]
    assert len(kept) == KEPT == 1000
    assert (kept[0], kept[-1]) == ("api-100", "api-1099")


def test_followers_hear_what_comes_until_they_leave() -> None:
    log = EventLog(FakeClock())
    first: list[Event] = []
    second: list[Event] = []
    record(log, 1)
    leave = log.subscribe(first.append)
    log.subscribe(second.append)
    record(log, 2)
    leave()
    leave()
    record(log, 3)
    assert [event.instance for event in first] == ["api-2"]
    assert [event.instance for event in second] == ["api-2", "api-3"]


def test_a_follower_may_leave_while_it_is_told() -> None:
    log = EventLog(FakeClock())
    heard: list[Event] = []

    def once(event: Event) -> None:
        heard.append(event)
        leave()

    leave = log.subscribe(once)
    others: list[Event] = []
    log.subscribe(others.append)
    record(log)
    record(log)
    assert (len(heard), len(others)) == (1, 2)
