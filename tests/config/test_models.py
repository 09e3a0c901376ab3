"""ServiceConfig as a program writes it."""

from typing import Any

import pytest
from pydantic import ValidationError

from msctl.config.models import (
    Algorithm,
    BreakerConfig,
    Check,
    CheckKind,
    Condition,
    Dependency,
    HealthConfig,
    RestartConfig,
    RestartPolicy,
    RetryConfig,
    ServiceConfig,
    ServiceType,
)


def api(**keys: Any) -> ServiceConfig:
    return ServiceConfig(**{"name": "user-service", "port": 8001, **keys})


def errors(**keys: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        api(**keys)
    found = caught.value.errors(include_url=False)
    return {".".join(map(str, error["loc"])): error["msg"] for error in found}


def test_a_name_and_a_port_are_enough() -> None:
    service = api()
    assert service.effective_app == "services.user_service:app"
    assert service.url == "http://localhost:8001"
    assert service.breaker == BreakerConfig()
    assert service.retries == RetryConfig()
    assert service.restart == RestartConfig(policy=RestartPolicy.ON_FAILURE)
    assert service.limits.in_flight == 1024
    assert (service.timeout, service.start_timeout, service.stop_timeout) == (30, 30, 10)
    assert service.is_http
    assert not service.binds_own_port


def test_short_forms_work_from_python() -> None:
    service = api(
        dependencies=["a", Dependency(name="b", condition=Condition.STARTED)],
        balancer="p2c",
        breaker="off",
        retries=False,
        health="none",
        restart="on-failure:3",
        watch="*.py",
        environment=["A=1", "B=x=y"],
        env_file="a.env",
    )
    assert [each.name for each in service.dependencies] == ["a", "b"]
    assert service.balancer.algorithm is Algorithm.P2C
    assert service.breaker is None
    assert service.retries is None
    assert service.effective_check is None
    assert service.restart.max_retries == 3
    assert service.watch == ("*.py",)
    assert service.environment == {"A": "1", "B": "x=y"}
    assert [str(file) for file in service.env_file] == ["a.env"]


@pytest.mark.parametrize("word", ["off", "OFF", "no", "false", "none", False])
def test_every_spelling_of_off_turns_a_breaker_off(word: object) -> None:
    assert api(breaker=word).breaker is None
    assert api(retries=word).retries is None
    assert api(health=word).effective_check is None
    assert api(restart=word).restart.policy is RestartPolicy.NO
    assert api(liveness=word).liveness is None
    assert api(scaling=word).scaling is None
    assert api(watch=word).watch is False


@pytest.mark.parametrize("word", ["on", "yes", "true", True])
def test_every_spelling_of_on_is_the_default_breaker(word: object) -> None:
    assert api(breaker=word).breaker == BreakerConfig()
    assert api(retries=word).retries == RetryConfig()


def test_a_dumped_service_loads_as_the_same_service() -> None:
    service = ServiceConfig(
        name="cache",
        service_type=ServiceType.CACHE,
        port=6379,
        command="redis-server --port ${PORT}",
        dependencies={"a": {"condition": "started"}},
        environment={"A": 1, "B": True},
        health={"interval": 3, "tcp": True},
        liveness={"command": "redis-cli ping"},
        resources={"memory": "512M", "cpus": 0.5},
        restart="on-failure:2",
        retries="off",
        watch=["*.conf"],
        file_environment={"C": "2"},
    )
    assert ServiceConfig.model_validate(service.model_dump(mode="json")) == service
    worker = ServiceConfig(name="w", service_type=ServiceType.WORKER, command=["sleep", "9"])
    assert ServiceConfig.model_validate(worker.model_dump(mode="json")) == worker


def test_a_command_given_as_a_text_is_split_like_a_shell_does() -> None:
    service = api(command="nginx -g 'daemon off;' -p ${PORT}")
    assert service.command == ("nginx", "-g", "daemon off;", "-p", "${PORT}")
    assert service.effective_app is None


def test_numbers_in_a_command_are_arguments() -> None:
    assert api(command=["sleep", 5]).command == ("sleep", "5")


@pytest.mark.parametrize(
    ("keys", "key", "message"),
    [
        ({"name": "User_Service"}, "name", "did you mean user-service?"),
        ({"name": "metrics"}, "name", "reserved"),
        ({"name": "a" * 64}, "name", "63"),
        ({"name": "é"}, "name", "lower-case"),
        ({"name": "a\n"}, "name", "lower-case"),
        ({"port": None}, "port", "required"),
        ({"port": 0}, "port", "1 to 65535, or auto"),
        ({"port": 65536}, "port", "1 to 65535"),
        ({"port": True}, "port", "1 to 65535"),
        ({"port": "80:8080"}, "port", "did you mean 80?"),
        ({"host": "http://x"}, "host", "address"),
        ({"app": "services/user.py"}, "app", "did you mean services.user:app?"),
        ({"app": "services.user"}, "app", "did you mean services.user:app?"),
        ({"app": "a:class"}, "app", "module.path:attribute"),
        ({"app": ":app"}, "app", "module.path:attribute"),
        ({"command": []}, "command", "no program"),
        ({"command": ""}, "command", "no program"),
        ({"command": "a 'b"}, "command", "write it as a list"),
        ({"command": ["a", "\0"]}, "command", "NUL"),
        ({"timeout": True}, "timeout", "a number"),
        ({"timeout": "30s"}, "timeout", "seconds as a plain number: 30"),
        ({"timeout": "5 m"}, "timeout", "seconds as a plain number: 300"),
        ({"timeout": float("nan")}, "timeout", "finite"),
        ({"timeout": float("inf")}, "timeout", "finite"),
        ({"timeout": 0}, "timeout", "greater than 0"),
        ({"timeout": 10**400}, "timeout", "number"),
        ({"replicas": 0}, "replicas", "greater than"),
        ({"replicas": True}, "replicas", "number"),
        ({"replicas": 10**30}, "replicas", "less than"),
        ({"dependencies": 5}, "dependencies", "tuple"),
        ({"restart": "on-failure:0"}, "restart", "on-failure:N"),
        ({"restart": "unless-stopped"}, "restart", "did you mean always?"),
        ({"stop_signal": "TERMINATE"}, "stop_signal", "TERM, INT or QUIT"),
        ({"stop_signal": "STOP"}, "stop_signal", "ends a program"),
        ({"stop_signal": -1}, "stop_signal", "TERM"),
        ({"health_check_path": "health"}, "health_check_path", "starting with /"),
        ({"health": {"path": "a b"}}, "health.path", "starting with /"),
        ({"health": {"path": "/", "command": "x"}}, "health", "exclude each other"),
        ({"health": {"expect_status": [200, 999]}}, "health.expect_status", "HTTP status"),
        ({"health": {"expect_status": []}}, "health.expect_status", "HTTP status"),
        ({"health": {"interval": 0}}, "health.interval", "0.01"),
        ({"health": {"expect_status": "ok"}}, "health.expect_status", "HTTP status"),
        ({"health": {"tcp": "x"}}, "health.tcp", "a port from"),
        ({"health": {"tcp": True, "expect_status": 200}}, "health", "a check over HTTP"),
        ({"health": {"tcp": 0}}, "health.tcp", "a port from"),
        ({"liveness": {}}, "liveness", "either path or command"),
        ({"scaling": {"min": 3, "max": 2}}, "scaling", "exchange them"),
        ({"resources": {"memory": "lots"}}, "resources.memory", "512M"),
        ({"resources": {"memory": 0}}, "resources.memory", "512M"),
        ({"dependencies": "a"}, "dependencies", r"a list of names: [a]"),
        ({"dependencies": {"a": "healthy"}}, "dependencies", "condition and required under a"),
        ({"environment": ["A"]}, "environment", "K=V"),
        ({"environment": 5}, "environment", "K=V"),
        ({"environment": {"A": "\0"}}, "environment.A", "NUL"),
        ({"environment": {"A": None}}, "environment.A", "no value"),
        ({"environment": {"A B": "1"}}, "environment.A B.[key]", "without spaces"),
        ({"watch": {}}, "watch", "list of globs"),
    ],
)
def test_a_bad_value_is_named_with_what_to_write_instead(
    keys: dict[str, Any], key: str, message: str
) -> None:
    found = errors(**keys)
    assert list(found) == [key]
    assert message in found[key]


def test_an_error_from_python_does_not_show_what_was_given() -> None:
    with pytest.raises(ValidationError) as caught:
        api(environment={"A": ["hunter2"]})
    assert "hunter2" not in str(caught.value)


def test_the_repr_of_a_service_shows_no_variables() -> None:
    service = api(environment={"PASSWORD": "hunter2"}, file_environment={"TOKEN": "hunter3"})
    assert "hunter" not in repr(service)


@pytest.mark.parametrize(
    ("text", "size"),
    [("512M", 2**29), ("1.5g", 3 * 2**29), ("2 GiB", 2**31), ("4096", 4096), ("1KB", 1024)],
)
def test_memory_is_counted_in_powers_of_1024(text: str, size: int) -> None:
    resources = api(resources={"memory": text}).resources
    assert resources is not None
    assert resources.memory == size


@pytest.mark.parametrize(
    ("given", "name", "number"),
    [("SIGINT", "INT", 2), ("quit", "QUIT", 3), (15, "TERM", 15), ("9", "KILL", 9)],
)
def test_a_stop_signal_has_one_name_however_it_is_given(
    given: object, name: str, number: int
) -> None:
    service = api(stop_signal=given)
    assert (service.stop_signal, service.stop_signal_number) == (name, number)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8001"),
        ("0.0.0.0", "http://localhost:8001"),
        ("::1", "http://[::1]:8001"),
    ],
)
def test_a_url_is_one_that_can_be_called(host: str, url: str) -> None:
    assert api(host=host).url == url


