import re

import pytest

from msctl.render.progress import Goal, Phase, Progress
from msctl.render.progress_text import picture, step_line
from tests.cli.documents import Json, accepted, event


def progress_of(goal: Goal, first: Json, *events: Json) -> Progress:
    progress = Progress(goal)
    progress.accepted(first, 0.0)
    for number, message in enumerate(events, start=1):
        progress.event(message, float(number))
    return progress


def starts(name: str) -> list[Json]:
    return [
        event(name, "status", "stopped", "starting"),
        event(name, "status", "starting", "running"),
        event(name, "health", "unknown", "healthy"),
    ]


def test_a_service_is_reached_when_its_only_instance_is_healthy() -> None:
    progress = progress_of(Goal.HEALTHY, accepted("a"), *starts("a")[:2])
    assert not progress.reached(progress.services["a"])
    progress.event(starts("a")[2], 9.0)
    assert progress.services["a"].phase is Phase.HEALTHY
    assert progress.services["a"].ended == 9.0


def test_health_may_be_told_before_the_status() -> None:
    health, running = event("a", "health", "unknown", "healthy"), starts("a")[1]
    progress = progress_of(Goal.HEALTHY, accepted("a"), starts("a")[0], health, running)
    assert progress.services["a"].ready == 1


def test_all_replicas_have_to_be_healthy() -> None:
    progress = progress_of(Goal.HEALTHY, accepted("a", replicas=2), *starts("a"))
    assert not progress.reached(progress.services["a"])
    for message in starts("a"):
        progress.event({**message, "instance": "a-2"}, 9.0)
    assert progress.reached(progress.services["a"])


def test_what_runs_already_is_reached_from_the_start() -> None:
    running = {"status": "running", "health": "healthy", "ready": 1}
    progress = progress_of(Goal.HEALTHY, accepted("a", **running))
    assert progress.reached(progress.services["a"])


def test_an_instance_that_dies_is_no_longer_ready() -> None:
    progress = progress_of(
        Goal.HEALTHY, accepted("a"), *starts("a"), event("a", "status", "running", "backoff", "why")
    )
    service = progress.services["a"]
    assert (service.ready, service.phase, service.reason) == (0, Phase.FAILED, "why")


def test_a_waiting_service_names_what_it_waits_for() -> None:
    first = accepted("a", "b")
    first["services"][1]["dependencies"] = ["a"]
    progress = progress_of(Goal.HEALTHY, first)
    assert progress.waits_for(progress.services["b"]) == ["a"]
    for message in starts("a"):
        progress.event(message, 1.0)
    assert progress.waits_for(progress.services["b"]) == []


def test_stopping_ends_with_stopped() -> None:
    running = {"status": "running", "health": "healthy", "ready": 1}
    progress = progress_of(
        Goal.STOPPED, accepted("a", **running), event("a", "status", "running", "stopping")
    )
    assert progress.services["a"].phase is Phase.STOPPING
    progress.event(event("a", "status", "stopping", "stopped"), 2.0)
    assert progress.reached(progress.services["a"])


def test_foreign_events_change_nothing() -> None:
    progress = progress_of(Goal.HEALTHY, accepted("a"), event("other", "status", "", "running"))
    assert progress.event(event("a", "breaker", "closed", "open"), 1.0) is None
    assert progress.services["a"].phase is Phase.WAITING


def test_a_step_is_told_in_one_line() -> None:
    progress = progress_of(Goal.HEALTHY, accepted("a"), *starts("a"))
    assert step_line(progress, progress.services["a"]) == "a: healthy after 2.0 s"
    progress.event(event("a", "status", "running", "error", "exited with\ncode 1"), 9.0)
    assert step_line(progress, progress.services["a"]) == "a: failed (exited with code 1)"


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 10), (20, 3), (200, 200)])
def test_the_picture_fits_the_terminal(width: int, height: int) -> None:
    names = [f"a-service-with-a-long-name-{n}" for n in range(100)]
    progress = progress_of(Goal.HEALTHY, accepted(*names), *starts(names[50]))
    progress.event(event(names[70], "status", "starting", "error", "x" * 300), 5.0)
    lines = picture(progress, now=6.0, width=width, height=height)
    assert len(lines) <= height
    plain = [re.sub(r"\x1b\[\d*m", "", line) for line in lines]
    assert max(map(len, plain)) <= max(width, 40)
    assert plain[0].startswith("1 of 100 healthy")
    if height > 3:
        assert any("failed" in line for line in plain), "the pressing ones are shown"
