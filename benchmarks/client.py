"""A small HTTP client for benchmarks: keep-alive connections, as little work as possible."""

import asyncio
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """One response; `seconds` from the request's first byte to the response's last."""

    status: int
    body: bytes
    seconds: float


class Connections:
    """Keep-alive connections to one port; as many as there are requests at one time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.opened = 0

    async def get(self, path: str) -> Answer:
        """Make one request on an idle connection or a new one.

        Raises OSError or EOFError; nothing is tried again, so that each failure shows.
        """
        began = time.monotonic()
        reader, writer = self._idle.pop() if self._idle else await self._open()
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            body = await reader.readexactly(length)
        except BaseException:
            writer.transport.abort()
            raise
        if b"\r\nconnection: close" in head:
            writer.close()
        else:
            self._idle.append((reader, writer))
        return Answer(int(head.split(b" ", 2)[1]), body, time.monotonic() - began)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.opened += 1
        return await asyncio.open_connection("127.0.0.1", self._port)

    def close(self) -> None:
        for _, writer in self._idle:
            writer.transport.abort()
        self._idle.clear()
