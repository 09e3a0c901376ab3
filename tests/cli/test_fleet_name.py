"""Which of a directory's fleets a command is for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from msctl.cli.project import Project
from msctl.errors import UsageError
from msctl.runtime.statedir import RunFile, StateDir
from tests.cli.documents import accepted, result, service, status
from tests.cli.fake_daemon import FakeDaemon, operation, respond_json
from tests.cli.terminal import msctl

INSTANCE = {"MSCTL_PROJECT": "ci"}


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    for name in ("MSCTL_PROJECT", "MSCTL_PROJECT_DIR", "MSCTL_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return project


@pytest.fixture
def ci(project: Path) -> Iterator[FakeDaemon]:
    """A fleet called ci beside the first one, which does not run."""
    with FakeDaemon(project, name="ci") as fake:
        fake.on("GET", "/status", respond_json(status(service("a"))))
        yield fake
    fake.join()


def running(state: StateDir, name: str) -> None:
    state.create()
    state.write_run(RunFile(1, name, "", ""))


def test_without_a_name_it_is_the_first(here: Path) -> None:
    project = Project()
    assert (project.name, project.program) == (None, "msctl")
    assert project.root == f"{here}/.msctl"
    assert not project.is_chosen


def test_a_name_is_for_one_beside_the_first(here: Path) -> None:
    project = Project(name="ci")
    assert (project.name, project.program) == ("ci", "msctl -p ci")
    assert project.root == f"{here}/.msctl/projects/ci"
    assert project.load().project == "ci"
    assert project.is_chosen


def test_the_first_has_a_name_too(here: Path) -> None:
    assert Project(name="shop").name is None  # that of its directory
    (here / "msctl.yaml").write_text("project: corner\nservices: {a: {port: 1}}\n")
    assert Project(name="corner").name is None
    assert Project(name="shop").name == "shop"


def test_the_first_is_called_what_it_runs_as(here: Path) -> None:
    running(StateDir.for_project(here), "corner")
    assert Project(name="corner").name is None
    assert Project().first_name == "corner"


def test_a_fleet_that_is_there_is_meant_whatever_the_configuration_says(here: Path) -> None:
    StateDir.for_project(here, "ci").create()
    (here / "msctl.yaml").write_text("services: {")
    assert Project(name="ci").name == "ci"
    assert Project(name="other").name == "other"


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "..", "é", "x" * 64])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="a name is letters"):
        Project(name=name)


@pytest.mark.usefixtures("here")
def test_the_environment_names_one_for_every_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSCTL_PROJECT", "ci")
    assert Project().name == "ci"
    assert Project().is_chosen
    assert Project(name="other").name == "other"
    monkeypatch.setenv("MSCTL_PROJECT", "a b")
    with pytest.raises(UsageError, match=r"\$MSCTL_PROJECT is a b: a name is letters"):
        assert Project().name


def test_an_instance_means_its_own_fleet_and_in_other_directories_none(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MSCTL_PROJECT", "ci")
    monkeypatch.setenv("MSCTL_PROJECT_DIR", str(here))
    assert Project().name == "ci"
    assert not Project().is_chosen
    monkeypatch.setenv("MSCTL_PROJECT_DIR", str(here.parent))
    assert Project().name is None
    monkeypatch.setenv("MSCTL_PROJECT_DIR", str(here))
    monkeypatch.setenv("MSCTL_PROJECT", "a b")  # the first fleet's, of a directory of that name
    assert Project().name is None


def test_one_without_a_configuration_is_found_while_it_runs(here: Path) -> None:
    (here / "msctl.yaml").unlink()
    running(StateDir.for_project(here, "ci"), "ci")
    assert Project(name="ci").root == f"{here}/.msctl/projects/ci"
    with pytest.raises(UsageError, match="no configuration"):
        assert Project().root
    running(StateDir.for_project(here), "shop")
    assert Project().root == f"{here}/.msctl"
    assert Project(name="shop").root == f"{here}/.msctl"


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "-q"],
        ["events"],
        ["breaker"],
        ["why", "user-service"],
        ["wait"],
        ["call", "a", "GET", "/"],
    ],
    ids=" ".join,
)
def test_a_fleet_that_does_not_run_is_named(project: Path, arguments: list[str]) -> None:
    done = msctl(project, "-p", "ci", *arguments)
    assert done.code == 4
    assert "no fleet ci is running here; start it with: msctl -p ci up" in done.err
    assert msctl(project, *arguments, "--project", "ci").err == done.err


def test_each_is_reached_by_its_name_alone(ci: FakeDaemon) -> None:
    assert msctl(ci.project, "-p", "ci", "status", "-q").out == "a\n"
    assert msctl(ci.project, "status", "-q", env=INSTANCE).out == "a\n"
    assert msctl(ci.project, "status", "-q").code == 4


def test_the_hints_name_it(ci: FakeDaemon) -> None:
    done = result(status=status(service("a")))
    ci.on("POST", "/up", operation(accepted("a"), done))
    said = msctl(ci.project, "-p", "ci", "up").err
    assert "logs: msctl -p ci logs -f    stop: msctl -p ci stop" in said
    failure = {"service": "a", "instance": "a-1", "reason": "it is broken", "logs": ["why"]}
    ci.on("POST", "/up", operation(accepted("a"), result(1, failures=[failure])))
    assert "msctl -p ci logs a" in msctl(ci.project, "-p", "ci", "up", "--keep").err


def test_isolating_what_runs_already_is_refused(ci: FakeDaemon) -> None:
    document = status(service("a"))
    ci.on("GET", "/status", respond_json({**document, "project": "ci", "isolated": False}))
    done = msctl(ci.project, "-p", "ci", "up", "--isolated")
    assert done.code == 2
    assert "ci is running, and not isolated: stop it first (msctl -p ci stop)" in done.err


def test_completion_asks_the_fleet_that_is_named(ci: FakeDaemon) -> None:
    def complete(words: str) -> str:
        env = {"_MSCTL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "4"}
        return msctl(ci.project, env=env).out.strip()

    assert complete("msctl -p ci stop ") == "a"
    assert complete("msctl -p other stop ").split() == ["user-service", "order-service"]
    assert complete("msctl run -p ci ") == "a"


@pytest.mark.parametrize("arguments", [["-p", "ci", "with", "--", "true"]])
def test_with_chooses_its_name_itself(project: Path, arguments: list[str]) -> None:
    done = msctl(project, *arguments)
    assert done.code == 2
    assert "leave -p out" in done.err
