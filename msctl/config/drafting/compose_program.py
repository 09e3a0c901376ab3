"""What a container runs, as a command of this machine; or why it cannot be run here."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from msctl.config.drafting.compose_text import converted, literal
from msctl.config.drafting.dockerfile import command_of_dockerfile
from msctl.config.drafting.program import Program, program_of
from msctl.config.drafting.servers import command_of, program_of_image, server_of
from msctl.config.drafting.shell import PORT, protected
from msctl.config.drafting.source_tree import Tree, shown, text, texts, tree

_HOW = "msctl runs processes, not images"


@dataclass
class Contained:
    """A container's program, seen from outside."""

    program: Program
    directory: str | None = None
    """Its build context, relative to the compose file."""
    notes: list[str] = field(default_factory=list)
    left_out: str = ""
    """Why it cannot be run here."""


def container_program(
    service: Tree, directory: Path, *, port: int | None, listens: bool
) -> Contained:
    """Return what runs in a service's container; `port` is the one that it has in there."""
    image = text(service.get("image"))
    context, dockerfile = _build(service.get("build"))
    argv = _given(service)
    notes: list[str] = []
    if argv is None and context is not None:
        argv = command_of_dockerfile(directory / context / dockerfile)
        if argv is not None:
            argv = [protected(part) for part in argv]
            notes.append(f"command: from {context}/{dockerfile}")
    if argv is None:
        return _of_image(image, context, dockerfile)
    if image and context is None:
        notes.append(f"image: {image} (what it has installed must be installed here)")
    argv = [part.replace("${PORT:-}", PORT) for part in argv]
    return Contained(program_of(argv, port=port, is_web=listens), context, notes)


def _build(build: object) -> tuple[str | None, str]:
    context = text(build) or text(tree(build).get("context"))
    if context is None and not tree(build):
        return None, ""
    return (context or ".").rstrip("/"), text(tree(build).get("dockerfile")) or "Dockerfile"


def _given(service: Tree) -> list[str] | None:
    """Return the arguments that the compose file names; None where it leaves them to the image."""
    argv: list[str] = []
    for key in ("entrypoint", "command"):
        value = service.get(key)
        if isinstance(value, str):
            try:
                argv += [converted(part) for part in shlex.split(value)]
            except ValueError:
                argv += ["sh", "-c", protected(literal(value))]
        elif value is not None:
            argv += _in_shell(texts(value))
    return argv or None


def _in_shell(argv: list[str]) -> list[str]:
    if argv[:2] in (["sh", "-c"], ["bash", "-c"], ["/bin/sh", "-c"]):
        return [*argv[:2], *(protected(literal(part)) for part in argv[2:])]
    return [converted(part) for part in argv]


def _of_image(image: str | None, context: str | None, dockerfile: str) -> Contained:
    if context is not None:
        reason = f"build: no CMD was found in {context}/{dockerfile}; give the command that it runs"
        return Contained(_unknown(), context, left_out=reason)
    if image is None:
        reason = "neither image nor build nor command says what it runs"
        return Contained(_unknown(), left_out=reason)
    known = program_of_image(image)
    command = command_of(known) if known else None
    if known and command:
        note = f"{shown('image', image)}: {known} of this machine, which has to be installed"
        return Contained(program_of(command), None, [note])
    server = server_of(known) if known else None
    if known and server:
        program = Program(
            {"service_type": server.service_type.value, "command": known},
            has_port=True,
            port=server.port,
        )
        reason = (
            f"{shown('image', image)}: {_HOW}. Keep it running as it is, or give the command that "
            f"starts {known} here, with its data directory and -p ${{PORT}} or the like"
        )
        return Contained(program, left_out=reason)
    reason = f"{shown('image', image)}: {_HOW}; give the command that it runs"
    return Contained(_unknown(), left_out=reason)


def _unknown() -> Program:
    return Program({"command": "the-program --port ${PORT}"}, has_port=True)
