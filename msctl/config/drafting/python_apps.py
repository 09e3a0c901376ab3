"""The applications of a project, found by reading its Python files; nothing is imported."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from msctl.config.drafting.numbering import valid_port
from msctl.config.drafting.program import Program, ask_for_any_answer
from msctl.config.drafting.python_module import App, Module, read_module
from msctl.config.drafting.python_root import import_place
from msctl.config.drafting.python_tree import PythonTree
from msctl.config.drafting.sketch import Sketch, Sketches, Value
from msctl.config.health import DEFAULT_HEALTH_PATH

_USUAL = frozenset(
    {"api", "app", "application", "asgi", "main", "run", "server", "service", "web", "wsgi"}
)
"""Names that say nothing of what a service is for."""
_PLACES = frozenset({"src", "backend", "services", "apps", "lib", "python", *_USUAL})
_LONGEST_DESCRIPTION = 120


@dataclass(frozen=True, slots=True)
class _Found:
    """An application and where it is."""

    app: App
    module: Module
    file: PurePath
    directory: PurePath
    name: str
    """The module's."""

    @property
    def import_string(self) -> str:
        return f"{self.name}:{self.app.attribute}"


def find_apps(tree: PythonTree) -> Sketches:
    """Return a sketch for each application in the project's files."""
    found = list(_found(tree))
    called = {name for each in found for name in each.module.called}
    kept = [each for each in found if not (each.app.factory and each.app.attribute in called)]
    large = "the project is large: only a part of its Python files was looked at"
    notes = (large,) if tree.cut_short else ()
    sketches = [_sketch(each, tree.root) for each in sorted(kept, key=lambda each: each.file)]
    return Sketches(services=tuple(sketches), notes=notes)


def _found(tree: PythonTree) -> Iterator[_Found]:
    for file, content in tree.files():
        module = read_module(content)
        place = module and import_place(file, tree.root, module.imports, module.level)
        if module and place:
            for app in module.apps:
                yield _Found(app, module, file.relative_to(tree.root), *place)


def _sketch(found: _Found, root: Path) -> Sketch:
    app, module = found.app, found.module
    program = Program({"app": found.import_string}, has_port=True)
    description = app.facts.get("description") or module.docstring
    if isinstance(description, str) and 0 < len(description) <= _LONGEST_DESCRIPTION:
        program.keys["description"] = description
    if app.factory:
        program.keys["factory"] = True
    if found.directory != PurePath():
        program.keys["working_dir"] = str(found.directory)
    dependencies = app.facts.get("dependencies")
    if isinstance(dependencies, list | tuple):
        names: dict[str, Value] = {name: {} for name in dependencies if isinstance(name, str)}
        program.keys["dependencies"] = names
    _health(program, found)
    return Sketch(
        name=_name(found, root),
        origin=str(found.file),
        keys=program.keys,
        has_port=True,
        port=valid_port(app.facts.get("port")) or valid_port(module.port),
        remarks=program.remarks,
    )


def _health(program: Program, found: _Found) -> None:
    if found.app.framework == "Microservice":
        return
    path = found.module.health_path
    if path == DEFAULT_HEALTH_PATH:
        return
    if path is not None:
        program.keys["health_check_path"] = path
    elif found.app.openapi is not None and found.app.openapi.startswith("/"):
        program.keys["health_check_path"] = found.app.openapi
        program.remarks["health_check_path"] = (
            f"no health route was found in {found.file.name}; better add one"
        )
    else:
        ask_for_any_answer(program)


def _name(found: _Found, root: Path) -> str:
    given = found.app.facts.get("name")
    if isinstance(given, str):
        return given
    places = [root.name, *found.file.with_suffix("").parts]
    if places[-1] == "__init__":
        places.pop()
    telling = [place for place in places[1:] if place.lower() not in _PLACES]
    name = places[-1] if places[-1].lower() not in _USUAL else (telling or places[:1])[-1]
    attribute = re.sub(
        r"^(create|make|get|build)_|_?(app|application|api|factory)$", "", found.app.attribute
    )
    is_telling = (
        attribute and attribute.lower() not in _USUAL and found.app.framework != "Microservice"
    )
    return f"{name}-{attribute}" if is_telling and attribute != name else name
