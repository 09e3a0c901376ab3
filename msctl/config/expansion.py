"""`${VAR}` in a tree: every text of a file but commands, which wait for the instance's own."""

from collections.abc import Mapping
from dataclasses import replace

from msctl.config.interpolate import check_syntax, expand
from msctl.config.nodes import Entry, Fault, Listing, Node, Scalar, Table, children

COMMAND = "command"


def expand_tree(node: Node, variables: Mapping[str, str]) -> Node:
    """Return the tree with its `${…}` replaced; what cannot be is taken out, and a fault in its place.

    The arguments of a `command` are only checked: they are expanded when an instance is
    spawned, from its final environment (contract.md, Config).
    """
    return _expanded(node, variables)


def _expanded(node: Node, variables: Mapping[str, str] | None) -> Node:
    if isinstance(node, Scalar):
        return node
    faults: list[Fault] = list(node.faults)
    items: dict[str, Node] = {}
    for step, child in children(node):
        below = None if step == COMMAND else variables
        if not isinstance(child, Scalar):
            items[str(step)] = _expanded(child, below)
            continue
        try:
            items[str(step)] = _text(child, below)
        except ValueError as error:
            mark = node.entries[str(step)].mark if isinstance(node, Table) else child.mark
            faults.append(Fault(mark, step, str(error)))
    if isinstance(node, Listing):
        return replace(node, items=tuple(items.values()), faults=tuple(faults))
    entries = {key: Entry(node.entries[key].mark, child) for key, child in items.items()}
    return replace(node, entries=entries, faults=tuple(faults))


def _text(scalar: Scalar, variables: Mapping[str, str] | None) -> Scalar:
    if scalar.null or "$" not in scalar.text:
        return scalar
    if variables is None:
        check_syntax(scalar.text)
        return scalar
    text = expand(scalar.text, variables)
    return replace(scalar, text=text, source=scalar.text if text != scalar.text else None)
