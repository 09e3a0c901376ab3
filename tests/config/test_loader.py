"""What one file with one service gives, or what is said about it."""

from pathlib import Path

import pytest

from msctl.config.models import CheckKind, RestartPolicy
from tests.config.support import load, load_one, problems, problems_of


def test_a_file_holds_one_service_a_list_or_a_mapping_by_name(tmp_path: Path) -> None:
    fleet = load(
        tmp_path,
        {
            "configs/a.yaml": "name: one\nport: 1",
            "configs/b.yml": "- {name: two, port: 2}\n- {name: three, port: 3}",
            "configs/c.yaml": "services:\n  four: {port: 4}\n  five: {name: five, port: 5}",
            "configs/.hidden.yaml": "nonsense",
            "configs/readme.md": "nonsense",
        },
    )
    assert list(fleet.services) == ["one", "two", "three", "four", "five"]
    assert [service.port for service in fleet.services.values()] == [1, 2, 3, 4, 5]
    assert fleet.project == tmp_path.name
    assert fleet.project_dir == tmp_path.resolve()
    assert [file.name for file in fleet.files] == ["a.yaml", "b.yml", "c.yaml"]


def test_services_may_be_a_list_too(tmp_path: Path) -> None:
    assert list(load(tmp_path, "services: [{name: a, port: 1}]").services) == ["a"]


@pytest.mark.parametrize("word", ["off", "no", "false", "none", "'off'", "Off", "~", "null"])
def test_off_is_off_whether_yaml_takes_it_for_a_boolean_or_not(tmp_path: Path, word: str) -> None:
    service = load_one(tmp_path, f"breaker: {word}\nretries: {word}\nhealth: {word}")
    assert service.breaker is None
    assert service.retries is None
    assert service.effective_check is None


@pytest.mark.parametrize("word", ["no", "'no'", "off", "false", "No"])
def test_restart_no_is_a_policy(tmp_path: Path, word: str) -> None:
    assert load_one(tmp_path, f"restart: {word}").restart.policy is RestartPolicy.NO


@pytest.mark.parametrize(("word", "expected"), [("on", True), ("yes", True), ("off", False)])
def test_flags_take_every_boolean_word(tmp_path: Path, word: str, *, expected: bool) -> None:
    assert load_one(tmp_path, f"access_log: {word}").access_log is expected
    assert load_one(tmp_path, f"watch: {word}").watch is expected


def test_a_key_without_a_value_is_as_if_not_written(tmp_path: Path) -> None:
    service = load_one(
        tmp_path, "dependencies:\nenvironment:\nbreaker:\nhealth: {path: }\ntimeout:"
    )
    assert service.dependencies == ()
    assert service.breaker is not None
    assert service.timeout == 30
    assert service.effective_check is not None
    assert service.effective_check.kind is CheckKind.HTTP


def test_texts_stay_as_they_were_written(tmp_path: Path) -> None:
    service = load_one(
        tmp_path,
        """
        description: yes
        environment: {VERSION: 1.10, ZIP: 01234, ON: on, AT: 12:30, EMPTY: "", N: null}
        command: [sleep, 010, 1e3, no]
        profiles: [on, 2024]
        """,
    )
    assert service.description == "yes"
    assert service.environment == {
        "VERSION": "1.10",
        "ZIP": "01234",
        "ON": "on",
        "AT": "12:30",
        "EMPTY": "",
    }
    assert service.command == ("sleep", "010", "1e3", "no")
    assert service.profiles == ("on", "2024")


def test_dependencies_without_options_wait_until_healthy(tmp_path: Path) -> None:
    fleet = load(
        tmp_path,
        """
        services:
          a: {port: 1}
          b: {port: 2}
          c:
            port: 3
            dependencies:
              a:
              b: {condition: started, required: no}
        """,
    )
    assert [
        (each.name, each.condition.value, each.required)
        for each in fleet.services["c"].dependencies
    ] == [("a", "healthy", True), ("b", "started", False)]


