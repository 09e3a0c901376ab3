"""What a Dockerfile runs: its last CMD, behind its last ENTRYPOINT."""

import json
import re
import shlex
from pathlib import Path

from msctl.config.reader import Unreadable, read_text

_INSTRUCTION = re.compile(r"\s*(FROM|CMD|ENTRYPOINT)\s+(.+)", re.IGNORECASE)
_CONTINUED = re.compile(r"\\\s*\n")


def command_of_dockerfile(file: Path) -> list[str] | None:
    """Return the arguments that a container of this file starts with, None when there are none."""
    try:
        text = read_text(file)
    except Unreadable:
        return None
    found: dict[str, list[str]] = {}
    for line in _CONTINUED.sub(" ", text).splitlines():
        match = _INSTRUCTION.match(line)
        if not match:
            continue
        instruction = match[1].upper()
        if instruction == "FROM":  # another stage begins, of which only the last one counts
            found.clear()
        else:
            found[instruction] = _arguments(match[2].strip())
    argv = [*found.get("ENTRYPOINT", []), *found.get("CMD", [])]
    return argv or None


def _arguments(text: str) -> list[str]:
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if isinstance(given, list) and all(isinstance(part, str) for part in given):
        return given
    try:
        simple = not re.search(r"[$|&;<>()`*?]", text)
        return shlex.split(text) if simple else ["sh", "-c", text]
    except ValueError:
        return ["sh", "-c", text]
