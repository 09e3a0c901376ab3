from pathlib import Path

import pytest

from msctl.config.stores import store_identity

SAME = [
    ("postgres://u:p@db/shop", "postgresql://db:5432/shop"),
    ("postgresql+asyncpg://a:b@DB/shop?ssl=1", "postgres://db/shop/"),
    ("redis://:pw@localhost:6379/0", "redis://127.0.0.1/0"),
    ("redis://[::1]/0", "redis://localhost/0"),
    ("mysql://h/x#f", "mariadb://h/x"),
    ("a.db", "./sub/../a.db"),
    ("sqlite:///a.db", "a.db"),
    ("sqlite+aiosqlite:///a.db?mode=ro", "sqlite:///./a.db"),
    ("link.db", "a.db"),
    ("linked/x", "sub/x"),
    ("http://bad:port/x", "http://u@bad:port/x?y"),
]
DIFFERENT = [
    ("postgres://db/shop", "postgres://db/other"),
    ("postgres://db/shop", "postgres://db2/shop"),
    ("postgres://db:1/shop", "postgres://db:2/shop"),
    ("redis://h/0", "redis://h/1"),
    ("a.db", "b.db"),
    ("a.db", "sub/a.db"),
    ("postgres://db/shop", "mysql://db/shop"),
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.db").symlink_to("a.db")
    (tmp_path / "linked").symlink_to("sub")
    return tmp_path


@pytest.mark.parametrize(("one", "other"), SAME)
def test_names_of_one_store_are_equal(project: Path, one: str, other: str) -> None:
    assert store_identity(one, project) == store_identity(other, project)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_names_of_two_stores_differ(project: Path, one: str, other: str) -> None:
    assert store_identity(one, project) != store_identity(other, project)


def test_an_absolute_path_is_the_relative_one(project: Path) -> None:
    expected = store_identity("a.db", project)
    assert store_identity(f"{project}/a.db", project) == expected
    assert store_identity(f"sqlite:///{project}/a.db", project) == expected
    assert store_identity(f"file://{project}/a.db", project) == expected


@pytest.mark.parametrize(
    "store", [":memory:", "sqlite://", "sqlite:///:memory:", "sqlite::memory:"]
)
def test_a_store_in_memory_is_nobody_elses(project: Path, store: str) -> None:
    assert store_identity(store, project) is None


@pytest.mark.parametrize(
    "store", ["http://[", "a\0b", "~nobody/x", "loop/x", "x://", "é", "x" * 5000]
)
def test_an_odd_name_still_has_an_identity(project: Path, store: str) -> None:
    (project / "loop").symlink_to("loop")
    assert store_identity(store, project)