def test_variables_are_replaced_everywhere_but_in_commands(tmp_path: Path) -> None:
    service = load_one(
        tmp_path,
        """
        description: ${TITLE}
        timeout: ${SECONDS:-7}
        balancer: {algorithm: "${ALGORITHM:-p2c}"}
        environment: {A: "$TITLE ${TITLE} $$", B: "${NO:-}"}
        command: [run, "${PORT}", "${UNSET}"]
        health: {command: "check ${PORT}"}
        """,
        {"TITLE": "no"},
    )
    assert service.description == "no"
    assert service.timeout == 7
    assert service.balancer.algorithm == "p2c"
    assert service.environment == {"A": "$TITLE no $", "B": ""}
    assert service.command == ("run", "${PORT}", "${UNSET}")
    assert service.effective_check is not None
    assert service.effective_check.command == ("check", "${PORT}")


def test_a_variable_without_a_value_is_passed_through(tmp_path: Path) -> None:
    service = load_one(tmp_path, "environment: {HOME_TOWN: , MISSING: }", {"HOME_TOWN": "Ulm"})
    assert service.environment == {"HOME_TOWN": "Ulm"}
    listed = load_one(tmp_path, "environment: [HOME_TOWN, MISSING, A=1]", {"HOME_TOWN": "Ulm"})
    assert listed.environment == {"HOME_TOWN": "Ulm", "A": "1"}


def test_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    fleet = load(
        tmp_path,
        """
        x-common: &common {timeout: 5, environment: &env {A: "1"}}
        services:
          a: {<<: *common, port: 1}
          b: {<<: *common, port: 2, timeout: 6, environment: {<<: *env, B: "2"}}
        """,
    )
    assert [service.timeout for service in fleet.services.values()] == [5, 6]
    assert fleet.services["b"].environment == {"A": "1", "B": "2"}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("depends_on: [b]", "depends_on: unknown key (did you mean dependencies?)"),
        ("ports: ['80:80']", "ports: unknown key (did you mean port?)"),
        ("env: {A: 1}", "env: unknown key (did you mean environment?)"),
        ("healthcheck: {}", "healthcheck: unknown key (did you mean health?)"),
        ("entrypoint: x", "entrypoint: unknown key (did you mean command?)"),
        ("cwd: x", "cwd: unknown key (did you mean working_dir?)"),
        ("instances: 2", "instances: unknown key (did you mean replicas?)"),
        ("image: redis", "image: unknown key; msctl runs processes, not images: give a command"),
        ("depnedencies: []", "depnedencies: unknown key (did you mean dependencies?)"),
        ("file_environment: {}", "file_environment: unknown key (did you mean environment?)"),
        ("zzz: 1", "zzz: unknown key; `msctl schema` lists the keys"),
        (
            "gateway: {port: 1}",
            "gateway: unknown key; it belongs to the whole fleet: move it beside services",
        ),
        ("health: {test: x}", "health.test: unknown key (did you mean command?)"),
        ("breaker: {treshold: 1}", "breaker.treshold: unknown key (did you mean failure_threshold?)"),
        ("service_type: db", ("service_type: expected one of api, worker, database, cache, "
         "message_queue (did you mean database?); got 'db'")),
        ("balancer: roundrobin", ("balancer: expected one of round_robin, random, "
         "least_connections, p2c, peak_ewma (did you mean round_robin?); got 'roundrobin'")),
        ("timeout: .nan", "timeout: expected a number; got '.nan'"),
        ("timeout: nan", "timeout: expected a finite number; got 'nan'"),
        ("timeout: 1e999", "timeout: expected a finite number; got '1e999'"),
        ("timeout: 30s", "timeout: expected seconds as a plain number: 30; got '30s'"),
        ("timeout: -1", "timeout: must be above 0; got '-1'"),
        ("timeout: yes", "timeout: expected a number; got 'yes'"),
        ("timeout: [1]", "timeout: expected a number"),
        ("replicas: yes", "replicas: expected a whole number; got 'yes'"),
        ("replicas: 1.5", "replicas: expected a whole number; got '1.5'"),
        ("replicas: 0", "replicas: must be at least 1; got '0'"),
        ("replicas: 1001", "replicas: must be at most 1000; got '1001'"),
        ("replicas: 0x10", "replicas: expected a whole number; got '0x10'"),
        (f"replicas: {'9' * 5000}", ("replicas: expected a whole number of a sensible size; "
         f"got '{'9' * 60}…'")),
        ("access_log: maybe", "access_log: expected true or false; got 'maybe'"),
        ("environment: text", ("environment: expected a mapping of names to values, or a list of "
         "K=V; got 'text'")),
        ("environment: {A: [1]}", "environment.A: expected text"),
        ("environment: [A=1, A=2]", ("environment.A: duplicate variable, first given on line 3; "
         "remove one of them")),
        ("environment: [[A]]", "environment: expected K=V in every item of the list"),
        ("data: a.db", "data: expected a list; got 'a.db'"),
        ("data: ['']", "data[0]: is empty; give it a value; got ''"),
        ("limits: 5", "limits: expected a mapping of keys to values; got '5'"),
        ("breaker: maybe", "breaker: expected on, off or a mapping of keys to values; got 'maybe'"),
        ("scaling: {max: 0}", "scaling.max: must be at least 1; got '0'"),
        ("profiles: [a b]", ("profiles[0]: expected a word of letters, digits, '.', '_' and '-'; "
         "got 'a b'")),
        ("working_dir: nowhere", ("working_dir: there is no directory nowhere; create it or correct "
         "the path")),
        ("env_file: no.env", "env_file: there is no file no.env; create it or correct the path"),
        ("app: a:b\ncommand: x", ("app: app and command exclude each other; keep the one that "
         "starts this service")),
        ("command: [a, '${']", "command[1]: ${ has no closing }; write $$ for a dollar sign"),
        ("description: ${NOPE}", ("description: NOPE is not set; set it in the environment or in "
         ".env, or give a default: ${NOPE:-…}")),
        ("description: '${NOPE:?ask Ann}'", "description: NOPE is not set: ask Ann"),
        ("data: [a, '${NOPE:?x}']", "data[1]: NOPE is not set: x"),
    ],
)  # fmt: skip
def test_a_problem_says_where_and_what_to_do(tmp_path: Path, keys: str, expected: str) -> None:
    [found, *more] = problems_of(tmp_path, keys)
    assert found.partition(": services.a.")[2] == expected.removesuffix("; got ''")
    assert found.startswith("3: ")
    assert more == []


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    found = "\n".join(
        problems_of(
            tmp_path,
            """
            timeout: ${DB_PASSWORD}
            replicas: ${COUNT}
            restart: pg://me:hunter3@host
            environment: {TOKEN: [hunter4]}
            data: ["pg://me:hunter5@h/d"]
            """,
            {"DB_PASSWORD": "hunter2", "COUNT": "many"},
        )
    )
    assert "hunter" not in found
    assert "timeout: expected a number; got '${DB_PASSWORD}'" in found
    assert "replicas: expected a whole number; got 'many' from ${COUNT}" in found
    assert "got 'pg://***@host'" in found


