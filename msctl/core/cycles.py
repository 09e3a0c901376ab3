"""Cycles in a graph of names, as paths a person can follow."""

from collections.abc import Iterator, Mapping, Sequence


def find_cycles(edges: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Return at least one path through every knot of the graph, such as `(a, b, a)`.

    A path begins at its first member in the order of `edges`. Each edge that leads back to
    where a depth-first walk came from closes one, so there are none exactly when the graph
    has no cycle, and never more than edges (all ways around could be exponentially many).
    """
    place = {name: number for number, name in enumerate(edges)}
    found: dict[tuple[str, ...], None] = {}
    done: set[str] = set()
    for root in edges:
        for path in _closed_paths(root, edges, done):
            first = path.index(min(path, key=place.__getitem__))
            found[(*path[first:], *path[:first], path[first])] = None
    return list(found)


def _closed_paths(
    root: str, edges: Mapping[str, Sequence[str]], done: set[str]
) -> Iterator[list[str]]:
    """Walk from `root` and yield each cycle that is met, open at its end.

    Without recursion: a chain of a thousand services is unusual, not an error.
    """
    if root in done:
        return
    trail: dict[str, Iterator[str]] = {root: iter(edges[root])}
    while trail:
        name, ahead = next(reversed(trail.items()))
        following = next(ahead, None)
        if following is None:
            del trail[name]
            done.add(name)
        elif following in trail:
            path = list(trail)
            yield path[path.index(following) :]
        elif following in edges and following not in done:
            trail[following] = iter(edges[following])
