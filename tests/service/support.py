"""Services run in this process, and a gateway between them without balancer and breaker."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch

import httpx

from msctl import Microservice, ServiceClient


class InProcessGateway(httpx.AsyncBaseTransport):
    """Stands for the gateway: `/NAME/path` goes to the service of that name.

    A service that is not in `services` is refused as the router does it.
    """

    def __init__(self, services: Mapping[str, Microservice]) -> None:
        self.services = dict(services)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        _, name, path = request.url.raw_path.split(b"/", 2)
        service = self.services.get(name.decode())
        if service is None:
            return refusal("no_instances", f"no instance of {name.decode()} runs", retry_after=1)
        request.url = request.url.copy_with(raw_path=b"/" + path)
        return await httpx.ASGITransport(app=service).handle_async_request(request)

    def client(self) -> ServiceClient:
        return ServiceClient(gateway_url="http://gateway", transport=self)


def refusal(reason: str, detail: str = "", retry_after: float | None = None) -> httpx.Response:
    headers = {"X-Msctl-Reason": reason, "Content-Type": "application/problem+json"}
    if retry_after is not None:
        headers["Retry-After"] = f"{retry_after:g}"
    status = 504 if reason == "timeout" else 503
    problem = {"title": "x", "status": status, "detail": detail, "reason": reason}
    return httpx.Response(status, json=problem, headers=headers)


@asynccontextmanager
async def serving(
    service: Microservice, data: Path | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """Run a service's start, give a client that calls it directly, run its stop."""
    with patch.dict("os.environ", {"MSCTL_DATA_DIR": str(data)} if data else {}):
        lifespan = service.app.router.lifespan_context(service.app)
        await lifespan.__aenter__()
    try:
        transport = httpx.ASGITransport(app=service)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client
    finally:
        await lifespan.__aexit__(None, None, None)
