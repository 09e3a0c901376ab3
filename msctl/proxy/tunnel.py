"""An upgraded connection: bytes both ways, until both ends have had enough."""

import asyncio

from msctl.model import ServiceInstance
from msctl.proxy.client import ClientStream
from msctl.proxy.faults import StreamLost
from msctl.proxy.idle import IdleWatch
from msctl.proxy.instances import InstanceWatch
from msctl.proxy.interrupt import Cause, Interrupts
from msctl.proxy.relay import copy
from msctl.proxy.stream import Stream


class Tunnel:
    """Carries one upgraded connection; cut when idle, or when its instance must go."""

    def __init__(self, client: ClientStream, upstream: Stream, interrupts: Interrupts) -> None:
        self._client = client
        self._upstream = upstream
        self._interrupts = interrupts

    async def run(self, watch: InstanceWatch, instance: ServiceInstance, idle: float) -> None:
        """Carry bytes until both directions have ended; raises Interrupted."""
        self._client.tunnelled = True
        idle_watch = IdleWatch(idle, lambda: self._interrupts.fire(Cause.IDLE))
        remove = watch.add(instance, lambda: self._interrupts.fire(Cause.LOST))
        try:
            async with self._interrupts, asyncio.TaskGroup() as group:
                group.create_task(self._carry(self._client, self._upstream, idle_watch))
                group.create_task(self._carry(self._upstream, self._client, idle_watch))
        finally:
            remove()
            idle_watch.stop()

    async def _carry(self, source: Stream, sink: Stream, watch: IdleWatch) -> None:
        try:
            await copy(source, sink, watch.touch)
        except StreamLost:
            # The sink cannot take any more, so there is nothing left to carry either way.
            source.abort()
