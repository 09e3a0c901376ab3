"""The base class of a service."""

import asyncio
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from msctl.clock import Clock, SystemClock
from msctl.config.models import ServiceConfig
from msctl.errors import CallError, ServiceUnavailable
from msctl.model import Health
from msctl.service.checks import CHECK_TIMEOUT, CheckFunction, HealthCheck, worst
from msctl.service.context import CallContextMiddleware

_CLOCK: Clock = SystemClock()
_LOG = logging.getLogger(__name__)

C = TypeVar("C", bound=CheckFunction)


class Microservice(ABC):
    """A service: its routes, what it does at start and stop, and how healthy it is.

    A subclass gives its `config` and adds routes to `app` in `setup_routes`. Its objects
    are ASGI applications, so uvicorn and msctl run `module:object`, and `module:ClassName`
    as a factory when the constructor needs no arguments.

    Two answers come with it: 422 for invalid input, without repeating that input, and, when
    a route lets a CallError through, 424 naming the dependency. Not 503, which would take
    this service out of rotation for the fault of another (router.md, What counts).
    """

    config: ServiceConfig

    def __init__(self, config: ServiceConfig | None = None) -> None:
        if config is not None:
            self.config = config
        elif not hasattr(self, "config"):
            raise TypeError(
                f"{type(self).__name__} has no config: write `config = ServiceConfig(...)` "
                "in the class, or pass one"
            )
        self._checks: dict[str, HealthCheck] = {}
        self._started = _CLOCK.now()
        self.app = FastAPI(
            title=self.config.name, description=self.config.description, lifespan=self._lifespan
        )
        self.app.add_middleware(CallContextMiddleware)
        self.app.add_exception_handler(RequestValidationError, _invalid_input)
        self.app.add_exception_handler(CallError, _failed_dependency)
        for path in dict.fromkeys(("/health", self.config.health_check_path)):
            self.app.get(path, tags=["health"])(self._health)
        self.setup_routes()

    @property
    def name(self) -> str:
        """The name by which other services call this one."""
        return self.config.name

    @property
    def port(self) -> int | Literal["auto"] | None:
        """The service port, as configured."""
        return self.config.port

    @abstractmethod
    def setup_routes(self) -> None:
        """Add the service's routes to `self.app`; the constructor calls it, once."""

    async def startup(self) -> None:  # noqa: B027  many services have nothing to open
        """Open what the service needs; an exception in here is a startup failure."""

    async def shutdown(self) -> None:  # noqa: B027  and nothing to close
        """Close what `startup` opened; every request has been answered by then."""

    def register_health_check(
        self, check: C, *, name: str | None = None, timeout: float = CHECK_TIMEOUT
    ) -> C:
        """Let `check`, a function or coroutine function, have a say in `GET /health`.

        It answers True or None for healthy, False for unhealthy, or a `Health`; an exception
        is unhealthy, and so is no answer within `timeout` seconds. The worst answer is the
        service's. Functions run in a thread. Returns `check`: it serves as a decorator too.
        """
        key = name or str(getattr(check, "__name__", check))
        self._checks[key] = HealthCheck(check, timeout)
        return check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as an ASGI application."""
        await self.app(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        self._started = _CLOCK.now()
        await self.startup()
        try:
            yield
        finally:
            for check in self._checks.values():
                check.cancel()
            await self.shutdown()

    async def _health(self) -> JSONResponse:
        """Report 503 when unhealthy, 200 otherwise, with every check's result."""
        results = await asyncio.gather(*(check.result() for check in self._checks.values()))
        health = worst(results)
        report: dict[str, object] = {
            "status": health,
            "service": self.name,
            "uptime": round(_CLOCK.now() - self._started, 3),
        }
        if results:
            report["checks"] = {
                name: {"status": result.health, "detail": result.detail}
                for name, result in zip(self._checks, results, strict=True)
            }
        return JSONResponse(report, 503 if health is Health.UNHEALTHY else 200)


async def _invalid_input(_request: Request, error: Exception) -> Response:
    """Answer 422 with what is wrong and where, in FastAPI's form.

    Without the input itself: it may be a secret, and NaN or half a surrogate pair in it
    cannot be written as JSON, which would make the answer a 500.
    """
    errors = error.errors() if isinstance(error, RequestValidationError) else ()
    detail = [{key: item[key] for key in ("type", "loc", "msg")} for item in errors]
    return Response(json.dumps({"detail": detail}), 422, media_type="application/json")


async def _failed_dependency(request: Request, error: Exception) -> Response:
    """Answer 424 as problem details (RFC 9457), naming the dependency."""
    _LOG.warning("%s %s: %s", request.method, request.url.path, error)
    problem = {
        "type": "about:blank",
        "title": "Failed Dependency",
        "status": 424,
        "detail": str(error),
    }
    headers = {}
    if isinstance(error, CallError):
        problem["dependency"] = error.service
    if isinstance(error, ServiceUnavailable) and error.retry_after is not None:
        headers["Retry-After"] = f"{error.retry_after:g}"
    return JSONResponse(problem, 424, headers, media_type="application/problem+json")
