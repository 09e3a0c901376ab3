"""What a Procfile, a compose file and a process-compose file become."""

from pathlib import Path

import pytest

from msctl.config.drafting.sketch import Untranslatable
from msctl.config.models import CheckKind, Condition, RestartPolicy, ServiceType
from tests.config.drafts import draft, load_draft, services


def test_the_lines_of_a_procfile_become_services(tmp_path: Path) -> None:
    found = services(
        tmp_path,
        {
            "Procfile": """
                # a comment
                web: uvicorn shop.main:app --port $PORT
                api_v2: node server.js --port 9000
                worker: celery -A shop worker
                Clock: while true; do date; sleep 9; done
                """
        },
    )
    assert list(found) == ["web", "api-v2", "worker", "clock"]
    assert (found["web"].app, found["web"].port) == ("shop.main:app", 8001)
    assert found["api-v2"].command == ("node", "server.js", "--port", "${PORT}")
    assert found["api-v2"].port == 9000
    assert found["worker"].service_type is ServiceType.WORKER
    assert found["clock"].command == ("sh", "-c", "while true; do date; sleep 9; done")


def test_a_web_process_has_a_port_whether_its_line_says_so_or_not(tmp_path: Path) -> None:
    found = services(tmp_path, {"Procfile": "web: ./start\nother: ./start\n"})
    assert found["web"].is_http
    assert not found["other"].has_port


def test_a_release_process_is_a_job_before_all_others(tmp_path: Path) -> None:
    found = services(tmp_path, {"Procfile": "web: ./start\nrelease: ./migrate\n"})
    assert found["release"].restart.policy is RestartPolicy.NO
    [dependency] = found["web"].dependencies
    assert (dependency.name, dependency.condition) == ("release", Condition.COMPLETED)


def test_a_line_that_is_none_is_kept_as_a_comment(tmp_path: Path) -> None:
    first = draft(tmp_path, {"Procfile": "web: ./start\nwhat is this\n"})
    assert "# Procfile:2: is no `name: command`: what is this" in first.text


def test_ports_are_those_of_the_source_and_else_from_8001_on(tmp_path: Path) -> None:
    lines = [f"s{n}: run --port {port}" for n, port in enumerate([8001, 8001, 8700, "$PORT"])]
    found = services(tmp_path, {"Procfile": "\n".join(lines)})
    assert [service.port for service in found.values()] == [8001, 8002, 8003, 8004]
    text = (tmp_path / "msctl.yaml").read_text()
    assert "# its port was 8001, which is taken" in text
    assert "# its port was 8700, which is taken" in text


COMPOSE = """
name: shop
services:
  redis:
    image: redis:7
    healthcheck: {test: [CMD, redis-cli, ping]}
  db:
    image: postgres:16
    ports: ["5433:5432"]
  user_service:
    build: {context: users, target: dev, args: {A: 1}}
    ports: ["127.0.0.1:8011:8000", "9229:9229"]
    environment:
      REDIS_URL: redis://redis:6379/0
      DATABASE_URL: postgres://me:${DB_PASSWORD}@db:5432/users
      PORT: 8000
      COST: 5$$
    depends_on: {db: {condition: service_healthy}, redis: {condition: service_started}}
    healthcheck:
      test: curl -f http://localhost:8000/up || exit 1
      interval: 1m30s
      timeout: 500ms
      retries: 5
      start_period: 45s
    deploy: {replicas: 2, resources: {limits: {memory: 512M, cpus: "0.5"}}}
    networks: [back]
  web:
    image: node:20
    working_dir: /app
    volumes: ["./front:/app"]
    command: npm start -- --port 3000
    ports: [{target: 3000, published: "3001"}]
    environment: [API=http://user_service:8000/v1, REDIS_HOST=redis, NOTHING]
    env_file: [front.env, {path: missing.env, required: false}]
    depends_on: [user_service]
    restart: unless-stopped
    stop_signal: SIGINT
    stop_grace_period: 2s
    profiles: [front]
  migrate:
    image: python:3.12
    command: ["sh", "-c", "./migrate $$HOME ${MODE}"]
  after:
    image: python:3.12
    command: python -m shop.after
    working_dir: /nowhere
    depends_on: {migrate: {condition: service_completed_successfully, required: false}}
volumes: {data: {}}
"""


@pytest.fixture
def composed(tmp_path: Path) -> Path:
    (tmp_path / "front").mkdir()
    (tmp_path / "users").mkdir()
    (tmp_path / "front.env").write_text("A=1\n")
    dockerfile = 'FROM x AS build\nCMD nope\nFROM y\nCMD ["uvicorn", "users.main:app", \\\n "--port", "8000"]\n'
    (tmp_path / "users/Dockerfile").write_text(dockerfile)
    return tmp_path


