"""Names of services as people type them."""

import pytest

from msctl.config.naming import choose_services
from msctl.errors import UnknownService


def test_a_pattern_names_all_that_match_and_each_service_once() -> None:
    known = ["user", "payment", "payroll"]
    assert choose_services(["pay*"], known) == ("payment", "payroll")
    assert choose_services(["payroll", "*"], known) == ("payroll", "user", "payment")
    assert choose_services([], known) == ()


@pytest.mark.parametrize(("name", "nearest"), [("usr", "user"), ("usr*", "user"), ("[x]", None)])
def test_what_names_no_service_is_refused_with_the_nearest(name: str, nearest: str | None) -> None:
    with pytest.raises(UnknownService) as problem:
        choose_services([name], ["user", "payment"])
    assert problem.value.nearest == nearest
