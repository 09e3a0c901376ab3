"""`stop --data`: what services have kept is deleted, on purpose only."""

from tests.fleet.project import Project, free_port

KEEPS = """
import os, pathlib
pathlib.Path(os.environ["MSCTL_DATA_DIR"], "kept").write_text("x")
from hello import app
"""


def test_data_is_deleted_only_when_that_is_meant(project: Project) -> None:
    project.write("keeps.py", KEEPS)
    service = {"app": "keeps:app"}
    project.config({"a": {"port": free_port(), **service}, "b": {"port": free_port(), **service}})
    project.ok("up")
    kept = {name: project.directory / f".msctl/data/{name}/kept" for name in ("a", "b")}
    assert all(path.exists() for path in kept.values())

    refused = project.run("stop", "--data")
    assert refused.code == 2
    assert "say --yes" in refused.err
    assert project.service("a")["status"] == "running"

    project.ok("stop", "a", "--data", "--yes")
    assert not kept["a"].exists()
    assert kept["b"].exists()

    project.ok("stop", "--data", "--yes")
    assert not kept["b"].exists()
    project.assert_nothing_left()
    assert project.run("stop", "--yes").code == 2
