"""The part of the control API that tells what instances find in their environment.

Secrets are among it: it is for the fleet's owner, as all of the socket is.
"""

import asyncio
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from msctl.errors import MsctlError
from msctl.runtime.environment import FleetFacts
from msctl.runtime.orchestrator import Orchestrator
from msctl.runtime.surroundings import one_service, surroundings


def surroundings_routes(fleet: Orchestrator, facts: FleetFacts, data_root: Path) -> APIRouter:
    """Return the route /surroundings."""
    routes = APIRouter()

    @routes.get("/surroundings")
    async def tell(service: str) -> JSONResponse:
        """Return environment and working directory of one more instance of a service."""
        config = one_service(service, fleet.services())
        config = fleet.config(config.name) or config
        try:
            found = await asyncio.to_thread(surroundings, config, facts, data_root)
        except MsctlError as error:
            return JSONResponse({"error": str(error)}, status_code=500)
        environment, directory = dict(found.environment), str(found.working_dir)
        return JSONResponse({"environment": environment, "working_dir": directory})

    return routes
