"""The short way: what it imports, what it leaves to the long one, and that both say the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.documents import accepted, event, instance, result, service, status, stopped
from tests.cli.fake_daemon import FakeDaemon, operation, respond, respond_json
from tests.cli.terminal import environment, msctl, on_terminal

ENTRY = "import sys; from msctl.__main__ import main; sys.exit(main())"
"""What pip's console script does."""
LONG = "import sys; from msctl.cli.app import main; sys.exit(main())"
FORBIDDEN = {
    *("argparse", "asyncio", "collections", "contextlib", "ctypes", "dataclasses", "datetime"),
    *("email", "enum", "functools", "http", "importlib", "inspect", "json", "logging", "pathlib"),
    *("random", "re", "shutil", "signal", "socket", "ssl", "string", "subprocess", "tempfile"),
    *("threading", "traceback", "types", "typing", "urllib", "weakref"),
    *("click", "fastapi", "pydantic", "rich", "typer", "uvicorn", "yaml"),
}
"""What no command that only talks to the daemon may import; each costs a millisecond or more."""
SICK = [instance("order-service-1", health="unhealthy", reason="probe: connection refused")]
DOCUMENT = status(
    service("user-service"),
    service("order-service", health="unhealthy", ready=0, instances=SICK),
    stopped("mailer"),
)
DONE = result(
    status=DOCUMENT, changes=[{"service": "user-service", "action": "scaled", "reason": ""}]
)
STARTS = (
    accepted("user-service"),
    event("user-service", "status", "stopped", "starting"),
    event("user-service", "health", "unknown", "healthy"),
)
HOT = [
    ["status"],
    ["ps", "--json"],
    ["status", "-q"],
    ["status", "--check", "user-service"],
    ["call", "user-service", "GET", "/health"],
    ["call", "user-service", "POST", "/x", '{"a": [1, "b"]}', "-q", "a=b", "-H", "K: V", "-v"],
    ["call", "user-service", "GET", "/x?y=1", "-o", "out", "--timeout", "2.5", "--no-fail", "-i"],
    ["wait", "--for", "completed", "--timeout", "5"],
    ["scale", "user-service=2"],
    ["start"],
    ["restart", "user-service", "--hard"],
    ["stop", "user-service"],
    ["-p", "shop", "status", "-q"],
    ["call", "user-service", "GET", "/health", "--project", "shop"],
    ["events"],
    ["logs"],
    ["logs", "-n", "1", "--json", "-t"],
    ["-f", "msctl.yaml", "logs", "user-service", "--no-prefix", "--file", "msctl.yaml"],
]


@pytest.fixture
def daemon(daemon: FakeDaemon) -> FakeDaemon:
    daemon.on("GET", "/status", respond_json(DOCUMENT))
    daemon.on("GET", "/events", operation({**STARTS[1], "type": "x"}))
    for kind in ("start", "restart", "scale", "stop", "wait"):
        daemon.on("POST", f"/{kind}", operation(*STARTS, DONE))
    for method, path in (("GET", "/health"), ("POST", "/x"), ("GET", "/x")):
        daemon.on(method, f"/call/user-service{path}", respond(200, b'{"a":1}'))
    for name in ("user-service-1", "user-service-2", "order-service-1"):
        log = daemon.state.logs / f"{name}.log"
        log.write_text(f'2026-01-01T00:00:00.000000Z stdout {name} says "hé"\n')
    return daemon


