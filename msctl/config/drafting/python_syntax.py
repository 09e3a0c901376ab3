"""Questions about Python's syntax trees."""

import ast
from collections.abc import Iterator


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield a module's statements, those inside if, try and with as well."""
    for node in body:
        yield node
        for part in ("body", "orelse", "finalbody"):
            if isinstance(node, ast.If | ast.Try | ast.With):
                yield from statements(getattr(node, part, []))


def targets(node: ast.AST) -> list[str]:
    """Return the names that an assignment gives a value to."""
    if isinstance(node, ast.Assign):
        assigned = node.targets
    elif isinstance(node, ast.AnnAssign):
        assigned = [node.target]
    else:
        return []
    return [target.id for target in assigned if isinstance(target, ast.Name)]


def needs_arguments(arguments: ast.arguments) -> bool:
    """Whether a function cannot be called without any."""
    positional = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return positional > 0 or any(default is None for default in arguments.kw_defaults)


def last_name(function: ast.expr) -> str:
    """Return the last part of the name of what is called."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def constants(call: ast.Call) -> Iterator[tuple[str, object]]:
    """Yield the keyword arguments whose values can be read off."""
    for keyword in call.keywords:
        try:
            if keyword.arg:
                yield keyword.arg, ast.literal_eval(keyword.value)
        except (ValueError, TypeError, RecursionError):
            continue
