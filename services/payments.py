"""The payments on record, and which replica is processing them."""

import sqlite3
import time
from enum import StrEnum

from pydantic import BaseModel

from services.fields import Body, Id, Money, Text, from_cents, now, to_cents
from services.storage import Database

LEASE = 3.0
"""Seconds until a payment that is being processed may be taken over by somebody else.

Three times what processing takes. When a replica dies in the middle of it, those who repeat
the request wait for this long, and nobody for ever.
"""

SCHEMA = """
CREATE TABLE IF NOT EXISTS payments (
    id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, user_id INTEGER NOT NULL,
    amount INTEGER NOT NULL, method TEXT NOT NULL, status TEXT NOT NULL,
    created_at TEXT NOT NULL, lease_until REAL NOT NULL, idempotency_key TEXT UNIQUE
)
"""
# Inserts a payment, or takes over the one with this key when its lease has run out; gives
# no row when it is another one's, or done. One statement, so that of many only one gets it.
CLAIM = """
INSERT INTO payments
    (order_id, user_id, amount, method, status, created_at, lease_until, idempotency_key)
VALUES (?, ?, ?, ?, 'processing', ?, ?, ?)
ON CONFLICT (idempotency_key) DO UPDATE SET lease_until = excluded.lease_until
    WHERE payments.status = 'processing' AND payments.lease_until < ?
        AND (payments.order_id, payments.user_id, payments.amount, payments.method)
          = (excluded.order_id, excluded.user_id, excluded.amount, excluded.method)
RETURNING *
"""


class PaymentStatus(StrEnum):
    """How far a payment is."""

    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    """Processing was cut short; the same request with the same key finishes it."""


class NewPayment(Body):
    """What is asked for."""

    order_id: Id
    user_id: Id
    amount: Money
    method: Text


class Payment(BaseModel):
    """What is answered."""

    id: int
    order_id: int
    user_id: int
    amount: float
    method: str
    status: PaymentStatus
    created_at: str

    def was_asked_for_by(self, new: NewPayment) -> bool:
        """Whether this is what `new` asks for."""
        mine = (self.order_id, self.user_id, self.amount, self.method)
        return mine == (new.order_id, new.user_id, float(new.amount), new.method)


class Payments:
    """All payments, of all replicas. The methods block."""

    def __init__(self) -> None:
        self.database = Database(SCHEMA)

    def find(self, payment_id: str) -> Payment | None:
        """Return the payment with this id."""
        rows = self.database.run("SELECT * FROM payments WHERE id = ?", payment_id)
        return _payment(rows[0]) if rows else None

    def find_by_key(self, key: str | None) -> Payment | None:
        """Return the payment that was asked for with this idempotency key."""
        rows = self.database.run("SELECT * FROM payments WHERE idempotency_key = ?", key)
        return _payment(rows[0]) if rows else None

    def claim(self, new: NewPayment, key: str | None) -> Payment | None:
        """Return a payment for the caller to process: a new one, or one that was abandoned.

        None when somebody else is at it, or has completed it.
        """
        values = (new.order_id, new.user_id, to_cents(new.amount), new.method, now())
        rows = self.database.run(CLAIM, *values, time.time() + LEASE, key, time.time())
        return _payment(rows[0]) if rows else None

    def complete(self, payment: Payment) -> Payment:
        """Note that a payment has been processed."""
        sql = "UPDATE payments SET status = 'completed' WHERE id = ? RETURNING *"
        (row,) = self.database.run(sql, payment.id)
        return _payment(row)


def _payment(row: sqlite3.Row) -> Payment:
    status = PaymentStatus(row["status"])
    if status is PaymentStatus.PROCESSING and row["lease_until"] < time.time():
        status = PaymentStatus.FAILED
    return Payment(**{**row, "amount": from_cents(row["amount"]), "status": status})
