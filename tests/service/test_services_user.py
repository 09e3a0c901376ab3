import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from services import UserService
from tests.service.support import serving

pytestmark = pytest.mark.anyio

ADA = {"name": "Ada", "email": "ada@example.com"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(UserService(), tmp_path) as client:
        yield client


async def test_a_user_that_was_created_can_be_read(client: httpx.AsyncClient) -> None:
    created = await client.post("/users", json=ADA)
    user = created.json()
    assert created.status_code == 201
    assert user == {**ADA, "id": user["id"], "created_at": user["created_at"]}
    assert datetime.fromisoformat(user["created_at"]).utcoffset() == timedelta(0)
    assert (await client.get(f"/users/{user['id']}")).json() == user
    assert (await client.get("/users")).json() == [user]


async def test_blanks_around_text_are_dropped(client: httpx.AsyncClient) -> None:
    created = await client.post("/users", json={"name": " Ada ", "email": " ada@example.com "})
    assert (created.json()["name"], created.json()["email"]) == (ADA["name"], ADA["email"])


@pytest.mark.parametrize("user_id", ["1", "0", "-1", "abc", "99999999999999999999", "%00", "1%20x"])
async def test_an_unknown_user_is_404(client: httpx.AsyncClient, user_id: str) -> None:
    assert (await client.get(f"/users/{user_id}")).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "  "},
        {"name": None},
        {"name": 7},
        {"name": "x" * 201},
        {"name": "\ud800"},
        {"email": ""},
        {"email": "ada"},
        {"email": "ada@"},
        {"email": "@example.com"},
        {"email": "ada@example"},
        {"email": "a da@example.com"},
        {"email": "ada@@example.com"},
        {"email": "ada@example.com\nx"},
        {"email": "ada@example..com"},
        {"admin": True},
    ],
)
async def test_nonsense_is_422(client: httpx.AsyncClient, change: dict[str, object]) -> None:
    answer = await client.post(
        "/users",
        content=json.dumps({**ADA, **change}),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 422
    assert (await client.get("/users")).json() == []


@pytest.mark.parametrize("body", ["", "[]", "{", "null", '{"name": NaN, "email": "a@b.co"}'])
async def test_what_is_no_user_at_all_is_422(client: httpx.AsyncClient, body: str) -> None:
    answer = await client.post("/users", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422


async def test_replicas_see_the_same_users(tmp_path: Path) -> None:
    async with serving(UserService(), tmp_path) as one, serving(UserService(), tmp_path) as two:
        created = (await one.post("/users", json=ADA)).json()
        assert (await two.get(f"/users/{created['id']}")).json() == created


async def test_a_write_that_waits_holds_up_nobody_else(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "data.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(4):
            post = asyncio.create_task(client.post("/users", json=ADA))
            for _ in range(3):
                assert (await client.get("/health")).json()["status"] == "healthy"
                assert (await client.get("/users")).json() == []
            assert not post.done()
            other.execute("ROLLBACK")
            assert (await post).status_code == 201


async def test_a_lost_database_is_unhealthy(client: httpx.AsyncClient, tmp_path: Path) -> None:
    service = UserService()
    async with serving(service, tmp_path) as broken:
        service._database.close()
        answer = await broken.get("/health")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"]["status"] == "unhealthy"
    assert (await client.get("/health")).status_code == 200