def test_there_is_no_url_without_a_known_port() -> None:
    assert api(port="auto").url is None
    assert ServiceConfig(name="w", service_type=ServiceType.WORKER).url is None


def service_of(kind: ServiceType, **keys: Any) -> ServiceConfig:
    port = None if kind is ServiceType.WORKER else 7000
    return ServiceConfig(**{"name": "x", "service_type": kind, "port": port, **keys})


OWN_PORT = [ServiceType.DATABASE, ServiceType.CACHE, ServiceType.MESSAGE_QUEUE]


def test_an_api_is_asked_over_http() -> None:
    assert api(health_check_path="/ok").effective_check == Check(kind=CheckKind.HTTP, path="/ok")


@pytest.mark.parametrize("kind", OWN_PORT)
def test_what_binds_its_own_port_is_asked_over_tcp(kind: ServiceType) -> None:
    service = service_of(kind, command="x", health={"fall": 5})
    assert service.binds_own_port
    assert service.url == "tcp://localhost:7000"
    assert service.effective_check == Check(kind=CheckKind.TCP, fall=5)


def test_a_database_can_be_asked_over_http_or_by_a_command() -> None:
    by_http = service_of(ServiceType.DATABASE, command="x", health={"path": "/_health"})
    by_command = service_of(ServiceType.DATABASE, command="x", health={"command": "pg_isready"})
    assert by_http.effective_check == Check(kind=CheckKind.HTTP, path="/_health")
    assert by_command.effective_check == Check(kind=CheckKind.COMMAND, command=("pg_isready",))


