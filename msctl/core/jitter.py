"""Randomness as an argument: what a random source is, and how a delay is spread."""

from typing import Protocol


class RandomSource(Protocol):
    """Where chance comes from; `random.Random` is one."""

    def random(self) -> float:
        """Return a number in [0, 1)."""
        ...


def spread(seconds: float, fraction: float, random: RandomSource) -> float:
    """Return `seconds` ± `fraction` of it, so that what began together does not stay so."""
    return seconds * (1 + fraction * (2 * random.random() - 1))
