"""The JSON Schema and the loader say the same of every file, as far as a schema can."""

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from msctl.config.fleet import FleetSettings, GatewayConfig
from msctl.config.loader import load_fleet
from msctl.config.location import ConfigLocation, find_config
from msctl.config.messages import FLEET_KEYS, SERVICE_KEYS
from msctl.config.models import (
    BalancerConfig,
    BreakerConfig,
    Dependency,
    HealthConfig,
    LimitsConfig,
    LivenessConfig,
    ResourcesConfig,
    RestartConfig,
    RetryConfig,
    ScalingConfig,
    ServiceConfig,
)
from msctl.config.schema import file_schema, schema_text
from msctl.errors import ConfigError
from tests.config.editor import complaints, read, read_1_1

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "configs").glob("*.yaml"))
MODELS: list[type[BaseModel]] = [
    BalancerConfig, BreakerConfig, Dependency, FleetSettings, GatewayConfig, HealthConfig,
    LimitsConfig, LivenessConfig, ResourcesConfig, RestartConfig, RetryConfig, ScalingConfig,
    ServiceConfig,
]  # fmt: skip
ADDED = {"FleetSettings": {"defaults", "services"}}
INTERNAL = {"ServiceConfig": {"file_environment"}}


def test_it_is_a_valid_schema_of_the_draft_that_editors_understand() -> None:
    schema = file_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"


@pytest.mark.parametrize("model", MODELS)
def test_the_keys_and_their_descriptions_are_those_of_the_models(model: type[BaseModel]) -> None:
    definition = file_schema()["definitions"][model.__name__]
    described = {key: each["description"] for key, each in definition["properties"].items()}
    for key in ADDED.get(model.__name__, ()):
        assert described.pop(key)
    internal = INTERNAL.get(model.__name__, set())
    assert described == {
        key: field.description for key, field in model.model_fields.items() if key not in internal
    }
    assert definition["additionalProperties"] is False


def test_defaults_are_those_of_the_models() -> None:
    properties = file_schema()["definitions"]["ServiceConfig"]["properties"]
    expected = ServiceConfig(name="x", port=1).model_dump(mode="json")
    shown = {key: each["default"] for key, each in properties.items() if "default" in each}
    assert shown == {key: expected[key] for key in shown}
    missing = {key for key in properties.keys() - shown.keys() if expected[key] is not None}
    assert missing == {"name", "port", "environment"}


def test_it_has_every_key_and_none_that_is_internal() -> None:
    definitions = file_schema()["definitions"]
    assert set(definitions["ServiceConfig"]["properties"]) == SERVICE_KEYS
    assert set(definitions["FleetSettings"]["properties"]) == FLEET_KEYS
    assert "file_environment" not in schema_text()


def test_every_model_of_the_configuration_is_in_it() -> None:
    named = {name for name, each in file_schema()["definitions"].items() if "properties" in each}
    assert named == {model.__name__ for model in MODELS} | {"DependencyOptions"}


def test_every_reference_leads_somewhere() -> None:
    text = schema_text()
    known = {f"#/definitions/{name}" for name in file_schema()["definitions"]}
    assert set(re.findall(r'"\$ref": "([^"]*)"', text)) == known


def test_patterns_mean_the_same_in_every_editor() -> None:
    patterns = re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', schema_text())
    assert patterns
    for pattern in map(json.loads, patterns):
        re.compile(pattern)
        assert "(?i" not in pattern
        assert "\\A" not in pattern
        assert "\\Z" not in pattern


def test_the_file_in_the_documentation_is_what_the_command_prints() -> None:
    """To renew it: msctl schema > docs/config.schema.json."""
    text = (ROOT / "docs/config.schema.json").read_text()
    assert json.loads(text) == file_schema()  # not the text: pydantic may write 0 as 0.0


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_the_examples_are_valid_and_name_the_schema_from_where_they_are(file: Path) -> None:
    text = file.read_text()
    assert complaints(read(text)) == []
    first = text.splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (file.parent / first.partition("=")[2]).resolve() == ROOT / "docs/config.schema.json"


