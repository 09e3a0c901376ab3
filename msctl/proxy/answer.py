"""Giving the client its answer: an instance's response, or one of the router's own."""

from msctl.core.decision import Refusal
from msctl.proxy.attempt import Attempt
from msctl.proxy.client import ClientStream
from msctl.proxy.context import ProxyContext
from msctl.proxy.head import RequestHead, ResponseHead
from msctl.proxy.idle import IdleWatch
from msctl.proxy.interrupt import Cause, Interrupts
from msctl.proxy.problem import ProblemContext, problem
from msctl.proxy.relay import ResponseBody, client_framing
from msctl.proxy.request_body import RequestBody
from msctl.proxy.framing import UNTIL_CLOSE
from msctl.proxy.rewrite import ResponseContext, final_head, informational_head
from msctl.proxy.tunnel import Tunnel

_CONTINUE = 100
_SWITCHING = 101


class Answer:
    """Writes to the client what there is to say about one request, once.

    `begun` is true once bytes of the final response, or of a 1xx that says something about
    it, have gone out: from then on nothing can be tried again or answered differently.
    """

    def __init__(
        self,
        client: ClientStream,
        request: RequestHead,
        body: RequestBody,
        service: str | None,
    ) -> None:
        self.begun = False
        self.continued = False
        """The client has been told to send its body."""
        self.attempts = 0
        self.instance: str | None = None
        """The one that was asked last."""
        self._client = client
        self._request = request
        self._body = body
        self._service = service

    def refuse(self, refusal: Refusal) -> None:
        """Answer for the router."""
        if self._request.expects_continue and not self._body.complete:
            # The client may send its body now or not at all; nobody can tell which.
            self._client.persistent = False
        context = ProblemContext(
            service=self._service,
            instance=self.instance,
            attempts=self.attempts,
            head_only=self._request.method == b"HEAD",
            close=not self._client.persistent,
        )
        self.begun = True
        self._client.write(problem(refusal, context))

    def inform(self, response: ResponseHead) -> None:
        """Pass a 1xx on, to those who understand it; `100` once only."""
        if self._request.minor == 0:
            return
        if response.status == _CONTINUE:
            if self.continued:
                return
            self.continued = True
        else:
            self.begun = True
        self._client.write(informational_head(response))

    async def relay(
        self, proxy: ProxyContext, attempt: Attempt, response: ResponseHead, scope: "Scope"
    ) -> None:
        """Pass the response on to its end, and give the attempt back.

        Raises UpstreamFailed (BROKEN_BODY), StreamLost for the client, Interrupted.
        """
        upstream = attempt.upstream
        if upstream is None:
            raise RuntimeError("a response without a connection")
        framing = client_framing(response, self._request.minor)
        if framing is UNTIL_CLOSE:
            self._client.persistent = False
        body = ResponseBody(upstream, response, framing)
        self.begun = True
        self._client.write(final_head(response, framing, self._context(attempt)))
