from pathlib import Path

from msctl.errors import Failure, Problem
from msctl.render.failures import failure_lines, problem_lines


def test_the_last_lines_stand_below_the_reason_with_their_origin() -> None:
    failure = Failure("order", "order-2", "exited with code 1", ("Traceback", "KeyError"))
    assert failure_lines([failure], decorated=False) == [
        "error: order: exited with code 1",
        "    order-2 | Traceback",
        "    order-2 | KeyError",
        "    all of its log: msctl logs order",
    ]


def test_the_service_is_not_named_twice() -> None:
    failure = Failure("order", None, "order: port 8002 is in use")
    assert failure_lines([failure], decorated=False) == ["error: order: port 8002 is in use"]


def test_problems_are_places_an_editor_can_jump_to(tmp_path: Path) -> None:
    inside = Problem(tmp_path / "configs" / "a.yaml", 3, "services.a.prt", "unknown key")
    outside = Problem(Path("/elsewhere/b.yaml"), 0, "", "cannot be read")
    assert problem_lines([inside, outside], tmp_path) == [
        "configs/a.yaml:3: services.a.prt: unknown key",
        "/elsewhere/b.yaml: cannot be read",
        "2 problems in the configuration; nothing was started",
    ]