def test_the_examples_are_a_fleet_of_three() -> None:
    fleet = load_fleet(find_config(ROOT, [ROOT / "configs"], {}), {})
    services = fleet.services
    assert {name: service.port for name, service in services.items()} == {
        "user-service": 8001,
        "order-service": 8002,
        "payment-service": 8003,
    }
    assert {
        name: [each.name for each in service.dependencies] for name, service in services.items()
    } == {
        "user-service": [],
        "order-service": ["user-service"],
        "payment-service": ["user-service", "order-service"],
    }
    assert all(service.description for service in services.values())


@pytest.mark.parametrize(
    "text",
    [
        "{name: a, port: 1}",
        "[{name: a, port: 1}, {name: b, port: auto}]",
        "services: [{name: a, port: 1}]",
        "services: {a: {name: a, port: 1}, b: }",
        "project: shop\ngateway: {host: '::1', port: 9000, access_log: on}\npreload: [a.b]",
        "include: one.yaml",
        "include: [a, 'b/*.yaml']\nx-anything: [1, {a: b}]",
        "defaults: {port: auto, scaling: {max: 3}}\nservices: {a: {scaling: {min: 2}}}",
        "x-a: &a {timeout: 5}\nservices:\n  a: {<<: *a, port: 1}",
        "{name: a, port: '8001', replicas: '3', timeout: '1.5'}",
        "{name: a, port: '${PORT_A}', replicas: '${N:-2}', timeout: '1${ZERO}'}",
        "{name: '${NAME}', breaker: '${B}', service_type: '${KIND}', access_log: '${LOG}'}",
        "{name: a, port: , dependencies: , breaker: ~, health: {path: }}",
        "{name: a, description: 5, command: [sleep, 1.5, true], profiles: [on, 2024]}",
        "{name: a, resources: {memory: 500MB, cpus: 0.5}, limits: {per_instance: none}}",
        "{name: a, resources: {memory: 1073741824}, restart: on-failure:3, stop_signal: sigint}",
        "{name: a, dependencies: {b: , c: {condition: completed, required: no}}}",
        "{name: a, dependencies: [b, {name: c, condition: started}]}",
        "{name: a, environment: [A=1, B], env_file: .env, watch: 'src/**', command: run it}",
        "{name: a, environment: {A: 1, B: true, C: , D: 1.10}, env_file: [a, b], watch: [a, b]}",
        "{name: a, health: {expect_status: [200, 404]}, liveness: {command: [x, 1]}}",
        "{name: a, app: a:b, command: }",
        *(
            f"{{name: a, breaker: {word}, retries: {word}, health: {word}, liveness: {word}, "
            f"scaling: {word}, resources: {word}, restart: {word}, watch: {word}}}"
            for word in ("off", "no", "No", "OFF", "false", "none", "'off'")
        ),
    ],
)
def test_every_form_of_a_file_is_accepted(text: str) -> None:
    assert complaints(read(text)) == []
    assert complaints(read_1_1(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "5", "text", "[5]", "{}", "[{port: 1}]", "{port: 1}",
        "services: a", "services: {a: 5}", "services: [{port: 1}]", "services: {A_b: {port: 1}}",
        "services: {metrics: {port: 1}}", "services: {a: {prt: 1}}", "servcies: {}",
        "defaults: {name: a}", "defaults: 5", "defaults: {depends_on: []}", "name: a\ngateway: {}",
        "gateway: {prt: 1}", "gateway: {port: 0}", "preload: [a-b]", "preload: a", "project: a b",
        "name: A", "name: metrics", "name: a_b", "name: [a]", "name: 5",
        *(
            f"{{name: a, {keys}}}"
            for keys in (
                "zzz: 1", "file_environment: {}", "services: {}", "port: 0", "port: 65536",
                "port: any", "port: 1.5", "port: true", "port: [1]", "port: '80:80'", "host: ''",
                "host: [a]", "host: 'http://x'", "description: [a]", "service_type: db",
                "service_type: 5", "app: a", "app: a/b.py:app", "app: 5", "factory: maybe",
                "command: []", "command: ''", "command: {}", "command: [[a]]", "start: warm",
                "python: []", "working_dir: {}", "dependencies: a", "dependencies: [[a]]",
                "dependencies: {a: healthy}", "dependencies: {a: {condition: ready}}",
                "dependencies: {A: }", "dependencies: [{nam: a}]", "environment: a",
                "environment: {A: [1]}", "environment: {A B: 1}", "environment: [=1]",
                "env_file: {}", "health_check_path: health", "health: maybe", "health: {tst: x}",
                "health: {path: x}", "health: {path: /x, command: y}", "health: {interval: 0}",
                "health: {expect_status: 99}", "health: {expect_status: []}", "health: [a]",
                "health: {tcp: 70000}", "liveness: on", "liveness: {path: /x, command: y}",
                "timeout: 0", "timeout: soon", "timeout: 30s", "timeout: true", "timeout: [1]",
                "stop_timeout: -1", "stop_signal: TERMINATE", "stop_signal: STOP",
                "replicas: 0", "replicas: 1001", "replicas: 1.5", "replicas: many",
                "scaling: on", "scaling: {max: 0}", "scaling: 3", "balancer: roundrobin",
                "balancer: {algorithm: x}", "balancer: {strategy: p2c}", "breaker: maybe",
                "breaker: 5", "breaker: {treshold: 1}", "breaker: {failure_rate: 2}",
                "retries: 3", "retries: {attempts: 0}", "limits: 5", "limits: off",
                "limits: {que: 1}", "limits: {queue: -1}", "resources: {memory: lots}",
                "resources: {memory: 0}", "resources: {nice: 20}", "restart: on-failure:0",
                "restart: unless-stopped", "restart: on", "restart: {policy: never}", "watch: {}",
                "access_log: json", "data: a.db", "data: ['']", "profiles: a", "profiles: [a b]",
                "app: a:b, command: x",
            )
        ),
    ],
)  # fmt: skip
def test_wrong_types_values_and_keys_are_refused(text: str) -> None:
    assert complaints(read(text))


