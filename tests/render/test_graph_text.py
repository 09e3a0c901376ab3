import json

from msctl.model import ServiceType
from msctl.render.graph_text import GraphNode, as_json, dot, mermaid, tree


def node(name: str, *dependencies: tuple[str, str, bool]) -> GraphNode:
    return GraphNode(name, ServiceType.API, dependencies)


def healthy(name: str) -> tuple[str, str, bool]:
    return (name, "healthy", True)


NODES = [
    node("db"),
    node("migrate", ("db", "started", True)),
    node("user", healthy("db"), ("migrate", "completed", True)),
    node("order", healthy("user"), ("cache", "healthy", False)),
    node("cache"),
]


def test_the_tree_has_dependents_above_what_they_need() -> None:
    assert tree(NODES) == [
        "order",
        "├── user",
        "│   ├── db",
        "│   └── migrate (completed)",
        "│       └── db (started)",
        "└── cache (optional)",
    ]


def test_what_was_drawn_is_not_drawn_again() -> None:
    nodes = [node("c"), node("b", healthy("c")), node("a", healthy("b")), node("d", healthy("b"))]
    assert tree(nodes) == ["a", "└── b", "    └── c", "d", "└── b (see above)"]


def test_mermaid_has_an_edge_for_each_dependency() -> None:
    lines = mermaid(NODES)
    assert lines[0] == "graph TD"
    assert "  user --> db" in lines
    assert "  user -->|completed| migrate" in lines
    assert "  order -.-> cache" in lines


def test_a_name_that_is_a_word_of_mermaid_is_escaped() -> None:
    lines = mermaid([node("end"), node("a", healthy("end"))])
    assert '  service-end["end"]' in lines
    assert "  a --> service-end" in lines


def test_dot_quotes_names() -> None:
    lines = dot(NODES)
    assert (lines[0], lines[-1]) == ("digraph fleet {", "}")
    assert '  "user" -> "db";' in lines
    assert '  "order" -> "cache" [style=dashed];' in lines


def test_json_is_one_document_in_start_order() -> None:
    document = json.loads("\n".join(as_json(NODES)))
    assert document["schema_version"] == 1
    assert [s["name"] for s in document["services"]] == ["db", "migrate", "user", "order", "cache"]
    assert document["services"][1]["dependencies"] == [
        {"name": "db", "condition": "started", "required": True}
    ]
