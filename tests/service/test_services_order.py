import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import HTTPException

from services import OrderService, UserService
from tests.service.support import InProcessGateway, refusal, serving

pytestmark = pytest.mark.anyio

BOOK = {"product": "book", "quantity": 3, "price": 19.99}


class Shop:
    """A user service and an order service, and a user."""

    def __init__(self, gateway: InProcessGateway, orders: httpx.AsyncClient, user: int) -> None:
        self.gateway = gateway
        self.orders = orders
        self.user = user

    async def order(self, *items: object, **fields: object) -> httpx.Response:
        body = {"user_id": self.user, "items": items, **fields}
        return await self.orders.post("/orders", json=body)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    gateway = InProcessGateway({"user-service": UserService()})
    order_service = OrderService(client=gateway.client())
    async with (
        serving(gateway.services["user-service"], tmp_path / "users") as users,
        serving(order_service, tmp_path / "orders") as orders,
    ):
        user = await users.post("/users", json={"name": "Ada", "email": "ada@example.com"})
        yield Shop(gateway, orders, user.json()["id"])


async def test_an_order_that_was_created_can_be_read(shop: Shop) -> None:
    created = await shop.order(BOOK, {"product": "pen", "quantity": 1, "price": 0.5})
    order = created.json()
    assert created.status_code == 201
    assert order == {
        "id": order["id"],
        "user_id": shop.user,
        "items": [BOOK, {"product": "pen", "quantity": 1, "price": 0.5}],
        "total": 60.47,
        "status": "pending",
        "created_at": order["created_at"],
    }
    assert (await shop.orders.get(f"/orders/{order['id']}")).json() == order
    assert (await shop.orders.get(f"/orders/user/{shop.user}")).json() == [order]


async def test_somebody_without_orders_has_none(shop: Shop) -> None:
    await shop.order(BOOK)
    assert (await shop.orders.get(f"/orders/user/{shop.user + 1}")).json() == []


@pytest.mark.parametrize("order_id", ["1", "abc", "user"])
async def test_an_unknown_order_is_404(shop: Shop, order_id: str) -> None:
    assert (await shop.orders.get(f"/orders/{order_id}")).status_code == 404


async def test_an_order_of_an_unknown_user_is_404(shop: Shop) -> None:
    answer = await shop.order(BOOK, user_id=shop.user + 1)
    assert answer.status_code == 404
    assert (await shop.orders.get(f"/orders/user/{shop.user + 1}")).json() == []


@pytest.mark.parametrize(
    ("price", "total"), [(19.99, 59.97), ("19.99", 59.97), (10, 30), (0, 0), (0.1 + 0.2, 0.9)]
)
async def test_money_is_exact(shop: Shop, price: object, total: float) -> None:
    answer = await shop.order({**BOOK, "price": price})
    assert answer.json()["total"] == total


@pytest.mark.parametrize(
    "change",
    [
        {"product": ""},
        {"quantity": 0},
        {"quantity": -1},
        {"quantity": 1.5},
        {"quantity": True},
        {"price": -1},
        {"price": 0.001},
        {"price": 1e300},
        {"price": True},
        {"price": None},
        {"colour": "red"},
    ],
)
async def test_a_nonsensical_item_is_422(shop: Shop, change: dict[str, object]) -> None:
    assert (await shop.order({**BOOK, **change})).status_code == 422


@pytest.mark.parametrize(
    "fields", [{"items": []}, {"items": "book"}, {"user_id": 0}, {"user_id": 2**63}, {"total": 1}]
)
async def test_a_nonsensical_order_is_422(shop: Shop, fields: dict[str, Any]) -> None:
    assert (await shop.order(BOOK, **fields)).status_code == 422


@pytest.mark.parametrize("price", ["NaN", "Infinity", "-Infinity", "1e400"])
async def test_a_price_that_is_no_number_is_422(shop: Shop, price: str) -> None:
    items = f'[{{"product": "book", "quantity": 1, "price": {price}}}]'
    answer = await shop.orders.post(
        "/orders",
        content=f'{{"user_id": {shop.user}, "items": {items}}}',
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 422


async def test_with_the_user_service_down_the_answer_is_424_and_no_order(shop: Shop) -> None:
    del shop.gateway.services["user-service"]
    async with asyncio.timeout(5):
        answer = await shop.order(BOOK)
    assert answer.status_code == 424
    assert answer.json()["dependency"] == "user-service"
    assert (await shop.orders.get(f"/orders/user/{shop.user}")).json() == []
    assert (await shop.orders.get("/health")).json()["status"] == "healthy"


async def test_an_error_of_the_user_service_is_424(shop: Shop) -> None:
    async def fail() -> None:
        raise HTTPException(500, "broken")

    broken = UserService()
    broken.app.router.routes.clear()
    broken.app.get("/users/{user_id}")(fail)
    shop.gateway.services["user-service"] = broken
    answer = await shop.order(BOOK)
    assert (answer.status_code, answer.json()["dependency"]) == (424, "user-service")


async def test_without_a_gateway_the_answer_is_424(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MSCTL_GATEWAY_URL", raising=False)
    async with serving(OrderService(), tmp_path) as orders:
        answer = await orders.post("/orders", json={"user_id": 1, "items": [BOOK]})
    assert answer.status_code == 424


def test_the_fake_gateway_refuses_like_the_router() -> None:
    answer = refusal("no_instances", retry_after=1)
    assert answer.status_code == 503
    assert answer.headers["x-msctl-reason"] == answer.json()["reason"]
