"""The control client: how everything outside the daemon talks to it, standard library only.

The names below are imported when they are first used: most commands need few of them.
"""

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
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

_HOMES = {
    "ControlClient": "control",
    "MessageStream": "control",
    "Exchange": "exchange",
    "StreamedBody": "exchange",
}


def __getattr__(name: str) -> object:
    """Import a public name at its first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - for start-up time

    value: object = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'response')}"), name)
    globals()[name] = value
    return value
