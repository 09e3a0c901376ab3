"""The part of the control API that shows circuit breakers and takes them in hand."""

from typing import Any

from fastapi import APIRouter

from msctl.control.requests import BreakerRequest
from msctl.runtime.breakers import BreakerAction, Breakers


def breaker_routes(breakers: Breakers) -> APIRouter:
    """Return the routes below /breakers."""
    routes = APIRouter(prefix="/breakers")

    @routes.get("")
    async def show() -> dict[str, Any]:
        """Return the document of all breakers."""
        return breakers.document()

    @routes.post("/{action}")
    async def act(action: BreakerAction, body: BreakerRequest) -> dict[str, Any]:
        """Carry out a command and return the document of the breakers that it concerned."""
        return breakers.act(action, body.name, body.seconds)

    return routes
