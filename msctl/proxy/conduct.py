"""Carrying out what the router decides about one call, until the client has its answer."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Final

from msctl.core.decision import Again, Refusal, Relay, Wait
from msctl.core.lease import Lease
from msctl.core.outcome import Outcome, Reason
from msctl.core.router import Call
from msctl.proxy.answer import Answer, RelayScope
from msctl.proxy.attempt import Attempt, Outgoing
from msctl.proxy.client import ClientStream
from msctl.proxy.context import ProxyContext, run_hook
from msctl.proxy.faults import StreamLost, UpstreamFailed
from msctl.proxy.head import ResponseHead
from msctl.proxy.interrupt import Cause, Interrupted, Interrupts
from msctl.proxy.meters import Cut
from msctl.proxy.relay import ResponseBody
from msctl.proxy.retry_after import retry_after
from msctl.proxy.time_limit import TimeLimit

_OUTCOMES: Final = {
    Cause.LOST: Outcome.LOST,
    Cause.TIMED_OUT: Outcome.TIMED_OUT,
}
"""Every other cause lies with the client, and counts for nobody."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A response that is not relayed yet, since another instance may give a better one."""

    attempt: Attempt
    response: ResponseHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a conductor works with; all of it belongs to one exchange."""

    client: ClientStream
    call: Call
    outgoing: Outgoing
    answer: Answer
    limit: TimeLimit
    interrupts: Interrupts
    idle: float


class Conductor:
    """Asks `call` for the next step and takes it, until the answer is given.

    The caller owns the call and finishes it; attempts are this one's own.
    """

    def __init__(self, proxy: ProxyContext, parts: Parts) -> None:
        self._proxy = proxy
        self._parts = parts
        self._call = parts.call
        self._interrupts = parts.interrupts
        self._held: _Held | None = None
        self._woken = asyncio.Event()

    async def run(self, begun: Attempt | None = None) -> None:
        """Give the client its answer; raises Interrupted, StreamLost for the client.

        `begun` is an attempt that is under way already.
        """
        self._call.wake = self._woken.set
        try:
            while True:
                step: Lease | Again | Refusal | Relay
                if begun is not None:
                    step, begun = await self._try(begun), None
                else:
                    step = await self._pick()
                if isinstance(step, Lease):
                    await self._let_go()
                    step = await self._try(Attempt(self._proxy, step, self._interrupts))
                if isinstance(step, Again):
                    await self._pause(step.delay)
                    continue
                if self._held is not None:
                    # Also when no better instance was found: "as is" (router.md, What counts).
                    await self._relay(self._held)
                elif isinstance(step, Refusal):
                    self._parts.answer.refuse(step)
                return
        finally:
            self._call.wake = None
            self._parts.limit.stop()
            await self._let_go()

    async def _pick(self) -> Lease | Refusal:
        try:
            async with self._interrupts:
                while True:
                    self._woken.clear()
                    picked = self._call.pick(self._proxy.clock.now())
                    if not isinstance(picked, Wait):
                        return picked
                    await self._wait(picked.until)
        except Interrupted as stop:
            if stop.cause is Cause.TIMED_OUT:
                picked = self._call.pick(self._proxy.clock.now())
                if isinstance(picked, Refusal):
                    return picked  # the router knows better what it was that took so long
            raise

    async def _wait(self, until: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, until - self._proxy.clock.now())):
                await self._woken.wait()

    async def _pause(self, delay: float) -> None:
        if delay > 0:
            async with self._interrupts:
                await asyncio.sleep(delay)

    async def _try(self, attempt: Attempt) -> Again | Refusal | Relay:
        answer, lease = self._parts.answer, attempt.lease
        answer.attempts, answer.instance = self._call.attempts, lease.instance.id
        try:
            async with self._interrupts:
                response = await attempt.run(self._parts.outgoing)
            self._held = _Held(attempt, response)
            return self._judge(lease, response)
        except UpstreamFailed as failure:
            step = self._failed(lease, failure.outcome)
            if failure.refused:
                run_hook(self._proxy.on_refused, lease.instance)
            return step
        except Interrupted as stop:
            outcome = _OUTCOMES.get(stop.cause, Outcome.CLIENT_GONE)
            if outcome is Outcome.LOST and not attempt.connected:
                outcome = Outcome.NOT_SENT
            step = self._failed(lease, outcome)
            self._interrupts.forget_lost()
            if stop.cause in _OUTCOMES:
                return step
            raise
        finally:
            if self._held is None:
                await attempt.close()

    def _judge(self, lease: Lease, response: ResponseHead) -> Again | Relay:
        clock = self._proxy.clock
        return self._call.answered(
            lease,
            response.status,
            retry_after(response.fields, clock.wall()),
            clock.now(),
            can_replay=self._can_replay(),
        )

    def _failed(self, lease: Lease, outcome: Outcome) -> Again | Refusal:
        now = self._proxy.clock.now()
        self._count(lease, outcome)
        return self._call.failed(lease, outcome, now, can_replay=self._can_replay())

    def _can_replay(self) -> bool:
        return self._parts.outgoing.body.replayable and not self._parts.answer.begun

    def _count(self, lease: Lease, outcome: Outcome) -> None:
        """Count an attempt that does not become the answer."""
        instance = lease.instance
        self._proxy.meters.instance(instance.service, instance.id).attempted(outcome)

    async def _relay(self, held: _Held) -> None:
        self._held = None
        self._parts.limit.stop()
        if held.response.long_lived:
            self._call.exempt(self._proxy.clock.now())
        answer = self._parts.answer
        scope = RelayScope(
            interrupts=self._interrupts, tunnels=self._proxy.tunnels, idle=self._parts.idle
        )
        try:
            await answer.relay(held.attempt, held.response, scope)
        except UpstreamFailed as failure:
            self._call.broken(held.attempt.lease, self._proxy.clock.now())
            if answer.begun:
                answer.cut = Cut.BROKEN_BODY
                self._parts.client.abort()  # never a clean end
            else:
                self._count(held.attempt.lease, Outcome.BROKEN_BODY)
                answer.refuse(Refusal(Reason.BAD_RESPONSE, 502, failure.detail))
        except StreamLost:
            if answer.status is None:
                self._count(held.attempt.lease, Outcome.ANSWERED)
            raise
        finally:
            await held.attempt.close()  # in mid-body: nothing of the connection can be kept

    async def _let_go(self) -> None:
        """Give up the response that is held, if any; its connection is kept if that is easy."""
        held, self._held = self._held, None
        if held is not None:
            self._count(held.attempt.lease, Outcome.ANSWERED)
            response = held.response
            body = ResponseBody(held.attempt.connection, response, response.framing)
            in_step = body.discard() and self._parts.outgoing.body.complete
            await held.attempt.close(reuse=in_step)
