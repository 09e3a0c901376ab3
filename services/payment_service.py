"""What the customers paid.

POST /payments         {"order_id", "user_id", "amount", "method"}
GET  /payments/{id}

A payment takes a second; the POST answers when it is completed. With an `Idempotency-Key`
it may be repeated, at any time and at any replica, and is still one payment.
"""

import asyncio
from decimal import Decimal
from typing import Annotated

from fastapi import Header, HTTPException

from msctl import Microservice, ServiceClient, ServiceConfig
from services.fields import to_cents
from services.lookup import look_up
from services.payments import NewPayment, Payment, Payments, PaymentStatus
from services.storage import data_dir

PROCESSING_TIME = 1.0
"""Seconds that the bank takes."""
POLL_INTERVAL = 0.05
"""Seconds between two looks at a payment that another request is processing."""

IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255)]


class PaymentService(Microservice):
    """Takes payments; asks the user and order services whether they are due."""

    config = ServiceConfig(
        name="payment-service",
        description="What the customers paid",
        port=8003,
        dependencies=["user-service", "order-service"],
    )

    def __init__(
        self, config: ServiceConfig | None = None, *, client: ServiceClient | None = None
    ) -> None:
        self._client = client or ServiceClient(timeout=5)
        self._payments = Payments()
        super().__init__(config)

    def setup_routes(self) -> None:
        """Say which method answers what."""
        self.register_health_check(self._payments.database.ping, name="database")
        self.app.post("/payments", status_code=201)(self.create_payment)
        self.app.get("/payments/{payment_id}")(self.get_payment)

    async def startup(self) -> None:
        """Open the database."""
        await asyncio.to_thread(self._payments.database.open, data_dir(self.name))

    async def shutdown(self) -> None:
        """Close what is open."""
        await self._client.aclose()
        self._payments.database.close()

    async def create_payment(
        self, new: NewPayment, idempotency_key: IdempotencyKey = None
    ) -> Payment:
        """Pay for an order, once for each idempotency key."""
        while True:
            known = await asyncio.to_thread(self._payments.find_by_key, idempotency_key)
            if known is None:
                await self._check(new)
            elif not known.was_asked_for_by(new):
                raise HTTPException(422, "this Idempotency-Key belongs to another payment")
            elif known.status is PaymentStatus.COMPLETED:
                return known
            if known is None or known.status is PaymentStatus.FAILED:
                claimed = await asyncio.to_thread(self._payments.claim, new, idempotency_key)
                if claimed is not None:
                    await asyncio.sleep(PROCESSING_TIME)
                    return await asyncio.to_thread(self._payments.complete, claimed)
            await asyncio.sleep(POLL_INTERVAL)

    def get_payment(self, payment_id: str) -> Payment:
        """Give one payment."""
        payment = self._payments.find(payment_id)
        if payment is None:
            raise HTTPException(404, f"no payment {payment_id}")
        return payment

    async def _check(self, new: NewPayment) -> None:
        """Refuse a payment that is not due."""
        await look_up(self._client, "user-service", f"/users/{new.user_id}")
        order = await look_up(self._client, "order-service", f"/orders/{new.order_id}")
        if order["user_id"] != new.user_id:
            raise HTTPException(409, f"order {new.order_id} is not of user {new.user_id}")
        if to_cents(Decimal(str(order["total"]))) != to_cents(new.amount):
            raise HTTPException(422, f"order {new.order_id} costs {order['total']:.2f}")


app = PaymentService()
