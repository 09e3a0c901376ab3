import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, FiniteFloat

from msctl import CallTimeout, Health, Microservice, ServiceConfig, ServiceError, ServiceUnavailable
from tests.service.support import InProcessGateway, serving

pytestmark = pytest.mark.anyio


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: FiniteFloat


class Example(Microservice):
    config = ServiceConfig(name="example", port=8123)

    def __init__(self, config: ServiceConfig | None = None) -> None:
        self.log: list[str] = []
        self.failure: Exception | None = None
        super().__init__(config)

    def setup_routes(self) -> None:
        self.app.post("/echo")(self.echo)
        self.app.get("/fail")(self.fail)

    async def startup(self) -> None:
        self.log.append("startup")

    async def shutdown(self) -> None:
        self.log.append("shutdown")

    def echo(self, body: Body) -> Body:
        return body

    def fail(self) -> None:
        assert self.failure is not None
        raise self.failure


async def test_health_names_status_service_and_uptime() -> None:
    async with serving(Example()) as client:
        answer = await client.get("/health")
    report = answer.json()
    assert answer.status_code == 200
    assert report == {"status": "healthy", "service": "example", "uptime": report["uptime"]}
    assert 0 <= report["uptime"] < 60


async def test_health_is_also_at_the_configured_path() -> None:
    config = ServiceConfig(name="example", port=8123, health_check_path="/ready")
    async with serving(Example(config)) as client:
        assert (await client.get("/ready")).json()["status"] == "healthy"
        assert (await client.get("/health")).json()["status"] == "healthy"


def fails() -> bool:
    raise ValueError("the disk is full")


async def fails_async() -> bool:
    raise ConnectionError("no route")


async def degraded() -> Health:
    return Health.DEGRADED


@pytest.mark.parametrize(
    ("check", "status", "code"),
    [
        (lambda: True, "healthy", 200),
        (lambda: None, "healthy", 200),
        (lambda: Health.HEALTHY, "healthy", 200),
        (degraded, "degraded", 200),
        (lambda: degraded(), "degraded", 200),  # noqa: PLW0108  a function that gives a coroutine
        (lambda: False, "unhealthy", 503),
        (lambda: Health.UNHEALTHY, "unhealthy", 503),
        (lambda: "nonsense", "unhealthy", 503),
        (fails, "unhealthy", 503),
        (fails_async, "unhealthy", 503),
    ],
)
async def test_a_health_check_decides(check: Callable[[], Any], status: str, code: int) -> None:
    service = Example()
    service.register_health_check(check, name="it")
    async with serving(service) as client:
        answer = await client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (code, status)
    assert answer.json()["checks"]["it"]["status"] == status


async def test_the_worst_check_is_the_verdict_and_each_says_why() -> None:
    service = Example()
    service.register_health_check(lambda: True, name="a")
    service.register_health_check(fails)
    service.register_health_check(degraded, name="c")
    async with serving(service) as client:
        report = (await client.get("/health")).json()
    assert report["status"] == "unhealthy"
    assert report["checks"]["fails"]["detail"] == "ValueError: the disk is full"


async def test_register_health_check_is_a_decorator() -> None:
    service = Example()

    @service.register_health_check
    def queue() -> bool:
        return False

    assert queue() is False
    async with serving(service) as client:
        assert (await client.get("/health")).json()["checks"]["queue"]["status"] == "unhealthy"


async def test_a_hanging_coroutine_check_is_unhealthy_in_time_and_asked_anew() -> None:
    service = Example()
    runs: list[int] = []

    async def hangs_once() -> None:
        runs.append(1)
        if len(runs) == 1:
            await asyncio.Event().wait()

    service.register_health_check(hangs_once, timeout=0.05)
    async with asyncio.timeout(5), serving(service) as client:
        first = (await client.get("/health")).json()
        assert first["checks"]["hangs_once"]["detail"] == "no answer within 0.05 s"
        second = (await client.get("/health")).json()
    assert second["status"] == "healthy"


async def test_a_hanging_function_check_is_not_started_twice() -> None:
    service = Example()
    release = threading.Event()
    runs: list[int] = []

    def hangs() -> None:
        runs.append(1)
        release.wait(10)

    service.register_health_check(hangs, timeout=0.05)
    async with asyncio.timeout(5), serving(service) as client:
        for _ in range(3):
            assert (await client.get("/health")).json()["status"] == "unhealthy"
        assert len(runs) == 1
        release.set()
        while (await client.get("/health")).json()["status"] != "healthy":
            pass