def test_a_worker_is_asked_only_when_it_runs_an_app() -> None:
    assert service_of(ServiceType.WORKER, command="x").effective_check is None
    by_app = service_of(ServiceType.WORKER, app="a:b").effective_check
    assert by_app == Check(kind=CheckKind.HTTP, path="/health")
    other_port = service_of(ServiceType.WORKER, command="x", health={"tcp": 99}).effective_check
    assert other_port == Check(kind=CheckKind.TCP, tcp=99)


def test_a_check_takes_what_health_says() -> None:
    health = HealthConfig(path="/h", interval=3, fast_interval=1, timeout=2, rise=4, fall=5)
    assert api(health=health).effective_check == Check(
        kind=CheckKind.HTTP, path="/h", interval=3, fast_interval=1, timeout=2, rise=4, fall=5
    )
    status = api(health={"expect_status": 204}).effective_check
    assert status is not None
    assert status.expect_status == (204,)


@pytest.mark.parametrize(
    ("service", "key", "message"),
    [
        ({"app": "a:b", "command": "x"}, "app", "exclude each other"),
        ({"factory": True, "command": "x"}, "factory", "remove it"),
        ({"python": "python3.12", "command": "x"}, "python", "put it there"),
        ({"health": {"tcp": True}}, "health.tcp", "hung process"),
        ({"health": {"path": "/a"}, "health_check_path": "/b"}, "health.path", "one of the two"),
        ({"replicas": 9, "scaling": {"max": 4}}, "replicas", "outside scaling, 1 to 4"),
        ({"dependencies": ["a", "a"]}, "dependencies", "twice"),
        ({"environment": {"HOST": "x"}}, "environment.HOST", "every instance"),
        ({"environment": {"MSCTL_X": "x"}}, "environment.MSCTL_X", "every instance"),
        (
            {"environment": {"A_B_URL": "x"}, "dependencies": ["a-b"]},
            "environment.A_B_URL",
            "dependency on a-b",
        ),
        ({"service_type": "cache"}, "command", "give its command"),
        ({"service_type": "cache", "command": "x", "replicas": 2}, "replicas", "binds its port"),
        ({"service_type": "cache", "command": "x", "scaling": {}}, "scaling", "binds its port"),
        ({"service_type": "worker"}, "port", "a worker has no port"),
        ({"service_type": "worker", "port": None, "scaling": {"max": 2}}, "scaling", "replicas"),
        (
            {"service_type": "worker", "port": None, "command": "x", "health": {"path": "/"}},
            "health.path",
            "health.command",
        ),
        (
            {"service_type": "worker", "port": None, "command": "x", "health_check_path": "/x"},
            "health_check_path",
            "health.command",
        ),
        (
            {"service_type": "worker", "port": None, "command": "x", "liveness": {"path": "/"}},
            "liveness.path",
            "liveness.command",
        ),
        (
            {"service_type": "worker", "port": None, "health": {"tcp": True}},
            "health.tcp",
            "name the port",
        ),
    ],
)
def test_keys_that_contradict_each_other_are_refused(
    service: dict[str, Any], key: str, message: str
) -> None:
    found = errors(**service)
    assert list(found) == [key]
    assert message in found[key]


def test_all_contradictions_are_reported_at_once() -> None:
    assert set(errors(port=None, app="a:b", command="x", environment={"PORT": "1"})) == {
        "port",
        "app",
        "environment.PORT",
    }


def test_a_variable_of_another_service_is_free_to_use() -> None:
    assert api(environment={"OTHER_URL": "x"}).environment == {"OTHER_URL": "x"}
