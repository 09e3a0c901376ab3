"""Ports of a compose service: the first one published is the service's."""

import re
from collections.abc import Iterator

from msctl.config.drafting.numbering import valid_port
from msctl.config.drafting.source_tree import Tree, shown, text, tree

_SHORT = re.compile(
    r"(?:(?:\d+(?:\.\d+){3}|\[[0-9a-fA-F:]+\]):)?(?:(?P<published>[^:]*):)?(?P<target>\d+)(?:/(?P<protocol>\w+))?"
)
_DEFAULT = re.compile(r"\$\{\w+:?-(\d+)\}")


def service_port(service: Tree) -> tuple[bool, int | None, int | None, list[str]]:
    """Return whether it has a port, the published one, the container's, and notes on the rest."""
    notes: list[str] = []
    found: list[tuple[int | None, int | None]] = []
    ports = service.get("ports")
    for item in ports if isinstance(ports, list) else [ports] if ports else []:
        port = _port(item)
        if port is None or found:
            notes.append(f"only one port is held for a service; left out: {_shown(item)}")
        if port is not None:
            found.append(port)
    if found:
        return True, *found[0], notes
    exposed = [port for port in _exposed(service.get("expose")) if port]
    return bool(exposed), None, exposed[0] if exposed else None, notes


def _port(item: object) -> tuple[int | None, int | None] | None:
    if isinstance(item, dict):
        long = tree(item)
        target = valid_port(long.get("target", ""))
        if target is None or long.get("protocol") == "udp":
            return None
        return valid_port(long.get("published", "")), target
    written = _DEFAULT.sub(r"\1", text(item) or "")
    match = _SHORT.fullmatch(written)
    target = valid_port(match["target"]) if match else None
    if match is None or target is None or match["protocol"] == "udp":
        return None
    return valid_port(match["published"] or ""), target


def _exposed(value: object) -> Iterator[int | None]:
    for item in value if isinstance(value, list) else [value]:
        yield valid_port(str(item).partition("/")[0])


def _shown(item: object) -> str:
    long = tree(item)
    return shown("port", item) if not long else f"{long.get('published')}:{long.get('target')}"
