"""The claim of one call on one instance, from the choice to the end of the response's body."""

from collections.abc import Callable

from msctl.core.balancer_load import Load
from msctl.model import ServiceInstance


class Lease:
    """One connection that counts; giving it back is idempotent, and belongs in a `finally`.

    Choosing an instance and making its lease is one synchronous step (router.md, One call):
    the count is right before anyone else chooses.
    """

    __slots__ = ("_counted", "_load", "_on_release", "fresh", "instance", "released")

    def __init__(
        self,
        instance: ServiceInstance,
        load: Load,
        on_release: Callable[["Lease", float], None] | None = None,
        *,
        fresh: bool = False,
        counted: bool = True,
    ) -> None:
        self.instance = instance
        self.fresh = fresh
        """Whether the request has to go over a new connection ("What counts", row 2)."""
        self.released = False
        self._load = load
        self._on_release = on_release
        self._counted = counted
        load.connections += 1
        load.limited += counted

    def release(self, now: float) -> None:
        """Give it back: at the end of the response's body, not before."""
        if self.released:
            return
        self.released = True
        # The load of the process that was chosen, also if its id has a new process by now.
        self._load.connections -= 1
        self.exempt()
        if self._on_release is not None:
            self._on_release(self, now)

    def exempt(self) -> None:
        """Count it as a connection only, not against the limit (tunnels, event streams)."""
        self._load.limited -= self._counted
        self._counted = False

    def __repr__(self) -> str:
        held = "released" if self.released else "held"
        return f"<Lease {self.instance.id}@{self.instance.generation} {held}>"
