import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from msctl import ServiceConfig
from msctl.config.loader import load_fleet
from msctl.config.location import ConfigLocation
from msctl.runtime.privatefleet import document, environment_for_imports

CONFIGS: list[dict[str, Any]] = [
    {"name": "plain", "port": 8001},
    {"name": "anywhere", "port": "auto", "replicas": 3, "balancer": "p2c"},
    {"name": "bare", "port": 8001, "breaker": "off", "retries": "off", "health": "none"},
    {
        "name": "worker",
        "service_type": "worker",
        "command": "run --to ${PORT} $HOME",
        "restart": "no",
    },
    {
        "name": "web",
        "port": 8001,
        "host": "127.0.0.1",
        "app": "web.main:create",
        "factory": True,
        "start": "exec",
        "environment": {"A": "${HOME} $$ $x", "B": "null", "C": "yes", "D": "1.0", "E": "😀\x7f\n"},
        "health": {"path": "/ready", "interval": 1, "expect_status": [200, 204]},
        "liveness": {"command": ["check", "${PORT}"]},
        "timeout": 0.5,
        "stop_signal": "INT",
        "scaling": {"min": 0, "max": 4, "idle": 60},
        "breaker": {"failure_threshold": 2},
        "limits": {"per_instance": 4},
        "resources": {"memory": "512M", "nice": 5},
        "restart": "on-failure:3",
        "watch": ["*.py"],
        "data": ["web.db"],
        "profiles": ["debug"],
        "working_dir": "web",
    },
]


@pytest.mark.parametrize("fields", CONFIGS, ids=lambda fields: fields["name"])
def test_a_service_config_survives_being_written_down(
    fields: dict[str, Any], tmp_path: Path
) -> None:
    config = ServiceConfig.model_validate(fields)
    (tmp_path / "web").mkdir()
    file = tmp_path / "msctl.yaml"
    file.write_text(yaml.safe_dump({"services": [document(config)]}))
    (loaded,) = load_fleet(ConfigLocation(tmp_path, (file,)), {}).services.values()
    ignored = {"working_dir"}  # made absolute
    assert loaded.model_dump(exclude=ignored) == config.model_dump(exclude=ignored)


def test_dependencies_survive_being_written_down(tmp_path: Path) -> None:
    conditions = {"a": {"condition": "started"}, "b": {"required": False}}
    configs = [
        ServiceConfig(name="a", port=8001),
        ServiceConfig(name="b", port=8002),
        ServiceConfig.model_validate({"name": "c", "port": 8003, "dependencies": conditions}),
    ]
    file = tmp_path / "msctl.yaml"
    file.write_text(yaml.safe_dump({"services": [document(config) for config in configs]}))
    loaded = load_fleet(ConfigLocation(tmp_path, (file,)), {}).services
    assert loaded["c"].dependencies == configs[2].dependencies


def test_other_processes_can_import_what_the_program_can(tmp_path: Path) -> None:
    stdlib = sysconfig.get_path("stdlib")
    path = ["", str(tmp_path), stdlib, str(tmp_path), str(tmp_path / "missing.zip"), *sys.path]
    environment = environment_for_imports({"A": "b", "PYTHONPATH": "old"}, path)
    entries = environment["PYTHONPATH"].split(os.pathsep)
    assert entries[:2] == [os.getcwd(), str(tmp_path)]  # noqa: PTH109  compared as text
    assert len(set(entries)) == len(entries)
    assert not {stdlib, sysconfig.get_path("purelib"), "old"} & set(entries)
    assert environment["A"] == "b"
