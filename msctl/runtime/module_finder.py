"""Looks for modules without importing any: run by path, in the interpreter that would import them.

Standard library of old Pythons only: a service may have an interpreter of its own. Arguments:
the working directory, which comes first on `sys.path`, and names; prints a JSON list of those
that are not there.
"""

import importlib.machinery
import importlib.util
import json
import sys


def is_there(name: str) -> bool:
    """Whether importing this would find a file; packages above it are not run either."""
    top, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    for depth, _ in enumerate(rest, 2):
        if spec is None:
            return False
        path = spec.submodule_search_locations
        below = ".".join(name.split(".")[:depth])
        spec = None if path is None else importlib.machinery.PathFinder.find_spec(below, path)
    return spec is not None and spec.origin is not None


if __name__ == "__main__":
    sys.path[0] = sys.argv[1]  # this file's directory was there
    missing = [name for name in sys.argv[2:] if not is_there(name)]
    sys.stdout.write(json.dumps(missing) + "\n")
