"""The first configuration of a project: what `msctl init` writes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from msctl.config.drafting.assemble import Draft, assemble
from msctl.config.drafting.names import distinct_name
from msctl.config.drafting.python_apps import find_apps
from msctl.config.drafting.python_tree import PythonTree
from msctl.config.drafting.rebase import seen_from
from msctl.config.drafting.settle import settle
from msctl.config.drafting.sketch import Sketch, Sketches, Untranslatable
from msctl.config.drafting.sources import files_in, read_source
from msctl.config.drafting.yaml_text import comment
from msctl.config.envfiles import EnvFiles, default_files
from msctl.config.schema import FILE_NAME as SCHEMA
from msctl.errors import Problem

MODELINE = f"# yaml-language-server: $schema={SCHEMA}"
_MOST_ORIGINS = 4
_EXAMPLE_NOTE = """\
An example: change it to what you have. Without `app` it would run services.my_service:app;
a program of any language has a `command` instead, and listens on the port in $PORT:
  command: node server.js --port ${PORT}"""


@dataclass(frozen=True, slots=True)
class FirstConfig:
    """A configuration and what there is to say of it."""

    text: str
    services: Mapping[str, Sketch]
    """Those that it runs, by name."""
    left_out: Mapping[str, Sketch]
    """Those that it only shows, as comments."""
    is_example: bool
    """Whether the only service is an example, as nothing was found that can be run."""
    skipped: tuple[str, ...] = ()
    """Files that could not be read, and why."""
    elsewhere: tuple[Problem, ...] = ()


def first_config(
    directory: Path, environ: Mapping[str, str], source: Path | None = None
) -> FirstConfig:
    """Return a configuration for what is in the directory, or in one file that is named.

    It loads without problems, but for those of a `.env` there. Raises Untranslatable when a
    named file gives nothing.
    """
    skipped: list[str] = []
    if source is not None:
        found = [seen_from(directory, source.absolute().parent, read_source(source))]
    else:
        found = list(_readable(directory, skipped))
        found.append(find_apps(PythonTree(directory)))
    draft = assemble(found, _dotenv_names(directory))
    origins = draft.origins
    draft = replace(draft, notes=(*skipped, *draft.notes))
    settled = settle(draft, _header(origins), directory, environ)
    is_example = all(sketch.left_out for sketch in settled.draft.services.values())
    if is_example:
        draft = _with_example(settled.draft)
        settled = settle(draft, _header(origins), directory, environ)
    services = settled.draft.services
    return FirstConfig(
        text=settled.text,
        services={name: each for name, each in services.items() if not each.left_out},
        left_out={name: each for name, each in services.items() if each.left_out},
        is_example=is_example,
        skipped=tuple(skipped),
        elsewhere=settled.elsewhere,
    )


def _readable(directory: Path, skipped: list[str]) -> list[Sketches]:
    found: list[Sketches] = []
    for file in files_in(directory):
        try:
            found.append(read_source(file))
        except Untranslatable as error:
            skipped.append(f"{file.name} was not taken over: {error}")
    return found


def _dotenv_names(directory: Path) -> set[str]:
    env_files = EnvFiles({})
    return {item.name for file in default_files(directory) for item in env_files.read(file)}


def _header(origins: tuple[str, ...]) -> list[str]:
    if origins:
        named = ", ".join(origins[:_MOST_ORIGINS])
        more = f" and {len(origins) - _MOST_ORIGINS} more" if len(origins) > _MOST_ORIGINS else ""
        first = f"Written by `msctl init` from {named}{more}. Look it over, then: msctl up"
    else:
        first = (
            "Written by `msctl init`, which found nothing to start from. Edit it, then: msctl up"
        )
    return [MODELINE, *comment(first), *comment("All keys: msctl schema")]


def _with_example(draft: Draft) -> Draft:
    example = Sketch(
        name="my-service",
        origin="msctl",
        keys={"description": "What it is for, in a line", "port": 8001, "app": "main:app"},
        has_port=True,
        notes=tuple(_EXAMPLE_NOTE.splitlines()),
    )
    name = distinct_name("my-service", draft.services)
    return replace(draft, services={name: replace(example, name=name), **draft.services})
