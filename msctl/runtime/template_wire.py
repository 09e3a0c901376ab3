"""Messages between the daemon and the template: datagrams that carry descriptors.

The content travels in a memory file, so a large environment meets no limit of a datagram and
fills no socket: a message that is sent never has to wait for room.
"""

import json
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

MAX_DESCRIPTORS = 8
_READ_SIZE = 64 * 1024


def open_channel() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a channel: the daemon's and the template's."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(
    channel: socket.socket, message: Mapping[str, Any], descriptors: Sequence[int] = ()
) -> None:
    """Send a message; the caller keeps its own copies of the descriptors. Raises OSError."""
    content = os.memfd_create("msctl-message", os.MFD_CLOEXEC)
    try:
        rest = memoryview(json.dumps(message).encode())
        while rest:
            rest = rest[os.write(content, rest) :]
        socket.send_fds(channel, [b"m"], [content, *descriptors])
    finally:
        os.close(content)


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return the next message and its descriptors, now the caller's; None at the end.

    Raises OSError, BlockingIOError among them when the channel does not block.
    """
    data, received, flags, _ = socket.recv_fds(channel, 1, MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
    if not data:
        return None
    if flags & socket.MSG_CTRUNC:
        for descriptor in received:
            os.close(descriptor)
        raise OSError("too many open files to receive a message")
    content, *descriptors = received
    try:
        parts, offset = [], 0
        while part := os.pread(content, _READ_SIZE, offset):
            parts.append(part)
            offset += len(part)
    finally:
        os.close(content)
    message: dict[str, Any] = json.loads(b"".join(parts))
    return message, descriptors
