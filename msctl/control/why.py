"""The part of the control API that explains why a service is as it is."""

from typing import Any

from fastapi import APIRouter

from msctl.runtime.why import Why


def why_routes(why: Why) -> APIRouter:
    """Return the route /why."""
    routes = APIRouter()

    @routes.get("/why")
    async def explain(service: str) -> dict[str, Any]:
        """Return the chain of causes for SERVICE or SERVICE/INSTANCE."""
        return await why.document(service)

    return routes
