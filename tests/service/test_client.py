import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from msctl import CallError, CallTimeout, ServiceClient, ServiceError, ServiceUnavailable
from tests.service.support import refusal

pytestmark = pytest.mark.anyio

Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler, **options: Any) -> ServiceClient:
    options.setdefault("gateway_url", "http://gateway:8700")
    return ServiceClient(transport=httpx.MockTransport(handler), **options)


def answers(*args: Any, **kwargs: Any) -> Handler:
    return lambda _request: httpx.Response(*args, **kwargs)


def mirror(request: httpx.Request) -> httpx.Response:
    content = request.content.decode()
    return httpx.Response(
        200,
        json={
            "method": request.method,
            "url": str(request.url),
            "body": content,
            "headers": dict(request.headers),
        },
    )


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get"])
async def test_any_method_reaches_the_service_through_the_gateway(method: str) -> None:
    async with client(mirror) as services:
        sent = await services.call_service("user-service", method, "/users/7")
    assert sent["method"] == method.upper()
    assert sent["url"] == "http://gateway:8700/user-service/users/7"


@pytest.mark.parametrize("path", ["users", "/users"])
async def test_a_path_needs_no_slash(path: str) -> None:
    async with client(mirror, gateway_url="http://gateway/") as services:
        sent = await services.call_service("user-service", "GET", path)
    assert sent["url"] == "http://gateway/user-service/users"


async def test_params_are_added_to_a_query_that_is_there() -> None:
    async with client(mirror) as services:
        sent = await services.call_service("a", "GET", "/x?page=2", params={"q": ["é", 1]})
    assert sent["url"] == "http://gateway:8700/a/x?page=2&q=%C3%A9&q=1"


@pytest.mark.parametrize("path", ["/../b/x", "/users/../../b", "..", "/./../b"])
async def test_a_path_cannot_lead_to_another_service(path: str) -> None:
    async with client(mirror) as services:
        with pytest.raises(ValueError, match="leads out of a"):
            await services.call_service("a", "GET", path)


@dataclass
class Point:
    x: int


class Model(BaseModel):
    at: datetime


@pytest.mark.parametrize(
    ("data", "body"),
    [
        ({"a": [1, "é"]}, {"a": [1, "é"]}),
        ({}, {}),
        ([], []),
        (0, 0),
        (False, False),
        ("text", "text"),
        (Point(1), {"x": 1}),
        (Model(at=datetime(2026, 1, 1, tzinfo=UTC)), {"at": "2026-01-01T00:00:00Z"}),
        ({"amount": Decimal("1.50")}, {"amount": "1.50"}),
    ],
)
async def test_data_is_sent_as_json(data: object, body: object) -> None:
    async with client(mirror) as services:
        sent = await services.call_service("a", "POST", "/", data)
    assert json.loads(sent["body"]) == body
    assert sent["headers"]["content-type"] == "application/json"


async def test_without_data_nothing_is_sent() -> None:
    async with client(mirror) as services:
        sent = await services.call_service("a", "POST", "/")
    assert sent["body"] == ""
    assert "content-type" not in sent["headers"]


async def test_bytes_are_sent_as_they_are_and_headers_are_the_callers() -> None:
    async with client(mirror) as services:
        sent = await services.call_service(
            "a", "POST", "/", b"a,b", headers={"Content-Type": "text/csv", "Idempotency-Key": "k"}
        )
    assert sent["body"] == "a,b"
    assert sent["headers"]["content-type"] == "text/csv"
    assert sent["headers"]["idempotency-key"] == "k"


async def test_data_without_json_form_is_refused() -> None:
    async with client(mirror) as services:
        with pytest.raises(ValueError, match="JSON"):
            await services.call_service("a", "POST", "/", {"a": float("nan")})


@pytest.mark.parametrize(
    ("response", "value"),
    [
        (httpx.Response(200, json={"a": None}), {"a": None}),
        (httpx.Response(204), None),
        (httpx.Response(200, text="hello"), "hello"),
    ],
)
async def test_the_answer_is_json_nothing_or_text(response: httpx.Response, value: object) -> None:
    async with client(lambda _: response) as services:
        assert await services.call_service("a", "GET", "/") == value


