"""What msctl.yaml says beside the services: include, defaults, gateway, env files."""

from pathlib import Path

import pytest

from msctl.config.loader import load_fleet
from msctl.config.location import ConfigLocation
from msctl.errors import ConfigError
from tests.config.support import load, problems, write


def test_a_fleet_file_sets_what_all_services_share(tmp_path: Path) -> None:
    fleet = load(
        tmp_path,
        """
        project: shop
        gateway: {host: localhost, port: 9000}
        preload: [sqlalchemy.orm, numpy]
        services: {a: {port: 1}}
        """,
    )
    assert fleet.project == "shop"
    assert (fleet.gateway.host, fleet.gateway.port) == ("localhost", 9000)
    assert fleet.preload == ("sqlalchemy.orm", "numpy")


@pytest.mark.parametrize(
    ("gateway", "expected"),
    [("{}", False), ("{access_log: true}", True), ("{access_log: on}", True), ("{port: 1}", False)],
)
def test_the_routers_access_log_is_off_unless_asked_for(
    tmp_path: Path, gateway: str, expected: object
) -> None:
    fleet = load(tmp_path, f"gateway: {gateway}\nservices: {{a: {{port: 2}}}}")
    assert fleet.gateway.access_log is expected


def test_the_routers_access_log_is_on_or_off(tmp_path: Path) -> None:
    [found] = problems(tmp_path, "gateway: {access_log: json}\nservices: {a: {port: 2}}")
    assert found == "msctl.yaml:1: gateway.access_log: expected true or false; got 'json'"


def test_include_takes_files_directories_and_globs(tmp_path: Path) -> None:
    fleet = load(
        tmp_path,
        {
            "msctl.yaml": """
                include: [one.yaml, configs, "teams/**/*.yml", one.yaml]
                services: {z: {port: 9}}
                """,
            "one.yaml": "{name: one, port: 1}",
            "configs/b.yaml": "{name: b, port: 2}",
            "configs/a.yaml": "{name: a, port: 3}",
            "teams/x/deep/t.yml": "{name: t, port: 4}",
        },
    )
    assert list(fleet.services) == ["z", "one", "a", "b", "t"]


def test_include_may_be_one_text_and_go_on(tmp_path: Path) -> None:
    fleet = load(
        tmp_path,
        {
            "msctl.yaml": "include: sub/more.yaml",
            "sub/more.yaml": "include: [../msctl.yaml, last.yaml]\nservices: {a: {port: 1}}",
            "sub/last.yaml": "{name: b, port: 2}",
        },
    )
    assert list(fleet.services) == ["a", "b"]


@pytest.mark.parametrize("pattern", ["no.yaml", "no/*.yaml", "empty", "[", "~nobody/x", "x" * 300])
def test_an_include_that_matches_nothing_is_a_problem(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "empty").mkdir()
    [found] = problems(tmp_path, f"services: {{a: {{port: 1}}}}\ninclude: ['{pattern}']")
    assert found.startswith("msctl.yaml:2: include[0]: ")
    assert found.endswith("matches no .yaml file; correct it or remove it")


def test_a_setting_of_the_fleet_is_given_once(tmp_path: Path) -> None:
    [found] = problems(
        tmp_path,
        {
            "configs/a.yaml": "project: x\nservices: {a: {port: 1}}",
            "configs/b.yaml": "project: y\nservices: {b: {port: 2}}",
        },
    )
    assert (
        found
        == "configs/b.yaml:1: project: is given in configs/a.yaml:1 already; remove one of them"
    )


def test_defaults_are_what_every_service_starts_from(tmp_path: Path) -> None:
    fleet = load(
        tmp_path,
        {
            "msctl.yaml": """
                include: configs
                defaults:
                  timeout: 5
                  environment: {LOG: info, A: "1"}
                  limits: {queue: 7, in_flight: 8}
                  app: shared.app:app
                  breaker: off
                """,
            "configs/a.yaml": "{name: a, port: 1, environment: [A=2, B=3], limits: {queue: 9}}",
            "configs/b.yaml": "{name: b, port: 2, timeout: 6, command: run, breaker: on}",
        },
    )
    a, b = fleet.services["a"], fleet.services["b"]
    assert (a.timeout, b.timeout) == (5, 6)
    assert a.environment == {"LOG": "info", "A": "2", "B": "3"}
    assert (a.limits.queue, a.limits.in_flight) == (9, 8)
    assert a.app == "shared.app:app"
    assert (b.app, b.command) == (None, ("run",))
    assert a.breaker is None
    assert b.breaker is not None


