import subprocess
import sys
from pathlib import Path

import pytest

from msctl.config.location import ConfigLocation, find_config
from msctl.config.paths import absolute, is_dir, is_file
from msctl.errors import UsageError
from tests.config.support import write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def test_msctl_yaml_goes_before_configs(root: Path) -> None:
    write(root, {"msctl.yaml": "", "configs/a.yaml": ""})
    assert find_config(root, [], {}) == ConfigLocation(root, (root / "msctl.yaml",))


def test_configs_is_taken_as_a_directory(root: Path) -> None:
    write(root, {"configs/a.yaml": ""})
    assert find_config(root, [], {}) == ConfigLocation(root, (root / "configs",))


def test_the_nearest_directory_that_has_one_counts(root: Path) -> None:
    write(root, {"msctl.yaml": "", "sub/configs/a.yaml": "", "sub/deep/x": ""})
    assert find_config(root / "sub/deep", [], {}).project_dir == root / "sub"


@pytest.mark.parametrize(
    ("given", "project", "file"),
    [
        ("configs", ".", "configs"),
        ("configs/", ".", "configs"),
        ("./configs/a.yaml", ".", "configs/a.yaml"),
        ("other/b.yaml", "other", "other/b.yaml"),
        ("other", "other", "other"),
        ("shop", "shop", "shop/msctl.yaml"),
        (".", ".", "configs"),
        ("shop/..", ".", "configs"),
    ],
)
def test_a_named_path_gives_the_project_directory(
    root: Path, given: str, project: str, file: str
) -> None:
    write(root, {"configs/a.yaml": "", "other/b.yaml": "", "shop/msctl.yaml": ""})
    expected = ConfigLocation((root / project).resolve(), (root / file,))
    assert find_config(root, [Path(given)], {}) == expected


def test_the_project_is_that_of_the_first_of_several_paths(root: Path) -> None:
    write(root, {"a/x.yaml": "", "b/y.yaml": ""})
    files = [Path("a/x.yaml"), Path("b/y.yaml"), Path("a/x.yaml")]
    expected = ConfigLocation(root / "a", (root / "a/x.yaml", root / "b/y.yaml"))
    assert find_config(root, files, {}) == expected


def test_the_variable_counts_when_no_file_is_named(root: Path) -> None:
    write(root, {"msctl.yaml": "", "a/x.yaml": "", "b/y.yaml": ""})
    environ = {"MSCTL_CONFIG": f"a/x.yaml:{root}/b/y.yaml"}
    assert find_config(root, [], environ).files == (root / "a/x.yaml", root / "b/y.yaml")
    named = find_config(root, [Path("b/y.yaml")], environ)
    assert named.files == (root / "b/y.yaml",)
    assert find_config(root, [], {"MSCTL_CONFIG": ""}).files == (root / "msctl.yaml",)


def test_a_linked_file_belongs_to_the_project_that_links_to_it(root: Path) -> None:
    write(root, {"elsewhere/x.yaml": ""})
    (root / "shop").mkdir()
    (root / "shop/msctl.yaml").symlink_to(root / "elsewhere/x.yaml")
    assert find_config(root / "shop", [], {}).project_dir == root / "shop"


def test_a_linked_directory_is_resolved(root: Path) -> None:
    write(root, {"real/msctl.yaml": ""})
    (root / "link").symlink_to(root / "real")
    assert find_config(root, [Path("link/msctl.yaml")], {}).project_dir == root / "real"


@pytest.mark.parametrize("name", ["missing.yaml", "x" * 300, "a\0b"])
def test_a_named_file_that_is_missing_is_an_error(root: Path, name: str) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        find_config(root, [Path(name)], {})


def test_a_missing_file_of_the_variable_is_an_error_that_names_it(root: Path) -> None:
    with pytest.raises(UsageError, match=r"\$MSCTL_CONFIG names nope.yaml, which does not"):
        find_config(root, [], {"MSCTL_CONFIG": "nope.yaml"})


def test_a_directory_that_cannot_be_looked_at_counts_as_none(root: Path) -> None:
    path = root / ("x" * 300)
    assert not is_file(path)
    assert not is_dir(path)
    assert absolute(Path("~nobody-at-all/x"), root) == root / "~nobody-at-all/x"


def test_what_is_no_file_is_refused(root: Path) -> None:
    with pytest.raises(UsageError, match="neither a file nor a directory"):
        find_config(root, [Path("/dev/null")], {})


def test_without_any_the_message_says_what_to_write(root: Path) -> None:
    with pytest.raises(UsageError, match=r"write msctl.yaml or configs/NAME.yaml"):
        find_config(root, [], {})


def test_finding_the_configuration_loads_neither_yaml_nor_pydantic() -> None:
    code = (
        "import sys, msctl.config.location;"
        "sys.exit(bool({'yaml', 'pydantic', 'asyncio'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
