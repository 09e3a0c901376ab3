from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.fake_daemon import FakeDaemon

CONFIG = """
services:
  user-service: {port: 8001}
  order-service: {port: 8002, dependencies: [user-service]}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "shop"
    directory.mkdir()
    (directory / "msctl.yaml").write_text(CONFIG)
    return directory


@pytest.fixture
def daemon(project: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(project) as fake:
        yield fake
    fake.join()