def test_a_bad_default_is_reported_once_and_where_it_stands(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """
        defaults:
          timeout: x
          name: a
          depends_on: []
          retries: {attempts: "${NOPE}"}
          environment: {PORT: 1}
        services:
          a: {port: 1}
          b: {port: 2, timeout: 3}
        """,
    )
    assert [each.partition(";")[0] for each in found] == [
        "msctl.yaml:3: defaults.timeout: expected a number",
        "msctl.yaml:4: defaults.name: is no default: every service has its own name",
        "msctl.yaml:5: defaults.depends_on: unknown key (did you mean dependencies?)",
        "msctl.yaml:6: defaults.retries.attempts: NOPE is not set",
        "msctl.yaml:7: defaults.environment.PORT: msctl sets it for every instance",
    ]


def test_dotenv_is_for_the_configuration_and_for_the_services(tmp_path: Path) -> None:
    fleet = load(
        tmp_path,
        {
            "configs/a.yaml": """
                name: a
                port: ${A_PORT}
                description: ${WHO}
                env_file: [one.env, two.env]
                environment: {X: "${FROM_FILE:-no}"}
                """,
            ".env": "A_PORT=7\nWHO=file\nONE=0\n",
            "one.env": "ONE=1\nTWO=1\nFROM_FILE=x\n",
            "two.env": "TWO=2\nBOTH=${ONE}${TWO}\nRAW='${ONE}'\nWHO_ELSE=${WHO}\n",
        },
        {"WHO": "shell"},
    )
    service = fleet.services["a"]
    assert service.port == 7
    assert service.description == "shell"
    assert service.environment == {"X": "no"}
    assert service.file_environment == {
        "A_PORT": "7",
        "WHO": "file",
        "ONE": "1",
        "TWO": "2",
        "FROM_FILE": "x",
        "BOTH": "12",
        "RAW": "${ONE}",
        "WHO_ELSE": "shell",
    }
    assert service.env_file == (tmp_path / "one.env", tmp_path / "two.env")


def test_problems_in_env_files_name_their_line(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        {
            "configs/a.yaml": "- {name: a, port: 1, env_file: x.env, dependencies: [b-c]}\n"
            "- {name: b-c, port: 2, env_file: [x.env, y.env]}",
            "x.env": "A=${NOPE}\n\nB_C_URL=x\nMSCTL_X=1\n",
            "y.env": "what\n",
        },
    )
    assert [each.partition(";")[0] for each in found] == [
        "x.env:1: A: NOPE is not set",
        "x.env:3: B_C_URL: msctl sets it because of the dependency on b-c",
        "x.env:4: MSCTL_X: msctl sets it for every instance",
        "y.env:1: expected NAME=value, or a comment that starts with #",
    ]


def test_paths_are_relative_to_the_project(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "venv").symlink_to("/usr/bin")
    keys = "{name: a, port: 1, working_dir: sub, python: venv/python3}"
    service = load(tmp_path, {"configs/a.yaml": keys}).services["a"]
    assert service.working_dir == tmp_path.resolve() / "sub"
    assert service.python == f"{tmp_path.resolve()}/venv/python3"
    named = load(tmp_path, {"configs/a.yaml": "{name: a, port: 1, python: python3}"})
    assert named.services["a"].python == "python3"
    assert named.services["a"].working_dir is None


def test_a_file_that_went_away_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path, {"msctl.yaml": "services: {a: {port: 1}}"})
    location = ConfigLocation(tmp_path, (tmp_path / "gone.yaml",))
    with pytest.raises(ConfigError, match=r"gone.yaml: does not exist"):
        load_fleet(location, {})


def test_a_text_that_is_not_written_yet_counts_as_its_file(tmp_path: Path) -> None:
    file = tmp_path / "msctl.yaml"
    write(tmp_path, {"more.yaml": "{name: b, port: 2}"})
    text = "include: more.yaml\nservices: {a: {port: 1}}"
    fleet = load_fleet(ConfigLocation(tmp_path, (file,)), {}, {file: text})
    assert list(fleet.services) == ["a", "b"]
    assert not file.exists()
