"""The client by which programs and services call services: by name, through the router."""

import asyncio
import json
import math
import os
import ssl
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Protocol, Self
from urllib.parse import quote

import httpx
from pydantic_core import to_jsonable_python

from msctl.clock import Clock, SystemClock
from msctl.errors import CallError, CallTimeout, ServiceError, ServiceUnavailable
from msctl.service.context import CURRENT_CALL

CALL_TIMEOUT = 30.0
"""Seconds that one call may take, like a service's own `timeout` (contract.md, Config)."""

_CLOCK: Clock = SystemClock()


class HasGateway(Protocol):
    """What ServiceClient wants of an orchestrator."""

    @property
    def gateway_url(self) -> str:
        """The gateway's address, such as `http://127.0.0.1:8700`."""


class ServiceClient:
    """Calls services through the gateway, that is through its balancer and its breakers.

    The gateway is that of `orchestrator`, or `gateway_url`, or the one that msctl tells
    every instance in `MSCTL_GATEWAY_URL`; it is looked up at each call. `timeout` limits
    one call, in seconds. Close it with `aclose`, or use it in `async with`.

    Calls made while a `Microservice` answers a request carry that request's trace and hops,
    and end at its deadline at the latest.
    """

    def __init__(
        self,
        orchestrator: HasGateway | None = None,
        *,
        gateway_url: str | None = None,
        timeout: float = CALL_TIMEOUT,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._orchestrator = orchestrator
        self._gateway_url = gateway_url
        self._timeout = timeout
        # No cookies: what one caller is given must not be sent along with another's call.
        # No limits of its own: the router has them. No proxies from the environment. No
        # certificates unless they are needed: loading them takes 30 ms.
        secure = (gateway_url or "").startswith("https:")
        self._http = httpx.AsyncClient(
            transport=transport,
            verify=True if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            limits=httpx.Limits(max_connections=None),
            timeout=None,  # noqa: S113  a limit of the whole call is kept instead
            trust_env=False,
        )

    async def call_service(
        self,
        service_name: str,
        method: str,
        path: str,
        data: object = None,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        raw: bool = False,
    ) -> Any:
        """Send one request to a service and return its answer.

        `data` is sent as JSON (dataclasses, pydantic models, dates and Decimals included),
        bytes as they are. `timeout`, in seconds, is for the whole call with the body of its
        answer, and replaces the client's.

        Returns the JSON value (None for an empty body, text for one that is not JSON), or
        with `raw` the `httpx.Response` whatever its status. Raises ServiceUnavailable when
        no instance could be reached, CallTimeout, and, unless `raw`, ServiceError when the
        service's answer is not 2xx; ValueError when `path` leads out of the service or
        `data` has no JSON form.
        """
        url = self._url(service_name, path)
        limit = self._timeout if timeout is None else timeout
        context = CURRENT_CALL.get()
        if context.deadline is not None:
            limit = min(limit, context.deadline - _CLOCK.now())
        if limit <= 0:
            raise CallTimeout(service_name, max(limit, 0.0))
        request = self._http.build_request(
            method.upper(),
            url.copy_merge_params(params) if params else url,
            content=_encode(data),
            headers={
                **({} if data is None else {"content-type": _content_type(data)}),
                **context.headers,
                **{name.lower(): value for name, value in (headers or {}).items()},
                "x-msctl-deadline-ms": str(math.ceil(limit * 1000)),
            },
        )
        response = await self._send(service_name, request, limit)
        if raw:
            return response
        if not response.is_success:
            raise ServiceError(service_name, response.status_code, _decode(response))
        return _decode(response)

    async def aclose(self) -> None:
        """Close the connections; calls under way end with an error."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()

    async def _send(self, service: str, request: httpx.Request, limit: float) -> httpx.Response:
        started = _CLOCK.now()
        try:
            async with asyncio.timeout(limit):
                response = await self._http.send(request)
        except TimeoutError:
            raise CallTimeout(service, limit) from None
        except httpx.ConnectError as error:
            detail = (
                f"no gateway at {request.url.netloc.decode()} ({error}); start it with: msctl up"
            )
            raise ServiceUnavailable(service, "connect_failed", detail) from error
        except httpx.RequestError as error:
            detail = str(error) or type(error).__name__
            raise ServiceUnavailable(service, "upstream_reset", detail) from error
        if "x-msctl-reason" in response.headers:
            raise _refusal(service, response, _CLOCK.now() - started)
        return response

    def _url(self, service: str, path: str) -> httpx.URL:
        gateway = self._gateway_url or os.environ.get("MSCTL_GATEWAY_URL")
        if self._orchestrator is not None:
            gateway = self._orchestrator.gateway_url
        if not gateway:
            detail = (
                "MSCTL_GATEWAY_URL is not set, so this was not started by msctl; pass gateway_url"
            )
            raise ServiceUnavailable(service, "connect_failed", detail)
        root = f"{gateway.rstrip('/')}/{quote(service, safe='')}"
        url = httpx.URL(f"{root}/{path.removeprefix('/')}")
        # httpx resolves `..`, so that an id taken from a user could reach another service.
        if not url.path.startswith(f"{httpx.URL(root).path}/"):
            raise ValueError(f"{path!r} leads out of {service}")
        return url


def _encode(data: object) -> bytes | None:
    if data is None or isinstance(data, bytes):
        return data
    return json.dumps(to_jsonable_python(data), allow_nan=False).encode()


def _content_type(data: object) -> str:
    return "application/octet-stream" if isinstance(data, bytes) else "application/json"


def _decode(response: httpx.Response) -> Any:
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        return response.text


def _refusal(service: str, response: httpx.Response, elapsed: float) -> CallError:
    """Turn an answer of the router's own into the error it stands for."""
    reason = response.headers["x-msctl-reason"]
    if reason == "timeout":
        return CallTimeout(service, round(elapsed, 3))
    problem = _decode(response)
    detail = problem.get("detail") if isinstance(problem, dict) else None
    retry_after = response.headers.get("retry-after", "")
    return ServiceUnavailable(
        service,
        reason,
        detail or response.reason_phrase,
        float(retry_after) if retry_after.replace(".", "", 1).isdecimal() else None,
    )
