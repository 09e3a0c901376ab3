"""msctl: runs a fleet of services on one machine as if it were a cluster.

The names below are imported when they are first used, so that `import msctl` costs nothing.
"""

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
    from msctl.config.models import ServiceConfig
    from msctl.core.balancer import LoadBalancer
    from msctl.core.breaker import CircuitBreaker
    from msctl.core.discovery import ServiceDiscovery
    from msctl.core.registry import ServiceRegistry
    from msctl.errors import (
        CallError,
        CallTimeout,
        ConfigError,
        Failure,
        FleetError,
        IllegalTransition,
        MsctlError,
        NoDaemon,
        PortInUse,
        Problem,
        ServiceError,
        ServiceUnavailable,
        TimeLimitExpired,
        UnknownService,
        UsageError,
    )
    from msctl.model import (
        BreakerState,
        Health,
        ServiceInstance,
        ServiceStatus,
        ServiceType,
    )
    from msctl.runtime.embedded import MicroserviceOrchestrator
    from msctl.service.client import ServiceClient
    from msctl.service.microservice import Microservice

    __version__: str

__all__ = [
    "BreakerState",
    "CallError",
    "CallTimeout",
    "CircuitBreaker",
    "ConfigError",
    "Failure",
    "FleetError",
    "Health",
    "IllegalTransition",
    "LoadBalancer",
    "Microservice",
    "MicroserviceOrchestrator",
    "MsctlError",
    "NoDaemon",
    "PortInUse",
    "Problem",
    "ServiceClient",
    "ServiceConfig",
    "ServiceDiscovery",
    "ServiceError",
    "ServiceInstance",
    "ServiceRegistry",
    "ServiceStatus",
    "ServiceType",
    "ServiceUnavailable",
    "TimeLimitExpired",
    "UnknownService",
    "UsageError",
    "__version__",
]

_HOMES = {
    "BreakerState": "msctl.model",
    "CircuitBreaker": "msctl.core.breaker",
    "Health": "msctl.model",
    "LoadBalancer": "msctl.core.balancer",
    "Microservice": "msctl.service.microservice",
    "MicroserviceOrchestrator": "msctl.runtime.embedded",
    "ServiceClient": "msctl.service.client",
    "ServiceConfig": "msctl.config.models",
    "ServiceDiscovery": "msctl.core.discovery",
    "ServiceInstance": "msctl.model",
    "ServiceRegistry": "msctl.core.registry",
    "ServiceStatus": "msctl.model",
    "ServiceType": "msctl.model",
}
"""The module of each name; those that are not here are errors."""


def __getattr__(name: str) -> object:
    """Import a public name at its first use (PEP 562)."""
    from importlib import import_module  # noqa: PLC0415 - for start-up time

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "__version__":
        value: object = import_module("importlib.metadata").version(__name__)
    else:
        value = getattr(import_module(_HOMES.get(name, "msctl.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
