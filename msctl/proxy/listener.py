"""Listening sockets and the connections that came in through them."""

import asyncio
import contextlib
import socket
from collections.abc import Sequence

from msctl.proxy.connection import ClientConnection
from msctl.proxy.context import ProxyContext
from msctl.proxy.destination import Resolver
from msctl.proxy.express import LOOK_EVERY, ExpressConnection
from msctl.proxy.familiar import FamiliarRequests
from msctl.proxy.upstream import InstanceKey


class Listener:
    """Owns its sockets from `open` on, and every connection that was accepted."""

    def __init__(self, proxy: ProxyContext, resolve: Resolver) -> None:
        self._proxy = proxy
        self._resolve = resolve
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._connections: set[ClientConnection] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    def protocol(self) -> ClientConnection:
        """Return the protocol for one connection; it counts from `connection_made` on."""
        return ClientConnection(self._proxy, self._resolve, self)

    async def open(self, sockets: Sequence[socket.socket]) -> None:
        """Accept on sockets that are bound and listening (or bound only)."""
        loop = asyncio.get_running_loop()
        self._sockets += sockets
        try:
            for sock in sockets:
                sock.setblocking(False)  # noqa: FBT003 - the name of the method says it
                if sock.family == socket.AF_UNIX:
                    server = await loop.create_unix_server(self.protocol, sock=sock)
                else:
                    server = await loop.create_server(self.protocol, sock=sock, start_serving=False)
                    # What is accepted inherits it; asyncio's own loop would leave it out.
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._servers.append(server)
                await server.start_serving()
        except BaseException:
            self._stop_accepting()
            raise

    async def close(self, *, drain_timeout: float) -> None:
        """Stop accepting, let requests under way end, and cut what is left in the end.

        Idle connections are closed at once. `drain_timeout` in seconds; 0 waits for none.
        """
        self._stop_accepting()
        for connection in tuple(self._connections):
            connection.retire()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(drain_timeout):
                await self._empty.wait()
        await asyncio.gather(*(connection.cut() for connection in tuple(self._connections)))

    def opened(self, connection: ClientConnection) -> None:
        """Count a connection that came in."""
        self._connections.add(connection)
        self._empty.clear()

    def closed(self, connection: ClientConnection) -> None:
        """Forget a connection of which nothing is left."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} connections={self.connections}>"

    def _stop_accepting(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()


class FrontDoor(Listener):
    """The listener of one service's port."""

    def __init__(self, proxy: ProxyContext, resolve: Resolver, service: str) -> None:
        super().__init__(proxy, resolve)
        self.service = service
        self._familiar = FamiliarRequests(service)
        self._looking: asyncio.TimerHandle | None = None

    def protocol(self) -> ClientConnection:
        """Return the protocol for one connection, with the express lane where there is one."""
        route = self._proxy.router.route(self.service)
        if route is None:
            return super().protocol()
        return ExpressConnection(self._proxy, self._resolve, self, route, self._familiar)

    def instance_lost(self, key: InstanceKey) -> None:
        """Take in that a process died or turned unhealthy."""
        for connection in self._express():
            connection.instance_lost(key)

    def opened(self, connection: ClientConnection) -> None:
        """Count a connection that came in, and look after those that have no task."""
        super().opened(connection)
        if self._looking is None:
            self._look_later()

    def _look_later(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)

    def _look(self) -> None:
        self._looking = None
        now = self._proxy.clock.now()
        for connection in self._express():
            connection.look(now)
        if self._connections:
            self._look_later()

    def _express(self) -> list[ExpressConnection]:
        return [c for c in self._connections if isinstance(c, ExpressConnection)]