def test_containers_become_processes(composed: Path) -> None:
    first = draft(composed, {"compose.yaml": COMPOSE})
    fleet = load_draft(composed, first)
    found = fleet.services
    assert fleet.project == "shop"
    assert list(found) == ["redis-server", "user-service", "web", "migrate", "after"]
    users, web = found["user-service"], found["web"]
    assert (users.app, users.port) == ("users.main:app", 8011)
    assert users.working_dir == composed / "users"
    assert users.replicas == 2
    assert users.resources is not None
    assert (users.resources.memory, users.resources.cpus) == (2**29, 0.5)
    assert web.command == ("npm", "start", "--", "--port", "${PORT}")
    assert (web.port, web.working_dir) == (3001, composed / "front")
    assert web.restart.policy is RestartPolicy.ALWAYS
    assert (web.stop_signal, web.stop_timeout, web.profiles) == ("INT", 2, ("front",))
    assert web.env_file == (composed / "front.env",)
    assert found["migrate"].command == ("sh", "-c", "./migrate $HOME ${MODE}".replace("${", "$${"))


def test_a_compose_health_check_asks_the_same(composed: Path) -> None:
    draft(composed, {"compose.yaml": COMPOSE})
    check = services(composed, {})["user-service"].effective_check
    assert check is not None
    assert (check.kind, check.path) == (CheckKind.HTTP, "/up")
    assert (check.interval, check.timeout, check.fall) == (90, 0.5, 5)
    assert services(composed, {})["user-service"].start_timeout == 45


def test_dependencies_keep_their_conditions(composed: Path) -> None:
    found = services(composed, {"compose.yaml": COMPOSE})
    [redis] = found["user-service"].dependencies
    assert (redis.name, redis.condition) == ("redis-server", Condition.STARTED)
    [users] = found["web"].dependencies
    assert (users.name, users.condition) == ("user-service", Condition.HEALTHY)
    [migrate] = found["after"].dependencies
    assert (migrate.condition, migrate.required) == (Condition.COMPLETED, False)
    assert found["migrate"].restart.policy is RestartPolicy.NO


def test_names_of_containers_become_addresses_of_this_machine(composed: Path) -> None:
    found = services(composed, {"compose.yaml": COMPOSE})
    assert found["user-service"].environment == {
        "REDIS_URL": "redis://localhost:6379/0",
        "DATABASE_URL": "postgres://me:@localhost:5433/users",
        "COST": "5$",
    }
    assert found["web"].environment == {
        "API": "http://localhost:8011/v1",
        "REDIS_HOST": "localhost",
    }


def test_a_server_is_renamed_where_its_dependents_need_an_address_of_their_own(
    composed: Path,
) -> None:
    text = draft(composed, {"compose.yaml": COMPOSE}).text
    assert "# was called redis\n" in text
    unchanged = draft(composed, {"compose.yaml": "services: {redis: {image: redis}}"})
    assert list(unchanged.services) == ["redis"]


def test_what_cannot_be_translated_is_a_comment(composed: Path) -> None:
    first = draft(composed, {"compose.yaml": COMPOSE})
    for expected in (
        "# compose.yaml, not taken over: volumes\n",
        "# image: postgres:16: msctl runs processes, not images.",
        "  # db:\n  #   port: 5433\n  #   service_type: database\n",
        "# no service is called db; add it, or remove it here:\n  #   dependencies: [db]\n",
        '# msctl sets it for every instance; remove it:\n  #   environment:\n  #     PORT: "8000"\n',
        "# only one port is held for a service; left out: port: 9229:9229\n",
        "# not taken over: networks: [back], build.target: dev, build.args\n",
        "# env_file: there is no file missing.env\n",
        "# working_dir: /nowhere is a directory of the container\n",
    ):
        assert expected in first.text
    assert first.left_out["db"].left_out.startswith("image: postgres:16")


PROCESS_COMPOSE = """
version: "0.5"
environment: [SHARED=1, OVER=1]
processes:
  db:
    command: postgres -D data -p 5433
    readiness_probe:
      exec: {command: "pg_isready -p 5433 | grep ok"}
      period_seconds: 3
      failure_threshold: 4
      success_threshold: 1
  migrate:
    command: |
      set -e
      echo "$${HOME}"
    depends_on: {db: {condition: process_healthy}}
  api:
    description: Answers
    command: uvicorn app:app --port 9000
    working_dir: src
    environment: [OVER=2]
    depends_on:
      migrate: {condition: process_completed_successfully}
      db: {condition: process_started}
    readiness_probe: {http_get: {host: 127.0.0.1, port: 9000, path: /up}, initial_delay_seconds: 1}
    liveness_probe: {http_get: {port: 9000, path: /live}, period_seconds: 7}
    availability: {restart: on_failure, max_restarts: 3, backoff_seconds: 2}
    shutdown: {signal: 2, timeout_seconds: 4}
    replicas: 2
  tick: {command: "date; sleep 1", disabled: true, namespace: jobs, availability: {restart: always}}
  empty: {}
"""


