"""The configuration's models, all of them: what the rest of msctl imports."""

from msctl.config.fleet import FleetConfig, GatewayConfig
from msctl.config.health import Check, CheckKind, HealthConfig, LivenessConfig
from msctl.config.process import (
    Condition,
    Dependency,
    ResourcesConfig,
    RestartConfig,
    RestartPolicy,
    StartMode,
)
from msctl.config.service import ServiceConfig
from msctl.config.traffic import (
    Algorithm,
    BalancerConfig,
    BreakerConfig,
    LimitsConfig,
    RetryConfig,
    ScalingConfig,
)
from msctl.config.values import RESERVED_NAMES
from msctl.model import ServiceType

__all__ = [
    "RESERVED_NAMES",
    "Algorithm",
    "BalancerConfig",
    "BreakerConfig",
    "Check",
    "CheckKind",
    "Condition",
    "Dependency",
    "FleetConfig",
    "GatewayConfig",
    "HealthConfig",
    "LimitsConfig",
    "LivenessConfig",
    "ResourcesConfig",
    "RestartConfig",
    "RestartPolicy",
    "RetryConfig",
    "ScalingConfig",
    "ServiceConfig",
    "ServiceType",
    "StartMode",
]
