"""What the template does for the daemon, and how its end, early or late, is dealt with."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from msctl.runtime import template as template_module
from msctl.runtime.process import Output
from msctl.runtime.proctree import descendants, read_proc
from msctl.runtime.reaper import Reaper
from msctl.runtime.spawner import AsgiProgram, ExecSpawner, Launch, Process, SpawnError
from msctl.runtime.template import NotWarm, State, Template
from msctl.runtime.template_keeper import TemplateKeeper
from msctl.runtime.warm_spawner import WarmSpawner
from tests.runtime import applications, real
from tests.runtime.virtual import eventually


@pytest.fixture(autouse=True)
def _subreaper() -> Iterator[None]:
    with real.subreaper():
        yield


@dataclass
class Spawning:
    """A template of the test's own, and what is exec'd for want of it."""

    keeper: TemplateKeeper
    reaper: Reaper
    exec_launches: list[Launch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._exec = ExecSpawner(self.reaper)
        self.warm = WarmSpawner(self, self.keeper, self.reaper)

    async def spawn(self, launch: Launch, output: Output) -> Process:
        self.exec_launches.append(launch)
        return await self._exec.spawn(launch, output)

    @property
    def template(self) -> Template:
        assert self.keeper._template is not None
        return self.keeper._template

    async def becomes(self, state: State) -> None:
        await eventually(lambda: self.template.state is state, f"the template is {state}")

    async def outcome(self, wanted: Launch) -> tuple[int, real.Heard]:
        return await applications.run_out(self.warm, wanted)


@asynccontextmanager
async def spawning(*preload: str) -> AsyncIterator[Spawning]:
    async with real.reaping() as reaper, real.templates(*preload) as keeper:
        yield Spawning(keeper, reaper)


@asynccontextmanager
async def running(spawner: WarmSpawner, wanted: Launch, output: Output) -> AsyncIterator[Process]:
    assert wanted.listener is not None
    with wanted.listener:
        process = await spawner.spawn(wanted, output)
    try:
        yield process
    finally:
        await process.clear(0)


async def get(port: int) -> dict[str, Any]:
    def ask() -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=real.PATIENCE) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
            return b"".join(parts)

    answer: dict[str, Any] = json.loads((await asyncio.to_thread(ask)).partition(b"\r\n\r\n")[2])
    return answer


def port_of(wanted: Launch) -> int:
    assert wanted.listener is not None
    port: int = wanted.listener.getsockname()[1]
    return port


def names(directory: str) -> list[str]:
    return [entry.name for entry in Path(directory).iterdir()]


def links_of(directory: str) -> list[str]:
    return [str(entry.readlink()) for entry in Path(directory).iterdir()]


def parent_of(pid: int) -> int:
    return int(read_proc(pid, "stat").rpartition(b")")[2].split()[1])


def test_an_instance_is_a_child_of_the_daemon_and_serves_on_its_socket(tmp_path: Path) -> None:
    async def main() -> None:
        wanted = applications.written(tmp_path, applications.ANSWERS)
        port = port_of(wanted)
        async with real.warm_spawning() as spawner:
            async with running(spawner, wanted, real.Heard()) as process:
                pid = process.pid
                assert pid is not None
                await eventually(lambda: parent_of(pid) == os.getpid(), "it is adopted")
                answer = await get(port)
                assert (answer["pid"], answer["cwd"]) == (pid, str(tmp_path))
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=5)

    real.run(main())


def test_it_holds_no_thread_no_session_of_another_and_nothing_open_but_the_channel() -> None:
    async def main() -> None:
        with socket.socket() as inheritable:
            inheritable.set_inheritable(True)
            async with spawning() as s:
                await s.becomes(State.READY)
                pid = s.template.pid
                assert names(f"/proc/{pid}/task") == [str(pid)]
                assert os.getsid(pid) == os.getpgid(pid) == pid
                links = links_of(f"/proc/{pid}/fd")
                assert len([link for link in links if link.startswith("socket:")]) == 1
                assert len(links) == 4
        await eventually(lambda: not real.is_alive(pid), "it ends with the channel")

    real.run(main())


SHARES = (
    applications.ANSWERS
    + """
