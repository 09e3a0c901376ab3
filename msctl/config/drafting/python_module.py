"""What a Python file says about applications, read and never run."""

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from msctl.config.drafting.python_syntax import (
    constants,
    last_name,
    needs_arguments,
    statements,
    targets,
)

_FRAMEWORKS: Mapping[str, str] = {
    "fastapi.FastAPI": "FastAPI",
    "fastapi.applications.FastAPI": "FastAPI",
    "starlette.applications.Starlette": "Starlette",
    "msctl.Microservice": "Microservice",
    "msctl.service.microservice.Microservice": "Microservice",
}
_WORTH_READING = (b"FastAPI", b"Starlette", b"Microservice")
_FACTORY_NAMES = frozenset(
    {"create_app", "make_app", "get_app", "build_app", "app_factory", "create_application"}
    | {"get_application"}
)
_HEALTH_PATHS = (
    "/health", "/healthz", "/health/", "/healthcheck", "/health-check", "/health_check",
    "/health/ready", "/health/live", "/ready", "/readyz", "/livez", "/ping", "/status",
    "/api/health", "/api/v1/health", "/-/health",
)  # fmt: skip
_ROUTE_FUNCTIONS = frozenset(
    {"get", "head", "route", "api_route", "add_route", "add_api_route", "Route", "APIRoute"}
)


@dataclass(frozen=True, slots=True)
class App:
    """An application, or a function or class that makes one."""

    attribute: str
    framework: str
    factory: bool = False
    openapi: str | None = None
    """Where its schema is served; None where it is not."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What the class of a Microservice says of itself: name, port, description, dependencies."""


@dataclass(frozen=True, slots=True)
class Module:
    """What one file has."""

    apps: tuple[App, ...] = ()
    called: frozenset[str] = frozenset()
    """Factories that it calls for an application of its own."""
    imports: tuple[str, ...] = ()
    """Modules that it imports by their full names."""
    level: int = 0
    """How many packages its relative imports go up."""
    port: int | None = None
    health_path: str | None = None
    docstring: str = ""


def read_module(source: bytes) -> Module | None:
    """Return what the file says; None when there is no application in it or it is no Python."""
    if not any(word in source for word in (*_WORTH_READING, *map(str.encode, _FACTORY_NAMES))):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of invalid escapes: not ours to report
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    reader = _Reader(tree)
    try:
        apps, called = reader.apps()
        if not apps:
            return None
        return Module(
            apps=apps,
            called=called,
            imports=tuple(reader.absolute),
            level=reader.level,
            port=reader.port(),
            health_path=reader.health_path(),
            docstring=(ast.get_docstring(tree) or "").partition("\n")[0].strip(),
        )
    except RecursionError:
        return None


