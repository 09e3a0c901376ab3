"""What one health check found: the reading of an answer (router.md, Registry and health, verdict)."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

_EXCERPT = 200


class ProbeKind(StrEnum):
    """What an answer, or the lack of one, says of the instance."""

    OK = "ok"
    DEGRADED = "degraded"
    """It passes, and says itself that it is not at its best."""
    UNAVAILABLE = "unavailable"
    """503: it says itself that it wants no requests."""
    NOT_FOUND = "not_found"
    """404: the check asks for a path that is not there."""
    FAILED = "failed"
    """Refused, reset, no answer in time, or any other answer."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The outcome of one check; `detail` is for people, `status` the HTTP status if any."""

    kind: ProbeKind
    detail: str = ""
    status: int | None = None


def classify(status: int, body: bytes, expect_status: Collection[int] | None = None) -> ProbeResult:
    """Read the answer to an HTTP check.

    With `expect_status` exactly these pass; a 404 is then an ordinary failure, because
    whoever lists what passes has thought about the path.
    """
    passes = status in expect_status if expect_status else _is_good(status)
    if passes:
        degraded = _says_degraded(body)
        kind = ProbeKind.DEGRADED if degraded else ProbeKind.OK
        return ProbeResult(kind, f"answered {status}{', degraded' * degraded}", status)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        kind = ProbeKind.UNAVAILABLE
    elif status == HTTPStatus.NOT_FOUND and not expect_status:
        kind = ProbeKind.NOT_FOUND
    else:
        kind = ProbeKind.FAILED
    return ProbeResult(kind, f"answered {status}{_excerpt(body)}", status)


def _is_good(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.BAD_REQUEST


def _says_degraded(body: bytes) -> bool:
    if b"degraded" not in body:  # spares nearly every check the parser
        return False
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(answer, dict) and answer.get("status") == "degraded"


def _excerpt(body: bytes) -> str:
    """Return the beginning of an answer as one printable line, with what leads to it."""
    text = " ".join(body[:_EXCERPT].decode(errors="replace").split())
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return f": {printable}" if printable else ""
