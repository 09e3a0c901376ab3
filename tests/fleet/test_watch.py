"""A service is restarted when the files change that it has imported, and nobody notices."""

import asyncio
import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.pressure import pressure
from tests.fleet.project import HELLO, Project, eventually, free_port

APP = """
import os
from words import WORD
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/lazy":
        import later
    body = WORD.encode()
    while (await receive()).get("more_body"):
        pass
    head = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.fixture
def port(project: Project) -> int:
    """The front door of a watched service `a`, beside `b`, which imports other files; both run."""
    port = free_port()
    project.write("a.py", APP)
    project.write("words.py", "WORD = 'one'\n")
    project.write("later.py", "\n")
    project.config(
        {
            "a": {"port": port, "app": "a:app", "watch": True},
            "b": {"port": free_port(), "watch": True},
        }
    )
    project.ok("up")
    imports = project.directory / ".msctl/imports/a-1"
    eventually(lambda: imports.exists() and "words.py" in imports.read_text(), "imports are known")
    return port


def get(port: int, path: str = "/") -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def pids(project: Project, name: str) -> set[int]:
    return {instance["pid"] for instance in project.service(name)["instances"]}


def served(port: int, word: str) -> None:
    eventually(lambda: get(port) == word, f"{word} is served")


def test_an_edited_file_is_served_and_no_request_fails(project: Project, port: int) -> None:
    other = pids(project, "b")

    async def main() -> Any:
        async with pressure(port) as seen:
            for word in ("two", "six"):  # within a second, and as long as the first
                project.write("words.py", f"WORD = '{word}'\n")
                await asyncio.to_thread(served, port, word)
        return seen

    seen = asyncio.run(main())
    seen.assert_unnoticed()
    assert pids(project, "b") == other
    events = [json.loads(line) for line in project.ok("events", "--json").out.splitlines()]
    assert {e["service"] for e in events if e["to"] == "draining"} == {"a"}


def test_a_syntax_error_leaves_the_old_one_serving_and_shows_where_it_is(
    project: Project, port: int
) -> None:
    before = pids(project, "a")
    project.write("words.py", "WORD = (\n")
    eventually(lambda: "SyntaxError" in project.ok("logs", "a").out, "the traceback is shown")
    assert "words.py" in project.ok("logs", "a").out
    eventually(lambda: pids(project, "a") == before, "the old one stays")
    assert get(port) == "one"
    project.write("words.py", "WORD = 'right'\n")
    eventually(lambda: get(port) == "right", "the next save is served")


def test_files_that_it_imports_later_count_and_others_do_not(project: Project, port: int) -> None:
    before, other = pids(project, "a"), pids(project, "b")
    project.write("later.py", "x = 1\n")
    project.write("unused.py", "x = 1\n")
    project.write("hello.py", HELLO + "\n")
    eventually(lambda: not pids(project, "b") & other, "the change that came last was seen")
    assert pids(project, "a") == before
    get(port, "/lazy")
    imports = project.directory / ".msctl/imports/a-1"
    eventually(lambda: "later.py" in imports.read_text(), "the import is known")
    assert pids(project, "a") == before
    project.write("later.py", "x = 2\n")
    eventually(lambda: not pids(project, "a") & before, "restarted")


def test_files_outside_the_working_directory_count_when_they_are_imported(
    project: Project,
) -> None:
    port, library = free_port(), project.directory / "library"
    project.write("library/words.py", "WORD = 'one'\n")
    project.write("library/later.py", "\n")
    project.write("shop/a.py", APP)
    project.config(
        {
            "a": {
                "port": port,
                "app": "a:app",
                "working_dir": "shop",
                "environment": {"PYTHONPATH": str(library)},
                "watch": True,
            }
        }
    )
    project.ok("up")
    words = library / "words.py"

    def is_served() -> bool:
        words.write_text("WORD = 'two'\n")  # again and again: it is watched a moment later
        return get(port) == "two"

    eventually(is_served, "the change is served")


def test_commands_are_watched_by_globs(project: Project) -> None:
    port = free_port()
    project.write("page.html", "one")
    project.write("other.txt", "one")
    serve = 'exec python3 -m http.server --bind 127.0.0.1 "$PORT"'
    project.config(
        {
            "web": {
                "port": port,
                "command": ["sh", "-c", serve],
                "health_check_path": "/page.html",
                "watch": ["*.html"],
            }
        }
    )
    project.ok("up")
    before = pids(project, "web")
    project.write("other.txt", "two")

    def restarted() -> bool:
        Path(project.directory, "page.html").write_text("two")
        return not pids(project, "web") & before

    eventually(restarted, "restarted")


def test_up_can_say_that_files_are_watched_until_the_service_is_stopped(project: Project) -> None:
    port = free_port()
    project.write("a.py", APP)
    project.write("words.py", "WORD = 'one'\n")
    project.write("later.py", "\n")
    project.config({"a": {"port": port, "app": "a:app"}})
    project.ok("up", "-w")
    imports = project.directory / ".msctl/imports/a-1"
    eventually(lambda: imports.exists() and "words.py" in imports.read_text(), "imports are known")
    project.write("words.py", "WORD = 'two'\n")
    served(port, "two")