async def test_startup_comes_before_and_shutdown_after_serving() -> None:
    service = Example()
    async with serving(service):
        assert service.log == ["startup"]
    assert service.log == ["startup", "shutdown"]


async def test_shutdown_is_not_run_for_what_never_started() -> None:
    class Broken(Example):
        async def startup(self) -> None:
            raise RuntimeError("no database")

    service = Broken()
    with pytest.raises(RuntimeError, match="no database"):
        async with serving(service):
            pytest.fail("served")
    assert service.log == []


@pytest.mark.parametrize(
    "body", ['{"number": NaN}', '{"number": 1e999}', '{"number": "\\ud800"}', '{"\\ud800": 1}', ""]
)
async def test_invalid_input_is_422_even_when_it_has_no_json_form(body: str) -> None:
    async with serving(Example()) as client:
        answer = await client.post(
            "/echo", content=body, headers={"content-type": "application/json"}
        )
    assert answer.status_code == 422
    assert set(answer.json()["detail"][0]) == {"type", "loc", "msg"}


async def test_invalid_input_is_not_repeated() -> None:
    async with serving(Example()) as client:
        answer = await client.post("/echo", json={"number": "my-password"})
    assert answer.status_code == 422
    assert "my-password" not in answer.text


@pytest.mark.parametrize(
    "failure",
    [
        ServiceUnavailable("user-service", "breaker_open", "too many failures", 2.5),
        CallTimeout("user-service", 5),
        ServiceError("user-service", 500, "Internal Server Error"),
    ],
)
async def test_a_failed_dependency_is_424_that_names_it(failure: Exception) -> None:
    service = Example()
    service.failure = failure
    async with serving(service) as client:
        answer = await client.get("/fail")
    assert answer.status_code == 424
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["dependency"] == "user-service"
    assert answer.json()["detail"] == str(failure)
    assert answer.headers.get("retry-after") == (
        "2.5" if isinstance(failure, ServiceUnavailable) else None
    )


class Relay(Example):
    """Answers with what the service `example` says to a call of its own."""

    config = ServiceConfig(name="relay", port=8124)

    def __init__(self, gateway: InProcessGateway) -> None:
        self.client = gateway.client()
        super().__init__()

    def setup_routes(self) -> None:
        self.app.get("/relay")(self.relay)

    async def relay(self) -> object:
        return await self.client.call_service("example", "GET", "/health")

    async def shutdown(self) -> None:
        await self.client.aclose()


async def test_calls_carry_the_trace_and_hops_of_the_request_being_answered() -> None:
    gateway = InProcessGateway({"example": Example()})
    inherited = {"traceparent": "00-1-2-01", "x-request-id": "r1", "x-msctl-hops": "3"}
    async with serving(Relay(gateway)) as client:
        await client.get("/relay", headers={**inherited, "authorization": "secret"})
    (sent,) = gateway.requests
    assert inherited.items() <= dict(sent.headers).items()
    assert "authorization" not in sent.headers


async def test_calls_end_at_the_deadline_of_the_request_being_answered() -> None:
    gateway = InProcessGateway({"example": Example()})
    async with serving(Relay(gateway)) as client:
        await client.get("/relay", headers={"x-msctl-deadline-ms": "2000"})
        spent = await client.get("/relay", headers={"x-msctl-deadline-ms": "0"})
    (sent,) = gateway.requests
    assert 0 < int(sent.headers["x-msctl-deadline-ms"]) <= 2000
    assert spent.status_code == 424


async def test_an_object_has_the_name_and_port_of_its_config() -> None:
    assert (Example().name, Example().port) == ("example", 8123)


async def test_a_service_without_config_says_what_to_write() -> None:
    class Bare(Microservice):
        def setup_routes(self) -> None: ...

    with pytest.raises(TypeError, match="config = ServiceConfig"):
        Bare()
    assert Bare(ServiceConfig(name="bare", port=8125)).name == "bare"


async def test_a_service_must_set_up_routes() -> None:
    with pytest.raises(TypeError, match="setup_routes"):
        Microservice(ServiceConfig(name="bare", port=8125))  # type: ignore[abstract]
