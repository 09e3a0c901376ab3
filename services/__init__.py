"""Three example services: users, their orders, and payments for them."""

from services.order_service import OrderService
from services.payment_service import PaymentService
from services.user_service import UserService

__all__ = ["OrderService", "PaymentService", "UserService"]
