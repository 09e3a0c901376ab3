"""A service cannot tell whether it was forked from the template or exec'd."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from msctl.runtime.spawner import Spawner
from tests.runtime import applications, real
from tests.runtime.virtual import eventually

WAYS: dict[str, Callable[[], AbstractAsyncContextManager[Spawner]]] = {
    "exec": real.spawning,
    "warm": real.warm_spawning,
}


@pytest.fixture(autouse=True)
def _subreaper() -> Iterator[None]:
    with real.subreaper():
        yield


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def outcome(way: str, directory: Path, text: str, **keys: Any) -> tuple[int, str, str]:
    """Run an application that ends by itself; return exit code, stdout and stderr."""

    async def main() -> tuple[int, real.Heard]:
        async with WAYS[way]() as spawner:
            return await applications.run_out(
                spawner, applications.written(directory, text, **keys)
            )

    code, heard = real.run(main())
    return code, heard.text().decode(), heard.text("stderr").decode()


FACTS = """
import asyncio, contextvars, gc, json, locale, logging, multiprocessing, os, resource, signal
import sys, tempfile, threading, time, warnings
import __main__

def named(value):
    return getattr(value, "__name__", str(value))

def arguments(words):
    return ["N" if word.isdigit() else word for word in words]

def stream(s):
    return [named(type(s)), s.encoding, s.errors, s.line_buffering, s.write_through, s.name,
            s.mode, named(type(s.buffer)), s.fileno(), s.isatty()]

loggers = logging.root.manager.loggerDict
lines = open("/proc/self/status").read().splitlines()
status = dict(line.split(":", 1) for line in lines)
main = {name: value for name, value in vars(__main__).items() if name.startswith("__")}
del main["__builtins__"]
flags = {name: getattr(sys.flags, name) for name in dir(sys.flags) if name[0] != "_"}
# The template runs with -P, which only the start of an interpreter can make out.
for name in ("safe_path", "count", "index"):
    del flags[name]
