"""A configuration file as a tree that remembers its lines.

Every scalar stays the text that was written, as in YAML's failsafe schema, and the model
decides by key what it means. So `command: [run, 010]` keeps its zero, `VERSION: 1.10` its
zero too, `restart: no` is a word whatever YAML 1.1 thinks, and `replicas: yes` is no 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

Step = str | int
Steps = tuple[Step, ...]
"""A path in a tree: keys of mappings, positions in lists."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something was written."""

    file: Path
    line: int
    """1-based."""
    section: str = ""
    """`defaults` for what services inherit from there; empty for what they say themselves."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the structure at one place, before anyone asks what it means."""

    mark: Mark
    key: Step | None
    """The key or position that is wrong; None for the node itself."""
    message: str


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text; `null` when nothing was written, or one of YAML's words for nothing."""

    mark: Mark
    text: str
    null: bool = False
    source: str | None = None
    """What was written, where `text` is that with its `${…}` replaced."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list."""

    mark: Mark
    items: tuple[Node, ...]
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A key's value, and where the key stands."""

    mark: Mark
    node: Node


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping."""

    mark: Mark
    entries: Mapping[str, Entry] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def without(self, *keys: str) -> Table:
        """Return the same mapping, these keys left out."""
        kept = {key: entry for key, entry in self.entries.items() if key not in keys}
        return replace(self, entries=kept)

    def get(self, key: str) -> Node | None:
        """Return the value of a key that has one."""
        entry = self.entries.get(key)
        return None if entry is None or is_null(entry.node) else entry.node


Node = Scalar | Listing | Table


def is_null(node: Node) -> bool:
    """Whether nothing was written there."""
    return isinstance(node, Scalar) and node.null


def plain(node: Node) -> object:
    """Return the tree as Python's own types; keys without a value are left out, as if not written."""
    if isinstance(node, Scalar):
        return None if node.null else node.text
    if isinstance(node, Listing):
        return [plain(item) for item in node.items]
    return {
        key: plain(entry.node) for key, entry in node.entries.items() if not is_null(entry.node)
    }


def locate(node: Node, path: Steps) -> tuple[Mark, Steps, Node]:
    """Follow a path as far as it leads: the mark, the path and the node where it ends.

    A number counts the entries of a mapping too: some mappings are validated as lists.
    """
    mark, found = node.mark, list[Step]()
    for step in path:
        if isinstance(node, Table) and isinstance(step, int) and step < len(node.entries):
            step = list(node.entries)[step]  # noqa: PLW2901 - the step in the file's own terms
        if isinstance(node, Table) and isinstance(step, str) and step in node.entries:
            mark, node = node.entries[step].mark, node.entries[step].node
        elif isinstance(node, Listing) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            mark = node.mark
        else:
            break
        found.append(step)
    return mark, tuple(found), node


def faults_of(node: Node, path: Steps = ()) -> Iterator[tuple[Steps, Fault]]:
    """Yield the faults in a tree, each with the path of the node that has it."""
    if isinstance(node, Scalar):
        return
    yield from ((path, fault) for fault in node.faults)
    for step, child in children(node):
        yield from faults_of(child, (*path, step))


def children(node: Node) -> Iterator[tuple[Step, Node]]:
    """Yield the nodes directly below, each with the step that leads to it."""
    if isinstance(node, Listing):
        yield from enumerate(node.items)
    elif isinstance(node, Table):
        yield from ((key, entry.node) for key, entry in node.entries.items())


def in_section(node: Node, section: str) -> Node:
    """Return the same tree, every mark of it saying that it was written in this section."""
    mark = replace(node.mark, section=section)
    if isinstance(node, Scalar):
        return replace(node, mark=mark)
    faults = tuple(
        replace(fault, mark=replace(fault.mark, section=section)) for fault in node.faults
    )
    if isinstance(node, Listing):
        items = tuple(in_section(item, section) for item in node.items)
        return replace(node, mark=mark, items=items, faults=faults)
    entries = {
        key: Entry(replace(entry.mark, section=section), in_section(entry.node, section))
        for key, entry in node.entries.items()
    }
    return replace(node, mark=mark, entries=entries, faults=faults)


def merged(base: Table, over: Table) -> Table:
    """`over` with what only `base` has; mappings in both are merged in their turn.

    A key without a value in `over` hides nothing of `base`.
    """
    entries = dict(base.entries)
    for key, entry in over.entries.items():
        below = entries.get(key)
        if below and isinstance(below.node, Table) and isinstance(entry.node, Table):
            entries[key] = Entry(entry.mark, merged(below.node, entry.node))
        elif below is None or not is_null(entry.node):
            entries[key] = entry
    return replace(over, entries=entries)


def pruned(node: Node, paths: set[Steps]) -> Node:
    """Return the tree without what these paths lead to."""
    kept = [
        (step, pruned(child, {path[1:] for path in paths if path[0] == step and path[1:]}))
        for step, child in children(node)
        if (step,) not in paths
    ]
    if isinstance(node, Listing):
        return replace(node, items=tuple(child for _, child in kept))
    if isinstance(node, Table):
        entries = {str(step): Entry(node.entries[str(step)].mark, child) for step, child in kept}
        return replace(node, entries=entries)
    return node


def written(path: Steps) -> str:
    """Return a path as messages show it: `health.expect_status[0]`."""
    parts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(parts).removeprefix(".")
