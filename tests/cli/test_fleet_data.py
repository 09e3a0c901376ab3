"""Deleting what services have kept."""

import shutil
from pathlib import Path

import pytest

from msctl.cli import fleet_data
from msctl.errors import MsctlError, UsageError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("order", "user"):
        (tmp_path / "data" / name / "deep").mkdir(parents=True)
        (tmp_path / "data" / name / "deep" / "file").write_text("x")
    (tmp_path / "data" / "a-file").write_text("x")
    return tmp_path / "data"


def test_all_or_those_of_the_named_services_are_found(root: Path) -> None:
    assert [d.name for d in fleet_data.directories(root, ())] == ["order", "user"]
    assert [d.name for d in fleet_data.directories(root, ("user", "none"))] == ["user"]
    assert fleet_data.directories(root / "nowhere", ()) == []


def test_what_is_deleted_is_gone_and_the_rest_stays(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet_data.delete(fleet_data.directories(root, ("user",)))
    assert sorted(each.name for each in root.iterdir()) == ["a-file", "order"]
    assert capsys.readouterr().err == "deleted the data of user\n"


def test_a_link_is_removed_and_what_it_points_to_stays(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    (root / "linked").symlink_to(elsewhere)
    fleet_data.delete(fleet_data.directories(root, ("linked",)))
    assert not (root / "linked").exists()
    assert (elsewhere / "precious").exists()


def test_without_anybody_to_ask_yes_has_to_be_said(root: Path) -> None:
    found = fleet_data.directories(root, ())
    with pytest.raises(UsageError, match="order, user; say --yes"):
        fleet_data.confirm(found, yes=False)
    assert fleet_data.confirm(found, yes=True)
    assert fleet_data.confirm([], yes=False), "there is nothing to ask"


def test_what_cannot_be_deleted_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(MsctlError, match=r"cannot delete .*order: Permission denied"):
        fleet_data.delete(fleet_data.directories(root, ()))
