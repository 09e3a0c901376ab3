import pytest
from hypothesis import given
from hypothesis import strategies as st

from msctl.config.drafting.asgi_line import asgi_line
from msctl.config.drafting.program import program_of_line
from msctl.config.drafting.shell import arguments, command_of_line, protected, told_port
from msctl.config.interpolate import expand


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("node server.js", "node server.js"),
        ("node server.js --port $PORT", "node server.js --port ${PORT}"),
        ("node server.js --port ${PORT:-3000}", "node server.js --port ${PORT}"),
        ('run "a b" -x', 'run "a b" -x'),
        ("a && b", ["sh", "-c", "a && b"]),
        ("a > log", ["sh", "-c", "a > log"]),
        ("run $OTHER", ["sh", "-c", "run $OTHER"]),
        ("run ${OTHER}", ["sh", "-c", "run $${OTHER}"]),
        ("run $$", ["sh", "-c", "run $$$"]),
        ("run '$PORT'", ["sh", "-c", "run '$PORT'"]),
        ("A=$B run", ["sh", "-c", "A=$B run"]),
        ("run *.txt", ["sh", "-c", "run *.txt"]),
        ("run 'it", ["sh", "-c", "run 'it"]),
        ("one\ntwo", ["sh", "-c", "one\ntwo"]),
    ],
)
def test_a_line_that_needs_a_shell_gets_one_and_no_other_does(
    line: str, command: str | list[str]
) -> None:
    assert command_of_line(line) == command


@given(st.text("ab${}:-?PORT '\\\n"))
def test_a_shell_gets_its_line_as_it_was_written(line: str) -> None:
    assert expand(protected(line), {}) == line


@pytest.mark.parametrize(
    ("line", "port", "changed"),
    [
        ("run --port 3000", 3000, "run --port ${PORT}"),
        ("run --port=3000", 3000, "run --port=${PORT}"),
        ("run -p 3000 x", 3000, "run -p ${PORT} x"),
        ("run -b 0.0.0.0:8000", 8000, "run -b 0.0.0.0:${PORT}"),
        ("manage.py runserver 8000", 8000, "manage.py runserver ${PORT}"),
        ("manage.py runserver 0.0.0.0:8000", 8000, "manage.py runserver 0.0.0.0:${PORT}"),
        ("php -S localhost:8000", 8000, "php -S localhost:${PORT}"),
        ("run -p 4", None, "run -p 4"),
        ("run --jobs 3000", None, "run --jobs 3000"),
        ("run example.org:8000", None, "run example.org:8000"),
        ("run --port 99999", None, "run --port 99999"),
    ],
)
def test_a_port_in_the_arguments_becomes_the_instances(
    line: str, port: int | None, changed: str
) -> None:
    found, argv = told_port(line.split())
    assert (found, " ".join(argv)) == (port, changed)


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        ("uvicorn a.b:app", {"app": "a.b:app"}),
        ("uvicorn a:make --factory --reload", {"app": "a:make", "factory": True, "watch": True}),
        ("python3 -m uvicorn --workers 3 a:app", {"app": "a:app", "replicas": 3}),
        ("poetry run uvicorn a:app --app-dir src", {"app": "a:app", "working_dir": "src"}),
        ("gunicorn -k uvicorn.workers.UvicornWorker a:app -w 2", {"app": "a:app", "replicas": 2}),
        ("fastapi run app/main.py", {"app": "app.main:app"}),
        ("fastapi dev ./main.py", {"app": "main:app", "watch": True}),
    ],
)
def test_a_line_of_an_asgi_server_becomes_its_application(
    line: str, keys: dict[str, object]
) -> None:
    found = asgi_line(line.split())
    assert found is not None
    assert found.keys == keys


@pytest.mark.parametrize(
    "line", ["gunicorn wsgi:app", "uvicorn", "uvicorn a/b.py", "python a.py", "fastapi --help", ""]
)
def test_other_lines_stay_commands(line: str) -> None:
    assert asgi_line(line.split()) is None


def test_options_without_a_counterpart_are_named() -> None:
    found = asgi_line(
        ["uvicorn", "a:app", "--host", "0.0.0.0", "--port", "8000", "--log-level", "debug", "--x=1"]
    )
    assert found is not None
    assert found.port == 8000
    assert found.notes == ["left out: --log-level debug", "left out: --x 1"]


def test_variables_in_front_of_a_command_are_its_environment() -> None:
    program = program_of_line("A=1 B=x/y node server.js --port 3000")
    assert program.keys["environment"] == {"A": "1", "B": "x/y"}
    assert program.keys["command"] == "node server.js --port ${PORT}"


def test_known_servers_are_told_their_port() -> None:
    program = program_of_line("redis-server --appendonly yes")
    assert program.keys == {
        "service_type": "cache",
        "command": "redis-server --appendonly yes --port ${PORT}",
    }
    assert program.port == 6379
    assert not program.is_http


def test_what_has_no_port_is_a_worker() -> None:
    program = program_of_line("celery -A shop worker")
    assert program.keys == {"service_type": "worker", "command": "celery -A shop worker"}
    assert not program.has_port


@given(st.text("ab ='\"$|-0189:./\\"))
def test_any_line_becomes_a_program(line: str) -> None:
    program = program_of_line(line)
    assert program.keys
    arguments(command_of_line(line))
