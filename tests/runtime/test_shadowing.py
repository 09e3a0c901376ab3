import json
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import msctl
from msctl.runtime.shadowing import LoadedModules


@pytest.mark.parametrize(
    "name",
    ["json.py", "json/__init__.py", "json.pyc", f"json{EXTENSION_SUFFIXES[0]}", "pytest.py"],
)
def test_a_module_by_the_name_of_a_loaded_one_shadows_it(tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    source.parent.mkdir(exist_ok=True)
    source.touch()
    assert LoadedModules.now().shadowed_in(str(tmp_path)) == (
        f"{source} takes the place of a module that is loaded already"
    )


@pytest.mark.parametrize(
    "name",
    [
        "json.txt",
        "json.py.orig",
        "json",
        "json/data.py",  # without __init__.py it is found last
        "json.py/file",
        "own.py",
        "own/json.py",
        "os.py",  # frozen
        "sys.py",  # built in
        "__main__.py",
        "__init__.py",
        ".json.py",
    ],
)
def test_nothing_else_does(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.touch()
    assert LoadedModules.now().shadowed_in(str(tmp_path)) is None


def test_a_module_does_not_shadow_itself(tmp_path: Path) -> None:
    loaded = LoadedModules.now()
    project = Path(msctl.__file__).parents[1]
    assert LoadedModules({"msctl": loaded.files["msctl"]}).shadowed_in(str(project)) is None
    (tmp_path / "json").symlink_to(Path(json.__file__).parent)
    assert loaded.shadowed_in(str(tmp_path)) is None


def test_a_directory_that_cannot_be_read_has_no_modules(tmp_path: Path) -> None:
    assert LoadedModules.now().shadowed_in(str(tmp_path / "none")) is None


def test_modules_of_packages_are_not_looked_for() -> None:
    assert "os.path" in sys.modules
    assert not [name for name in LoadedModules.now().files if "." in name]
    assert os.name not in LoadedModules.now().files


def test_a_copy_of_the_module_that_is_loaded_does_not_shadow_it(tmp_path: Path) -> None:
    loaded, copy = tmp_path / "loaded", tmp_path / "copy"
    for place in (loaded, copy):
        (place / "shop" / "inner").mkdir(parents=True)
        (place / "shop" / "__init__.py").write_text("x = 1\n")
        (place / "shop" / "inner" / "more.py").write_text("y = 1\n")
    modules = LoadedModules({"shop": str(loaded / "shop" / "__init__.py")})
    assert modules.shadowed_in(str(copy)) is None
    more = copy / "shop" / "inner" / "more.py"
    more.write_text("y = 2\n")
    assert "takes the place" in (modules.shadowed_in(str(copy)) or "")
    more.write_text("y = 1\n")
    assert modules.shadowed_in(str(copy)) is None
    (copy / "shop" / "new.py").write_text("")
    assert "takes the place" in (modules.shadowed_in(str(copy)) or "")
