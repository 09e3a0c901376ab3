import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services import OrderService, PaymentService, UserService, payment_service, payments
from tests.service.support import InProcessGateway, serving

pytestmark = pytest.mark.anyio


class Shop:
    """The three services, the last one with two replicas, and an order that is to be paid."""

    def __init__(self, gateway: InProcessGateway, replicas: list[httpx.AsyncClient]) -> None:
        self.gateway = gateway
        self.replicas = replicas
        self.due: dict[str, Any] = {}

    async def pay(
        self, key: str | None = None, *, replica: int = 0, **fields: object
    ) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        body = {**self.due, **fields}
        return await self.replicas[replica].post("/payments", json=body, headers=headers)

    async def count(self) -> int:
        found = [await self.replicas[0].get(f"/payments/{number}") for number in range(1, 9)]
        return sum(answer.status_code == 200 for answer in found)


@pytest.fixture
async def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.setattr(payment_service, "PROCESSING_TIME", 0.1)
    monkeypatch.setattr(payment_service, "POLL_INTERVAL", 0.005)
    gateway = InProcessGateway({"user-service": UserService()})
    gateway.services["order-service"] = OrderService(client=gateway.client())
    async with (
        serving(gateway.services["user-service"], tmp_path / "users") as users,
        serving(gateway.services["order-service"], tmp_path / "orders") as orders,
        serving(PaymentService(client=gateway.client()), tmp_path / "payments") as one,
        serving(PaymentService(client=gateway.client()), tmp_path / "payments") as two,
    ):
        shop = Shop(gateway, [one, two])
        ada = await users.post("/users", json={"name": "Ada", "email": "ada@example.com"})
        await users.post("/users", json={"name": "Bob", "email": "bob@example.com"})
        items = [{"product": "book", "quantity": 3, "price": 19.99}]
        order = await orders.post("/orders", json={"user_id": ada.json()["id"], "items": items})
        shop.due = {
            "order_id": order.json()["id"],
            "user_id": ada.json()["id"],
            "amount": 59.97,
            "method": "card",
        }
        yield shop


async def test_a_payment_is_processing_and_then_completed(shop: Shop) -> None:
    async with asyncio.timeout(5):
        post = asyncio.create_task(shop.pay())
        while (meanwhile := await shop.replicas[1].get("/payments/1")).status_code == 404:
            assert not post.done()
        answer = await post
    payment = answer.json()
    assert answer.status_code == 201
    assert payment == {
        **shop.due,
        "id": 1,
        "status": "completed",
        "created_at": payment["created_at"],
    }
    assert meanwhile.json() == {**payment, "status": "processing"}
    assert (await shop.replicas[1].get("/payments/1")).json() == payment


async def test_processing_takes_a_second() -> None:
    assert payment_service.PROCESSING_TIME == 1
    assert payments.LEASE > 2 * payment_service.PROCESSING_TIME


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"order_id": 99}, 404),
        ({"user_id": 99}, 404),
        ({"user_id": 2}, 409),
        ({"amount": 59.96}, 422),
        ({"amount": 5997}, 422),
        ({"amount": -59.97}, 422),
        ({"amount": "NaN"}, 422),
        ({"amount": 59.9701}, 422),
        ({"method": ""}, 422),
        ({"order_id": None}, 422),
        ({"status": "completed"}, 422),
    ],
)
async def test_a_payment_that_is_not_due_is_refused(
    shop: Shop, change: dict[str, Any], status: int
) -> None:
    answer = await shop.pay("key", **change)
    assert answer.status_code == status
    assert await shop.count() == 0
    assert (await shop.pay("key")).status_code == 201, "a refused request must not use up its key"


@pytest.mark.parametrize("amount", [59.97, "59.97", 3 * 19.99])
async def test_an_amount_is_compared_in_cents(shop: Shop, amount: object) -> None:
    answer = await shop.pay(amount=amount)
    assert (answer.status_code, answer.json()["amount"]) == (201, 59.97)


@pytest.mark.parametrize("payment_id", ["1", "abc"])
async def test_an_unknown_payment_is_404(shop: Shop, payment_id: str) -> None:
    assert (await shop.replicas[0].get(f"/payments/{payment_id}")).status_code == 404


@pytest.mark.parametrize("service", ["user-service", "order-service"])
async def test_with_another_service_down_the_answer_is_424(shop: Shop, service: str) -> None:
    del shop.gateway.services[service]
    answer = await shop.pay()
    assert answer.status_code == 424
    assert answer.json()["dependency"] == service
    assert await shop.count() == 0


async def test_without_a_key_each_request_is_a_payment(shop: Shop) -> None:
    answers = await asyncio.gather(shop.pay(), shop.pay())
    assert len({answer.json()["id"] for answer in answers}) == 2


async def test_a_repeated_key_is_the_same_payment(shop: Shop) -> None:
    first = await shop.pay("key")
    shop.gateway.services.clear()
    again = await shop.pay("key", replica=1)
    assert again.status_code == first.status_code == 201
    assert again.json() == first.json()


async def test_a_key_is_one_payment_also_concurrently_over_replicas(shop: Shop) -> None:
    requests = (shop.pay("key", replica=number % 2) for number in range(8))
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*requests)
    assert [answer.status_code for answer in answers] == [201] * 8
    assert {answer.json()["status"] for answer in answers} == {"completed"}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await shop.count() == 1


async def test_a_key_with_another_body_is_422(shop: Shop) -> None:
    assert (await shop.pay("key")).status_code == 201
    assert (await shop.pay("key", method="cash")).status_code == 422
    assert (await shop.pay("key", amount="59.970")).status_code == 201, "the same amount"
    assert await shop.count() == 1


async def test_two_bodies_that_race_for_a_key_are_one_payment(shop: Shop) -> None:
    answers = await asyncio.gather(
        shop.pay("key", method="card"), shop.pay("key", method="cash", replica=1)
    )
    assert sorted(answer.status_code for answer in answers) == [201, 422]
    assert await shop.count() == 1


async def test_a_payment_cut_short_is_failed_until_it_is_repeated(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payments, "LEASE", 0.3)
    post = asyncio.create_task(shop.pay("key"))
    async with asyncio.timeout(5):
        while (await shop.replicas[1].get("/payments/1")).status_code == 404:
            assert not post.done()
        post.cancel()
        again = asyncio.create_task(shop.pay("key", replica=1))
        while (status := (await shop.replicas[1].get("/payments/1")).json()["status"]) != "failed":
            assert status == "processing"
            if again.done():
                break
        answer = await again
    assert answer.status_code == 201
    assert (answer.json()["id"], answer.json()["status"]) == (1, "completed")
    assert await shop.count() == 1


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_has_a_sensible_length(shop: Shop, key: str) -> None:
    assert (await shop.pay(key)).status_code == 422
