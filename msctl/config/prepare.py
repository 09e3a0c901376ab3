"""Makes one shape of the shapes that a service may be written in, and adds the defaults."""

from collections.abc import Mapping
from dataclasses import replace

from msctl.config.nodes import Entry, Fault, Listing, Node, Scalar, Table, merged

_SWITCHES = frozenset({"breaker", "health", "retries"})
# What says how a service is started: one way of its own is enough to drop those of the defaults.
_WITH_APP = ("app", "factory", "python")


def prepared(table: Table, variables: Mapping[str, str]) -> Table:
    """Return the same service with `environment` and `dependencies` as mappings where they can be.

    A written `null` or `~` switches off what can be switched off. A variable without a value
    is the one of msctl's own environment, as in docker compose. A dependency without options
    waits until it is healthy.
    """
    entries = {key: _switched_off(key, entry) for key, entry in table.entries.items()}
    environment = entries.get("environment")
    if environment:
        node = _passed_through(_as_table(environment.node), variables)
        entries["environment"] = replace(environment, node=node)
    dependencies = entries.get("dependencies")
    if dependencies and isinstance(dependencies.node, Table):
        node = _with_options(dependencies.node)
        entries["dependencies"] = replace(dependencies, node=node)
    return replace(table, entries=entries)


def inherited(defaults: Table | None, table: Table) -> Table:
    """Return the service with what it takes from the defaults."""
    if defaults is None:
        return table
    if table.get("command") is not None:
        defaults = defaults.without(*_WITH_APP)
    if table.get("app") is not None:
        defaults = defaults.without("command")
    return merged(defaults, table)


def _switched_off(key: str, entry: Entry) -> Entry:
    value = entry.node
    if key in _SWITCHES and isinstance(value, Scalar) and value.null and value.text:
        return replace(entry, node=replace(value, text="off", null=False))
    return entry


def _as_table(node: Node) -> Node:
    """Return a list of `K=V` as a mapping; anything else as it is."""
    if not isinstance(node, Listing):
        return node
    entries: dict[str, Entry] = {}
    faults = list(node.faults)
    for item in node.items:
        if not isinstance(item, Scalar) or item.null:
            faults.append(Fault(item.mark, None, "expected K=V in every item of the list"))
            continue
        name, separator, value = item.text.partition("=")
        if name in entries:
            first = entries[name].mark.line
            message = f"duplicate variable, first given on line {first}; remove one of them"
            faults.append(Fault(item.mark, name, message))
        else:
            entries[name] = Entry(item.mark, replace(item, text=value, null=not separator))
    return Table(node.mark, entries, tuple(faults))


def _passed_through(node: Node, variables: Mapping[str, str]) -> Node:
    if not isinstance(node, Table):
        return node
    entries: dict[str, Entry] = {}
    for name, entry in node.entries.items():
        value = entry.node
        if not isinstance(value, Scalar) or not value.null:
            entries[name] = entry
        elif name in variables:
            entries[name] = replace(entry, node=replace(value, text=variables[name], null=False))
    return replace(node, entries=entries)


def _with_options(node: Table) -> Table:
    entries = {
        name: replace(entry, node=Table(entry.mark))
        if isinstance(entry.node, Scalar) and entry.node.null
        else entry
        for name, entry in node.entries.items()
    }
    return replace(node, entries=entries)
