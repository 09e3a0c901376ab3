"""What an editor makes of a configuration: YAML 1.2 as it reads it, and the schema's complaints."""

import re
from typing import Any

import jsonschema
import yaml

from msctl.config.schema import file_schema

VALIDATOR = jsonschema.Draft7Validator(file_schema())


class CoreLoader(yaml.SafeLoader):
    """YAML 1.2's core schema: `on`, `yes`, 12:30 and dates are texts."""


CoreLoader.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("merge", "<<", "<"),
):
    CoreLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first)
    )


def _integer(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    text = loader.construct_scalar(node).lower()
    digits = text.lstrip("+-")
    base = {"0o": 8, "0x": 16}.get(digits[:2], 10)
    try:
        value: float = int(digits[2:] if digits[:2] in {"0o", "0x"} else digits, base)
    except ValueError:  # more digits than Python converts; an editor has a float there
        value = float("inf")
    return -value if text.startswith("-") else value


def _float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    return float(
        loader.construct_scalar(node).lower().replace(".inf", "inf").replace(".nan", "nan")
    )


CoreLoader.add_constructor("tag:yaml.org,2002:int", _integer)
CoreLoader.add_constructor("tag:yaml.org,2002:float", _float)


def read(text: str) -> Any:
    return yaml.load(text, Loader=CoreLoader)  # a safe loader


def read_1_1(text: str) -> Any:
    """The same as YAML 1.1 has it, where `no` is false; editors can be told to."""
    return yaml.safe_load(text)


def complaints(document: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(document)]
