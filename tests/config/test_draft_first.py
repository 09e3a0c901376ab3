"""Whatever is found: what is written loads, and nothing is dropped in silence."""

import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from msctl.config.drafting.names import distinct_name, valid_name
from msctl.config.drafting.numbering import distinct_ports
from msctl.config.values import service_name
from tests.config.drafts import draft, load_draft, services


def test_without_anything_to_find_it_is_an_example_that_loads(tmp_path: Path) -> None:
    first = draft(tmp_path, {})
    assert first.is_example
    [service] = load_draft(tmp_path, first).services.values()
    assert (service.name, service.port, service.app) == ("my-service", 8001, "main:app")


def test_the_example_stands_beside_what_cannot_be_run(tmp_path: Path) -> None:
    first = draft(tmp_path, {"compose.yaml": "services: {my-service: {image: postgres}}"})
    assert first.is_example
    assert list(load_draft(tmp_path, first).services) == ["my-service-2"]
    assert "  # my-service:\n  #   port: 5432\n" in first.text


def test_it_says_where_it_comes_from_and_which_schema_it_has(tmp_path: Path) -> None:
    first, second, third, *_ = draft(tmp_path, {"Procfile": "web: ./start"}).text.splitlines()
    assert first == "# yaml-language-server: $schema=msctl.schema.json"
    assert second == "# Written by `msctl init` from Procfile. Look it over, then: msctl up"
    assert third == "# All keys: msctl schema"


def test_keys_are_in_the_order_of_the_reference(tmp_path: Path) -> None:
    line = "web: uvicorn a:app --workers 2 --reload --app-dir . --port 80"
    keys = yaml.safe_load(draft(tmp_path, {"Procfile": line}).text)["services"]["web"]
    assert list(keys) == ["port", "app", "working_dir", "health", "replicas", "watch"]


def test_what_the_loader_refuses_is_a_comment_with_its_reason(tmp_path: Path) -> None:
    compose = """
        services:
          a:
            command: ./a
            ports: ["81"]
            environment: {GOOD: 1, PORT: 2, "BAD NAME": 3, NEEDED: "${NEEDED:?ask Ann}"}
            restart: sometimes
            profiles: ["x y"]
            depends_on: [a, nobody]
          b: {command: ./b, depends_on: [c]}
          c: {command: ./c, depends_on: [b]}
        """
    first = draft(tmp_path, {"compose.yaml": compose})
    found = load_draft(tmp_path, first).services
    assert list(found) == ["a", "b", "c"]
    assert found["a"].environment == {"GOOD": "1"}
    for expected in (
        "msctl sets it for every instance; remove it:\n  #   environment:\n  #     PORT: ",
        "expected a variable's name, without spaces and =",
        "NEEDED is not set: ask Ann:\n  #   environment:\n  #     NEEDED: ",
        "#   restart: sometimes",
        '#   profiles: ["x y"]',
        "depends on itself: a → a; remove it",
        "dependency cycle: b → c → b; remove one of these dependencies:\n  #   dependencies: [c]",
    ):
        assert expected in first.text


def test_an_env_file_with_something_wrong_in_it_is_left_out(tmp_path: Path) -> None:
    files = {
        "compose.yaml": "services: {a: {command: ./a, env_file: [good.env, bad.env]}}",
        "good.env": "A=1",
        "bad.env": "PORT=1",
    }
    first = draft(tmp_path, files)
    assert load_draft(tmp_path, first).services["a"].env_file == ()
    assert "# line 1: PORT: msctl sets it for every instance; remove it:\n" in first.text


def test_what_is_wrong_in_dotenv_is_told_as_it_counts_for_everything(tmp_path: Path) -> None:
    first = draft(tmp_path, {"Procfile": "web: ./start", ".env": "A=1\nPORT=80\n"})
    [problem] = first.elsewhere
    assert str(problem).endswith(".env:2: PORT: msctl sets it for every instance; remove it")
    assert list(first.services) == ["web"]


def test_dotenv_may_have_the_address_of_a_server(tmp_path: Path) -> None:
    compose = "services: {redis: {image: redis}, a: {command: ./a, depends_on: [redis]}}"
    found = services(tmp_path, {"compose.yaml": compose, ".env": "REDIS_URL=redis://localhost/1"})
    assert list(found) == ["redis-server", "a"]


@given(st.text())
def test_every_name_becomes_one_that_is_accepted(text: str) -> None:
    assert service_name(valid_name(text))