class _Reader:
    """Goes through one file's syntax tree."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.names: dict[str, str] = {}
        self.absolute: list[str] = []
        self.level = 0
        for node in ast.walk(tree):
            self._note_import(node)
        self.factories = dict(self._functions())
        self.services = dict(self._classes())

    def _note_import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                self.absolute.append(alias.name)
                bound = alias.asname or alias.name.partition(".")[0]
                self.names[bound] = alias.name if alias.asname else bound
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                self.level = max(self.level, node.level)
            elif node.module:
                self.absolute.append(node.module)
            for alias in node.names:
                self.names[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}"

    def _full_name(self, node: ast.expr | None) -> str:
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.names.get(node.id, node.id), *reversed(parts)])

    def _framework(self, node: ast.expr | None) -> str | None:
        """Return the framework whose application an expression makes."""
        if not isinstance(node, ast.Call):
            return None
        kind = _FRAMEWORKS.get(self._full_name(node.func))
        return None if kind == "Microservice" else kind

    def _functions(self) -> Iterator[tuple[str, str]]:
        for node in statements(self.tree.body):
            if isinstance(node, ast.FunctionDef) and not needs_arguments(node.args):
                kind = _FRAMEWORKS.get(self._full_name(node.returns)) or self._returned(node)
                if kind and kind != "Microservice":
                    yield node.name, kind

    def _returned(self, function: ast.FunctionDef) -> str | None:
        made: dict[str, str] = {}
        for node in ast.walk(function):
            names = targets(node)
            kind = self._framework(getattr(node, "value", None)) if names else None
            made |= dict.fromkeys(names, kind) if kind else {}
        for node in ast.walk(function):
            if isinstance(node, ast.Return):
                kind = self._framework(node.value)
                if isinstance(node.value, ast.Name):
                    kind = made.get(node.value.id)
                if kind:
                    return kind
        return None

    def _classes(self) -> Iterator[tuple[str, ast.ClassDef]]:
        for node in statements(self.tree.body):
            if isinstance(node, ast.ClassDef) and any(
                _FRAMEWORKS.get(self._full_name(base)) == "Microservice" for base in node.bases
            ):
                yield node.name, node

    def apps(self) -> tuple[tuple[App, ...], frozenset[str]]:
        """Return the applications of the module, and the factories that were called for them."""
        mounted = self._mounted()
        found: dict[str, App] = {}
        called: set[str] = set()
        for node in statements(self.tree.body):
            value = getattr(node, "value", None)
            for name in targets(node):
                app = self._app(name, value, called)
                if app is not None and name not in mounted:
                    found[name] = app
        for name, kind in self.factories.items():
            if name not in called:
                openapi = "/openapi.json" if kind == "FastAPI" else None
                found[name] = App(name, kind, factory=True, openapi=openapi)
        for name, node in self.services.items():
            if name not in called:
                found[name] = App(name, "Microservice", factory=True, facts=_facts(node))
        return tuple(found.values()), frozenset(called)

    def _app(self, name: str, value: ast.expr | None, called: set[str]) -> App | None:
        kind = self._framework(value)
        if kind and isinstance(value, ast.Call):
            return App(name, kind, openapi=_openapi(value) if kind == "FastAPI" else None)
        if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name):
            return None
        maker = value.func.id
        if maker in self.services:
            called.add(maker)
            return App(name, "Microservice", facts=_facts(self.services[maker]))
        if maker in self.factories or maker in _FACTORY_NAMES:
            called.add(maker)
            kind = self.factories.get(maker, "FastAPI")
            return App(name, kind, openapi="/openapi.json" if kind == "FastAPI" else None)
        return None

    def _mounted(self) -> set[str]:
        """Return the names of applications that are part of others."""
        return {
            argument.id
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "mount"
            for argument in [*node.args, *(keyword.value for keyword in node.keywords)]
            if isinstance(argument, ast.Name)
        }

    def port(self) -> int | None:
        """Return the port that the file gives to `uvicorn.run`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and self._full_name(node.func) == "uvicorn.run":
                for keyword in node.keywords:
                    value = keyword.value
                    if keyword.arg == "port" and isinstance(value, ast.Constant):
                        return value.value if type(value.value) is int else None
        return None

    def health_path(self) -> str | None:
        """Return the path of a health route of the file."""
        paths = {
            node.args[0].value
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Call) and last_name(node.func) in _ROUTE_FUNCTIONS
            if node.args and isinstance(node.args[0], ast.Constant)
        }
        return next((path for path in _HEALTH_PATHS if path in paths), None)


def _openapi(call: ast.Call) -> str | None:
    for keyword in call.keywords:
        if keyword.arg == "openapi_url":
            value = keyword.value
            is_text = isinstance(value, ast.Constant) and isinstance(value.value, str)
            return value.value if is_text else None  # type: ignore[attr-defined]  # a constant
    return "/openapi.json"


def _facts(node: ast.ClassDef) -> Mapping[str, object]:
    """Return the constants in `config = ServiceConfig(...)` of a class."""
    for statement in node.body:
        value = getattr(statement, "value", None)
        if "config" in targets(statement) and isinstance(value, ast.Call):
            return dict(constants(value))
    return {}
