"""A dependency graph as a tree, as Mermaid, as Graphviz and as JSON."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from msctl.model import ServiceType

_USUAL = "healthy"
_MERMAID_WORDS = re.compile(
    r"(end|graph|subgraph|flowchart|style|class|click|call|href|default|direction)(-|$)"
)
"""Names that begin like this are keywords to Mermaid and break the picture."""

ASCII = str.maketrans({"├": "|", "└": "`", "│": "|", "─": "-"})
"""For `str.translate`, where the branches of the tree cannot be written."""


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One service; each dependency is its name, condition and whether it is required."""

    name: str
    service_type: ServiceType
    dependencies: tuple[tuple[str, str, bool], ...]


Nodes = Sequence[GraphNode]


def tree(nodes: Nodes) -> list[str]:
    """Dependents above what they depend on; what was drawn already is only named again."""
    by_name = {node.name: node for node in nodes}
    needed = {name for node in nodes for name, *_ in node.dependencies}
    drawn: set[str] = set()
    lines: list[str] = []
    for node in nodes:
        if node.name not in needed:
            lines.append(node.name)
            lines += _branches(node, by_name, drawn, "")
    return lines


def mermaid(nodes: Nodes) -> list[str]:
    """Return a Mermaid flowchart, arrows from a service to what it depends on."""
    lines = ["graph TD", *(f"  {_mermaid_node(node.name)}" for node in nodes)]
    for node in nodes:
        for name, condition, required in node.dependencies:
            arrow = "-->" if required else "-.->"
            label = f"|{condition}|" if condition != _USUAL else ""
            lines.append(f"  {_mermaid_id(node.name)} {arrow}{label} {_mermaid_id(name)}")
    return lines


def dot(nodes: Nodes) -> list[str]:
    """Return a Graphviz digraph, arrows from a service to what it depends on."""
    lines = ["digraph fleet {", "  rankdir=TB;", *(f'  "{node.name}";' for node in nodes)]
    for node in nodes:
        for name, condition, required in node.dependencies:
            style = [] if required else ["style=dashed"]
            label = [f'label="{condition}"'] if condition != _USUAL else []
            attributes = f" [{', '.join(style + label)}]" if style or label else ""
            lines.append(f'  "{node.name}" -> "{name}"{attributes};')
    return [*lines, "}"]


def as_json(nodes: Nodes) -> list[str]:
    """Return one JSON document, the services in start order."""
    services = [
        {
            "name": node.name,
            "service_type": node.service_type,
            "dependencies": [
                {"name": name, "condition": condition, "required": required}
                for name, condition, required in node.dependencies
            ],
        }
        for node in nodes
    ]
    return [json.dumps({"schema_version": 1, "services": services}, indent=2)]


FORMATS: Mapping[str, Callable[[Nodes], list[str]]] = {
    "tree": tree,
    "mermaid": mermaid,
    "dot": dot,
    "json": as_json,
}


def _branches(
    node: GraphNode, by_name: Mapping[str, GraphNode], drawn: set[str], indent: str
) -> list[str]:
    drawn.add(node.name)
    lines = []
    for position, (name, condition, required) in enumerate(node.dependencies, start=1):
        at_end = position == len(node.dependencies)
        child = by_name.get(name)
        seen = name in drawn and child is not None and bool(child.dependencies)
        remarks = [condition] if condition != _USUAL else []
        remarks += [] if required else ["optional"]
        remarks += ["see above"] if seen else []
        label = f"{name} ({', '.join(remarks)})" if remarks else name
        lines.append(f"{indent}{'└── ' if at_end else '├── '}{label}")
        if child is not None and not seen:
            deeper = indent + ("    " if at_end else "│   ")
            lines += _branches(child, by_name, drawn, deeper)
    return lines


def _mermaid_id(name: str) -> str:
    return f"service-{name}" if _MERMAID_WORDS.match(name) else name


def _mermaid_node(name: str) -> str:
    identity = _mermaid_id(name)
    return identity if identity == name else f'{identity}["{name}"]'
