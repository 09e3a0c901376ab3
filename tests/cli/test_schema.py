import json
from pathlib import Path

import jsonschema

from tests.cli.terminal import msctl


def test_the_schema_is_one_json_document_on_stdout(tmp_path: Path) -> None:
    done = msctl(tmp_path, "schema")
    assert (done.code, done.err) == (0, "")
    jsonschema.Draft7Validator.check_schema(json.loads(done.out))
    assert done.out.endswith("}\n")


def test_the_schema_needs_no_configuration_and_no_daemon(project: Path) -> None:
    (project / "msctl.yaml").write_text("services: [")
    assert msctl(project, "schema").code == 0
    assert list(project.iterdir()) == [project / "msctl.yaml"]
