"""Which service a request is for, by the listener it came in on."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum, auto
from typing import Final

from msctl.core.decision import Refusal
from msctl.core.outcome import Reason
from msctl.proxy.fields import values
from msctl.proxy.head import RequestHead

_BY_HOST: Final = re.compile(rb"([a-z][a-z0-9-]*)\.localhost\.?(?::[0-9]*)?", re.IGNORECASE)
_CALL: Final = b"/call/"
_METRICS: Final = b"/metrics"
"""No service is called that: the name is reserved (contract.md, Config)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A service, and the target as the service shall see it."""

    service: str
    target: bytes
    prefix: bytes = b""
    """What was taken off the front of the path; sent on as X-Forwarded-Prefix."""
    instance: str | None = None
    """Only this one will do (`call --instance`)."""
    sets_deadline: bool = False
    """X-Msctl-Deadline-Ms replaces the service's time limit; elsewhere it can only shorten it."""


class OwnPage(Enum):
    """What the gateway answers itself, and no service."""

    METRICS = auto()


Resolver = Callable[[RequestHead], Destination | Refusal | OwnPage]


def front_door(service: str) -> Resolver:
    """Everything that comes in is for one service, whatever Host says."""

    def resolve(request: RequestHead) -> Destination:
        return Destination(service=service, target=request.target.path)

    return resolve


def gateway(names: Callable[[], Iterable[str]]) -> Resolver:
    """By host `<service>.localhost`, else by the first segment of the path; and `/metrics`."""

    def resolve(request: RequestHead) -> Destination | Refusal | OwnPage:
        by_host = _BY_HOST.fullmatch(request.host)
        if by_host is not None:
            name = by_host[1].decode().lower()
            if name not in names():
                return unknown_service(name, names())
            return Destination(service=name, target=request.target.path)
        if request.target.path.partition(b"?")[0] == _METRICS:
            return OwnPage.METRICS
        segment, target = _split_prefix(request.target.path, 1)
        name = segment.decode("latin-1")
        if name not in names():
            return unknown_service(name, names())
        return Destination(service=name, target=target, prefix=b"/" + segment)

    return resolve


def control_socket(names: Callable[[], Iterable[str]]) -> Resolver:
    """`/call/<service>/<path>`, with X-Msctl-Instance and X-Msctl-Deadline-Ms to steer it."""

    def resolve(request: RequestHead) -> Destination | Refusal:
        path = request.target.path
        if not path.startswith(_CALL):
            return Refusal(
                reason=Reason.BAD_REQUEST,
                status=404,
                detail="calls go to /call/<service>/<path>",
                retry_after=None,
            )
        segment, target = _split_prefix(path, len(_CALL))
        name = segment.decode("latin-1")
        if name not in names():
            return unknown_service(name, names())
        pinned = values(request.fields, b"x-msctl-instance")
        return Destination(
            service=name,
            target=target,
            instance=pinned[-1].decode("latin-1") if pinned else None,
            sets_deadline=True,
        )

    return resolve


def unknown_service(name: str, known: Iterable[str]) -> Refusal:
    """Return the answer for a name that no service has, with the nearest one that exists."""
    candidates = sorted(known)
    nearest = get_close_matches(name, candidates, n=1)
    if not name:
        detail = f"name a service: {', '.join(candidates) or 'none is running'}"
    else:
        detail = f"no service is called {name}"
        detail += f"; did you mean {nearest[0]}?" if nearest else ""
    return Refusal(reason=Reason.UNKNOWN_SERVICE, status=404, detail=detail, retry_after=None)


def _split_prefix(path: bytes, start: int) -> tuple[bytes, bytes]:
    """Cut the segment at `start`; what is left always begins with a slash."""
    rest = path[start:]
    end = next((i for i, byte in enumerate(rest) if byte in b"/?"), len(rest))
    target = rest[end:]
    return rest[:end], target if target.startswith(b"/") else b"/" + target