def test_the_processes_of_process_compose_become_services(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    first = draft(tmp_path, {"process-compose.yaml": PROCESS_COMPOSE})
    found = load_draft(tmp_path, first).services
    assert list(found) == ["db", "migrate", "api", "tick"]
    db, api = found["db"], found["api"]
    assert (db.service_type, db.port) == (ServiceType.DATABASE, 5433)
    assert db.effective_check is not None
    assert db.effective_check.command == ("sh", "-c", "pg_isready -p 5433 | grep ok")
    assert (db.effective_check.interval, db.effective_check.fall, db.effective_check.rise) == (
        3,
        4,
        1,
    )
    assert found["migrate"].command == ("sh", "-c", 'set -e\necho "$${HOME}"')
    assert (api.app, api.port, api.description) == ("app:app", 9000, "Answers")
    assert (api.working_dir, api.replicas) == (tmp_path / "src", 2)
    assert api.environment == {"SHARED": "1", "OVER": "2"}
    assert api.health_check_path == "/up"
    assert api.liveness is not None
    assert (api.liveness.path, api.liveness.interval) == ("/live", 7)
    assert (api.restart.policy, api.restart.max_retries) == (RestartPolicy.ON_FAILURE, 3)
    assert (api.stop_signal, api.stop_timeout) == ("INT", 4)
    assert [(each.name, each.condition) for each in api.dependencies] == [
        ("migrate", Condition.COMPLETED),
        ("db", Condition.STARTED),
    ]
    assert found["tick"].profiles == ("on-request",)
    assert found["tick"].restart.policy is RestartPolicy.ALWAYS
    for expected in (
        "# not taken over: backoff_seconds: 2\n",
        "# not taken over: namespace: jobs\n",
        "# probe, left out: initial_delay_seconds: 1\n",
        "# it has no command\n",
    ):
        assert expected in first.text


def test_a_file_may_be_named_whatever_it_is_called_and_wherever_it_is(tmp_path: Path) -> None:
    files = {
        "deploy/stack.yaml": "services: {a: {command: ./run, ports: ['80'], env_file: a.env}}",
        "deploy/a.env": "A=1",
        "deploy/procs": "b: ./run --port 81\n",
        "deploy/pc.yml": "processes: {c: {command: ./run}}",
        "Procfile": "never: ./run",
    }
    a = services(tmp_path, files, source="deploy/stack.yaml")["a"]
    assert a.working_dir == tmp_path / "deploy"
    assert a.env_file == (tmp_path / "deploy/a.env",)
    assert list(services(tmp_path, files, source="deploy/procs")) == ["b"]
    assert list(services(tmp_path, files, source="deploy/pc.yml")) == ["c"]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("compose.yaml", "services: {}", "has no services"),
        ("compose.yaml", "services: [", "line 2: YAML syntax"),
        ("compose.yaml", "- a", "holds no mapping"),
        ("compose.yaml", "", "holds no mapping"),
        ("process-compose.yaml", "processes: 5", "has no processes"),
        ("Procfile", "# nothing\n", "has no line"),
        ("missing.yaml", None, "no such file"),
    ],
)
def test_a_named_file_that_gives_nothing_is_an_error(
    tmp_path: Path, name: str, text: str | None, reason: str
) -> None:
    files = {} if text is None else {name: text}
    with pytest.raises(Untranslatable, match=reason):
        draft(tmp_path, files, source=name)


def test_a_found_file_that_gives_nothing_is_told_and_hides_no_other(tmp_path: Path) -> None:
    first = draft(tmp_path, {"compose.yaml": "services: [", "Procfile": "web: ./start"})
    assert list(first.services) == ["web"]
    [skipped] = first.skipped
    assert skipped.startswith("compose.yaml was not taken over: line 2")
    assert "# compose.yaml was not taken over" in first.text


def test_of_two_files_that_describe_one_service_the_first_counts(tmp_path: Path) -> None:
    first = draft(
        tmp_path,
        {
            "Procfile": "web: ./start --port 7000\nother: ./run",
            "compose.yaml": "services: {web: {command: ./else, ports: ['1:1']}, redis: {image: redis}}",
        },
    )
    found = load_draft(tmp_path, first).services
    assert list(found) == ["web", "other", "redis"]
    assert found["web"].port == 7000
    assert "# compose.yaml: web is described by another file already" in first.text
    assert "# From Procfile.\n  web:" in first.text


def test_weird_bytes_are_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_bytes(b"\xef\xbb\xbfweb: ./st\xffrt --port 80\r\nx\x00y: a\x00\n")
    found = services(tmp_path, {})
    assert found["web"].command == ("./st�rt", "--port", "${PORT}")


def test_a_program_that_has_its_port_elsewhere_is_told_about_it(tmp_path: Path) -> None:
    compose = "services: {a: {command: ./run, ports: ['80'], healthcheck: {test: ./ok}}}"
    text = draft(tmp_path, {"compose.yaml": compose}).text
    assert "# must listen on the port in $PORT, which msctl chooses\n    command: ./run\n" in text
