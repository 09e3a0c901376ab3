"""The right to make one call, given by a breaker and given back with a verdict."""

from typing import Protocol

from msctl.core.outcome import Verdict


class PermitIssuer(Protocol):
    """What a permit needs of the breaker that gave it."""

    def settle(self, permit: "Permit", verdict: Verdict, now: float, *, lost: bool = False) -> None:
        """Count the verdict of a call that this permit allowed."""
        ...

    def settle_unreachable(self, permit: "Permit", now: float) -> None:
        """Count that nothing listens at the other end."""
        ...


class Permit:
    """One call's pass through a breaker; giving it back is idempotent.

    It belongs to the generation in which it was given: when the breaker has changed its
    state since, the verdict changes nothing (router.md, Breaker 1).
    """

    __slots__ = ("_issuer", "expires_at", "generation", "released")

    def __init__(self, issuer: PermitIssuer, generation: int, expires_at: float | None) -> None:
        self._issuer = issuer
        self.generation = generation
        self.expires_at = expires_at
        """When a probe counts as failed; None for an ordinary call."""
        self.released = False

    def release(self, verdict: Verdict, now: float, *, lost: bool = False) -> None:
        """Give it back with what the call showed; only the first verdict counts.

        `lost`: nothing came back since the process had died or hung, as its health told.
        """
        if not self.released:
            self._issuer.settle(self, verdict, now, lost=lost)

    def unreachable(self, now: float) -> None:
        """Give it back: the connection was refused, so the process is dead or dying.

        One is enough to open, without regard to thresholds or to the cap (Breaker 5 and 6).
        """
        self._issuer.settle_unreachable(self, now)

    def broken(self, now: float) -> None:
        """Count one more failure: the call was judged by its response's head, which broke off.

        "Broken in mid-body" in router.md's table; without effect unless it was given back.
        """
        if self.released:
            Permit(self._issuer, self.generation, None).release(Verdict.FAILURE, now)
