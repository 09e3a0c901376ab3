"""How many instances a service should have, by the load that it has.

Load is the number of calls under way or waiting, on average over the last second: one look
at a time would see the gaps between short calls, and scale by chance.

- Up: as soon as the load has needed more instances for `up_after`, to what it needs now. A
  spike that is over by then changes nothing.
- Down: as soon as it has needed fewer for `down_after`, to the most that it needed in that
  time but for the first second, in which the average fell; with room to spare (`ROOM`), so
  that a load at the border of two sizes does not swing.
- To none, where `min` is 0: after `idle` without a single call. One call brings one back.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from msctl.config.traffic import ScalingConfig

AVERAGED: Final = 1.0
"""Seconds that the load is averaged over."""
ROOM: Final = 0.8
"""Part of the target that instances may be loaded to after some of them are taken away."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a service has to do at one moment."""

    calls: int
    """Under way or waiting."""
    served: int
    """How many there have been so far; tells of those that came and went unseen."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Another number of instances, and the figures behind it."""

    replicas: int
    reason: str


class Autoscaler:
    """Decides for one service; `now` is monotonic, in seconds."""

    def __init__(self, config: ScalingConfig, cores: int) -> None:
        self._config = config
        self._most = max(cores, config.min) if config.max is None else config.max
        self._samples: deque[tuple[float, int]] = deque()
        self._needs: deque[tuple[float, float]] = deque()
        """Average loads, for as long as any decision looks back."""
        self._since: float | None = None
        """When it was last asked anew: nothing before this counts."""
        self._served = -1
        self._busy_at = 0.0

    @property
    def least(self) -> int:
        """The fewest instances, whatever the load."""
        return min(self._config.min, self._most)

    @property
    def most(self) -> int:
        """The most: what the config says, else one for each processor."""
        return self._most

    def forget(self) -> None:
        """Begin anew: somebody else has changed the number of instances."""
        self._samples.clear()
        self._needs.clear()
        self._since = None

    def observe(self, load: Load, now: float) -> None:
        """Take in the load at this moment; to be called several times a second."""
        if self._since is None:
            self._since = self._busy_at = now
        if load.calls or load.served != self._served:
            self._served, self._busy_at = load.served, now
        self._samples.append((now, load.calls))
        while self._samples[0][0] < now - AVERAGED:
            self._samples.popleft()
        average = sum(calls for _, calls in self._samples) / len(self._samples)
        self._needs.append((now, average))
        while self._needs[0][0] < now - max(self._config.up_after, self._config.down_after):
            self._needs.popleft()

    def decide(self, replicas: int, now: float) -> Decision | None:
        """Return what to change now; None: nothing. `replicas` is the number that is wanted."""
        if self._since is None or not self._needs:
            return None
        decision = self._bounded(replicas) or self._up(replicas, now) or self._down(replicas, now)
        if decision is not None:
            self._needs.clear()
            self._since = now
        return decision

    def _bounded(self, replicas: int) -> Decision | None:
        if replicas > self._most:
            return Decision(self._most, f"{replicas} instances are more than {self._most}")
        if replicas < self.least:
            return Decision(self.least, f"{replicas} instances are fewer than {self.least}")
        return None

    def _up(self, replicas: int, now: float) -> Decision | None:
        config = self._config
        if replicas == 0:
            calls = self._samples[-1][1]
            return Decision(1, f"{calls} calling, no instance there") if calls else None
        loads = self._back(config.up_after, now)
        if not loads:
            return None
        load, each = loads[-1], config.target_connections
        needed = min(self._most, self._needed(load, each))
        if needed <= replicas or self._needed(min(loads), each) <= replicas:
            return None
        return Decision(needed, self._figures("above", load, replicas, config.up_after))

    def _down(self, replicas: int, now: float) -> Decision | None:
        config = self._config
        floor = max(1, self.least)
        each = config.target_connections * ROOM
        if replicas > floor and (loads := self._back(config.down_after, now)):
            load = max(self._back(max(0.0, config.down_after - AVERAGED), now) or loads[-1:])
            needed = max(floor, self._needed(load, each))
            if needed < replicas and self._needed(max(loads), each) < replicas:
                figures = self._figures("below", load, replicas, config.down_after)
                return Decision(needed, figures)
        idle = config.down_after if config.idle is None else config.idle
        if (
            self.least == 0
            and replicas > 0
            and now - max(self._busy_at, self._since or now) >= idle
        ):
            return Decision(0, f"no call for {idle:g} s")
        return None

    def _back(self, seconds: float, now: float) -> list[float]:
        """Return the loads of so many seconds; none when they have not passed yet."""
        if self._since is None or now - self._since < seconds:
            return []
        return [load for at, load in self._needs if at >= now - seconds]

    def _needed(self, load: float, each: float) -> int:
        return math.ceil(load / each - 1e-9)

    def _figures(self, side: str, load: float, replicas: int, seconds: float) -> str:
        return (
            f"{load:.1f} calls under way at {replicas} instance{'s'[: replicas > 1]}, {side} "
            f"{self._config.target_connections:g} each for {seconds:g} s"
        )
