"""Who the customers are.

POST /users         {"name", "email"}
GET  /users
GET  /users/{id}
"""

import asyncio

from fastapi import HTTPException
from pydantic import BaseModel

from msctl import Microservice, ServiceConfig
from services.fields import Body, Email, Text, now
from services.storage import Database, data_dir

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, created_at TEXT NOT NULL
)
"""


class NewUser(Body):
    """What is asked for."""

    name: Text
    email: Email


class User(BaseModel):
    """What is answered."""

    id: int
    name: str
    email: str
    created_at: str


class UserService(Microservice):
    """Keeps users, and depends on nobody."""

    config = ServiceConfig(name="user-service", description="Who the customers are", port=8001)

    def setup_routes(self) -> None:
        """Say which method answers what."""
        self._database = Database(SCHEMA)
        self.register_health_check(self._database.ping, name="database")
        self.app.post("/users", status_code=201)(self.create_user)
        self.app.get("/users")(self.list_users)
        self.app.get("/users/{user_id}")(self.get_user)

    async def startup(self) -> None:
        """Open the database."""
        await asyncio.to_thread(self._database.open, data_dir(self.name))

    async def shutdown(self) -> None:
        """Close the database."""
        self._database.close()

    def create_user(self, new: NewUser) -> User:
        """Add a user."""
        (row,) = self._database.run(
            "INSERT INTO users (name, email, created_at) VALUES (?, ?, ?) RETURNING *",
            new.name,
            new.email,
            now(),
        )
        return User(**row)

    def list_users(self) -> list[User]:
        """Give all users, the oldest first."""
        return [User(**row) for row in self._database.run("SELECT * FROM users ORDER BY id")]

    def get_user(self, user_id: str) -> User:
        """Give one user."""
        for row in self._database.run("SELECT * FROM users WHERE id = ?", user_id):
            return User(**row)
        raise HTTPException(404, f"no user {user_id}")


app = UserService()
