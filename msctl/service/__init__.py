"""For authors of services: `Microservice` to write one, `ServiceClient` to call the others."""

from msctl.service.client import ServiceClient
from msctl.service.microservice import Microservice

__all__ = ["Microservice", "ServiceClient"]
