"""What many tests of attempts share: bad instances, and a look at a problem document."""

import json

import pytest

from msctl.model import Health
from tests.proxy.harness import Fleet, Peer, Response, listening

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


async def reset(peer: Peer) -> None:
    """Read the request, then break the connection."""
    await peer.request()
    peer.cut()


async def hang(peer: Peer) -> None:
    """Read the request and never answer; ends when the proxy gives up."""
    await peer.request()
    if await peer.ended():
        raise ConnectionError


def problem(response: Response) -> tuple[int, str]:
    assert response.one("Content-Type") == "application/problem+json"
    document = json.loads(response.body)
    assert document["status"] == response.status
    assert document["reason"] == response.one("X-Msctl-Reason")
    assert document["detail"]
    return response.status, document["reason"]


def set_aside(f: Fleet, number: int = 1) -> None:
    f.registry.update(f"api-{number}", 1, health=Health.UNHEALTHY)


async def open_gateway(f: Fleet) -> int:
    sock = listening()
    port: int = sock.getsockname()[1]
    await f.gateway.open_gateway([sock])
    return port
