"""Three example services: users, their orders, and payments for them.

Each is imported when it is first used: a service's process loads its own code only, and a
fault in one keeps no other from starting.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.order_service import OrderService
    from services.payment_service import PaymentService
    from services.user_service import UserService

__all__ = ["OrderService", "PaymentService", "UserService"]

_MODULES = {
    "OrderService": "services.order_service",
    "PaymentService": "services.payment_service",
    "UserService": "services.user_service",
}


def __getattr__(name: str) -> object:
    """Import a service at its first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
