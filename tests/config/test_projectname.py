"""Names of fleets: what a configuration takes, without pydantic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from msctl.config.fleet import FleetSettings
from msctl.config.projectname import LONGEST, derived_name, is_project_name


def is_taken_by_a_configuration(name: str) -> bool:
    try:
        FleetSettings(project=name)
    except ValidationError:
        return False
    return True


@given(st.text(alphabet="aZ09_.-é \n/", max_size=66))
def test_the_names_are_those_that_a_configuration_takes(name: str) -> None:
    assert is_project_name(name) == is_taken_by_a_configuration(name)


@given(st.text(max_size=80), st.sampled_from(["-2", "-17", "-with-"]))
def test_a_derived_name_is_always_one(base: str, suffix: str) -> None:
    name = derived_name(base, suffix)
    assert is_project_name(name)
    assert name.endswith(suffix)


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("shop", "shop-2"),
        ("my shop", "my-shop-2"),
        (".hidden", "hidden-2"),
        ("__", "fleet-2"),
        ("é", "fleet-2"),
        ("x" * 80, "x" * (LONGEST - 2) + "-2"),
    ],
)
def test_a_derived_name_is_as_near_as_possible(base: str, name: str) -> None:
    assert derived_name(base, "-2") == name
