"""Connecting to the control socket, wherever it lies."""

import os
import socket
from pathlib import Path

from msctl.errors import MsctlError, NoDaemon

_PATH_LIMIT = 100
"""Bytes. sun_path holds 107 and a NUL on Linux, 103 on macOS."""


def connect(path: Path) -> socket.socket:
    """Return a connected socket; raise NoDaemon when nothing listens there.

    A path that does not fit into a socket address is reached through a descriptor of its
    directory (design.md, Processes).
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _connect(connection, path)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        connection.close()
        raise NoDaemon from None
    except OSError as error:
        connection.close()
        raise MsctlError(f"cannot reach the fleet at {path}: {error.strerror}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(connection: socket.socket, path: Path) -> None:
    if len(os.fsencode(path)) <= _PATH_LIMIT:
        connection.connect(os.fsencode(path))
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)
