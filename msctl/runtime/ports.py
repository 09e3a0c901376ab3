"""Ports: front doors, private listeners, reservations, and who holds one that is taken."""

import errno
import socket
from collections.abc import Container

from msctl.errors import MsctlError, PortInUse
from msctl.runtime.portholders import find_holders

BACKLOG = 1024
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


def draw_front_door(service: str, host: str, avoid: Container[int]) -> list[socket.socket]:
    """Listen on a service port that the system chooses, never one that the config names."""
    for _ in range(_DRAWS):
        listeners = bind_front_door(service, host, 0)
        if listeners[0].getsockname()[1] not in avoid:
            return listeners
        for listener in listeners:
            listener.close()
    raise MsctlError(f"{service}: no port is free for it")


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
    holder = find_holders({port}).get(port)
    return None if holder is None else str(holder)


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
