"""The parts of the proxy that every connection shares."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from msctl.clock import Clock
from msctl.core.router import Router
from msctl.model import ServiceInstance
from msctl.proxy.access import AccessLog
from msctl.proxy.instances import InstanceWatch
from msctl.proxy.meters import Meters
from msctl.proxy.own_page import MetricsPage
from msctl.proxy.trace import IdSource
from msctl.proxy.upstream import UpstreamPool

logger = logging.getLogger(__name__)

InstanceHook = Callable[[ServiceInstance], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyContext:
    """Shared by all listeners of one gateway."""

    router: Router
    clock: Clock
    pool: UpstreamPool
    ids: IdSource
    unanswered: InstanceWatch
    """Attempts that wait for an answer; ended as lost when their instance is given up."""
    tunnels: InstanceWatch
    """Upgraded connections; cut when their instance must go."""
    on_slow: InstanceHook
    on_refused: InstanceHook
    meters: Meters
    access_log: AccessLog
    metrics_page: MetricsPage


def run_hook(hook: InstanceHook, instance: ServiceInstance) -> None:
    """Tell whoever watches the instances; a hook that raises does not harm the call."""
    try:
        hook(instance)
    except Exception:
        logger.exception(
            "instance hook failed", extra={"service": instance.service, "instance": instance.id}
        )
