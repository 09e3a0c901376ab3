"""A client for many requests: keep-alive connections on the loop, each answer with its time."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """One response; field names in lower case, `seconds` from the first byte to the last."""

    status: int
    fields: dict[str, str]
    body: bytes
    seconds: float

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One connection to a front door; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self, method: str, path: str, body: bytes = b"") -> Answer:
        """Make one request whose response has a length; nothing is tried again."""
        began = time.monotonic()
        self.send(method, path, f"Content-Length: {len(body)}", body=body)
        status, fields = await self.head()
        answer = await self.reader.readexactly(int(fields["content-length"]))
        return Answer(status, fields, answer, time.monotonic() - began)

    def send(self, method: str, path: str, *fields: str, body: bytes = b"") -> None:
        head = "\r\n".join((f"{method} {path} HTTP/1.1", "Host: localhost", *fields))
        self.writer.write(f"{head}\r\n\r\n".encode() + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read a response's head: its status and its fields."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.rstrip().split("\r\n")
        fields = (line.partition(":") for line in lines)
        return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in fields}


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    """Open one connection, and close it in the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_LIMIT)
    try:
        yield Connection(reader, writer)
    finally:
        writer.transport.abort()


def slowest(answers: Iterable[Answer]) -> float:
    return max(answer.seconds for answer in answers)


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    with open(f"/proc/{pid}/statm") as statm:  # noqa: PTH123 - read again and again
        return int(statm.read().split()[1]) * 4096
