"""The control client: how everything outside the daemon talks to it, standard library only."""

from msctl.client.control import ControlClient, MessageStream
from msctl.client.exchange import Exchange, StreamedBody
from msctl.client.response import BrokenResponse, ResponseHead, ResponseReader

__all__ = [
    "BrokenResponse",
    "ControlClient",
    "Exchange",
    "MessageStream",
    "ResponseHead",
    "ResponseReader",
    "StreamedBody",
]
