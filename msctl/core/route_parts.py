"""What the calls of one service share."""

from collections.abc import Callable
from dataclasses import dataclass

from msctl.core.balancer import LoadBalancer
from msctl.core.bulkhead import Bulkhead
from msctl.core.jitter import RandomSource
from msctl.core.retry_budget import RetryBudget
from msctl.core.rotation import Rotation
from msctl.core.route_policy import RoutePolicy
from msctl.core.service_gate import ServiceGate
from msctl.core.waiting_room import WaitingRoom


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteParts:
    """The stations of a call, outermost first (router.md, One call)."""

    name: str
    policy: RoutePolicy
    bulkhead: Bulkhead
    gate: ServiceGate
    budget: RetryBudget
    rotation: Rotation
    balancer: LoadBalancer
    waiting: WaitingRoom
    random: RandomSource
    summon: Callable[[], bool]
    """Called when a call finds nobody running or starting; True: there will be somebody."""
