import asyncio
import json
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from msctl.runtime.spawner import AsgiProgram, Launch, SpawnError
from tests.runtime import real
from tests.runtime.virtual import eventually

REPORT = """
import json, os
print(json.dumps({
    "cwd": os.getcwd(), "environment": dict(os.environ),
    "session": os.getsid(0) == os.getpid() == os.getpgrp(),
    "files": sorted(int(name) for name in os.listdir("/proc/self/fd")),
    "stdin": os.readlink("/proc/self/fd/0"),
}))
"""


@pytest.fixture(autouse=True)
def _subreaper() -> Iterator[None]:
    with real.subreaper():
        yield


def outcome(launch: Launch) -> tuple[int, real.Heard]:
    """Run to its end."""

    async def main() -> tuple[int, real.Heard]:
        heard = real.Heard()
        async with real.spawning() as spawner:
            process = await spawner.spawn(launch, heard)
            code = await process.exited()
            await process.clear(10)
        return code, heard

    return real.run(main())


def error_of(launch: Launch) -> str:
    async def main() -> None:
        async with real.spawning() as spawner:
            await spawner.spawn(launch, real.Heard())

    with pytest.raises(SpawnError) as caught:
        real.run(main())
    return str(caught.value)


def executable(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_it_runs_in_its_own_session_directory_and_environment(tmp_path: Path) -> None:
    code, heard = outcome(
        real.python(REPORT, directory=tmp_path, environment={"A": "ä b", "LC_CTYPE": "C.UTF-8"})
    )
    report = json.loads(heard.text())
    assert code == 0
    assert report["cwd"] == str(tmp_path)
    assert report["session"]
    assert report["stdin"] == "/dev/null"
    del report["environment"]["LC_CTYPE"]  # Python's own doing
    expected = {"PATH": os.environ["PATH"], "MSCTL_INSTANCE": "api-1", "A": "ä b"}
    assert report["environment"] == expected


def test_it_inherits_no_descriptor_but_its_own_three() -> None:
    with socket.socket() as inheritable:
        inheritable.set_inheritable(True)
        _, heard = outcome(real.python(REPORT))
    # the fourth is the directory that it lists
    assert json.loads(heard.text())["files"] == [0, 1, 2, 3]


@pytest.mark.parametrize("missing", ["no-such-program", "./no-such-program"])
def test_a_command_that_is_not_there_is_named(tmp_path: Path, missing: str) -> None:
    message = error_of(real.launch(missing, directory=tmp_path))
    assert message.startswith("command not found")
    assert "no-such-program" in message


def test_a_command_is_looked_for_on_the_path_of_the_service(tmp_path: Path) -> None:
    executable(tmp_path / "only-here", "#!/bin/sh\necho found\n")
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert outcome(real.launch("only-here", environment=environment))[1].text() == b"found\n"
    assert "on PATH: only-here" in error_of(real.launch("only-here"))


def test_a_relative_command_lies_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    executable(tmp_path / "bin" / "run", "#!/bin/sh\necho here\n")
    assert outcome(real.launch("bin/run", directory=tmp_path))[1].text() == b"here\n"


def test_a_file_that_is_not_executable_is_named(tmp_path: Path) -> None:
    script = executable(tmp_path / "run", "#!/bin/sh\n", 0o644)
    assert error_of(real.launch("./run", directory=tmp_path)) == f"not executable: {script}"
    assert error_of(real.launch(str(script))) == f"not executable: {script}"


def test_a_directory_is_not_executable(tmp_path: Path) -> None:
    assert error_of(real.launch(str(tmp_path))) == f"not executable: {tmp_path}"


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_a_working_directory_that_is_none_is_named(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").touch()
    directory = tmp_path / kind
    message = error_of(real.launch("true", directory=directory))
    assert message == f"working_dir {directory} is not a directory"


def test_a_script_whose_interpreter_is_missing_says_so(tmp_path: Path) -> None:
    executable(tmp_path / "run", "#!/no/such/interpreter\n")
    launch = real.launch("./run", directory=tmp_path)
    assert "run" in _error_or_stderr(launch)


@pytest.mark.parametrize("text", ["echo hello\n", "", " #!/bin/sh\n"])
def test_a_script_without_a_shebang_is_never_given_to_a_shell(tmp_path: Path, text: str) -> None:
    script = executable(tmp_path / "run", text)
    expected = f"cannot start {script}: neither a program nor a script that begins with #!"
    assert error_of(real.launch("./run", directory=tmp_path)) == expected
    on_path = real.launch("run", environment={"PATH": str(tmp_path)})
    assert error_of(on_path) == expected


def _error_or_stderr(launch: Launch) -> str:
    try:
        code, heard = outcome(launch)
    except SpawnError as error:
        return str(error)
    assert code != 0, heard.pieces
    return heard.text("stderr").decode()


def test_a_failed_start_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  a count
    error_of(real.launch("none", directory=tmp_path))
    executable(tmp_path / "lost", "#!/no/such/interpreter\n")
    _error_or_stderr(real.launch("./lost", directory=tmp_path))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208  a count


APP = """
import os
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": os.getcwd().encode()})
"""


def asgi(directory: Path, listener: socket.socket, app: str = "hello:app") -> Launch:
    program = AsgiProgram(app=app, factory=False, access_log=False, health_path="/health")
    base = real.launch("-", directory=directory)
    return replace(base, program=program, listener=listener)


def listening() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def get(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=real.PATIENCE) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
        return b"".join(parts)


def test_an_application_answers_on_the_socket_that_was_handed_down(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(APP)

    async def main() -> None:
        heard = real.Heard()
        with listening() as listener:
            port = listener.getsockname()[1]
            async with real.spawning() as spawner:
                process = await spawner.spawn(asgi(tmp_path, listener), heard)
                listener.close()
                try:
                    # the request waits in the backlog until the application runs
                    answer = await asyncio.to_thread(get, port)
                    assert str(tmp_path).encode() in answer, heard.pieces
                finally:
                    await process.clear(0)
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port), timeout=5)

    real.run(main())


def test_an_application_that_cannot_be_imported_ends_and_says_why(tmp_path: Path) -> None:
    async def main() -> None:
        heard = real.Heard()
        with listening() as listener:
            async with real.spawning() as spawner:
                process = await spawner.spawn(asgi(tmp_path, listener, "nothing:app"), heard)
                assert await process.exited() != 0
                await process.clear(10)
        assert b"nothing" in heard.text("stderr")

    real.run(main())


def test_another_interpreter_runs_the_application(tmp_path: Path) -> None:
    interpreter = executable(
        tmp_path / "python", f'#!/bin/sh\necho "other"\nexec {sys.executable} "$@"\n'
    )

    async def main() -> None:
        heard = real.Heard()
        with listening() as listener:
            launch = asgi(tmp_path, listener)
            assert isinstance(launch.program, AsgiProgram)
            program = replace(launch.program, python=str(interpreter))
            async with real.spawning() as spawner:
                process = await spawner.spawn(replace(launch, program=program), heard)
                await eventually(lambda: b"other" in heard.text(), "that interpreter runs")
                await process.clear(0)

    real.run(main())
