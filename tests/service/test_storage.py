import subprocess
import sys
import threading
from pathlib import Path

import pytest

from services.storage import Database, data_dir

SCHEMA = "CREATE TABLE IF NOT EXISTS numbers (id INTEGER PRIMARY KEY, number INTEGER)"


def open_database(directory: Path) -> Database:
    database = Database(SCHEMA)
    database.open(directory)
    return database


def test_what_one_replica_writes_another_one_reads(tmp_path: Path) -> None:
    one, two = open_database(tmp_path / "data"), open_database(tmp_path / "data")
    one.run("INSERT INTO numbers (number) VALUES (?)", 7)
    assert [row["number"] for row in two.run("SELECT number FROM numbers")] == [7]
    one.close()
    two.close()


def test_data_survives_a_restart(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    database.run("INSERT INTO numbers (number) VALUES (?)", 7)
    database.close()
    database = open_database(tmp_path)
    assert len(database.run("SELECT * FROM numbers")) == 1
    database.close()


def test_replicas_that_start_together_create_one_schema(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from services.storage import Database\n"
        f"database = Database({SCHEMA!r})\n"
        "print('ready', flush=True); sys.stdin.read()\n"
        "database.open(Path(sys.argv[1]))\n"
        "database.run('INSERT INTO numbers (number) VALUES (1)')\n"
        "database.close()\n"
    )
    replicas = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for replica in replicas:
        assert replica.stdout
        assert replica.stdout.readline() == "ready\n"
    errors = [replica.communicate(timeout=30)[1] for replica in replicas]
    assert [replica.returncode for replica in replicas] == [0] * 4, errors
    database = open_database(tmp_path)
    assert len(database.run("SELECT * FROM numbers")) == 4
    database.close()


def test_threads_share_a_database(tmp_path: Path) -> None:
    database = open_database(tmp_path)

    def insert() -> None:
        for _ in range(10):
            database.run("INSERT INTO numbers (number) VALUES (1) RETURNING *")

    threads = [threading.Thread(target=insert) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(database.run("SELECT * FROM numbers")) == 80
    database.close()


def test_a_database_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        Database(SCHEMA).ping()


def test_data_lie_in_the_same_place_with_msctl_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MSCTL_DATA_DIR", raising=False)
    assert data_dir("user-service") == Path(".msctl/data/user-service")
    monkeypatch.setenv("MSCTL_DATA_DIR", "/somewhere")
    assert data_dir("user-service") == Path("/somewhere")
