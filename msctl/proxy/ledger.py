"""The last act of an exchange: its end goes into the meters and the access log."""

from dataclasses import dataclass

from msctl.proxy.access import Access, AccessLog
from msctl.proxy.answer import Answer
from msctl.proxy.destination import Destination
from msctl.proxy.fields import values
from msctl.proxy.head import RequestHead
from msctl.proxy.meters import NO_SERVICE, Cut, Meters
from msctl.proxy.rewrite import OutgoingRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What is known of a request when it is over."""

    request: RequestHead
    to: Destination | None
    """None when it was for no service that exists."""
    sent: OutgoingRequest | None
    """None when it was refused before there was anything to send."""
    answer: Answer
    seconds: float
    """From its head to the end of its answer."""
    client: str


def enter(ending: Ending, meters: Meters, log: AccessLog) -> None:
    """Count a request that is over, and log it if that is wanted.

    Every request is either answered by an instance, or refused, or left unanswered.
    """
    _count(ending, meters)
    if log.enabled:
        log.record(_access(ending))


def _count(ending: Ending, meters: Meters) -> None:
    answer = ending.answer
    service = meters.service(NO_SERVICE if ending.to is None else ending.to.service)
    if answer.attempts > 1:
        service.retried(answer.attempts - 1)
    if answer.status is None:
        service.left_unanswered(answer.cut or Cut.FAILED)
        return
    if answer.reason is not None:
        service.refused(answer.reason, answer.status, ending.seconds)
        return
    meter = service.instance(answer.instance or "")
    if answer.long_lived:
        meter.record_long_lived(answer.status)
    else:
        meter.record(answer.status, ending.seconds)
    if answer.cut is not None:
        meter.cut(answer.cut)


def _access(ending: Ending) -> Access:
    request, answer, to, sent = ending.request, ending.answer, ending.to, ending.sent
    target = request.target.path if to is None else to.target
    request_ids = values(request.fields, b"x-request-id") if sent is None else [sent.request_id]
    return Access(
        service=None if to is None else to.service,
        instance=answer.instance,
        method=request.method.decode(),
        path=_text(target.partition(b"?")[0]),
        status=answer.status,
        seconds=round(ending.seconds, 6),
        attempts=answer.attempts,
        request_id=_text(request_ids[0]) if request_ids else None,
        trace_id=None if sent is None else sent.trace_id.decode(),
        reason=answer.reason or answer.cut,
        client=ending.client or None,
    )


def _text(raw: bytes) -> str:
    return raw.decode(errors="backslashreplace")
