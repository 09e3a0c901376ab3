"""The SQLite database that a service owns, shared by its replicas."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, LifoQueue

BUSY_TIMEOUT = 5.0
"""Seconds that a replica waits for another one's write."""


def data_dir(service: str) -> Path:
    """Return where the service keeps its data; the same place with msctl and without it."""
    return Path(os.environ.get("MSCTL_DATA_DIR") or Path(".msctl/data") / service)


class Database:
    """A database in a file of its own, for any number of threads and processes.

    Its methods block, if only for a moment: call them in path operations that are plain
    functions, which FastAPI runs in threads, or by `asyncio.to_thread`.
    """

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._path: Path | None = None
        self._idle: LifoQueue[sqlite3.Connection] = LifoQueue()

    def open(self, directory: Path) -> None:
        """Open the database in `directory`, and create what is not there yet."""
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / "data.sqlite3"
        # SQLite does not wait for others when the journal mode changes, so replicas that
        # start together take turns.
        with (directory / "schema.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with self._connection() as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(self._schema)

    def close(self) -> None:
        """Close all connections; none may be in use."""
        self._path = None
        while not self._idle.empty():
            self._idle.get_nowait().close()

    def ping(self) -> None:
        """Raise an exception when the database does not answer; for health checks."""
        self.run("SELECT 1")

    def run(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Run one statement, a transaction of its own, and return its rows.

        An integer column compares with text as with the number in it: `WHERE id = ?` finds
        nothing for the `abc` of `/users/abc`, which is then as unknown as any other id.
        """
        with self._connection() as connection:
            return connection.execute(sql, values).fetchall()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = self._connect()
        try:
            yield connection
        finally:
            self._idle.put(connection)

    def _connect(self) -> sqlite3.Connection:
        if self._path is None:
            raise RuntimeError("the database is not open")
        connection = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection
