"""A big response to a slow client and a big upload to a slow service: does the daemon keep it?

    python benchmarks/memory.py [--gigabytes 1] [--limit 64]

The first 5 % go at 10 MB/s and the rest as fast as it can, so that whoever sends waits for whoever
takes. The daemon's memory is read every 50 ms; exit code 1 if it grew by more than `--limit` MB.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable
from pathlib import Path

import uvloop
from fleet import SERVICE, running
from processes import ended_by_signals, free_ports, usage_of

PIECE = 64 * 1024
SLOW_RATE = 10_000_000
_SLOW_SHARE = 20


async def download(port: int, size: int) -> None:
    """Read a response slowly at first; AssertionError when it is not all there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=PIECE)
    writer.write(f"GET /download/{size} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    taken = 0
    while taken < size:
        piece = await reader.read(PIECE)
        assert piece, f"the response ended after {taken} bytes"
        taken += len(piece)
        if taken < size / _SLOW_SHARE:
            await asyncio.sleep(len(piece) / SLOW_RATE)
    writer.close()


async def upload(port: int, size: int) -> None:
    """Send a body to a service that takes it slowly at first."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    path = f"/upload/{SLOW_RATE}/{size // _SLOW_SHARE}"
    writer.write(f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {size}\r\n\r\n".encode())
    piece, sent = bytes(PIECE), 0
    while sent < size:
        writer.write(piece[: size - sent])
        sent += min(PIECE, size - sent)
        await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head.partition(b"\r\n")[0], head
    body = await reader.readuntil(b"}")
    assert json.loads(body)["size"] == size, body
    writer.close()


async def growth(daemon: int, work: Awaitable[None]) -> int:
    """Return by how many bytes the daemon's memory grew at most while the work was done."""
    before = peak = usage_of(daemon).rss
    task = asyncio.ensure_future(work)
    while not task.done():
        await asyncio.wait((task,), timeout=0.05)
        peak = max(peak, usage_of(daemon).rss)
    await task
    return peak - before


def main() -> int:
    parser = argparse.ArgumentParser(description="The daemon's memory while big bodies pass.")
    parser.add_argument("--gigabytes", type=float, default=1)
    parser.add_argument("--limit", type=float, default=64, help="MB that the daemon may grow")
    options = parser.parse_args()
    size, worst = int(options.gigabytes * 1e9), 0.0
    (port,) = free_ports(1)
    with (
        ended_by_signals(),
        tempfile.TemporaryDirectory() as directory,
        running(Path(directory), {SERVICE: {"port": port, "app": "bench_app:app"}}) as fleet,
    ):
        for name, work in (
            ("response to a slow client", download),
            ("upload to a slow service", upload),
        ):
            grown = uvloop.run(growth(fleet.daemon, work(port, size))) / 1e6
            worst = max(worst, grown)
            print(f"{options.gigabytes:g} GB {name}: the daemon grew by {grown:.1f} MB", flush=True)
    return 1 if worst > options.limit else 0


if __name__ == "__main__":
    sys.exit(main())