def loads(text: str) -> bool:
    """Whether nothing is wrong with the file; what is missing on this machine does not count."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "msctl.yaml"
        file.write_text(text)
        try:
            load_fleet(ConfigLocation(file.parent, (file,)), {"A": "1"})
        except ConfigError as error:
            return all(re.match(r"there is no (file|directory)", p.message) for p in error.problems)
        return True


# As text, since a schema judges what YAML makes of it: 1_000, 0x10 and 12:30 are no numbers to
# the loader. Unknown keys have a value: without one they are as if not written.
WORDS = st.sampled_from(
    ["", "~", "null", "a", "b", "off", "on", "No", "none", "auto", "1", "-1", "0", "2.5", "1e3",
     ".nan", "'1'", "'0.5'", "${A}", "'x${A}'", "/x", "a:b", "x y", "K=V", "'*.yaml'", "é", "api",
     "cache", "worker", "always", "started", "on-failure:3", "ON-FAILURE", "p2c", "random", "int",
     "SIGTERM", "512M", "2 GiB", "true", "2024-01-01", "12:30", "010", "1_000", '"a\\tb"']
)  # fmt: skip
SECTION_KEYS = st.sampled_from(
    sorted({key for model in MODELS for key in model.model_fields} | {"A", "a", "b"})
)
NULLS = {"", "~", "null"}
FLOW: st.SearchStrategy[str] = st.recursive(
    WORDS,
    lambda inner: (
        st.lists(inner, max_size=3).map(
            lambda items: f"[{', '.join(item or '~' for item in items)}]"
        )
        | st.dictionaries(
            SECTION_KEYS, inner.filter(lambda text: text not in NULLS), max_size=3
        ).map(lambda keys: f"{{{', '.join(f'{key}: {value}' for key, value in keys.items())}}}")
    ),
    max_leaves=4,
)
SERVICES = st.dictionaries(st.sampled_from(sorted(SERVICE_KEYS - {"name"})), FLOW, max_size=3).map(
    lambda keys: f"{{{', '.join(f'{key}: {value}' for key, value in keys.items())}}}"
)
FLEETS = st.tuples(SERVICES, SERVICES, st.sampled_from(["", "defaults: {port: auto}\n"])).map(
    lambda parts: f"{parts[2]}services:\n  a: {parts[0]}\n  b: {parts[1]}\n"
)


@settings(max_examples=250, deadline=None)
@given(FLEETS)
def test_what_loads_is_accepted(text: str) -> None:
    if loads(text):
        assert complaints(read(text)) == []


WELL_FORMED: dict[str, st.SearchStrategy[Any]] = {
    "description": st.text(),
    "host": st.sampled_from(["localhost", "0.0.0.0", "::1"]),
    "timeout": st.floats(0.001, 1e6) | st.integers(1, 10**6),
    "replicas": st.integers(1, 1000),
    "dependencies": st.sampled_from([[], ["b"], {"b": {"condition": "started"}}, {"b": None}]),
    "environment": st.dictionaries(st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), st.text()),
    "health": st.sampled_from(["none", False, {"path": "/up", "fall": 2}, {"command": "check"}]),
    "balancer": st.sampled_from(["p2c", {"algorithm": "random", "slow_start": 0}]),
    "breaker": st.booleans() | st.fixed_dictionaries({"failure_threshold": st.integers(1, 99)}),
    "retries": st.booleans() | st.fixed_dictionaries({"budget": st.floats(0, 1)}),
    "limits": st.fixed_dictionaries({"queue": st.integers(0, 99), "per_instance": st.none()}),
    "resources": st.fixed_dictionaries(
        {"memory": st.sampled_from(["1G", 2**30]), "nice": st.integers(-20, 19)}
    ),
    "restart": st.sampled_from(["no", "always", "on-failure", "on-failure:3", {"max_retries": 2}]),
    "stop_signal": st.sampled_from(["TERM", "SIGINT", "quit", 15]),
    "watch": st.booleans() | st.lists(st.from_regex(r"[a-z*/]{1,9}", fullmatch=True)),
    "data": st.lists(st.from_regex(r"[a-z]{1,9}\.db", fullmatch=True), unique=True),
    "profiles": st.lists(st.from_regex(r"[a-z0-9]{1,9}", fullmatch=True)),
}


@settings(max_examples=150, deadline=None)
@given(st.fixed_dictionaries({"port": st.integers(2, 65535)}, optional=WELL_FORMED))
def test_valid_services_are_valid_to_both(keys: dict[str, Any]) -> None:
    document = {"services": {"a": keys, "b": {"port": 1}}}
    text = yaml.safe_dump(document, allow_unicode=True)
    if "$" in text or any("\0" in value for value in keys.get("environment", {}).values()):
        return  # about variables, and what no environment can hold, there are other tests
    if loads(text):
        assert complaints(document) == []
        assert complaints(read(text)) == []
        assert complaints(read_1_1(text)) == []
    else:
        assert {"PORT", "HOST"} & keys["environment"].keys()


def corpus() -> list[str]:
    """The files that the loader's own tests write, as far as they are one text."""
    texts = []
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        found = re.findall(r'"""\n(.*?)"""', file.read_text(), re.DOTALL)
        texts += [each for each in found if re.search(r"^\s*(services|name):", each, re.MULTILINE)]
    return texts


@pytest.mark.parametrize("text", corpus())
def test_what_the_loaders_tests_load_is_accepted(text: str) -> None:
    if loads(text):
        assert complaints(read(text)) == []