def test_all_problems_of_all_files_are_reported_in_order(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        {
            "configs/a.yaml": "name: a\nport: 8001\nprot: 1\ndependencies: [b, missing]\ntimeout: x\n",
            "configs/b.yaml": "name: b\nport: 8001\nport: 2\ndependencies: [a]\n",
            "configs/c.yaml": "name: a\nport: 3\n",
            "configs/d.yaml": "name: [\n",
            "configs/e.yaml": "",
            "configs/f.yaml": "- port: 1\n- 5\n",
            ".env": "PORT=1\n",
        },
    )
    expected = [
        ".env:1: PORT: msctl sets it for every instance",
        "configs/a.yaml:3: services.a.prot: unknown key",
        "configs/a.yaml:4: services.a.dependencies[0]: dependency cycle: a → b → a",
        "configs/a.yaml:4: services.a.dependencies[1]: no service is called missing",
        "configs/a.yaml:5: services.a.timeout: expected a number",
        "configs/b.yaml:2: services.b.port: a has port 8001 already",
        "configs/b.yaml:3: services.b.port: duplicate key, first given on line 2",
        "configs/c.yaml:1: services.a.name: a is defined in configs/a.yaml:1 already",
        "configs/d.yaml:2: YAML syntax: did not find expected node content",
        "configs/e.yaml: is empty",
        "configs/f.yaml:1: services[0]: has no name",
        "configs/f.yaml:2: services[1]: expected a mapping",
    ]
    assert len(found) == len(expected)
    assert all(map(str.startswith, found, expected)), found


def test_a_cycle_over_files_is_shown_as_a_path(tmp_path: Path) -> None:
    [found] = problems(
        tmp_path,
        {
            "configs/a.yaml": "name: a\nport: 1\ndependencies: [b]",
            "configs/b.yaml": "name: b\nport: 2\ndependencies: {a: }",
        },
    )
    assert found == (
        "configs/a.yaml:3: services.a.dependencies[0]: dependency cycle: a → b → a; "
        "remove one of these dependencies"
    )


