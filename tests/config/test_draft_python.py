"""Applications are found by reading Python files, and never by running them."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.config.drafting.python_module import read_module
from msctl.config.drafting.python_tree import PythonTree
from tests.config.drafts import draft, services
from tests.config.support import write

FASTAPI = "from fastapi import FastAPI\n"


@pytest.mark.parametrize(
    ("source", "apps"),
    [
        (FASTAPI + "app = FastAPI()", {"app": False}),
        (FASTAPI + "app: FastAPI = FastAPI(title='x')", {"app": False}),
        ("import fastapi\napi = fastapi.FastAPI()", {"api": False}),
        ("import fastapi as f\napi = f.FastAPI()", {"api": False}),
        ("from fastapi import FastAPI as F\napp = F()", {"app": False}),
        (
            "from starlette.applications import Starlette\na = b = Starlette()",
            {"a": False, "b": False},
        ),
        (FASTAPI + "if 1:\n  try:\n    app = FastAPI()\n  finally:\n    pass", {"app": False}),
        (FASTAPI + "def create_app() -> FastAPI: ...", {"create_app": True}),
        (FASTAPI + "def build(x=1, *, y=2):\n  a = FastAPI()\n  return a", {"build": True}),
        (FASTAPI + "def build():\n  return FastAPI()", {"build": True}),
        (FASTAPI + "def build():\n  return FastAPI()\napp = build()", {"app": False}),
        ("from shop import create_app\napp = create_app()", {"app": False}),
        (FASTAPI + "app = FastAPI()\nsub = FastAPI()\napp.mount('/s', sub)", {"app": False}),
        ("from msctl import Microservice\nclass S(Microservice): ...\napp = S()", {"app": False}),
        ("from msctl import Microservice\nclass S(Microservice): ...", {"S": True}),
    ],
)
def test_an_application_or_what_makes_one_is_found(source: str, apps: dict[str, bool]) -> None:
    module = read_module(source.encode())
    assert module is not None
    assert {app.attribute: app.factory for app in module.apps} == apps


@pytest.mark.parametrize(
    "source",
    [
        "",
        "app = FastAPI()",
        "from other import FastAPI\napp = FastAPI()",
        FASTAPI + "def f():\n  app = FastAPI()",
        FASTAPI + "async def create_app() -> FastAPI: ...",
        FASTAPI + "def create_app(settings) -> FastAPI: ...",
        FASTAPI + "app = FastAPI(",
        FASTAPI + "\0",
        FASTAPI + "app = " + "(" * 500,
        "# coding: nonsense\n" + FASTAPI + "app = FastAPI()",
    ],
)
def test_what_is_none_is_not_taken_for_one(source: str) -> None:
    assert read_module(source.encode()) is None


@given(st.binary() | st.text("=()\n :.,'\"\\x").map(lambda text: (FASTAPI + text).encode()))
def test_any_bytes_are_read_without_an_error(source: bytes) -> None:
    read_module(source)


def test_nothing_is_imported(tmp_path: Path) -> None:
    source = FASTAPI + "open('ran', 'w')\nraise SystemExit\napp = FastAPI()\n"
    assert list(draft(tmp_path, {"main.py": source}).services) == [tmp_path.name.replace("_", "-")]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("files", "app", "directory"),
    [
        ({"shop.py": ""}, "shop:app", None),
        ({"shop/main.py": "", "shop/__init__.py": ""}, "shop.main:app", None),
        ({"shop/__init__.py": "+app"}, "shop:app", None),
        ({"shop/main.py": ""}, "main:app", "shop"),
        ({"shop/main.py": "import shop.db", "shop/db.py": ""}, "shop.main:app", None),
        ({"shop/main.py": "import db", "shop/db.py": ""}, "main:app", "shop"),
        ({"shop/main.py": "from . import db", "shop/db.py": ""}, "shop.main:app", None),
        ({"order-service/main.py": ""}, "main:app", "order-service"),
        ({"src/shop/api.py": "", "src/shop/__init__.py": ""}, "shop.api:app", "src"),
        ({"a/b/main.py": "", "a/b/__init__.py": ""}, "b.main:app", "a"),
    ],
)
def test_it_is_imported_from_where_its_own_imports_are(
    tmp_path: Path, files: dict[str, str], app: str, directory: str | None
) -> None:
    source = FASTAPI + "app = FastAPI()\n"
    is_app = {
        name: name.endswith(("main.py", "shop.py", "api.py")) or text
        for name, text in files.items()
    }
    written = {
        name: source + text.removeprefix("+app") + "\n" if is_app[name] else text
        for name, text in files.items()
    }
    [found] = services(tmp_path, written).values()
    assert found.app == app
    assert found.working_dir == (tmp_path / directory if directory else None)


def test_a_file_without_a_name_that_python_knows_is_left_alone(tmp_path: Path) -> None:
    assert draft(tmp_path, {"my-app.py": FASTAPI + "app = FastAPI()"}).is_example


@pytest.mark.parametrize(
    ("path", "attribute", "name"),
    [
        ("user_service.py", "app", "user-service"),
        ("users/main.py", "app", "users"),
        ("services/users/app/main.py", "app", "users"),
        ("src/users/api.py", "application", "users"),
        ("users.py", "admin_app", "users-admin"),
        ("users.py", "create_app", "users"),
        ("metrics.py", "app", "metrics-service"),
        ("_9.py", "app", "service-9"),
    ],
)
def test_it_is_called_after_what_tells_it_apart(
    tmp_path: Path, path: str, attribute: str, name: str
) -> None:
    call = (
        "def create_app() -> FastAPI: ..." if "create" in attribute else f"{attribute} = FastAPI()"
    )
    assert list(services(tmp_path, {path: f"{FASTAPI}{call}\n"})) == [name]


def test_names_that_are_the_same_are_told_apart(tmp_path: Path) -> None:
    source = FASTAPI + "app = FastAPI()"
    found = services(tmp_path, {"a/users.py": source, "b/users.py": source, "c/Users.py": source})
    assert list(found) == ["users", "users-2", "users-3"]
    assert [service.port for service in found.values()] == [8001, 8002, 8003]


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("app = FastAPI()\n@app.get('/health')\ndef h(): ...", "/health"),
        ("app = FastAPI()\n@app.get('/healthz')\ndef h(): ...", "/healthz"),
        ("app = FastAPI()\n", "/openapi.json"),
        ("app = FastAPI(openapi_url='/api/schema')\n", "/api/schema"),
        ("def create_app() -> FastAPI: ...", "/openapi.json"),
    ],
)
def test_its_health_is_asked_where_it_answers(tmp_path: Path, source: str, path: str) -> None:
    [found] = services(tmp_path, {"users.py": FASTAPI + source}).values()
    assert found.effective_check is not None
    assert found.effective_check.path == path


def test_without_any_known_path_every_answer_will_do(tmp_path: Path) -> None:
    source = "from starlette.applications import Starlette\napp = Starlette()"
    [found] = services(tmp_path, {"users.py": source}).values()
    assert found.effective_check is not None
    assert found.effective_check.expect_status is not None
    assert {200, 404} <= set(found.effective_check.expect_status)


def test_what_its_own_file_says_is_taken_over(tmp_path: Path) -> None:
    service = """
        from msctl import Microservice, ServiceConfig
        class Orders(Microservice):
            config = ServiceConfig(name="order-service", description="Orders", port=9002,
                                   dependencies=["users"], timeout=compute())
        app = Orders()
        """
    users = (
        '"""Keeps users."""\nimport uvicorn\n'
        + FASTAPI
        + "app = FastAPI()\nuvicorn.run(app, port=9001)"
    )
    found = services(tmp_path, {"orders.py": service, "users.py": users})
    orders = found["order-service"]
    assert (orders.port, orders.description) == (9002, "Orders")
    assert [each.name for each in orders.dependencies] == ["users"]
    assert (found["users"].port, found["users"].description) == (9001, "Keeps users.")


def test_foreign_code_and_tests_are_not_looked_at(tmp_path: Path) -> None:
    source = FASTAPI + "app = FastAPI()"
    places = ["tests/a.py", "venv/a.py", ".hidden/a.py", "node_modules/x/a.py", "own/lib/a.py",
              "build/a.py", "test_a.py", "a_test.py", "conftest.py", "__pycache__/a.py", ".a.py",
              "x/site-packages/a.py", "a.txt"]  # fmt: skip
    write(tmp_path, {"own/pyvenv.cfg": ""})
    assert draft(tmp_path, dict.fromkeys(places, source)).is_example


def test_links_do_not_lead_around_in_circles(tmp_path: Path) -> None:
    write(tmp_path, {"a/main.py": FASTAPI + "app = FastAPI()"})
    (tmp_path / "a/again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a/gone.py").symlink_to("nowhere")
    os.mkfifo(tmp_path / "a/pipe.py")
    assert list(services(tmp_path, {})) == ["a"]


def test_a_large_project_is_looked_at_in_part_and_that_is_said(tmp_path: Path) -> None:
    write(tmp_path, {f"d{n}/main.py": FASTAPI + "app = FastAPI()" for n in range(5)})
    for tree in (
        PythonTree(tmp_path, most_files=3),
        PythonTree(tmp_path, most_entries=7),
        PythonTree(tmp_path, seconds=-1),
    ):
        assert len(list(tree.files())) < 5
        assert tree.cut_short


def test_an_application_that_a_file_names_already_is_there_once(tmp_path: Path) -> None:
    health = "app = FastAPI()\n@app.get('/ping')\ndef h(): ..."
    files = {
        "Procfile": "web: uvicorn shop.main:app --port 7000\nother: python billing/run.py",
        "shop/__init__.py": "",
        "shop/main.py": FASTAPI + health,
        "billing/run.py": FASTAPI + health,
        "users.py": FASTAPI + health,
    }
    found = services(tmp_path, files)
    assert list(found) == ["web", "other", "users"]
    assert found["web"].health_check_path == "/ping"
    assert found["web"].health is None


def test_one_name_of_a_file_is_not_that_of_another_directory(tmp_path: Path) -> None:
    write(tmp_path, {"users/main.py": FASTAPI + "app = FastAPI()"})
    found = services(
        tmp_path,
        {
            "Procfile": "orders: uvicorn main:app --app-dir orders",
            "orders/main.py": FASTAPI + "app = FastAPI()",
        },
    )
    assert list(found) == ["orders", "users"]
