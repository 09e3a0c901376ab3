"""One request and its response: asks the router what to do, and does it."""

import asyncio
import contextlib
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

from msctl.core.outcome import Outcome, Reason
from msctl.core.router import Again, Call, Lease, Refusal, Relay, Wait
from msctl.proxy.admission import Admission, admit
from msctl.proxy.attempt import Attempt, Outgoing
from msctl.proxy.context import ProxyContext, run_hook
from msctl.proxy.destination import Destination
from msctl.proxy.faults import BadMessage, StreamLost, UpstreamFailed
from msctl.proxy.fields import values
from msctl.proxy.head import RequestHead, ResponseHead
from msctl.proxy.idle import IdleWatch
from msctl.proxy.interrupt import Cause, Interrupted, Interrupts
from msctl.proxy.problem import ProblemContext, problem, refusal_of
from msctl.proxy.relay import ResponseBody, client_framing
from msctl.proxy.request_body import RequestBody
from msctl.proxy.rewrite import OutgoingRequest, ResponseContext, final_head, informational_head
from msctl.proxy.stream import Stream
from msctl.proxy.time_limit import Limits, TimeLimit
from msctl.proxy.tunnel import run_tunnel