@pytest.mark.parametrize("status", [307, 400, 404, 424, 500, 503])
async def test_a_status_of_the_services_own_is_a_service_error(status: int) -> None:
    async with client(answers(status, json={"detail": "no"})) as services:
        with pytest.raises(ServiceError) as caught:
            await services.call_service("a", "GET", "/")
        assert (caught.value.service, caught.value.status) == ("a", status)
        assert caught.value.body == {"detail": "no"}
        response = await services.call_service("a", "GET", "/", raw=True)
    assert isinstance(response, httpx.Response)
    assert response.status_code == status


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(
    "reason", ["no_instances", "breaker_open", "overloaded", "connect_failed", "unknown_service"]
)
async def test_a_refusal_of_the_router_is_service_unavailable(reason: str, raw: bool) -> None:  # noqa: FBT001  pytest's way
    async with client(lambda _: refusal(reason, "in words", 1.5)) as services:
        with pytest.raises(ServiceUnavailable, match="in words") as caught:
            await services.call_service("a", "GET", "/", raw=raw)
    assert (caught.value.service, caught.value.reason) == ("a", reason)
    assert caught.value.retry_after == 1.5


async def test_the_routers_timeout_is_a_call_timeout() -> None:
    async with client(lambda _: refusal("timeout")) as services:
        with pytest.raises(CallTimeout):
            await services.call_service("a", "GET", "/")


async def test_a_refusal_without_retry_after_has_none() -> None:
    async with client(lambda _: refusal("breaker_open")) as services:
        with pytest.raises(ServiceUnavailable) as caught:
            await services.call_service("a", "GET", "/")
    assert caught.value.retry_after is None


async def test_cookies_are_not_kept() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, json=request.headers.get("cookie"), headers={"set-cookie": "session=1; Path=/"}
        )

    async with client(handler) as services:
        await services.call_service("a", "GET", "/")
        assert await services.call_service("a", "GET", "/") is None


async def test_the_gateway_is_found_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(mirror, gateway_url=None) as services:
        monkeypatch.delenv("MSCTL_GATEWAY_URL", raising=False)
        with pytest.raises(ServiceUnavailable, match="MSCTL_GATEWAY_URL"):
            await services.call_service("a", "GET", "/")
        monkeypatch.setenv("MSCTL_GATEWAY_URL", "http://127.0.0.1:8799")
        sent = await services.call_service("a", "GET", "/x")
    assert sent["url"] == "http://127.0.0.1:8799/a/x"


async def test_the_gateway_is_the_orchestrators() -> None:
    class Orchestrator:
        gateway_url = "http://127.0.0.1:8701"

    transport = httpx.MockTransport(mirror)
    async with ServiceClient(Orchestrator(), transport=transport) as services:
        sent = await services.call_service("a", "GET", "/x")
    assert sent["url"] == "http://127.0.0.1:8701/a/x"


@asynccontextmanager
async def raw_server(*pieces: bytes, hang: bool = False) -> AsyncIterator[str]:
    """Serve these pieces to each connection, the last of them for ever when it hangs."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
            while hang:
                writer.write(pieces[-1])
                await writer.drain()
                await asyncio.sleep(0.01)
        except OSError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_the_time_limit_covers_the_whole_answer() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    async with (
        asyncio.timeout(5),
        raw_server(head, b"x", hang=True) as url,
        ServiceClient(gateway_url=url) as services,
    ):
        with pytest.raises(CallTimeout) as caught:
            await services.call_service("a", "GET", "/", timeout=0.2)
    assert (caught.value.service, caught.value.seconds) == ("a", 0.2)


async def test_the_router_is_told_the_time_limit() -> None:
    async with client(mirror, timeout=7) as services:
        by_client = await services.call_service("a", "GET", "/")
        by_call = await services.call_service("a", "GET", "/", timeout=0.25)
    assert by_client["headers"]["x-msctl-deadline-ms"] == "7000"
    assert by_call["headers"]["x-msctl-deadline-ms"] == "250"


async def test_an_answer_that_breaks_off_is_service_unavailable() -> None:
    broken = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"
    async with raw_server(broken) as url, ServiceClient(gateway_url=url) as services:
        with pytest.raises(ServiceUnavailable) as caught:
            await services.call_service("a", "GET", "/")
    assert caught.value.reason == "upstream_reset"


async def test_no_gateway_is_service_unavailable() -> None:
    async with raw_server() as url:
        pass
    async with ServiceClient(gateway_url=url) as services:
        with pytest.raises(ServiceUnavailable, match="msctl up") as caught:
            await services.call_service("a", "GET", "/")
    assert caught.value.reason == "connect_failed"
    assert isinstance(caught.value, CallError)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n42"
    async with raw_server(ok) as url, ServiceClient(gateway_url=url) as services:
        assert await services.call_service("a", "GET", "/") == 42
