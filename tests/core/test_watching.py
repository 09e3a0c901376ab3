"""Which services a changed file concerns."""

from pathlib import PurePosixPath as Path

import pytest

from msctl.core.watching import Watched, is_skipped_directory, is_skipped_file, matches

ROOT = Path("/shop")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*.html", "a.html"),
        ("templates/*.html", "templates/a.html"),
        ("templates/**/*.html", "templates/a.html"),
        ("templates/**/*.html", "templates/deep/er/a.html"),
        ("**/*.py", "a.py"),
        ("**/*.py", "x/y/a.py"),
        ("data/**", "data/a/b.json"),
        ("a?c.[jt]s", "abc.ts"),
        ("[!a].py", "b.py"),
        ("./a.py", "a.py"),
        ("a+b.(py)", "a+b.(py)"),
    ],
)
def test_a_glob_matches_within_directories_and_with_two_stars_across(
    pattern: str, path: str
) -> None:
    assert matches(Path(path), [pattern])


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*.html", "templates/a.html"),
        ("templates/*.html", "templates/deep/a.html"),
        ("a?c", "a/c"),
        ("*.py", "a.pyc"),
        ("[!a].py", "a.py"),
        ("a.py", "aXpy"),
        ("data/**", "database/a"),
    ],
)
def test_a_glob_does_not_match_more_than_it_says(pattern: str, path: str) -> None:
    assert not matches(Path(path), [pattern])


def test_a_service_is_concerned_by_the_python_files_that_it_has_imported() -> None:
    watched = Watched("order", ROOT)
    changed = [ROOT / "order.py", ROOT / "payment.py", ROOT / "order.html", Path("/lib/shared.py")]
    imported = {ROOT / "order.py", Path("/lib/shared.py"), ROOT / "order.html"}
    assert watched.concerning(changed, imported) == [ROOT / "order.py", Path("/lib/shared.py")]


def test_where_imports_are_not_known_every_python_file_below_counts() -> None:
    changed = [ROOT / "a/b.py", ROOT / "c.js", Path("/elsewhere/d.py")]
    assert Watched("order", ROOT).concerning(changed, None) == [ROOT / "a/b.py"]


def test_globs_are_instead_of_imports_and_relative_to_the_working_directory() -> None:
    watched = Watched("web", ROOT, ("src/**/*.js", "*.json"))
    changed = [ROOT / "src/a/b.js", ROOT / "package.json", ROOT / "x.py", Path("/other/y.json")]
    assert watched.concerning(changed, {ROOT / "x.py"}) == changed[:2]


@pytest.mark.parametrize("name", [".git", ".venv", ".msctl", "node_modules", "__pycache__"])
def test_nothing_is_watched_where_nobody_edits(name: str) -> None:
    assert is_skipped_directory(name)


@pytest.mark.parametrize(
    "name", [".order.py.swp", "order.py~", "4913", "a.pyc", "#order.py#", "x.tmp", "run.log"]
)
def test_what_editors_write_beside_the_file_means_nothing(name: str) -> None:
    assert is_skipped_file(name)


@pytest.mark.parametrize("name", ["order.py", "a.html", "Makefile", "conf.yaml", "swap.py"])
def test_files_that_people_edit_mean_something(name: str) -> None:
    assert not is_skipped_file(name)
