"""`msctl call`: one request through balancer and breaker."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from msctl.cli import streams
from msctl.cli.call_output import Sink, open_sink
from msctl.cli.call_request import CallRequest, build_request
from msctl.cli.call_verdict import exit_code, is_refusal, refusal_message
from msctl.cli.completion import complete_services
from msctl.cli.errors import Action, ExitCode, complain, warn
from msctl.cli.options import FileOption, TimeoutOption, project_of
from msctl.cli.project import Project, names_or_none
from msctl.client import Exchange, ResponseHead
from msctl.clock import SystemClock
from msctl.config.naming import nearest_service
from msctl.errors import CallTimeout, MsctlError, UnknownService

_GRACE = 1.0
"""Seconds beyond `--timeout` that the router gets to say so itself."""
_REASON = "x-msctl-reason"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """How to send the request and what to do with the answer; `timeout` in seconds."""

    include: bool = False
    output: Path | None = None
    timeout: float | None = None
    no_fail: bool = False
    verbose: bool = False


def command(
    context: typer.Context,
    service: Annotated[str, typer.Argument(autocompletion=complete_services, help="Whom to call.")],
    method: Annotated[str, typer.Argument(help="GET, POST, ...")],
    path: Annotated[str, typer.Argument(help="The path, with a query or without.")],
    body: Annotated[
        str | None, typer.Argument(help="JSON text, @FILE, or - for stdin.", show_default=False)
    ] = None,
    *,
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="'K: V'", help="A header field.")
    ] = None,
    query: Annotated[
        list[str] | None, typer.Option("--query", "-q", metavar="K=V", help="A query parameter.")
    ] = None,
    include: Annotated[
        bool, typer.Option("--include", "-i", help="Print status line and headers too.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the body there.")
    ] = None,
    timeout: TimeoutOption = None,
    instance: Annotated[
        str | None, typer.Option("--instance", metavar="ID", help="This instance and no other.")
    ] = None,
    no_fail: Annotated[
        bool, typer.Option("--no-fail", help="Exit 0 for a service's error status too.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say who answered, and how fast.")
    ] = False,
    file: FileOption = None,
) -> Action:
    """Send one request to a service and print the response's body."""
    project = project_of(context, file)
    request = build_request(service, method, path, body, headers=header or (), query=query or ())
    request = request.routed(instance=instance, milliseconds=_milliseconds(timeout))
    options = CallOptions(
        include=include,
        output=None if output == Path("-") else output,
        timeout=timeout,
        no_fail=no_fail,
        verbose=verbose,
    )
    return lambda: Call(project, request, options).run()


def _milliseconds(timeout: float | None) -> int | None:
    return None if timeout is None else max(1, math.ceil(timeout * 1000))


class Call:
    """One request, from sending it to the exit code."""

    def __init__(self, project: Project, request: CallRequest, options: CallOptions) -> None:
        self._project = project
        self._request = request
        self._options = options
        self._clock = SystemClock()

    def run(self) -> int:
        """Carry it out; raises NoDaemon, CallTimeout, UnknownService, MsctlError."""
        request = self._request
        client = self._project.client
        body = request.read_body()
        if request.doubtful:
            warn("BODY is not JSON; it is sent as it is")
        began = self._clock.now()
        with (
            open_sink(self._options.output) as sink,
            client.open(request.method, request.target, request.header_fields(body), body) as call,
        ):
            head = self._wait_for_head(call, began)
            if self._options.verbose:
                self._say_routing(head, self._clock.now() - began)
            return self._finish(call, head, sink)

    def _wait_for_head(self, call: Exchange, began: float) -> ResponseHead:
        limit = self._options.timeout
        while call.head is None:
            left = None if limit is None else began + limit + _GRACE - self._clock.now()
            if left is not None and left <= 0:
                raise CallTimeout(self._request.service, limit or 0)
            if call in streams.wait([call], left, watch_stdout=self._options.output is None):
                self._fill(call)
        return call.head

    def _finish(self, call: Exchange, head: ResponseHead, sink: Sink) -> int:
        reason = head.header(_REASON)
        code = exit_code(head.status, reason, no_fail=self._options.no_fail)
        if is_refusal(code) and not self._options.include:
            sink.give_up()
            self._explain(reason, b"".join(call.read_body()))
            return code
        sink.begin(head, include=self._options.include)
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
        watched = self._options.output is None
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
            raise UnknownService(service, nearest_service(service, names_or_none(self._project)))
        complain(refusal_message(service, reason or "", body))

    def _say_routing(self, head: ResponseHead, seconds: float) -> None:
        instance = head.header("x-msctl-instance") or "no instance"
        attempts = head.header("x-msctl-attempts") or "0"
        noun = "attempt" if attempts == "1" else "attempts"
        streams.say(f"{head.status} from {instance}, {attempts} {noun}, {seconds * 1000:.1f} ms")
