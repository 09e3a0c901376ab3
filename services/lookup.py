"""Asking another service for something that has to exist."""

from http import HTTPStatus
from typing import Any

from fastapi import HTTPException

from msctl import ServiceClient, ServiceError


async def look_up(client: ServiceClient, service: str, path: str) -> Any:
    """Return what the service has there; answer 404 to our own caller when it has nothing.

    Any other failure is the service's, and becomes 424 (see `Microservice`).
    """
    try:
        return await client.call_service(service, "GET", path)
    except ServiceError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        raise HTTPException(HTTPStatus.NOT_FOUND, f"{service} has no {path}") from error