@given(st.lists(st.text("ab-_9M") | st.just("metrics") | st.just("a" * 80), max_size=12))
def test_names_are_distinct(texts: list[str]) -> None:
    taken: set[str] = set()
    for text in texts:
        name = distinct_name(valid_name(text), taken)
        assert name not in taken
        assert service_name(name)
        taken.add(name)


@given(st.lists(st.none() | st.integers(1, 65535) | st.sampled_from([8001, 8002, 8700])))
def test_ports_are_distinct_and_wanted_ones_are_kept(wanted: list[int | None]) -> None:
    given_ports = distinct_ports(wanted)
    assert len(set(given_ports)) == len(wanted)
    assert 8700 not in given_ports
    for port in set(wanted) - {None, 8700}:
        assert given_ports[wanted.index(port)] == port


WORDS = st.sampled_from(
    ["a", "b", "redis", "A_b", "9", "", "no", "~", "8001", "8001:80", "80/udp", "65536", "1m", "5s",
     "${A}", "$B", "${C:?x}", "${D:-e}", "${", "$$", "a: b", "x y", "./x", "/app", ".", "K=V", "é",
     "uvicorn m:app --port 80", "sh -c 'x'", "redis:7", "always", "healthy", "service_healthy",
     "process_completed", "\x07", "😀", "curl http://localhost:1/x", "CMD", "CMD-SHELL", "PORT"]
)  # fmt: skip
KEYS = st.sampled_from(
    ["image", "build", "command", "entrypoint", "ports", "expose", "environment", "env_file",
     "depends_on", "healthcheck", "profiles", "working_dir", "restart", "deploy", "scale",
     "mem_limit", "cpus", "stop_signal", "stop_grace_period", "volumes", "networks", "x-a",
     "readiness_probe", "liveness_probe", "availability", "shutdown", "replicas", "disabled",
     "description", "test", "interval", "retries", "start_period", "http_get", "exec", "path",
     "port", "condition", "target", "published", "signal", "resources", "limits", "memory", "a"]
)  # fmt: skip
VALUES = st.recursive(
    WORDS | st.integers(-1, 70000) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | WORDS, inner, max_size=4),
    max_leaves=8,
)
SERVICES = st.dictionaries(WORDS, st.dictionaries(KEYS, VALUES, max_size=6) | VALUES, max_size=4)


def check_any(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name).resolve()
        for file, content in files.items():
            (directory / file).write_bytes(content)
        first = draft(directory, {})
        assert first.elsewhere == ()
        fleet = load_draft(directory, first)
        assert list(fleet.services) == list(first.services)


@settings(max_examples=150, deadline=None)
@given(SERVICES, SERVICES)
def test_any_compose_and_process_compose_files_give_what_loads(
    composed: dict[str, object], processes: dict[str, object]
) -> None:
    files = {
        "compose.yaml": yaml.safe_dump({"services": composed, "name": "a b"}, allow_unicode=True),
        "process-compose.yml": yaml.safe_dump({"processes": processes}),
    }
    check_any({name: text.encode() for name, text in files.items()})


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(WORDS, WORDS | st.text(), WORDS), max_size=6), st.binary(max_size=40))
def test_any_procfile_gives_what_loads(lines: list[tuple[str, str, str]], rest: bytes) -> None:
    text = "".join(f"{name}: {first} {second}\n" for name, first, second in lines)
    check_any({"Procfile": text.encode(errors="replace") + rest, "compose.yml": rest})


@settings(max_examples=60, deadline=None)
@given(st.text(), st.text(), st.integers(-1, 99999), st.text("/{} aé"))
def test_any_python_file_gives_what_loads(docstring: str, title: str, port: int, path: str) -> None:
    source = (
        f"{docstring!r}\nfrom fastapi import FastAPI\nfrom msctl import Microservice, ServiceConfig\n"
        f"app = FastAPI(title={title!r}, openapi_url={path!r})\nuvicorn.run(app, port={port})\n"
        f"class S(Microservice):\n  config = ServiceConfig(name={title!r}, port={port},"
        f" description={docstring!r}, dependencies=[{title!r}])\n"
    )
    check_any({"main.py": source.encode(errors="replace")})


@pytest.mark.parametrize("name", ["a b", "ümlaut", "9", "-", "metrics"])
def test_the_directory_may_be_called_anything(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    source = "from fastapi import FastAPI\napp = FastAPI()"
    assert len(services(tmp_path / name, {"main.py": source})) == 1
