"""One request and its response, from the head that was read to the last byte written."""

import asyncio
from dataclasses import dataclass
from typing import Final

from msctl.core.decision import Refusal
from msctl.core.lease import Lease
from msctl.core.outcome import Reason
from msctl.core.router import Call
from msctl.proxy.admission import Admission, admit
from msctl.proxy.answer import Answer
from msctl.proxy.attempt import Attempt, Outgoing
from msctl.proxy.client import ClientStream
from msctl.proxy.conduct import Conductor, Parts
from msctl.proxy.context import ProxyContext
from msctl.proxy.destination import Destination, OwnPage
from msctl.proxy.faults import BadMessage, StreamLost
from msctl.proxy.head import RequestHead
from msctl.proxy.interrupt import Cause, Interrupted, Interrupts
from msctl.proxy.ledger import Ending, enter
from msctl.proxy.meters import Cut
from msctl.proxy.problem import refusal_of
from msctl.proxy.request_body import RequestBody
from msctl.proxy.rewrite import OutgoingRequest
from msctl.proxy.time_limit import Limits, TimeLimit
from msctl.proxy.trace import IdSource
from msctl.proxy.upstream import UpstreamConnection

_TIMED_OUT: Final = Refusal(Reason.TIMEOUT, 504, "no answer in time")
_CLIENT_SLOW: Final = BadMessage("the body did not come", status=408)


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What an exchange takes over from the express lane: its first attempt, under way."""

    admission: Admission
    call: Call
    lease: Lease
    upstream: UpstreamConnection | None
    """The connection on which all of the request was sent; None: nothing was sent yet."""
    ids: IdSource
    """Draws the ids that the first attempt was sent with, if it was."""
    started: float


class Exchange:
    """Answers one request; whatever happens, the call is finished and nothing is left open."""

    def __init__(
        self,
        proxy: ProxyContext,
        client: ClientStream,
        request: RequestHead,
        to: Destination | Refusal | OwnPage,
        begun: Begun | None = None,
    ) -> None:
        self._begun = begun
        self.body = RequestBody(client, request.framing, proxy.clock)
        self._proxy = proxy
        self._client = client
        self._request = request
        self._to = to
        service = to.service if isinstance(to, Destination) else None
        self._answer = Answer(client, request, self.body, service)
        self._interrupts = Interrupts()
        self._started = proxy.clock.now() if begun is None else begun.started
        self._sent: OutgoingRequest | None = None

    def instance_lost(self) -> None:
        """End the attempt under way: its instance has died or turned unhealthy."""
        self._interrupts.fire(Cause.LOST)

    def client_gone(self) -> None:
        """End it: nobody waits for the answer (router.md: upstream cancelled within 100 ms)."""
        self._interrupts.fire(Cause.CLIENT_GONE)

    async def run(self) -> None:
        """Answer the request, or cut the connection when no honest answer is possible."""
        try:
            await self._run()
        except Interrupted as stop:
            self._give_up(stop.cause)
        except StreamLost:
            self._cut(Cut.CLIENT_GONE)
        except asyncio.CancelledError:
            self._answer.cut = Cut.STOPPED
            raise
        finally:
            if not isinstance(self._to, OwnPage):
                self._enter(self._to)

    async def _run(self) -> None:
        if isinstance(self._to, OwnPage):
            await self._show_metrics()
            return
        if isinstance(self._to, Refusal):
            self._answer.refuse(self._to)
            return
        begun = self._begun
        if begun is not None:
            await self._conduct(begun.call, begun.admission, self._to, self._attempt(begun))
            return
        admitted = admit(self._proxy.router, self._request, self._to)
        if isinstance(admitted, Refusal):
            self._answer.refuse(admitted)
            return
        call = admitted.route.begin(admitted.facts, self._proxy.clock.now())
        if isinstance(call, Refusal):
            self._answer.refuse(call)
            return
        await self._conduct(call, admitted, self._to, None)

    async def _conduct(
        self, call: Call, admitted: Admission, to: Destination, begun: Attempt | None
    ) -> None:
        try:
            await self._conductor(call, admitted, to).run(begun)
        finally:
            call.finish(self._proxy.clock.now())

    def _attempt(self, begun: Begun) -> Attempt:
        attempt = Attempt(self._proxy, begun.lease, self._interrupts)
        if begun.upstream is not None:
            attempt.adopt(begun.upstream, self._proxy.clock.now() - begun.started)
        return attempt

    def _conductor(self, call: Call, admitted: Admission, to: Destination) -> Conductor:
        request, idle = self._request, admitted.route.policy.limits.idle
        ids = self._proxy.ids if self._begun is None else self._begun.ids
        message = self._sent = OutgoingRequest(request, to, self._client.peer, admitted.hops, ids)
        limit = TimeLimit(
            Limits(started=self.body.received_at, deadline=call.deadline, idle=idle),
            self._proxy.clock,
            self.body,
            self._interrupts.fire,
        )

        def head() -> bytes:
            waits = request.expects_continue and not (self._answer.continued or self.body.begun)
            return message.render(left=limit.left(), expect_continue=waits)

        outgoing = Outgoing(
            request=request, body=self.body, head=head, on_informational=self._answer.inform
        )
        parts = Parts(
            client=self._client,
            call=call,
            outgoing=outgoing,
            answer=self._answer,
            limit=limit,
            interrupts=self._interrupts,
            idle=idle,
        )
        return Conductor(self._proxy, parts)

    async def _show_metrics(self) -> None:
        async with self._interrupts:
            page = await self._proxy.metrics_page.response(
                self._request, close=not self._client.persistent
            )
        self._answer.show(page)

    def _enter(self, to: Destination | Refusal) -> None:
        ending = Ending(
            request=self._request,
            to=to if isinstance(to, Destination) else None,
            sent=self._sent,
            answer=self._answer,
            seconds=self._proxy.clock.now() - self._started,
            client=self._client.peer,
        )
        enter(ending, self._proxy.meters, self._proxy.access_log)

    def _cut(self, cut: Cut) -> None:
        self._answer.cut = self._answer.cut or cut
        self._client.abort()

    def _give_up(self, cause: Cause) -> None:
        """End an exchange that was interrupted."""
        refusal = self._refusal(cause)
        if refusal is None or self._answer.begun:
            self._cut(Cut[cause.name])
            return
        if cause is not Cause.TIMED_OUT:
            self._client.persistent = False
        try:
            self._answer.refuse(refusal)
        except StreamLost:
            self._cut(Cut.CLIENT_GONE)

    def _refusal(self, cause: Cause) -> Refusal | None:
        if cause is Cause.TIMED_OUT:
            return _TIMED_OUT
        if cause is Cause.CLIENT_SLOW:
            return refusal_of(_CLIENT_SLOW)
        if cause is Cause.CLIENT_FAULT and self.body.fault is not None:
            return refusal_of(self.body.fault)
        return None
