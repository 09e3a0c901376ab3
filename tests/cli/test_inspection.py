import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.documents import service, status
from tests.cli.fake_daemon import FakeDaemon, respond_json
from tests.cli.terminal import MSCTL, environment, msctl, on_terminal


def test_validate_says_that_all_is_well(project: Path) -> None:
    done = msctl(project, "validate")
    assert (done.code, done.out) == (0, "")
    assert "2 services, no problems" in done.err


def test_validate_names_every_problem_with_file_and_line(project: Path) -> None:
    (project / "msctl.yaml").write_text(
        "services:\n  a: {prt: 1}\n  b: {port: 2, depends_on: [a]}\n"
    )
    done = msctl(project, "validate")
    assert (done.code, done.out) == (2, "")
    assert "msctl.yaml:2: services.a.prt" in done.err
    assert "msctl.yaml:3: services.b.depends_on" in done.err


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("tree", "order-service\n└── user-service\n"),
        ("mermaid", "order-service --> user-service"),
        ("dot", '"order-service" -> "user-service";'),
    ],
)
def test_graph_has_several_forms(project: Path, form: str, expected: str) -> None:
    done = msctl(project, "graph", "--format", form)
    assert (done.code, done.err) == (0, "")
    assert expected in done.out


def test_graph_as_json(project: Path) -> None:
    document = json.loads(msctl(project, "graph", "--format", "json").out)
    assert [s["name"] for s in document["services"]] == ["user-service", "order-service"]


def test_graph_of_one_service_has_what_it_needs(project: Path) -> None:
    assert msctl(project, "graph", "user-service").out == "user-service\n"
    assert msctl(project, "graph", "usr").code == 2


def test_the_tree_is_drawn_in_ascii_where_nothing_else_is_possible(project: Path) -> None:
    done = msctl(project, "graph", env={"PYTHONIOENCODING": "ascii"})
    assert done.out == "order-service\n`-- user-service\n"


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_version(tmp_path: Path, arguments: list[str]) -> None:
    done = msctl(tmp_path, *arguments)
    assert done.code == 0
    assert done.out.startswith("msctl ")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_is_data_and_success(tmp_path: Path, arguments: list[str]) -> None:
    done = msctl(tmp_path, *arguments)
    assert (done.code, done.err) == (0, "")
    assert "Usage: msctl" in done.out


@pytest.mark.parametrize("command", ["up", "status", "call", "logs", "stop", "wait", "graph"])
def test_every_command_has_help(tmp_path: Path, command: str) -> None:
    assert "Usage: msctl " + command in msctl(tmp_path, command, "--help").out


def test_an_unknown_command_is_a_usage_error(tmp_path: Path) -> None:
    done = msctl(tmp_path, "upp")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")


def complete(project: Path, words: str, index: int) -> list[str]:
    env = {"_MSCTL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(index)}
    done = msctl(project, env=env)
    assert done.err == ""
    return done.out.split()


def test_names_are_completed_from_the_configuration(project: Path) -> None:
    assert complete(project, "msctl logs ", 2) == ["user-service", "order-service"]
    assert complete(project, "msctl call or", 2) == ["order-service"]
    assert complete(project, "msctl stop user-service ", 3) == ["order-service"]


def test_names_are_completed_from_the_daemon(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/status", respond_json(status(service("from-the-daemon"))))
    assert complete(daemon.project, "msctl status ", 2) == ["from-the-daemon"]


def test_completion_is_silent_whatever_is_wrong(project: Path) -> None:
    (project / "msctl.yaml").write_text("services: [")
    assert complete(project, "msctl logs ", 2) == []
    (project / "msctl.yaml").unlink()
    assert complete(project, "msctl logs ", 2) == []


def test_stdout_may_be_closed(project: Path) -> None:
    command = " ".join([*MSCTL, "graph", ">&-"])
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=project,
        env=environment(),
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_is_a_message_and_1(project: Path) -> None:
    command = " ".join([*MSCTL, "graph", ">/dev/full"])
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=project,
        env=environment(),
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (1, b"error: output: No space left on device\n")


def test_the_terminal_gets_the_tree(project: Path) -> None:
    assert on_terminal(project, ["graph"]).out == "order-service\n└── user-service\n"


@pytest.mark.parametrize("module", ["rich", "pydantic", "yaml", "asyncio", "fastapi"])
def test_the_command_line_starts_without_the_heavy_modules(module: str) -> None:
    code = f"import sys, msctl.cli.app as a; a.build(); sys.exit({module!r} in sys.modules)"
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True, timeout=30)
