"""What the services' requests and answers are made of."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints


class Body(BaseModel):
    """A request body: no key that is not known, no blanks around text."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


def _without_float_noise(value: object) -> object:
    """Clients compute with binary floats: three times 19.99 arrives as 59.97 or nearly so."""
    return round(value, 6) if isinstance(value, float) else value


Id = Annotated[int, Field(ge=1, lt=2**63)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Email = Annotated[
    str, StringConstraints(pattern=r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$", max_length=254)
]
Money = Annotated[
    Decimal, BeforeValidator(_without_float_noise), Field(ge=0, le=10**12, decimal_places=2)
]
"""An amount with two decimals. Inside, money is a whole number of cents."""


def to_cents(amount: Decimal) -> int:
    """Return the amount in cents."""
    return int(amount * 100)


def from_cents(cents: int) -> float:
    """Return the amount as JSON shows it: 1999 as 19.99."""
    return cents / 100


def now() -> str:
    """Return the time, UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