import random, secrets, sys, tempfile, uuid
from multiprocessing import process
facts["drawn"] = [random.random(), secrets.token_hex(), str(uuid.uuid4()),
                  process.current_process().authkey.hex(), os.urandom(4).hex(),
                  next(tempfile._get_candidate_names())]
facts["others"] = sorted(name for name in sys.modules if name.startswith("own_"))
facts["names"] = sorted(name for name in os.environ if name.startswith("OWN_"))
facts["path"] = sys.path[0]
"""
)


def test_instances_see_nothing_of_each_other(tmp_path: Path) -> None:
    async def main() -> None:
        heard = real.Heard()
        answers = []
        async with real.warm_spawning() as spawner:
            for name in ("one", "two"):
                directory = tmp_path / name
                directory.mkdir()
                (directory / f"own_{name}.py").touch()
                text = f"import own_{name}\n" + SHARES
                wanted = applications.written(
                    directory, text, environment={f"OWN_{name}": name}, instance=f"{name}-1"
                )
                port = port_of(wanted)
                async with running(spawner, wanted, heard):
                    answers.append(await get(port))
        for name, answer in zip(("one", "two"), answers, strict=True):
            assert answer["others"] == [f"own_{name}"]
            assert answer["names"] == [f"OWN_{name}"]
            assert answer["path"] == str(tmp_path / name)
        for one, other in zip(answers[0]["drawn"], answers[1]["drawn"], strict=True):
            assert one != other

    real.run(main())


@pytest.mark.parametrize("name", ["fastapi", "httpx"])
@pytest.mark.parametrize("package", [False, True], ids=["file", "package"])
def test_a_module_of_the_services_own_wins_over_one_that_is_loaded(
    tmp_path: Path, name: str, *, package: bool
) -> None:
    source = tmp_path / name / "__init__.py" if package else tmp_path / f"{name}.py"
    source.parent.mkdir(exist_ok=True)
    source.write_text("OWN = True\n")
    text = f"import sys, {name}\nprint({name}.OWN)\nsys.exit(0)"

    async def main() -> None:
        async with spawning() as s:
            wanted = applications.written(tmp_path, text)
            _, heard = await s.outcome(wanted)
            assert s.exec_launches == [wanted]
            assert heard.text() == b"True\n"
            assert heard.text("msctl").decode() == (
                "exec'd, not forked from the template: "
                f"{source} takes the place of a module that is loaded already\n"
            )

    real.run(main())


@pytest.mark.parametrize("name", ["app", "services", "client", "render", "config", "yaml", "main"])
def test_a_module_of_another_name_is_nobodys_business(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("OWN = True\n")
    text = f"import sys, {name}\nprint({name}.OWN)\nsys.exit(0)"

    async def main() -> None:
        async with real.warm_spawning() as spawner:
            wanted = applications.written(tmp_path, text)
            assert (await applications.run_out(spawner, wanted))[1].text() == b"True\n"

    real.run(main())


def test_the_service_is_read_anew_at_each_start(tmp_path: Path) -> None:
    async def main() -> None:
        async with real.warm_spawning() as spawner:
            for word in ("one", "another"):
                (tmp_path / f"{word}.py").write_text(f"WORD = '{word}'")
                text = f"import sys, {word}\nprint({word}.WORD)\nsys.exit(0)"
                wanted = applications.written(tmp_path, text)
                _, heard = await applications.run_out(spawner, wanted)
                assert heard.text().decode() == f"{word}\n"

    real.run(main())


ENDS_AT_ONCE = "import sys; sys.exit(3)"


@pytest.mark.parametrize("keys", [{"python": sys.executable, "warm": False}, {"warm": False}])
def test_what_is_to_be_execd_is_without_a_word_about_it(
    tmp_path: Path, keys: dict[str, Any]
) -> None:
    async def main() -> None:
        wanted = applications.written(tmp_path, ENDS_AT_ONCE)
        assert isinstance(wanted.program, AsgiProgram)
        wanted = replace(wanted, program=replace(wanted.program, **keys))
        async with spawning() as s:
            code, heard = await s.outcome(wanted)
            assert (code, s.exec_launches, heard.text("msctl")) == (3, [wanted], b"")

    real.run(main())


def test_commands_are_execd() -> None:
    async def main() -> None:
        async with spawning() as s:
            heard = real.Heard()
            wanted = real.launch("echo", "hello")
            process = await s.warm.spawn(wanted, heard)
            assert await process.exited() == 0
            await process.clear(10)
            assert (s.exec_launches, heard.text("msctl")) == ([wanted], b"")

    real.run(main())


@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONOPTIMIZE", "LD_LIBRARY_PATH", "LC_ALL"])
def test_a_variable_that_only_a_start_heeds_is_heeded(tmp_path: Path, name: str) -> None:
    value = "C.UTF-8" if name == "LC_ALL" else "1"
    text = f"import os, sys\nprint(os.environ['{name}'], sys.flags.optimize)\nsys.exit(0)"

    async def main() -> None:
        async with spawning() as s:
            wanted = applications.written(tmp_path, text, environment={name: value})
            _, heard = await s.outcome(wanted)
            optimize = 1 if name == "PYTHONOPTIMIZE" else 0
            assert heard.text().decode() == f"{value} {optimize}\n"
            assert s.exec_launches == [wanted]
            assert f"sets {name}" in heard.text("msctl").decode()

    real.run(main())


BAD_PRELOADS = {
    "raises": ("raise ValueError('so what')", " cannot be imported (ValueError: so what)"),
    "missing": (None, " cannot be imported (ModuleNotFoundError: No module named 'bad_preload')"),
    "exits": ("raise SystemExit(3)", " cannot be imported (SystemExit: 3)"),
    "thread": (
        "from threading import Thread, Event\nThread(None, Event().wait, 'busy', daemon=True).start()",
        ": the thread busy runs in the template",
    ),
    "foreign thread": (
        "import _thread, time\n_thread.start_new_thread(time.sleep, (99,))",
        ": a thread runs in the template",
    ),
    "socket": ("import socket\ns = socket.socket()", ": a socket is open in the template"),
    "loop": (
        "import select\ne = select.epoll()",
        ": an event loop exists in the template",
    ),
}


@pytest.mark.parametrize("kind", BAD_PRELOADS)
def test_a_preload_that_cannot_be_is_named_and_instances_are_execd(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, problem = BAD_PRELOADS[kind]
    if text is not None:
        (tmp_path / "bad_preload.py").write_text(text)
    monkeypatch.setitem(real.TEMPLATE_ENVIRONMENT, "PYTHONPATH", str(tmp_path))

    async def main() -> None:
        async with spawning("json", "bad_preload") as s:
            wanted = applications.written(tmp_path, ENDS_AT_ONCE)
            wanted = replace(
                wanted, environment={**wanted.environment, **real.TEMPLATE_ENVIRONMENT}
            )
            code, heard = await s.outcome(wanted)
            assert (code, s.exec_launches) == (3, [wanted])
            said = heard.text("msctl").decode()
            assert said == f"exec'd, not forked from the template: preload: bad_preload{problem}\n"
            assert s.template.state is State.UNFIT
            pid = s.template.pid
            await s.outcome(applications.launch(tmp_path))
            assert s.template.pid == pid  # another one would fail as well

    real.run(main())


def test_what_is_preloaded_is_loaded_in_every_instance(tmp_path: Path) -> None:
    text = "import sys\nprint('mailbox' in sys.modules)\nsys.exit(0)"

    async def main() -> None:
        for preload, expected in ((), b"False\n"), (("mailbox",), b"True\n"):
            async with spawning(*preload) as s:
                _, heard = await s.outcome(applications.written(tmp_path, text))
                assert (heard.text(), s.exec_launches) == (expected, [])

    real.run(main())


def test_a_killed_template_disturbs_no_instance_and_the_next_start_works(tmp_path: Path) -> None:
    async def main() -> None:
        heard = real.Heard()
        async with spawning() as s:
            first = applications.written(tmp_path, applications.ANSWERS)
            port = port_of(first)
            async with running(s.warm, first, heard) as process:
                killed = s.template
                os.kill(killed.pid, signal.SIGKILL)
                await eventually(lambda: s.template is not killed, "another one is started")
                second = applications.launch(tmp_path, instance="api-2")
                async with running(s.warm, second, heard) as stand_in:
                    assert s.exec_launches == [second]
                    assert b"is being started again" in heard.text("msctl")
                    assert (await get(port))["pid"] == process.pid
                    await s.becomes(State.READY)
                    third = applications.launch(tmp_path, instance="api-3")
                    third_port = port_of(third)
                    async with running(s.warm, third, heard) as warm_again:
                        assert s.exec_launches == [second]
                        assert (await get(third_port))["pid"] == warm_again.pid
                        assert len({process.pid, stand_in.pid, warm_again.pid}) == 3

    real.run(main())


def test_a_template_that_dies_again_and_again_is_not_started_again_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with spawning() as s:
            for _ in range(2):
                await s.becomes(State.READY)
                killed = s.template
                os.kill(killed.pid, signal.SIGKILL)
                await eventually(lambda: killed.state is State.LOST, "its death is noticed")  # noqa: B023
            code, heard = await s.outcome(applications.written(tmp_path, ENDS_AT_ONCE))
            assert (code, len(s.exec_launches)) == (3, 1)
            assert b"the template died" in heard.text("msctl")
            assert s.template is killed

    real.run(main())


def test_starts_under_way_when_the_template_is_killed_all_come_to_life_once(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        heard = real.Heard()
        (tmp_path / "application.py").write_text(applications.ANSWERS)
        async with spawning() as s:
            await s.becomes(State.READY)
            wanted = [applications.launch(tmp_path, instance=f"api-{n}") for n in range(12)]
            ports = [port_of(one) for one in wanted]
            starts = [asyncio.create_task(s.warm.spawn(one, heard)) for one in wanted]
            await asyncio.wait(starts, return_when=asyncio.FIRST_COMPLETED)
            os.kill(s.template.pid, signal.SIGKILL)
            processes = await asyncio.gather(*starts)
            for one in wanted:
                assert one.listener is not None
                one.listener.close()
            answers = await asyncio.gather(*map(get, ports))
            assert [a["pid"] for a in answers] == [process.pid for process in processes]
            assert 0 < len(s.exec_launches) < 12
            for process in processes:
                await process.clear(0)
            await asyncio.to_thread(real.wait_until, lambda: not instances_of(s), "none is left")

    def instances_of(s: Spawning) -> list[int]:
        return [
            pid
            for pid in descendants(os.getpid())
            if pid not in {s.template.pid, real.shared_template()[1]}
        ]

    real.run(main())


def test_a_template_that_does_not_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_module, "ANSWER_TIME", 0.1)

    async def main() -> None:
        async with spawning() as s:
            await s.becomes(State.READY)
            pid = s.template.pid
            os.kill(pid, signal.SIGSTOP)
            code, heard = await s.outcome(applications.written(tmp_path, ENDS_AT_ONCE))
            assert (code, len(s.exec_launches)) == (3, 1)
            assert b"does not answer" in heard.text("msctl")
            await eventually(lambda: not real.is_alive(pid), "it is killed")

    real.run(main())


def test_a_template_that_never_finishes_its_imports_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_module, "IMPORT_TIME", 0.1)
    (tmp_path / "endless.py").write_text("import time; time.sleep(100)")
    monkeypatch.setitem(real.TEMPLATE_ENVIRONMENT, "PYTHONPATH", str(tmp_path))

    async def main() -> None:
        async with spawning("endless") as s:
            wanted = applications.written(tmp_path, ENDS_AT_ONCE)
            wanted = replace(
                wanted, environment={**wanted.environment, **real.TEMPLATE_ENVIRONMENT}
            )
            code, heard = await s.outcome(wanted)
            assert (code, s.exec_launches) == (3, [wanted])
            assert b"not imported everything within" in heard.text("msctl")

    real.run(main())


def test_a_start_that_nobody_waits_for_any_more_leaves_no_instance(tmp_path: Path) -> None:
    async def main() -> None:
        heard = real.Heard()
        async with real.warm_spawning() as spawner:
            wanted = applications.written(tmp_path, applications.ANSWERS)
            port = port_of(wanted)
            assert wanted.listener is not None
            with wanted.listener:
                start = asyncio.create_task(spawner.spawn(wanted, heard))
                await asyncio.sleep(0)
                start.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await start
            # The one after it has the template's attention later: the first was born by then.
            code, _ = await applications.run_out(
                spawner, applications.written(tmp_path, ENDS_AT_ONCE, instance="api-2")
            )
            assert code == 3

            def refuses() -> bool:
                with socket.socket() as probe:
                    return probe.connect_ex(("127.0.0.1", port)) != 0

            await eventually(refuses, "it is killed")

    real.run(main())


@pytest.mark.parametrize("what", ["preload", "installed packages"])
def test_a_template_that_is_out_of_date_is_renewed(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "site-packages"
    packages.mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(packages)])
    preload: list[str] = []

    async def main() -> None:
        async with spawning() as s:
            s.keeper._preload = lambda: tuple(preload)
            await s.becomes(State.READY)
            old = s.template
            code, _ = await s.outcome(applications.written(tmp_path, ENDS_AT_ONCE))
            assert (code, s.exec_launches, s.template) == (3, [], old)
            if what == "preload":
                preload.append("mailbox")
            else:
                (packages / "new").touch()
            code, heard = await s.outcome(applications.launch(tmp_path))
            assert (code, len(s.exec_launches)) == (3, 1)
            assert b"is being started again" in heard.text("msctl")
            assert s.template is not old
            await eventually(lambda: not real.is_alive(old.pid), "the old one ends")
            await s.becomes(State.READY)
            text = "import sys\nprint('mailbox' in sys.modules)\nsys.exit(0)"
            _, heard = await s.outcome(applications.written(tmp_path, text))
            assert heard.text().decode() == f"{what == 'preload'}\n"
            assert len(s.exec_launches) == 1

    real.run(main())


def test_a_directory_that_cannot_be_entered_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone"

    async def main() -> None:
        async with real.warm_spawning() as spawner:
            with pytest.raises(SpawnError, match=f"working_dir {gone} is not a directory"):
                await applications.run_out(spawner, applications.launch(gone))

    real.run(main())


def test_a_directory_that_vanishes_meanwhile_is_named_by_the_instance() -> None:
    async def main() -> None:
        with applications.listening() as listener:
            async with real.templates() as keeper:
                order = {"environment": {}, "working_dir": "/no/such/place", "arguments": ["a:b"]}
                answer = await keeper.template().ask(order, [listener.fileno()] * 3)
        assert (
            answer["error"] == "cannot enter working_dir /no/such/place: No such file or directory"
        )

    real.run(main())


def test_where_there_can_be_no_template_instances_are_execd(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    keeper = TemplateKeeper(None, lambda: (), {})
    with pytest.raises(NotWarm, match="needs Linux"):
        keeper.template()