def test_a_bad_key_hides_no_other_problem_of_the_service(tmp_path: Path) -> None:
    found = problems_of(
        tmp_path,
        """
        timeout: x
        health: {interval: x, path: /a, command: b}
        dependencies: [b, {name: c, condition: x}]
        app: a:b
        command: c
        environment: {PORT: 1}
        """,
    )
    assert [each.split(" ")[1].removeprefix("services.a.") for each in found] == [
        "timeout:",
        "health:",
        "health.interval:",
        "dependencies[0]:",
        "dependencies[1]:",
        "dependencies[1].condition:",
        "app:",
        "environment.PORT:",
    ]


def test_a_bad_key_is_not_reported_as_missing_too(tmp_path: Path) -> None:
    [bad] = problems(tmp_path, {"configs/a.yaml": "name: a\nport: x"})
    assert "1 to 65535" in bad
    [unset] = problems(tmp_path, {"configs/a.yaml": "name: a\nport: ${P}"})
    assert "P is not set" in unset
    [kind] = problems(tmp_path, {"configs/a.yaml": "name: a\nservice_type: x"})
    assert "expected one of api" in kind


def test_a_bad_name_is_no_unknown_dependency(tmp_path: Path) -> None:
    [found] = problems(
        tmp_path, "services: {User_Service: {port: 1}, b: {port: 2, dependencies: [User_Service]}}"
    )
    assert found.startswith("msctl.yaml:1: services.User_Service: expected a name")
    assert "(did you mean user-service?)" in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("just text", ":1: expected a mapping of keys to values; a service needs"),
        ("42", ":1: expected a mapping"),
        ("[]", ": declares no service"),
        ("services: {}", ": declares no service"),
        ("project: x", ": declares no service"),
        ("host: x\nport: 1", ":1: services[0]: has no name"),
        ("prt: 1\nhost: x\nport: 1\nname: a", ":1: services.a.prt: unknown key (did you mean port?)"),
        ("port: 1\nname: {}", ":2: services[0].name: expected text"),
        ("services: a.yaml", ":1: services: expected a mapping of services by name"),
        ("services: {a: 5}", ":1: services.a: expected a mapping of keys to values"),
        ("services: {a: }", ":1: services.a.port: required for service_type api"),
        ("services: {a: {name: b, port: 1}}", ":1: services.a.name: differs from the key a"),
        ("servcies: {a: {port: 1}}", ":1: servcies: unknown key (did you mean services?)"),
        ("a: {port: 1}\nb: {port: 2}", ":1: put a, b under `services:`"),
        ("version: '3'\nservices: {a: {port: 1}}", ":1: version: unknown key; the format has no"),
        ("name: x\nservices: {a: {port: 1}}", ":1: name: unknown key (did you mean project?)"),
        ("project: a b\nservices: {a: {port: 1}}", ":1: project: expected up to 63 letters"),
        ("gateway: {host: 0.0.0.0}\nservices: {a: {port: 1}}", ":1: gateway.host: the gateway bind"),
        ("gateway: {port: 0}\nservices: {a: {port: 1}}", ":1: gateway.port: expected a port"),
        ("gateway: {host: here}\nservices: {a: {port: 1}}", ":1: gateway.host: the gateway binds"),
        ("gateway: {port: 9}\nservices: {a: {port: 9}}", ":2: services.a.port: the gateway has"),
        ("preload: [a-b]\nservices: {a: {port: 1}}", ":1: preload[0]: expected the name of a mod"),
        ("defaults: 5\nservices: {a: {port: 1}}", ":1: defaults: expected a mapping"),
        ("services: {a: {port: 1}}\nservices: {}", ":2: services: duplicate key, first given on"),
        ("services:\n  a: {port: 1}\n  a: {port: 2}", ":3: services.a: duplicate key, first"),
    ],
)  # fmt: skip
def test_what_a_file_as_a_whole_gets_wrong(tmp_path: Path, text: str, expected: str) -> None:
    [found] = problems(tmp_path, text)
    assert found.startswith(f"msctl.yaml{expected}")


def test_a_directory_without_files_says_what_to_write(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    assert problems(tmp_path, {}) == ["configs: has no .yaml file; write one for each service"]
