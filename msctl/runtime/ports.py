"""Ports: front doors, private listeners, reservations, and who holds one that is taken."""

import contextlib
import errno
import os
import socket
from collections.abc import Container
from pathlib import Path

from msctl.errors import MsctlError, PortInUse

BACKLOG = 1024
_LISTENING = "0A"  # of /proc/net/tcp
_DRAWS = 100


def bind_front_door(service: str, host: str, port: int) -> list[socket.socket]:
    """Listen on a service port: for `localhost` on 127.0.0.1, and on ::1 where it exists.

    Port 0 lets the system choose one, the same for both. Raises PortInUse with the holder.
    """
    listeners: list[socket.socket] = []
    try:
        for address in _addresses(host):
            listeners.append(_listen_on(address, port))
            port = listeners[0].getsockname()[1]
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise _port_error(service, host, port, error) from error
    return listeners


def bind_gateway(host: str, port: int) -> socket.socket:
    """Listen on the gateway's port; raises PortInUse with the holder."""
    try:
        return _listen_on(_addresses(host)[0], port)
    except OSError as error:
        raise _port_error("gateway", host, port, error) from error


def _port_error(service: str, host: str, port: int, error: OSError) -> MsctlError:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(service, port, holder_of(port))
    hint = " (below 1024 only root may)" if error.errno == errno.EACCES else ""
    return MsctlError(f"{service}: cannot listen on {host}:{port}: {error.strerror}{hint}")


def check_free(service: str, host: str, port: int) -> None:
    """Raise PortInUse when a service that binds its port itself would not get it."""
    for listener in bind_front_door(service, host, port):
        listener.close()


def listen_privately(avoid: Container[int]) -> socket.socket:
    """Return a listening socket on a private port, never one that the config names."""
    for _ in range(_DRAWS):
        listener = _listen_on((socket.AF_INET, "127.0.0.1"), 0)
        if listener.getsockname()[1] not in avoid:
            return listener
        listener.close()
    raise OSError(errno.EADDRINUSE, "no private port is free")


def reserve(avoid: Container[int]) -> socket.socket:
    """Return a bound socket that does not listen: another program can bind over it.

    nginx, redis, node and uvicorn set SO_REUSEADDR, which is what makes this work; the
    system gives the port to nobody else meanwhile.
    """
    for _ in range(_DRAWS):
        holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        if holder.getsockname()[1] not in avoid:
            return holder
        holder.close()
    raise OSError(errno.EADDRINUSE, "no private port is free")


def holder_of(port: int) -> str | None:
    """Return `pid 4312 (postgres -D …)` of the process that listens on a port, if one is seen."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(descriptor.readlink()) in inodes:
                        return f"pid {process.name} ({_command(process.name)})"
    return "a process of another user"


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    return inodes


def _command(pid: str) -> str:
    with contextlib.suppress(OSError):
        words = Path("/proc", pid, "cmdline").read_bytes().split(b"\0")
        return os.fsdecode(b" ".join(words)).strip()[:120]
    return "?"


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    if host != "localhost":
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except UnicodeError as error:  # what the resolver's encoding says to an impossible name
            raise OSError(errno.EINVAL, "not the name of a host") from error
        return list(dict.fromkeys((family, str(place[0])) for family, _, _, _, place in found))
    both = [(socket.AF_INET, "127.0.0.1")]
    if _has_ipv6_loopback():
        both.append((socket.AF_INET6, "::1"))
    return both


def _has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _listen_on(place: tuple[socket.AddressFamily, str], port: int) -> socket.socket:
    family, address = place
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)
        listener.settimeout(0)
    except OSError:
        listener.close()
        raise
    return listener
