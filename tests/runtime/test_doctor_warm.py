"""What warm start is held back by."""

import os
from pathlib import Path
from typing import Any

import pytest

from msctl.config.models import FleetConfig, ServiceConfig
from msctl.runtime.doctor import Level
from msctl.runtime.doctor_look_fleet import look_at_warm_start
from msctl.runtime.doctor_warm import WarmFacts, check_warm_start
from tests.runtime.bench import api, worker


def seen(*services: ServiceConfig, **facts: Any) -> list[tuple[str, str, str]]:
    defaults: dict[str, Any] = {"platform": "linux", "services": services, "environment": {}}
    found = check_warm_start(WarmFacts(**(defaults | facts)))
    return [(f.level.value, f.what, f.message) for f in found]


def test_services_are_forked_or_exec_d_for_a_reason() -> None:
    assert seen(
        api("user"),
        worker("cache"),
        api("old", python="python3.9"),
        api("cold", start="exec"),
        worker("mailer"),
    ) == [
        ("ok", "forked", "user"),
        ("ok", "exec'd", "cache, mailer (command)"),
        ("ok", "exec'd", "old (python: another interpreter)"),
        ("ok", "exec'd", "cold (start: exec)"),
    ]


def test_a_variable_that_only_a_start_heeds_is_a_warning() -> None:
    slow = api("slow", environment={"PYTHONMALLOC": "debug"})
    assert seen(slow) == [
        (
            "warn",
            "slow",
            "exec'd: its environment sets PYTHONMALLOC, which takes effect only at a start",
        )
    ]
    assert seen(slow, environment={"PYTHONMALLOC": "debug"}) == [("ok", "forked", "slow")]


def test_a_module_that_cannot_be_imported_holds_all_of_them_back() -> None:
    found = seen(api("a"), api("b"), preload=("x", "json"), failures={"x": "ImportError: no"})
    assert found == [("warn", "preload", "x cannot be imported (ImportError: no); a, b are exec'd")]
    assert seen(api("a"), preload=("json",))[-1] == ("ok", "preload", "json")


def test_on_other_systems_everything_is_exec_d() -> None:
    assert seen(api("a"), platform="darwin") == [
        ("warn", "template", "only on Linux; everything is exec'd")
    ]


@pytest.mark.parametrize(
    ("modules", "failing"), [(("json", "email.message"), set()), (("json", "no_such"), {"no_such"})]
)
def test_preload_is_imported_in_a_process_of_its_own(
    tmp_path: Path, modules: tuple[str, ...], failing: set[str]
) -> None:
    fleet = FleetConfig(
        project="shop", project_dir=tmp_path, services={"a": api("a")}, preload=modules
    )
    facts = look_at_warm_start(fleet, os.environ)
    assert facts.failures.keys() == failing
    levels = {finding.level for finding in check_warm_start(facts)}
    assert levels == ({Level.WARN} if failing else {Level.OK})