print(json.dumps({
    "argv": [sys.argv, arguments(sys.orig_argv)],
    "command line": arguments(open("/proc/self/cmdline").read().split(chr(0))),
    "name": open("/proc/self/comm").read(),
    "path": sys.path,
    "finders": [named(type(finder)) for finder in sys.meta_path],
    "directory": os.getcwd(),
    "environment": dict(os.environ),
    "environment of children": sorted(os.popen("env | grep -v ^_=").read().splitlines()),
    "environment shown": sorted(open("/proc/self/environ").read().split(chr(0))),
    "leads session and group": os.getsid(0) == os.getpid() == os.getpgrp(),
    "streams": [stream(s) for s in (sys.stdin, sys.stdout, sys.stderr)],
    "originals": [sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__],
    "stdin": os.readlink("/proc/self/fd/0"),
    "descriptors": len(os.listdir("/proc/self/fd")),
    "mask": status["Umask"],
    "signals": [status[name] for name in ("SigBlk", "SigIgn", "SigCgt")],
    "handlers": [named(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
    "limits": [resource.getrlimit(getattr(resource, n)) for n in dir(resource) if "RLIMIT" in n],
    "logging": [logging.root.level, len(logging.root.handlers), sorted(
        (name, logger.level, len(logger.handlers), logger.propagate)
        for name, logger in loggers.items()
        if isinstance(logger, logging.Logger) and (logger.handlers or logger.level))],
    "warnings": [list(map(str, warnings.filters)), sys.warnoptions],
    "policy": named(type(asyncio.get_event_loop_policy())),
    "garbage": [gc.isenabled(), gc.get_threshold(), gc.get_debug()],
    "threads": [[thread.name for thread in threading.enumerate()], os.listdir("/proc/self/task")
                == [str(os.getpid())], threading.main_thread().native_id == os.getpid()],
    "main": {name: repr(value).partition(" object at ")[0] for name, value in main.items()},
    "main module": [sys.modules["__mp_main__"] is __main__, __main__.__builtins__.__name__],
    "flags": flags,
    "hooks": [sys.excepthook is sys.__excepthook__, sys.gettrace(), sys.getprofile()],
    "locale": [locale.setlocale(locale.LC_ALL), time.tzname, sys.getfilesystemencoding()],
    "temporary files": tempfile.gettempdir(),
    "context": len(contextvars.copy_context()),
    "processes": [multiprocessing.current_process().name, multiprocessing.parent_process()],
    "limits of the interpreter": [sys.getrecursionlimit(), sys.getswitchinterval()],
    "installation": [sys.prefix, sys.executable, sys.dont_write_bytecode],
}))
sys.exit(0)
"""


def test_everything_that_a_service_can_see_of_itself_is_the_same(tmp_path: Path) -> None:
    elsewhere = tmp_path / "tmp"
    elsewhere.mkdir()
    keys = {"A": "ä b", "TZ": "Asia/Tokyo", "TMPDIR": str(elsewhere), "MSCTL_SERVICE": "api"}
    seen = {}
    for way in WAYS:
        code, out, err = outcome(way, tmp_path, FACTS, environment=keys)
        assert code == 0, err
        seen[way] = json.loads(out)
    assert seen["warm"] == seen["exec"]
    facts = seen["warm"]
    assert facts["argv"][0] == ["application:app"]
    assert facts["path"][0] == facts["directory"] == str(tmp_path)
    assert facts["environment"]["A"] == "ä b"
    assert facts["temporary files"] == str(elsewhere)
    assert facts["name"] == "api-1\n"
    # three streams, the listening socket, uvicorn's loop, and the directory that is listed
    assert facts["descriptors"] < 20


ENDS = {
    "says nothing of it": ("import sys; sys.exit()", 0),
    "exit code": ("import sys; sys.exit(3)", 3),
    "large exit code": ("import sys; sys.exit(259)", 3),
    "negative exit code": ("import sys; sys.exit(-1)", 255),
    "exit text": ("import sys; sys.exit('no more')", 1),
    "exception": ("def fail():\n    raise ValueError('so what')\nfail()", 1),
    "interrupt": ("raise KeyboardInterrupt", -signal.SIGINT),
    "at once": ("import os; os._exit(7)", 7),
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "aborted": ("import os; os.abort()", -signal.SIGABRT),
    "terminated": (
        "import signal\nsignal.signal(15, signal.SIG_DFL)\nsignal.raise_signal(15)",
        -signal.SIGTERM,
    ),
    "import error": ("import no_such_module", 1),
    "syntax error": ("this is no Python", 1),
    "no application": ("", 3),
}


@pytest.mark.parametrize("end", ENDS)
def test_it_ends_with_the_same_exit_code_and_the_same_last_words(tmp_path: Path, end: str) -> None:
    text, expected = ENDS[end]
    results = [outcome(way, tmp_path, f"print('begun')\n{text}") for way in WAYS]
    assert results[0] == results[1]
    assert results[0][0] == expected


CLEAN_UP = """
import atexit, sys, threading, time
atexit.register(print, "atexit")
sys.stdout = open(1, "w", buffering=4096, closefd=False)
def work():
    time.sleep(0.05)
    print("thread")
threading.Thread(target=work).start()
threading.Thread(target=time.sleep, args=[100], daemon=True).start()
class Last:
    def __del__(self):
        print("collected")
last = Last()
print("exit")
sys.exit(4)
"""


def test_it_ends_as_an_interpreter_ends(tmp_path: Path, way: str) -> None:
    code, out, err = outcome(way, tmp_path, CLEAN_UP)
    assert (code, err) == (4, "")
    assert out.split() == ["exit", "thread", "atexit", "collected"]


FORKS = """
import os, sys
child = os.fork()
if child == 0:
    print("child of", os.getppid() == parent if (parent := os.getppid()) else None)
    sys.stdout.flush()
    os._exit(5)
print("child ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
sys.exit(0)
"""


def test_it_may_fork_and_wait_for_its_child(tmp_path: Path, way: str) -> None:
    code, out, err = outcome(way, tmp_path, FORKS)
    assert (code, err) == (0, "")
    assert out.splitlines() == ["child of True", "child ended 5"]


PROCESSES = """
import multiprocessing, sys

def work(number, results):
    import os
    results.put((number * number, os.environ["MSCTL_INSTANCE"], sys.argv))

if multiprocessing.current_process().name == "MainProcess":
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        results = context.SimpleQueue()
        process = context.Process(target=work, args=(7, results))
        process.start()
        print(method, *results.get())
        process.join()
        print(process.exitcode)
    sys.exit(0)
"""


def test_it_may_use_multiprocessing_while_it_is_imported(tmp_path: Path, way: str) -> None:
    code, out, err = outcome(way, tmp_path, PROCESSES)
    assert (code, err) == (0, "")
    expected = "49 api-1 ['application:app']"
    assert out.splitlines() == [f"fork {expected}", "0", f"spawn {expected}", "0"]


THREADS = """
import sys, threading
heard = threading.Event()
threading.Thread(target=heard.set, daemon=True).start()
print(heard.wait(10), threading.current_thread() is threading.main_thread())
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(2) as pool:
    print(sum(pool.map(lambda n: n * n, range(10))))
sys.exit(0)
"""


def test_it_may_use_threads_while_it_is_imported(tmp_path: Path, way: str) -> None:
    code, out, err = outcome(way, tmp_path, THREADS)
    assert (code, err) == (0, "")
    assert out.split() == ["True", "True", "285"]


HANDLERS = """
import os, signal, sys
signal.signal(signal.SIGUSR1, lambda number, frame: print("handled", number))
os.kill(os.getpid(), signal.SIGUSR1)
signal.signal(signal.SIGALRM, lambda *_: sys.exit(6))
signal.setitimer(signal.ITIMER_REAL, 0.01)
signal.pause()
"""


def test_it_may_install_signal_handlers(tmp_path: Path, way: str) -> None:
    code, out, _ = outcome(way, tmp_path, HANDLERS)
    assert (code, out.split()) == (6, ["handled", str(int(signal.SIGUSR1))])


POLICY = """
import asyncio, sys

class Loop(asyncio.SelectorEventLoop):
    pass

class Policy(asyncio.DefaultEventLoopPolicy):
    _loop_factory = Loop

asyncio.set_event_loop_policy(Policy())
loop = asyncio.new_event_loop()
async def where():
    return asyncio.get_running_loop()
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor() as pool:
    print(type(pool.submit(asyncio.run, where()).result()).__name__)
loop.close()
sys.exit(0)
"""


def test_it_may_have_an_event_loop_policy_of_its_own(tmp_path: Path, way: str) -> None:
    code, out, err = outcome(way, tmp_path, POLICY)
    assert (code, out, err) == (0, "Loop\n", "")


def test_what_it_inherits_by_name_may_be_any_bytes(tmp_path: Path, way: str) -> None:
    odd = os.fsdecode(b"\xff\n=")
    text = "import os, sys\nprint(ascii(os.environ['ODD']))\nsys.exit(0)"
    directory = tmp_path / "a b\nä"
    directory.mkdir()
    code, out, err = outcome(way, directory, text, environment={"ODD": odd})
    assert (code, out.strip(), err) == (0, ascii(odd), "")


def test_a_large_environment_is_no_problem(tmp_path: Path, way: str) -> None:
    large = {f"LARGE_{n}": "x" * 100_000 for n in range(10)}
    text = "import os, sys\nprint(sum(map(len, os.environ.values())) > 10**6)\nsys.exit(0)"
    code, out, err = outcome(way, tmp_path, text, environment=large)
    assert (code, out, err) == (0, "True\n", "")


LEAVES = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    print(os.getpid())
    time.sleep(100)
time.sleep(100)
"""


def test_what_leaves_its_process_group_is_killed_with_it(tmp_path: Path, way: str) -> None:
    async def main() -> None:
        heard = real.Heard()
        wanted = applications.written(tmp_path, LEAVES)
        async with WAYS[way]() as spawner:
            assert wanted.listener is not None
            with wanted.listener:
                process = await spawner.spawn(wanted, heard)
            await eventually(lambda: heard.text().endswith(b"\n"), "the child has left the group")
            assert real.is_alive(int(heard.text()))
            await process.clear(0)
            assert not real.is_alive(int(heard.text()))

    real.run(main())
