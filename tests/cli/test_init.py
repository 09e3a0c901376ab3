import resource
import subprocess
from pathlib import Path

import pytest

from msctl.cli.init import write_new
from msctl.errors import MsctlError
from tests.cli.terminal import MSCTL, environment, msctl

PROCFILE = "web: node server.js --port $PORT\nworker: node worker.js\n"


def names(directory: Path) -> list[str]:
    return sorted(file.name for file in directory.iterdir())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "Procfile").write_text(PROCFILE)
    return tmp_path


def test_a_configuration_is_written_and_loads(directory: Path) -> None:
    done = msctl(directory, "init")
    assert (done.code, done.out) == (0, "")
    assert done.err.splitlines() == [
        "web on port 8001, from Procfile",
        "worker, from Procfile",
        "wrote msctl.yaml",
        "wrote msctl.schema.json, by which editors complete and check it",
        "next: look it over, then msctl up",
    ]
    assert msctl(directory, "validate").code == 0


def test_the_schema_beside_it_is_that_of_this_version(directory: Path) -> None:
    msctl(directory, "init")
    first = (directory / "msctl.yaml").read_text().splitlines()[0]
    schema = directory / first.removeprefix("# yaml-language-server: $schema=")
    assert schema.read_text() == msctl(directory, "schema").out


def test_a_schema_that_is_there_is_left_as_it_is(directory: Path) -> None:
    (directory / "msctl.schema.json").write_text("{}")
    done = msctl(directory, "init")
    assert done.code == 0
    assert "wrote msctl.schema.json" not in done.err
    assert (directory / "msctl.schema.json").read_text() == "{}"


def test_with_nothing_to_start_from_it_is_an_example(tmp_path: Path) -> None:
    done = msctl(tmp_path, "init")
    assert done.code == 0
    assert "found no app, Procfile, compose or process-compose file" in done.err
    assert "next: edit it, then msctl up" in done.err
    assert msctl(tmp_path, "validate").code == 0


def test_a_dry_run_prints_it_and_writes_nothing(directory: Path) -> None:
    done = msctl(directory, "init", "--dry-run")
    assert done.code == 0
    assert names(directory) == ["Procfile"]
    assert "wrote" not in done.err
    assert msctl(directory, "init").code == 0
    assert (directory / "msctl.yaml").read_text() == done.out


@pytest.mark.parametrize("name", ["msctl.yaml", "configs"])
def test_a_configuration_that_is_there_is_never_touched(directory: Path, name: str) -> None:
    if name == "configs":
        (directory / name).mkdir()
    else:
        (directory / name).write_text("services: {a: {port: 1}}")
    done = msctl(directory, "init")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"error: {name} is here already; edit ")
    assert names(directory) == sorted(["Procfile", name])
    assert msctl(directory, "init", "--dry-run").code == 0


def test_a_broken_link_counts_as_there(directory: Path) -> None:
    (directory / "msctl.yaml").symlink_to("elsewhere.yaml")
    assert msctl(directory, "init").code == 1
    assert not (directory / "elsewhere.yaml").exists()


def test_a_file_can_be_named(directory: Path) -> None:
    (directory / "other.yml").write_text("services: {db: {image: redis}}")
    done = msctl(directory, "init", "--from", "other.yml")
    assert done.code == 0
    assert done.err.startswith("db on port 6379, from other.yml\nwrote")


@pytest.mark.parametrize(
    ("content", "reason"),
    [("services: [", "line 2: YAML syntax"), ("a: 1", "has no services"), (None, "no such file")],
)
def test_a_named_file_that_gives_nothing_is_a_failure(
    directory: Path, content: str | None, reason: str
) -> None:
    if content is not None:
        (directory / "x.yaml").write_text(content)
    done = msctl(directory, "init", "--from", "x.yaml")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"error: x.yaml: {reason}")
    assert not (directory / "msctl.yaml").exists()


def test_what_is_left_out_and_what_will_be_refused_is_told(directory: Path) -> None:
    (directory / "compose.yaml").write_text("services: {db: {image: postgres}}")
    (directory / ".env").write_text("PORT=1\n")
    done = msctl(directory, "init")
    assert done.code == 0
    assert "warning: db, from compose.yaml, is there as a comment only: image: postgres" in done.err
    assert "warning: msctl up will refuse this: " in done.err
    assert ".env:1: PORT" in done.err


def test_the_option_for_configurations_does_not_apply(directory: Path) -> None:
    done = msctl(directory, "-f", "x.yaml", "init")
    assert (done.code, done.out) == (2, "")
    assert "init writes msctl.yaml here" in done.err


def test_a_directory_that_cannot_be_written_to_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(MsctlError, match=r"gone/msctl.yaml cannot be written: no such file"):
        write_new(tmp_path / "gone" / "msctl.yaml", "x")


def test_a_file_that_appears_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "msctl.yaml").write_text("mine")
    with pytest.raises(MsctlError, match="appeared meanwhile"):
        write_new(tmp_path / "msctl.yaml", "x")
    assert (tmp_path / "msctl.yaml").read_text() == "mine"


def test_a_disk_without_space_leaves_no_half_of_a_file(directory: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    done = subprocess.run(
        [*MSCTL, "init"],
        cwd=directory,
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "cannot be written: file too large" in done.stderr
    assert names(directory) == ["Procfile"]
