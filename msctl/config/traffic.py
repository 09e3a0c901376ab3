"""How requests reach a service: balancer, breaker, retries, limits, scaling."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from msctl.config.fields import (
    Count,
    CountOrZero,
    Flag,
    Number,
    NumberOrZero,
    Ratio,
    RatioOrZero,
    Seconds,
    SecondsOrZero,
    Section,
    bad_value,
    none_word,
    number,
)
from msctl.config.forms import OFF

_LONGEST_WINDOW = 3600


class Algorithm(StrEnum):
    """The rules by which an instance is picked (router.md, Balancer)."""

    ROUND_ROBIN = "round_robin"
    RANDOM = "random"
    LEAST_CONNECTIONS = "least_connections"
    P2C = "p2c"
    PEAK_EWMA = "peak_ewma"


class BalancerConfig(Section):
    """Which instance gets the next request."""

    algorithm: Algorithm = Algorithm.ROUND_ROBIN
    """The rule by which it is picked."""
    slow_start: SecondsOrZero = 5.0
    """Seconds over which a new instance grows into its full share."""


class BreakerConfig(Section):
    """When a failing instance stops getting requests (router.md, Breaker)."""

    failure_threshold: Count = 5
    """Failures in a row that open it."""
    timeout: Seconds = 60.0
    """The longest that it stays open before it tries again, in seconds."""
    failure_rate: Ratio = 0.5
    """Part of the calls in the window that must fail to open it."""
    minimum_calls: Count = 10
    """Calls in the window below which the rate means nothing."""
    window: Annotated[int, Field(ge=1, le=_LONGEST_WINDOW), BeforeValidator(number)] = 10
    """Seconds over which calls are counted."""


class RetryConfig(Section):
    """How often a failed request is sent again, to another instance."""

    attempts: Count = 3
    """Attempts in all, the first one included."""
    budget: RatioOrZero = 0.2
    """Retries allowed, as a part of the requests."""
    min_per_second: NumberOrZero = 10.0
    """Retries a second that are allowed whatever the budget says."""
    idempotency_key: Flag = False
    """Whether a POST that has an `Idempotency-Key` may be sent again."""


class LimitsConfig(Section):
    """How much a service takes on at once."""

    in_flight: Count = 1024
    """Requests under way, over all instances."""
    per_instance: Annotated[
        Count | None, BeforeValidator(none_word, json_schema_input_type=Count | OFF)
    ] = None
    """Requests under way at one instance; none for no limit."""
    queue: CountOrZero = 128
    """Requests that wait for a place; further ones are refused."""
    idle: Seconds = 300.0
    """Seconds without a byte after which a body or stream is given up."""


class ScalingConfig(Section):
    """How many instances run, by load."""

    min: CountOrZero = 1
    """The fewest instances."""
    max: Count | None = None
    """The most instances; by default one for each processor."""
    target_connections: Number = 10.0
    """Requests under way at each instance that the scaling aims at."""
    up_after: SecondsOrZero = 2.0
    """Seconds that the load must be above the target before instances are added."""
    down_after: SecondsOrZero = 30.0
    """Seconds that it must be below before instances are removed."""
    idle: Annotated[
        Seconds | None, BeforeValidator(none_word, json_schema_input_type=Seconds | OFF)
    ] = None
    """Seconds without any request after which the last instance is stopped too."""

    @model_validator(mode="after")
    def _min_below_max(self) -> Self:
        if self.max is not None and self.min > self.max:
            raise bad_value(f"min is {self.min}, above max, which is {self.max}; exchange them")
        return self

    def allows(self, replicas: int) -> bool:
        """Whether it may be that many, as far as the config says."""
        return self.min <= replicas and (self.max is None or replicas <= self.max)
