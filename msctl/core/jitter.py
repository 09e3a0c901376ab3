"""Randomness as an argument: what a random source is, and how a delay is spread."""

from typing import Protocol

_MOMENTS = 4
"""On each side of the middle."""
_ROUNDING = 1e-6
_SMALLEST_GAP = 0.001
"""Seconds; closer together than this nothing is saved."""


class RandomSource(Protocol):
    """Where chance comes from; `random.Random` is one."""

    def random(self) -> float:
        """Return a number in [0, 1)."""
        ...


def spread(seconds: float, fraction: float, random: RandomSource) -> float:
    """Return `seconds` ± `fraction` of it, so that what began together does not stay so."""
    return seconds * (1 + fraction * (2 * random.random() - 1))


def spread_together(seconds: float, fraction: float, now: float, random: RandomSource) -> float:
    """Return `seconds` ± `fraction` of it, such that what is due about then is due at one moment.

    Waking up is most of what a timer costs: an idle daemon that wakes for each of a hundred
    checks a second takes twice the processor time of one that wakes twenty times and makes
    five. The moments are an eighth of the spread apart, 50 ms for 2 s ± 10 %.
    """
    delay = spread(seconds, fraction, random)
    gap = seconds * fraction / _MOMENTS
    if gap < _SMALLEST_GAP:
        return delay
    together = round((now + delay) / gap) * gap - now
    if abs(together - seconds) <= seconds * fraction * (1 + _ROUNDING):
        return together
    return together + gap if together < seconds else together - gap
