"""What the customers ordered.

POST /orders                 {"user_id", "items": [{"product", "quantity", "price"}]}
GET  /orders/{id}
GET  /orders/user/{user_id}

The total is computed here, never taken from the caller.
"""

import asyncio
import json
import sqlite3
from enum import StrEnum
from typing import Annotated

from fastapi import HTTPException
from pydantic import BaseModel, Field

from msctl import Microservice, ServiceClient, ServiceConfig
from services.fields import Body, Id, Money, Text, from_cents, now, to_cents
from services.lookup import look_up
from services.storage import Database, data_dir

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, items TEXT NOT NULL,
    total INTEGER NOT NULL, status TEXT NOT NULL, created_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS orders_of_user ON orders (user_id);
"""


class OrderStatus(StrEnum):
    """How far an order is."""

    PENDING = "pending"


class NewItem(Body):
    """One line of an order; the price is for one piece."""

    product: Text
    quantity: Annotated[int, Field(strict=True, ge=1, le=10_000)]
    price: Annotated[Money, Field(le=1_000_000)]


class NewOrder(Body):
    """What is asked for."""

    user_id: Id
    items: Annotated[list[NewItem], Field(min_length=1, max_length=100)]


class Item(BaseModel):
    """One line of an order, as it is answered."""

    product: str
    quantity: int
    price: float


class Order(BaseModel):
    """What is answered."""

    id: int
    user_id: int
    items: list[Item]
    total: float
    status: OrderStatus
    created_at: str


class OrderService(Microservice):
    """Keeps orders; asks the user service who may order."""

    config = ServiceConfig(
        name="order-service",
        description="What the customers ordered",
        port=8002,
        dependencies=["user-service"],
    )

    def __init__(
        self, config: ServiceConfig | None = None, *, client: ServiceClient | None = None
    ) -> None:
        self._client = client or ServiceClient(timeout=5)
        self._database = Database(SCHEMA)
        super().__init__(config)

    def setup_routes(self) -> None:
        """Say which method answers what."""
        self.register_health_check(self._database.ping, name="database")
        self.app.post("/orders", status_code=201)(self.create_order)
        self.app.get("/orders/{order_id}")(self.get_order)
        self.app.get("/orders/user/{user_id}")(self.list_orders_of_user)

    async def startup(self) -> None:
        """Open the database."""
        await asyncio.to_thread(self._database.open, data_dir(self.name))

    async def shutdown(self) -> None:
        """Close what is open."""
        await self._client.aclose()
        self._database.close()

    async def create_order(self, new: NewOrder) -> Order:
        """Add an order for a user who exists."""
        await look_up(self._client, "user-service", f"/users/{new.user_id}")
        return await asyncio.to_thread(self._insert, new)

    def get_order(self, order_id: str) -> Order:
        """Give one order."""
        for row in self._database.run("SELECT * FROM orders WHERE id = ?", order_id):
            return _order(row)
        raise HTTPException(404, f"no order {order_id}")

    def list_orders_of_user(self, user_id: str) -> list[Order]:
        """Give all orders of one user, the oldest first."""
        sql = "SELECT * FROM orders WHERE user_id = ? ORDER BY id"
        return [_order(row) for row in self._database.run(sql, user_id)]

    def _insert(self, new: NewOrder) -> Order:
        items = [{**item.model_dump(), "price": to_cents(item.price)} for item in new.items]
        total = sum(item["quantity"] * item["price"] for item in items)
        (row,) = self._database.run(
            "INSERT INTO orders (user_id, items, total, status, created_at)"
            " VALUES (?, ?, ?, ?, ?) RETURNING *",
            new.user_id,
            json.dumps(items),
            total,
            OrderStatus.PENDING,
            now(),
        )
        return _order(row)


def _order(row: sqlite3.Row) -> Order:
    items = [{**item, "price": from_cents(item["price"])} for item in json.loads(row["items"])]
    return Order(**{**row, "items": items, "total": from_cents(row["total"])})


app = OrderService()
