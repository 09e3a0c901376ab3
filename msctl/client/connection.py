"""Connecting to the control socket, wherever it lies."""

import os
from _socket import AF_UNIX, SOCK_STREAM, socket

from msctl.errors import MsctlError, NoDaemon

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
    from pathlib import Path

_PATH_LIMIT = 100
"""Bytes. sun_path holds 107 and a NUL on Linux, 103 on macOS."""


def connect(path: "Path | str", timeout: float | None = None) -> socket:
    """Return a connected socket; raise NoDaemon when nothing listens there.

    A path that does not fit into a socket address is reached through a descriptor of its
    directory (design.md, Processes). `timeout` in seconds is for everything done with it. It
    is the plain socket of C, without `makefile` and the like: that is half the way to here.
    """
    connection = socket(AF_UNIX, SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        _connect(connection, os.fsencode(path))
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


def _connect(connection: socket, path: bytes) -> None:
    if len(path) <= _PATH_LIMIT:
        connection.connect(path)
        return
    parent, name = os.path.split(path)
    directory = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection.connect(b"/proc/self/fd/%d/%b" % (directory, name))
    finally:
        os.close(directory)
