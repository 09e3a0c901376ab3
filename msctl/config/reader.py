"""Reads a YAML file into a tree (see `nodes`), whatever may be wrong with it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from msctl.config.nodes import Entry, Fault, Listing, Mark, Node, Scalar, Table, is_null
from msctl.errors import Problem

_LARGEST = 1024 * 1024
_DEEPEST = 50
_MOST_VALUES = 100_000
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_MERGE = "<<"
# libyaml is ten times as fast, where PyYAML was built with it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Unreadable(Exception):
    """A file that gives no tree; `problem` says why."""

    def __init__(self, file: Path, line: int, message: str) -> None:
        self.problem = Problem(file, line, "", message)
        super().__init__(str(self.problem))


def read_text(file: Path) -> str:
    """Return the text of a file; raises Unreadable."""
    try:
        if not file.is_file():
            raise Unreadable(file, 0, "is not a file" if file.exists() else "does not exist")
        with file.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Unreadable(file, 0, f"cannot be read: {reason}") from None
    if len(data) > _LARGEST:
        raise Unreadable(file, 0, "is larger than 1 MiB; is this a configuration file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Unreadable(file, line, "is not UTF-8 text; save it as UTF-8") from None


def read_tree(file: Path) -> Node | None:
    """Return the tree of a file, None when there is nothing in it; raises Unreadable."""
    return parse_tree(read_text(file), file)


def parse_tree(text: str, file: Path) -> Node | None:
    """Return the tree of a text that came from `file`; raises Unreadable."""
    try:
        return _Builder(file, yaml.parse(text, Loader=_LOADER)).document()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position or 0) + 1
        message = f"has a character that YAML does not allow ({_character(error)}); remove it"
        raise Unreadable(file, line, message) from None
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(file, error) from None


def _character(error: yaml.reader.ReaderError) -> str:
    character = error.character
    return f"U+{character:04X}" if isinstance(character, int) else repr(character)


def _syntax_error(file: Path, error: yaml.MarkedYAMLError) -> Unreadable:
    mark = error.problem_mark or error.context_mark
    what = error.problem or error.context or "cannot be read as YAML"
    hint = ""
    if "cannot start any token" in what:
        hint = "; indent with spaces, not tabs, and quote texts that begin with @, ` or %"
    elif "mapping values are not allowed" in what:
        hint = "; check the indentation, and quote texts that contain a colon and a space"
    elif "did not find expected" in what:
        hint = "; check the indentation and the brackets above this line"
    return Unreadable(file, mark.line + 1 if mark else 0, f"YAML syntax: {what}{hint}")


@dataclass
class _Builder:
    """Builds the tree from YAML's events, with bounds on what an alias may expand to."""

    file: Path
    events: Iterator[yaml.Event]
    anchors: dict[str, Node] = field(default_factory=dict)
    open_anchors: set[str] = field(default_factory=set)
    sizes: dict[int, int] = field(default_factory=dict)

    def document(self) -> Node | None:
        root: Node | None = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    message = "a second document starts here; keep one in each file"
                    raise Unreadable(self.file, self.mark(event).line, message)
                root = self.node(next(self.events), 0)
        return None if root is None or is_null(root) else root

    def mark(self, event: yaml.Event) -> Mark:
        # Line numbers are YAML's own, which count from 0.
        return Mark(self.file, event.start_mark.line + 1 if event.start_mark else 0)

    def node(self, event: yaml.Event, depth: int) -> Node:
        mark = self.mark(event)
        if depth > _DEEPEST:
            raise Unreadable(self.file, mark.line, f"is nested more than {_DEEPEST} deep")
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, mark)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self.open_anchors.add(anchor)
        node = self.fresh(event, mark, depth)
        if anchor:
            self.open_anchors.discard(anchor)
            self.anchors[anchor] = node
        return node

    def fresh(self, event: yaml.Event, mark: Mark, depth: int) -> Node:
        tag = getattr(event, "tag", None) or ""
        foreign = tag not in {"", "!"} and not tag.startswith("tag:yaml.org,2002:")
        if foreign:
            message = f"the tag {tag} means nothing here; remove it"
            raise Unreadable(self.file, mark.line, message)
        if isinstance(event, yaml.ScalarEvent):
            is_plain = event.implicit[0]
            node: Node = Scalar(mark, event.value, null=is_plain and event.value in _NULLS)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = Listing(mark, tuple(self.items(depth)))
        else:
            node = self.table(mark, depth)
        self.sizes[id(node)] = self.size(node)
        return node

    def size(self, node: Node) -> int:
        """How many values the node is once its aliases are written out."""
        children: Iterator[Node] = iter(())
        if isinstance(node, Listing):
            children = iter(node.items)
        elif isinstance(node, Table):
            children = (entry.node for entry in node.entries.values())
        size = 1 + sum(self.sizes.get(id(child), 1) for child in children)
        if size > _MOST_VALUES:
            message = f"expands to more than {_MOST_VALUES} values; use fewer aliases"
            raise Unreadable(self.file, node.mark.line, message)
        return size

    def alias(self, event: yaml.AliasEvent, mark: Mark) -> Node:
        if event.anchor in self.open_anchors:
            message = f"*{event.anchor} stands inside what it refers to; no value can"
            raise Unreadable(self.file, mark.line, message)
        if event.anchor not in self.anchors:
            message = f"*{event.anchor} refers to nothing; write &{event.anchor} before it"
            raise Unreadable(self.file, mark.line, message)
        return self.anchors[event.anchor]

    def items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            yield self.node(event, depth + 1)

    def table(self, mark: Mark, depth: int) -> Table:
        entries: dict[str, Entry] = {}
        inherited: dict[str, Entry] = {}
        faults: list[Fault] = []
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key_mark = self.mark(event)
            key = self.node(event, depth + 1)
            value = self.node(next(self.events), depth + 1)
            if not isinstance(key, Scalar):
                faults.append(Fault(key_mark, None, "a key must be a plain word"))
            elif key.text == _MERGE:
                faults += self.inherit(inherited, value, key_mark)
            elif key.text in entries:
                first = entries[key.text].mark.line
                message = f"duplicate key, first given on line {first}; remove one of them"
                faults.append(Fault(key_mark, key.text, message))
            else:
                entries[key.text] = Entry(key_mark, value)
        return Table(mark, {**inherited, **entries}, tuple(faults))

    def inherit(self, into: dict[str, Entry], value: Node, mark: Mark) -> list[Fault]:
        """Take over what a merge key brings; of several mappings the first one counts."""
        sources = value.items if isinstance(value, Listing) else (value,)
        tables = [source for source in sources if isinstance(source, Table)]
        for source in tables:
            for key, entry in source.entries.items():
                into.setdefault(key, entry)
        if len(tables) == len(sources):
            return []
        return [Fault(mark, _MERGE, "expected a mapping to merge, such as *an-anchor")]
