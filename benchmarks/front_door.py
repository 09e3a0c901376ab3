"""One front door of msctl in front of servers that run already.

    python benchmarks/front_door.py PORT UPSTREAM-PORT...

Put together as in msctl/daemon.py, with all that is on by default (balancer, breakers, retries,
limits, metrics, trace and request ids), without what starts processes and checks their health.
"""

import asyncio
import gc
import socket
import sys
from collections.abc import Sequence
from random import Random

import uvloop

from msctl.clock import SystemClock
from msctl.config.models import ServiceConfig
from msctl.core.discovery import ServiceDiscovery
from msctl.core.registry import ServiceRegistry
from msctl.core.router import RoutePolicy, Router
from msctl.model import Health, ServiceInstance, ServiceStatus
from msctl.proxy.gateway import Gateway
from msctl.runtime.events import EventLog

SERVICE = "orders"


def listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(4096)
    listener.setblocking(False)  # noqa: FBT003 - as the socket module has it
    return listener


async def serve(port: int, upstreams: Sequence[int]) -> None:
    clock, registry = SystemClock(), ServiceRegistry()
    router, events = Router(ServiceDiscovery(registry), Random()), EventLog(clock)
    gateway = Gateway(router, clock, registry)
    router.on_breaker(
        lambda event: events.record(
            event.service,
            event.instance,
            "breaker",
            (event.transition.before, event.transition.after),
            event.transition.reason,
        )
    )
    router.configure(SERVICE, RoutePolicy.from_config(ServiceConfig(name=SERVICE, port=port)))
    for number, upstream in enumerate(upstreams, start=1):
        registry.register_service(
            ServiceInstance(
                id=f"{SERVICE}-{number}",
                service=SERVICE,
                port=upstream,
                status=ServiceStatus.RUNNING,
                health=Health.HEALTHY,
            )
        )
    await gateway.open_front_door(SERVICE, [listen(port)])
    gc.collect()
    gc.freeze()  # as the daemon does
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), [int(one) for one in sys.argv[2:]]))
