"""Whatever a file holds, loading it gives a fleet or problems, never anything else."""

import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from msctl.config.loader import load_fleet
from msctl.config.location import ConfigLocation
from msctl.config.messages import FLEET_KEYS, SERVICE_KEYS
from msctl.config.models import FleetConfig
from msctl.errors import ConfigError


def outcome(content: bytes) -> FleetConfig | ConfigError:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "msctl.yaml"
        file.write_bytes(content)
        try:
            return load_fleet(ConfigLocation(file.parent, (file,)), {"A": "1"})
        except ConfigError as error:
            return error


def is_good(result: FleetConfig | ConfigError) -> bool:
    if isinstance(result, FleetConfig):
        return bool(result.services)
    return bool(result.problems) and all(problem.message for problem in result.problems)


WORDS = st.sampled_from(
    ["", "a", "b", "off", "on", "no", "none", "null", "~", "auto", "1", "-1", "0", "1e9", ".nan",
     "${A}", "${B}", "${", "$$", "/x", "a:b", "x y", "K=V", "*.yaml", "\0", "é", "api", "cache",
     "worker", "always", "started", "9" * 400]
)  # fmt: skip
SCALARS = WORDS | st.none() | st.booleans() | st.integers() | st.floats()
KEYS = st.sampled_from(
    [
        *sorted(SERVICE_KEYS | FLEET_KEYS),
        "path",
        "command",
        "interval",
        "min",
        "max",
        "memory",
        "condition",
        "algorithm",
        "tcp",
        "a",
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | WORDS, inner, max_size=4),
    max_leaves=12,
)
SERVICES = st.dictionaries(KEYS, VALUES, max_size=8)
FLEETS = st.fixed_dictionaries(
    {"services": st.dictionaries(st.sampled_from(["a", "b", "c", "B_", ""]), SERVICES, max_size=3)},
    optional={"defaults": SERVICES, "gateway": VALUES, "include": VALUES, "preload": VALUES},
)


@settings(max_examples=200, deadline=None)
@given(SERVICES | FLEETS | VALUES)
def test_any_keys_with_any_values_give_a_fleet_or_problems(document: Any) -> None:
    assert is_good(outcome(yaml.safe_dump(document, allow_unicode=True).encode()))


@settings(max_examples=150, deadline=None)
@given(
    st.binary() | st.text().map(str.encode) | st.text("ab:-[]{}&*<!?|>'\"#%@ \n").map(str.encode)
)
def test_any_bytes_give_a_fleet_or_problems(content: bytes) -> None:
    assert is_good(outcome(content))
