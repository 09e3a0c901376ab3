"""What the commands send: the bodies of the control API's POST requests."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from msctl.runtime.commands import Goal


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class UpRequest(_Request):
    """The body of POST /up."""

    services: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    environment: dict[str, str] = Field(default_factory=dict)
    profiles: frozenset[str] = frozenset()
    scale: dict[str, NonNegativeInt] = Field(default_factory=dict)
    no_deps: bool = False
    wait: bool = True
    keep: bool = False
    watch: bool = False
    timeout: NonNegativeFloat | None = None


class StartRequest(_Request):
    """The body of POST /start."""

    services: tuple[str, ...] = ()
    environment: dict[str, str] = Field(default_factory=dict)
    timeout: NonNegativeFloat | None = None


class RestartRequest(StartRequest):
    """The body of POST /restart."""

    hard: bool = False
    parallel: PositiveInt = 1


class ScaleRequest(_Request):
    """The body of POST /scale."""

    replicas: dict[str, NonNegativeInt]
    environment: dict[str, str] | None = None
    timeout: NonNegativeFloat | None = None


class StopRequest(_Request):
    """The body of POST /stop."""

    services: tuple[str, ...] = ()
    timeout: NonNegativeFloat | None = None
    kill: bool = False


class WaitRequest(_Request):
    """The body of POST /wait."""

    services: tuple[str, ...] = ()
    goal: Goal = Field(default=Goal.HEALTHY, alias="for")
    timeout: NonNegativeFloat | None = None


class BreakerRequest(_Request):
    """The body of POST /breakers/…: SERVICE or SERVICE/INSTANCE, and seconds."""

    name: str
    seconds: Annotated[float | None, Field(alias="for", gt=0, allow_inf_nan=False)] = None
