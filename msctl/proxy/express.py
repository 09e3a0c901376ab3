"""A front door's connection: ordinary requests pass without a task, all others with one.

A request takes the express lane when its head is familiar, its body is there, the route has
nothing to decide but whose turn it is, and a connection to that instance is at hand. If then
the answer is familiar too, it goes back in the same step. Whatever else happens on the way,
the exchange that serves every other request takes over, in the middle of the attempt
(`_hand_over`): there is one set of rules for everything that can go wrong.
"""

from typing import Final

from msctl.core.decision import CallFacts
from msctl.core.express import Track
from msctl.core.outcome import Outcome
from msctl.core.router import ServiceRoute
from msctl.proxy import connection
from msctl.proxy.admission import Admission
from msctl.proxy.attempt import SLOW_AFTER
from msctl.proxy.connection import FLUSH_TIME, ClientConnection, Door
from msctl.proxy.context import ProxyContext
from msctl.proxy.destination import Resolver
from msctl.proxy.exchange import Begun, Exchange
from msctl.proxy.familiar import (
    IDEMPOTENT,
    REQUEST_LINE,
    FamiliarFields,
    FamiliarRequests,
    recognise_answer,
)
from msctl.proxy.head import RequestHead, parse_request
from msctl.proxy.meters import Cut
from msctl.proxy.stream import BUFFER_LIMIT, Stream
from msctl.proxy.trace import GivenIds
from msctl.proxy.upstream import InstanceKey, UpstreamConnection

LOOK_EVERY: Final = 0.1
"""Seconds between two looks at what waits; requests are handed over before they are slow."""

SHORTEST_LIMIT: Final = 3 * LOOK_EVERY
"""Seconds; with a shorter time limit a request could be overdue before anybody looks."""

_END: Final = b"\r\n\r\n"
_ID: Final = b"X-Request-Id: "
_TRACE: Final = b"\r\ntraceparent: 00-"
_SAMPLED: Final = b"-01\r\n\r\n"
_LOOKED_AT: Final = SLOW_AFTER - LOOK_EVERY


