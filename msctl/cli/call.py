"""`msctl call`: one request through balancer and breaker."""

from time import monotonic

from msctl.cli import streams
from msctl.cli.argv import Invocation
from msctl.cli.call_output import Sink, open_sink
from msctl.cli.call_request import CallRequest, build_request
from msctl.cli.call_verdict import exit_code, is_refusal, refusal_message
from msctl.cli.messages import complain, warn
from msctl.cli.project import Project, names_or_none
from msctl.client.connection import connect
from msctl.client.exchange import Exchange
from msctl.client.response import ResponseHead
from msctl.errors import CallTimeout, MsctlError, UnknownService, UsageError
from msctl.exitcodes import ExitCode

_GRACE = 1.0
"""Seconds beyond `--timeout` that the router gets to say so itself."""
_REASON = "x-msctl-reason"


def run(project: Project, invocation: Invocation) -> int:
    """Send the request and print the response; return the exit code."""
    service, method, path = (str(invocation.text(name)) for name in ("service", "method", "path"))
    request = build_request(
        service,
        method,
        path,
        invocation.text("body"),
        headers=invocation.texts("header"),
        query=invocation.texts("query"),
    )
    timeout = invocation.seconds("timeout")
    milliseconds = None if timeout is None else max(1, int(-(-timeout * 1000 // 1)))
    request.route(instance=invocation.text("instance"), milliseconds=milliseconds)
    if invocation.flag("each"):
        return _each(project, request, invocation)
    return Call(project, request, invocation).run()


def _each(project: Project, request: CallRequest, invocation: Invocation) -> int:
    """Make a request of each line of stdin."""
    from msctl.cli.each import call_each, request_maker  # noqa: PLC0415 - for start-up time

    parallel = invocation.count("parallel")
    if parallel == 0:
        raise UsageError("--parallel 0: give 1 or more")
    fields = request.header_fields(b"", last=False)
    return call_each(
        lambda: connect(project.socket),
        request.method,
        request_maker(request.method, request.target, fields),
        parallel=parallel or 1,
        no_fail=invocation.flag("no_fail"),
    )


class Call:
    """One request, from sending it to the exit code."""

    def __init__(self, project: Project, request: CallRequest, options: Invocation) -> None:
        self._project = project
        self._request = request
        self._timeout = options.seconds("timeout")
        self._include = options.flag("include")
        self._no_fail = options.flag("no_fail")
        self._verbose = options.flag("verbose")
        output = options.text("output")
        self._output = None if output == "-" else output

    def run(self) -> int:
        """Carry it out; raises NoDaemon, CallTimeout, UnknownService, MsctlError."""
        request = self._request
        body = request.read_body()
        if request.doubtful:
            warn("BODY is not JSON; it is sent as it is")
        began = monotonic()
        with (
            open_sink(self._output) as sink,
            Exchange(connect(self._project.socket), request.method) as call,
        ):
            call.start(request.method, request.target, request.header_fields(body), body)
            head = self._wait_for_head(call, began)
            if self._verbose:
                self._say_routing(head, monotonic() - began)
            return self._finish(call, head, sink)

    def _wait_for_head(self, call: Exchange, began: float) -> ResponseHead:
        limit = self._timeout
        while call.head is None:
            left = None if limit is None else began + limit + _GRACE - monotonic()
            if left is not None and left <= 0:
                raise CallTimeout(self._request.service, limit or 0)
            if call in streams.wait([call], left, watch_stdout=self._output is None):
                self._fill(call)
        return call.head

    def _finish(self, call: Exchange, head: ResponseHead, sink: Sink) -> int:
        reason = head.header(_REASON)
        code = exit_code(head.status, reason, no_fail=self._no_fail)
        if is_refusal(code) and not self._include:
            sink.give_up()
            self._explain(reason, b"".join(call.read_body()))
            return code
        sink.begin(head, include=self._include)
        self._relay(call, sink)
        sink.end()
        if code != ExitCode.OK:
            instance = head.header("x-msctl-instance")
            by = f" ({instance})" if instance else ""
            complain(
                f"{self._request.service} answered {head.status} {head.reason}".rstrip()
                + (f": {reason}" if reason else by)
            )
        return code

    def _relay(self, call: Exchange, sink: Sink) -> None:
        """Pass the body on as it comes; end at once when nobody reads it any more."""
        watched = self._output is None
        while True:
            if piece := call.take():
                sink.write(piece)
            if call.drained:
                return
            if call in streams.wait([call], watch_stdout=watched):
                self._fill(call)

    def _fill(self, call: Exchange) -> None:
        try:
            call.fill()
        except MsctlError:
            if call.send_error is not None:
                raise MsctlError(f"the body could not be read: {call.send_error}") from None
            raise

    def _explain(self, reason: str | None, body: bytes) -> None:
        service = self._request.service
        if reason == "unknown_service":
            from msctl.config.naming import nearest_service  # noqa: PLC0415 - for start-up time

            raise UnknownService(service, nearest_service(service, names_or_none(self._project)))
        complain(refusal_message(service, reason or "", body))

    def _say_routing(self, head: ResponseHead, seconds: float) -> None:
        instance = head.header("x-msctl-instance") or "no instance"
        attempts = head.header("x-msctl-attempts") or "0"
        noun = "attempt" if attempts == "1" else "attempts"
        streams.say(f"{head.status} from {instance}, {attempts} {noun}, {seconds * 1000:.1f} ms")
