"""`${VAR}` in texts: `${VAR:-default}`, `${VAR:?message}`, and `$$` for a dollar sign.

A bare `$VAR` is left alone (contract.md, Config): it belongs to the program that reads it.
"""

import re
from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEPTH = 20


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace every `${…}` and `$$`; a default is expanded in its turn, when it is used.

    Raises ValueError, which says what is wrong, for a form that does not exist, and for a
    variable without default that is not set (for `:?` and `:-`, empty is as good as not set).
    """
    return _scan(text, variables, 0)


def check_syntax(text: str) -> None:
    """Raise ValueError for a form that does not exist; no variable needs to be set."""
    _scan(text, None, 0)


def _scan(text: str, variables: Mapping[str, str] | None, depth: int) -> str:
    if depth > _DEPTH:
        raise ValueError(f"${{…}} is nested more than {_DEPTH} deep")
    done: list[str] = []
    at = 0
    while True:
        dollar = text.find("$", at)
        if dollar < 0:
            return "".join([*done, text[at:]])
        done.append(text[at:dollar])
        following = text[dollar + 1 : dollar + 2]
        if following == "{":
            end = _closing(text, dollar)
            done.append(_replace(text[dollar + 2 : end], variables, depth))
            at = end + 1
        else:
            done.append("$")
            at = dollar + (2 if following == "$" else 1)


def _closing(text: str, start: int) -> int:
    """Return the index of the brace that closes the `${` at `start`."""
    depth, at = 1, start + 2
    while at < len(text):
        if text.startswith("$$", at):
            at += 2
        elif text.startswith("${", at):
            depth += 1
            at += 2
        elif text[at] == "}":
            depth -= 1
            if not depth:
                return at
            at += 1
        else:
            at += 1
    raise ValueError("${ has no closing }; write $$ for a dollar sign")


def _replace(inner: str, variables: Mapping[str, str] | None, depth: int) -> str:
    match = _NAME.match(inner)
    if not match:
        raise ValueError("${…} names no variable; write ${NAME}, or $$ for a dollar sign")
    name, rest = match[0], inner[match.end() :]
    operator, operand = rest[:2], rest[2:]
    if rest and operator not in {":-", ":?"}:
        raise ValueError(
            f"${{{name}…}} has an unknown form; there are ${{{name}}}, "
            f"${{{name}:-default}} and ${{{name}:?message}}"
        )
    if variables is None:
        _scan(operand, None, depth + 1)
        return ""
    value = variables.get(name)
    if value or (value is not None and not rest):
        return value
    if operator == ":-":
        return _scan(operand, variables, depth + 1)
    if operand:
        raise ValueError(f"{name} is not set: {_scan(operand, variables, depth + 1)}")
    raise ValueError(
        f"{name} is not set; set it in the environment or in .env, "
        f"or give a default: ${{{name}:-…}}"
    )