class ExpressConnection(ClientConnection):
    """One client of a front door; has a task only while a request needs one."""

    def __init__(
        self,
        proxy: ProxyContext,
        resolve: Resolver,
        door: Door,
        route: ServiceRoute,
        familiar: FamiliarRequests,
    ) -> None:
        super().__init__(proxy, resolve, door)
        self._lane = route.express
        self._route = route
        self._pool = proxy.pool
        self._ids = proxy.ids
        self._clock = proxy.clock.now
        self._meters = proxy.meters.service(route.name)
        self._access_log = proxy.access_log
        self._resting = True
        self._rested_at = self._clock()
        self._familiar = familiar
        self._fields: FamiliarFields | None = None
        self._upstream: UpstreamConnection | None = None
        self._track: Track | None = None
        self._key: InstanceKey = ("", 0)
        self._generation = 0
        self._started = 0.0
        self._sent = b""
        self._method = b""
        self._goes_on = True
        self._drawn = b""
        self._begun: tuple[RequestHead, Exchange] | None = None

    # What the event loop calls

    def begin(self) -> None:
        """Need no task yet."""

    def data_received(self, data: bytes) -> None:
        """Send an ordinary request on its way, or have a task serve what has come."""
        if self._resting and not self._access_log.enabled and self._take_off(data):
            return
        Stream.data_received(self, data)
        if self._resting and self._upstream is None:
            self._have_served()

    def eof_received(self) -> bool:
        """End a connection that rests; else as ever."""
        super().eof_received()
        if self._resting and self._upstream is None:
            self.close()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is under way; nobody else is there to tell the door."""
        super().connection_lost(exc)
        if self._resting:
            self._door.closed(self)

    # What the door calls

    def look(self, now: float) -> None:
        """Hand a request over before it is slow; end a connection that nobody uses."""
        if self._upstream is not None:
            # What has come of an answer is not kept from the client for longer than this.
            if self._upstream.buffer or now - self._started >= self._patience():
                self._hand_over()
        elif self._resting and now - self._rested_at >= connection.KEEP_ALIVE:
            self.close()

    def instance_lost(self, key: InstanceKey) -> None:
        """Take in that a process died or turned unhealthy: maybe the one that is asked."""
        if self._key != key:
            return
        if self._begun is not None:  # its task has not begun to listen
            self._begun[1].instance_lost()
        elif self._upstream is not None:
            answering = self._upstream.buffer
            exchange = self._hand_over()
            if not answering:
                exchange.instance_lost()

    def retire(self) -> None:
        """Let the request under way be the last; close at once when there is none."""
        super().retire()
        if self._upstream is not None:
            self._hand_over()
        elif self._resting:
            self.close()

    def at_rest(self) -> bool:
        """Need no task while there is nothing to read and nothing to end."""
        if self.buffer or self._draining or self.ended or not self._reading:
            return False
        self._task = None
        self._resting = True
        self._rested_at = self._clock()
        return True

    # On the lane

    def _take_off(self, data: bytes) -> bool:
        """Send the request that `data` is; False when it is not one for the lane."""
        line = REQUEST_LINE.match(data)
        if line is None or self._upstream is not None or self.buffer or not self._writable:
            return False
        start = line.end()
        fields = self._fields
        if (
            fields is None
            or not data.startswith(fields.raw, start)
            or len(data) != start + len(fields.raw) + fields.size
        ):
            fields = self._recognise(data, start)
            if fields is None:
                return False
        now = self._clock()
        lane = self._lane
        track = lane.take(now)
        if track is None:
            return False
        method = line[1]
        key = track.member.key
        self._track, self._key, self._generation = track, key, lane.generation
        self._method, self._sent, self._started = method, data, now
        self._goes_on = fields.persistent
        upstream = None
        if fields.timeout == lane.timeout:
            upstream = self._pool.take_ready(key, now, repeatable=method in IDEMPOTENT)
        if upstream is None:
            self._fields = None
            self._hand_over()
            return True
        ids = self._drawn = self._ids.draw_three()
        body = data[start + len(fields.raw) :] if fields.size else b""
        self._upstream = upstream
        upstream.flight = self
        head = (line[0], fields.lines, _ID, ids[48:], _TRACE, ids[:32], b"-", ids[32:48], _SAMPLED)
        upstream.send(b"".join(head) + body)
        return True

    def _recognise(self, data: bytes, start: int) -> FamiliarFields | None:
        timeout = self._route.policy.timeout
        if timeout < SHORTEST_LIMIT:
            return None
        fields = self._familiar.recognise(data, start, self.peer, timeout)
        if fields is None or len(data) != start + len(fields.raw) + fields.size:
            return None
        self._fields = fields
        return fields

    def answered(self, data: bytes) -> None:
        """Give the client its answer if it is whole and ordinary; else hand over."""
        upstream, track = self._upstream, self._track
        assert upstream is not None, "an answer is to a request"
        assert track is not None, "an answer is to a request"
        if upstream.buffer:
            data = bytes(upstream.buffer) + data
            upstream.buffer.clear()
        end = data.find(_END) + 4
        answer = None if end < 4 else recognise_answer(track, data[:end], self._meters)  # noqa: PLR2004 - -1 + 4
        goes_on = self._goes_on
        if answer is None or len(data) != end + answer.size or (self.buffer and not goes_on):
            upstream.buffer += data
            if answer is None or len(data) >= min(end + answer.size, BUFFER_LIMIT):
                self._hand_over()
            return
        now = self._clock()
        transport = self._transport
        assert transport is not None, "a connection that has a request has a transport"
        head = answer.head if goes_on else answer.last_head
        transport.write(head + data[end:] if answer.size else head)
        upstream.flight = self._upstream = None
        started = self._started
        answer.record(answer.status, now - started)
        if self._lane.done(track, self._generation, answer.status, started, now):
            self._pool.put_back(upstream, self._key, now)
        else:
            self._pool.release(upstream)
        self._rested_at = now
        if not goes_on:
            self.close(within=FLUSH_TIME)
        elif self.buffer:
            self._have_served()

    def out_of_order(self) -> None:
        """Let the exchange find out what became of the connection."""
        self._hand_over()

    # Off the lane

    def _patience(self) -> float:
        """Return after how many seconds what is under way must be handed over."""
        assert self._track is not None, "something is under way"
        return min(_LOOKED_AT, self._track.parts.policy.timeout - 2 * LOOK_EVERY)

    def _hand_over(self) -> Exchange:
        """Have the exchange go on with the attempt that is under way.

        Where no connection was at hand, all it has is an instance, and nothing has been sent.
        """
        track, sent, ids = self._track, self._sent, self._ids
        assert track is not None, "only what is under way is handed over"
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.flight = None
            drawn = self._drawn
            ids = GivenIds((drawn[:32], drawn[48:]), ids)
        end = sent.find(_END) + len(_END)
        request = parse_request(sent[:end])
        self.buffer[:0] = sent[end:]  # the exchange reads the body as if it came just now
        facts = CallFacts(idempotent=self._method in IDEMPOTENT)
        call, lease = self._lane.adopt(track, self._generation, facts, self._started)
        begun = Begun(
            admission=Admission(route=self._route, facts=facts, hops=1),
            call=call,
            lease=lease,
            upstream=upstream,
            ids=ids,
            started=self._started,
        )
        exchange = Exchange(self._proxy, self, request, self._resolve(request), begun)
        self._begun = request, exchange
        self._have_served()
        return exchange

    def _have_served(self) -> None:
        """Have a task serve what there is to serve."""
        self._resting = False
        super().begin()

    async def _serve_one(self) -> bool:
        if self._begun is None:
            return await super()._serve_one()
        (request, exchange), self._begun = self._begun, None
        return await self.answer(request, exchange)

    def _client_gone(self) -> None:
        upstream, track = self._upstream, self._track
        if upstream is None or track is None:
            super()._client_gone()
            return
        upstream.flight = self._upstream = None
        upstream.abort()
        self._lane.abandon(track, self._clock())
        self._meters.left_unanswered(Cut.CLIENT_GONE)
        self._meters.instance(track.instance.id).attempted(Outcome.CLIENT_GONE)
        self.abort()
