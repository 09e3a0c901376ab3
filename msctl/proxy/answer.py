"""Giving the client its answer: an instance's response, or one of the router's own."""

from dataclasses import dataclass
from typing import Final

from msctl.core.decision import Refusal
from msctl.core.outcome import Reason
from msctl.proxy.attempt import Attempt
from msctl.proxy.client import ClientStream
from msctl.proxy.framing import UNTIL_CLOSE
from msctl.proxy.head import RequestHead, ResponseHead
from msctl.proxy.idle import IdleWatch
from msctl.proxy.instances import InstanceWatch
from msctl.proxy.interrupt import Cause, Interrupts
from msctl.proxy.meters import Cut
from msctl.proxy.problem import ProblemContext, problem
from msctl.proxy.relay import ResponseBody, client_framing
from msctl.proxy.request_body import RequestBody
from msctl.proxy.rewrite import ResponseContext, final_head, informational_head
from msctl.proxy.tunnel import Tunnel

_CONTINUE: Final = 100
_SWITCHING: Final = 101


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayScope:
    """What bounds a response on its way."""

    interrupts: Interrupts
    tunnels: InstanceWatch
    idle: float
    """Seconds without a byte in either direction."""


class Answer:
    """Writes to the client what there is to say about one request, once."""

    def __init__(
        self, client: ClientStream, request: RequestHead, body: RequestBody, service: str | None
    ) -> None:
        self.begun = False
        """Bytes that only one attempt can have said are out: nothing can be tried again."""
        self.continued = False
        """The client has been told to send its body."""
        self.attempts = 0
        self.instance: str | None = None
        """The one that was asked last."""
        self.status: int | None = None
        """What the client has been told, once it has."""
        self.reason: Reason | None = None
        """Why the router answered itself, if it did."""
        self.long_lived = False
        self.cut: Cut | None = None
        """Why there was no answer, or why it did not come to its end."""
        self._client = client
        self._request = request
        self._body = body
        self._service = service

    def refuse(self, refusal: Refusal) -> None:
        """Answer for the router; raises StreamLost."""
        self._end_if_out_of_step()
        context = ProblemContext(
            service=self._service,
            instance=self.instance,
            attempts=self.attempts,
            head_only=self._request.method == b"HEAD",
            close=not self._client.persistent,
        )
        self.begun = True
        self._client.write(problem(refusal, context))
        self.status, self.reason = refusal.status, refusal.reason

    def show(self, page: bytes) -> None:
        """Give a whole response of the gateway's own; raises StreamLost."""
        self.begun = True
        self._client.write(page)

    def inform(self, response: ResponseHead) -> None:
        """Pass a 1xx on to those who understand it, `100` once only; raises StreamLost."""
        if self._request.minor == 0:
            return
        if response.status != _CONTINUE:
            self.begun = True
        elif self.continued:
            return
        else:
            self.continued = True
        self._client.write(informational_head(response))

    async def relay(self, attempt: Attempt, response: ResponseHead, scope: RelayScope) -> None:
        """Pass the response on to its end, and give the attempt back.

        Raises UpstreamFailed (BROKEN_BODY), StreamLost for the client, Interrupted.
        """
        framing = client_framing(response, self._request.minor)
        self._end_if_out_of_step()
        if framing is UNTIL_CLOSE or response.status == _SWITCHING:
            self._client.persistent = False
        body = ResponseBody(attempt.connection, response, framing)
        head = final_head(
            response,
            framing,
            ResponseContext(
                minor=self._request.minor,
                close=not self._client.persistent,
                instance=attempt.lease.instance.id,
                attempts=self.attempts,
            ),
        )
        self.long_lived = response.long_lived
        if response.status == _SWITCHING:
            self.begun = True
            self._client.write(head)
            self.status = response.status
            tunnel = Tunnel(self._client, attempt.connection, scope.interrupts)
            await tunnel.run(scope.tunnels, attempt.lease.instance, scope.idle)
            await attempt.close(clean=True)
            return
        first = body.first()
        self.begun = True
        self._client.write(head + first)
        self.status = response.status
        if not body.complete:
            await self._stream(body, scope)
        clean = self._body.complete
        await attempt.close(reuse=clean and body.leaves_connection_usable, clean=clean)

    def _end_if_out_of_step(self) -> None:
        """Without `100` the client may send its body now or not at all; nobody can tell which."""
        if self._request.expects_continue and not (self.continued or self._body.complete):
            self._client.persistent = False

    async def _stream(self, body: ResponseBody, scope: RelayScope) -> None:
        watch = IdleWatch(scope.idle, lambda: scope.interrupts.fire(Cause.IDLE))
        self._body.on_piece = watch.touch
        try:
            async with scope.interrupts:
                await body.relay(self._client, watch)
        finally:
            self._body.on_piece = None
            watch.stop()