def imports(cwd: Path, arguments: list[str]) -> set[str]:
    """The modules that a command imports, the interpreter's own start left out."""
    # -S: what `site` imports depends on the environment, and nothing outside the standard
    # library may be needed.
    done = subprocess.run(
        [sys.executable, "-S", "-X", "importtime", "-c", ENTRY, *arguments],
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in {0, 3}, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.parametrize("arguments", HOT, ids=" ".join)
def test_a_hot_command_imports_nothing_heavy(daemon: FakeDaemon, arguments: list[str]) -> None:
    found = imports(daemon.project, arguments)
    assert "msctl.cli.thin" in found
    assert "msctl.cli.app" not in found
    assert not FORBIDDEN & {name.partition(".")[0] for name in found}


def test_the_package_itself_is_almost_free() -> None:
    code = "import sys; before = {*sys.modules}; import msctl; print(*({*sys.modules} - before))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout.split() == ["msctl"]


def test_up_launches_the_daemon_without_the_heavy_modules(daemon: FakeDaemon) -> None:
    daemon.on("POST", "/up", operation(*STARTS, DONE))
    found = imports(daemon.project, ["up", "user-service", "--no-wait"])
    heavy = {"typer", "click", "rich", "yaml", "pydantic", "asyncio", "fastapi", "uvicorn"}
    assert not heavy & {name.partition(".")[0] for name in found}


def long_way(cwd: Path, *arguments: str, env: dict[str, str] | None = None) -> tuple[object, ...]:
    done = subprocess.run(
        [sys.executable, "-c", LONG, *arguments],
        cwd=cwd,
        env=environment(**(env or {})),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("arguments", [line for line in HOT if "-v" not in line], ids=" ".join)
def test_both_ways_write_the_same_into_a_pipe(daemon: FakeDaemon, arguments: list[str]) -> None:
    short = msctl(daemon.project, *arguments)
    assert (short.code, short.out, _timeless(short.err)) == _timeless_all(
        long_way(daemon.project, *arguments)
    )


@pytest.mark.parametrize("arguments", [["status"], ["events"], ["logs"], ["call", *HOT[4][1:]]])
@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}], ids=["colour", "plain"])
def test_both_ways_write_the_same_on_a_terminal(
    daemon: FakeDaemon, arguments: list[str], env: dict[str, str]
) -> None:
    script = daemon.project / "long"
    script.write_text(LONG)
    short = on_terminal(daemon.project, arguments, columns=70, env=env)
    long = on_terminal(
        daemon.project, arguments, columns=70, env=env, program=(sys.executable, str(script))
    )
    assert short == long
    assert short.out


def _timeless(text: str) -> str:
    """Durations differ from run to run."""
    return " ".join(word for word in text.split() if not word[:1].isdigit())


def _timeless_all(found: tuple[object, ...]) -> tuple[object, ...]:
    code, out, err = found
    return code, out, _timeless(str(err))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["status", "--jso"], 2, "No such option"),
        (["status", "--help"], 0, ""),
        (["wait", "--for", "ready"], 2, "error: "),
        (["call", "user-service"], 2, "error: "),
        (["status", "--watch", "--check"], 2, "error: --watch and --check exclude each other"),
        (["status", "--json", "-q"], 2, "error: --json and --quiet exclude each other"),
        (["call", "a", "GET", "/", "body", "--each"], 2, "error: with --each the bodies come from"),
        (["scale", "user-service"], 2, "error: user-service: give it as NAME=N"),
        (["restart", "--parallel", "0"], 2, "error: --parallel 0: give 1 or more"),
        (["call", "user-service", "G T", "/"], 2, "error: 'G T' is not an HTTP method"),
    ],
)
def test_what_is_wrong_is_said_as_ever(
    daemon: FakeDaemon, arguments: list[str], code: int, said: str
) -> None:
    done = msctl(daemon.project, *arguments)
    assert done.code == code
    assert said in done.err
    assert "Traceback" not in done.err


def test_completion_is_the_other_parsers(project: Path) -> None:
    env = {"_MSCTL_COMPLETE": "complete_bash", "COMP_WORDS": "msctl stop us", "COMP_CWORD": "2"}
    assert msctl(project, "status", env=env).out.split() == ["user-service"]


def test_text_is_escaped_where_the_encoding_lacks_it(daemon: FakeDaemon) -> None:
    done = msctl(daemon.project, "events", env={"PYTHONIOENCODING": "ascii"})
    assert "stopped \\u2192 starting" in done.out


def test_the_project_is_found_from_below_and_its_path_may_be_long(tmp_path: Path) -> None:
    project = tmp_path / ("d" * 100) / ("e" * 100)
    below = project / "src" / "deep"
    below.mkdir(parents=True)
    (project / "msctl.yaml").write_text("services: {a: {port: 1}}\n")
    with FakeDaemon(project) as fake:
        fake.on("GET", "/status", respond_json(status(service("a"))))
        assert len(os.fsencode(fake.state.socket)) > 107
        assert msctl(below, "status", "-q").out == "a\n"
    fake.join()
