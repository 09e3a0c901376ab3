"""One request and its response, from the head that was read to the last byte written."""

from typing import Final

from msctl.core.decision import Refusal
from msctl.core.outcome import Reason
from msctl.core.router import Call
from msctl.proxy.admission import Admission, admit
from msctl.proxy.answer import Answer
from msctl.proxy.attempt import Outgoing
from msctl.proxy.client import ClientStream
from msctl.proxy.conduct import Conductor, Parts
from msctl.proxy.context import ProxyContext
from msctl.proxy.destination import Destination
from msctl.proxy.faults import BadMessage, StreamLost
from msctl.proxy.head import RequestHead
from msctl.proxy.interrupt import Cause, Interrupted, Interrupts
from msctl.proxy.problem import refusal_of
from msctl.proxy.request_body import RequestBody
from msctl.proxy.rewrite import OutgoingRequest
from msctl.proxy.time_limit import Limits, TimeLimit

_TIMED_OUT: Final = Refusal(Reason.TIMEOUT, 504, "no answer in time")
_CLIENT_SLOW: Final = BadMessage("the body did not come", status=408)


class Exchange:
    """Answers one request; whatever happens, the call is finished and nothing is left open."""

    def __init__(
        self,
        proxy: ProxyContext,
        client: ClientStream,
        request: RequestHead,
        to: Destination | Refusal,
    ) -> None:
        self.body = RequestBody(client, request.framing, proxy.clock)
        self._proxy = proxy
        self._client = client
        self._request = request
        self._to = to
        service = to.service if isinstance(to, Destination) else None
        self._answer = Answer(client, request, self.body, service)
        self._interrupts = Interrupts()

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
            self._client.abort()

    async def _run(self) -> None:
        if isinstance(self._to, Refusal):
            self._answer.refuse(self._to)
            return
        admitted = admit(self._proxy.router, self._request, self._to)
        if isinstance(admitted, Refusal):
            self._answer.refuse(admitted)
            return
        call = admitted.route.begin(admitted.facts, self._proxy.clock.now())
        if isinstance(call, Refusal):
            self._answer.refuse(call)
            return
        try:
            await self._conductor(call, admitted, self._to).run()
        finally:
            call.finish(self._proxy.clock.now())

    def _conductor(self, call: Call, admitted: Admission, to: Destination) -> Conductor:
        request, idle = self._request, admitted.route.policy.limits.idle
        message = OutgoingRequest(request, to, self._client.peer, admitted.hops, self._proxy.ids)
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

    def _give_up(self, cause: Cause) -> None:
        """End an exchange that was interrupted."""
        refusal = self._refusal(cause)
        if refusal is None or self._answer.begun:
            self._client.abort()
            return
        if cause is not Cause.TIMED_OUT:
            self._client.persistent = False
        try:
            self._answer.refuse(refusal)
        except StreamLost:
            self._client.abort()

    def _refusal(self, cause: Cause) -> Refusal | None:
        if cause is Cause.TIMED_OUT:
            return _TIMED_OUT
        if cause is Cause.CLIENT_SLOW:
            return refusal_of(_CLIENT_SLOW)
        if cause is Cause.CLIENT_FAULT and self.body.fault is not None:
            return refusal_of(self.body.fault)
        return None
