"""What a session needs of the fleet."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

Document = Mapping[str, Any]


class Running(Protocol):
    """An operation under way."""

    def messages(self) -> AsyncIterator[Document]:
        """Yield what it says as it says it; the result comes last."""
        ...

    def cancel(self) -> None:
        """Interrupt it; it still tidies up and answers. Of no effect when it has ended."""
        ...


class Desk(Protocol):
    """Takes the commands of the control API. All methods raise MsctlError for a refusal."""

    async def status(self, names: Sequence[str]) -> Document:
        """Return the status document, of all or of the named services."""
        ...

    def begin(self, kind: str, body: Mapping[str, Any]) -> Running:
        """Begin the operation that `POST /kind` stands for."""
        ...

    def events(self, *, follow: bool) -> AsyncIterator[Sequence[Document]]:
        """Yield the events that are kept, and with `follow` those to come, until the end."""
        ...

    def attached(self) -> AbstractAsyncContextManager[None]:
        """Tie the fleet to the block: when it is left, everything stops."""
        ...
