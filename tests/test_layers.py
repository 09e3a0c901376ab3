"""The layers of the package: a module imports only from below it."""

import ast
from pathlib import Path

import msctl

PACKAGE = Path(msctl.__file__).parent
LAYERS = [
    {"__main__"},
    {"cli"},
    {"daemon"},
    {"control"},
    {"render"},
    {"runtime"},
    {"proxy"},
    {"service"},
    {"client"},
    {"core"},
    {"config"},
    {"errors", "findings", "exitcodes", "model", "clock"},
]
PURE = {"asyncio", "time", "random", "socket", "os", "httpx", "subprocess", "fastapi", "uvicorn"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def layer_of(part: str) -> int:
    return next(number for number, parts in enumerate(LAYERS) if part in parts)


def imports_of(path: Path) -> list[tuple[int, str]]:
    """Every import of a module, those under TYPE_CHECKING left out, with its line."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
        for node in ast.walk(branch)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            if node.module == "msctl":
                found += [(node.lineno, f"msctl.{alias.name}") for alias in node.names]
            else:
                found.append((node.lineno, node.module))
    return found


def test_a_module_imports_only_from_its_own_layer_and_below() -> None:
    wrong = []
    for path in modules():
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        for line, name in imports_of(path):
            words = name.split(".")
            if words[0] == "msctl" and len(words) > 1 and layer_of(words[1]) < layer_of(part):
                wrong.append(f"{path}:{line}: {part} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_core_does_no_io_and_has_no_clock_and_no_randomness_of_its_own() -> None:
    wrong = [
        f"{path}:{line}: {name}"
        for path in sorted((PACKAGE / "core").rglob("*.py"))
        for line, name in imports_of(path)
        if name.split(".")[0] in PURE
    ]
    assert not wrong, "\n".join(wrong)


def test_a_module_is_one_concept_of_at_most_350_lines() -> None:
    long = [f"{p}: {n}" for p in modules() if (n := len(p.read_text().splitlines())) > 350]
    assert not long, "\n".join(long)


def test_a_function_does_one_thing_in_at_most_50_lines() -> None:
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > 50
    ]
    assert not long, "\n".join(long)
