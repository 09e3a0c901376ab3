"""A clock that stands still until it is moved."""


class FakeClock:
    """Both of its times are the one that the test sets."""

    def __init__(self, now: float = 1000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.time
