"""How a fork of the template becomes an instance that cannot tell the difference from exec.

What an interpreter reads when it starts (PYTHONPATH, the locale) cannot be made up for here:
`warm_spawner.start_variable` sends such launches to exec. What instances of one template
share, and exec'd ones do not, is the seed of the hashes of strings.
"""

import ctypes
import gc
import importlib
import os
import random
import signal
import sys
import tempfile
import threading
import time
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from multiprocessing import process
from pathlib import Path
from types import CodeType
from typing import NoReturn

from msctl.runtime.process_title import show_process
from msctl.runtime.tether import die_with

_ADOPTION_POLL = 0.0002
_AUTHKEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The program that every instance runs, compiled once."""

    path: Path
    code: CodeType

    @classmethod
    def compile(cls, path: Path) -> "Script":
        """Read it; raises OSError."""
        code = compile(path.read_bytes(), path, "exec", dont_inherit=True)
        return cls(path=path, code=code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the instance is to be."""

    environment: Mapping[str, str]
    arguments: Sequence[str]
    """Of the script, behind the number of the listening socket."""
    listener: int
    stdout: int
    stderr: int


def be_instance(order: Order, script: Script, midwife: int, daemon: int) -> NoReturn:
    """Become the instance, run it, and end as an interpreter ends.

    `midwife` is the process that is the parent until it ends; `daemon` adopts then.
    """
    _take_streams(order.stdout, order.stderr)
    _take_environment(order.environment)
    command = [sys.executable, str(script.path), str(order.listener), *order.arguments]
    show_process(command, order.environment)
    sys.orig_argv[:] = command
    sys.argv[:] = command[1:]
    _forget_what_was_drawn()
    threading.main_thread()._native_id = threading.get_native_id()  # type: ignore[attr-defined]  # noqa: SLF001  fork forgets it
    importlib.invalidate_caches()
    main = _main_module(script.path)
    while os.getppid() == midwife:
        time.sleep(_ADOPTION_POLL)
    die_with(daemon)
    gc.enable()  # what the template had loaded stays frozen, so that its memory stays shared
    _run(script, main)


def _take_environment(environment: Mapping[str, str]) -> None:
    """Take it as the interpreter does, which sets LC_CTYPE itself where there is no locale."""
    coerced = {"LC_CTYPE": os.environ["LC_CTYPE"]} if "LC_CTYPE" in os.environ else {}
    os.environ.clear()
    os.environ.update(coerced | dict(environment))
    time.tzset()


def _take_streams(stdout: int, stderr: int) -> None:
    """Put the pipes under sys.stdout and sys.stderr: the template runs with `-u`, as they do."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream, descriptor in enumerate((null, stdout, stderr)):
        os.dup2(descriptor, stream)
        os.close(descriptor)


def _forget_what_was_drawn() -> None:
    """Draw anew, or look up anew, what must not be the same in every instance."""
    random.seed()
    process.current_process().authkey = os.urandom(_AUTHKEY_BYTES)
    tempfile.tempdir = None  # depends on TMPDIR
    if numpy_random := sys.modules.get("numpy.random"):  # preloaded
        numpy_random.seed()


def _main_module(path: Path) -> types.ModuleType:
    """Make the module that the interpreter makes for a script, and put it in its place."""
    main = types.ModuleType("__main__")
    vars(main).update(
        __builtins__=sys.modules["builtins"],
        __file__=str(path),
        __cached__=None,
        __package__=None,
        __annotations__={},
        __loader__=SourceFileLoader("__main__", str(path)),
    )
    sys.modules["__main__"] = sys.modules["__mp_main__"] = main
    return main


def _run(script: Script, main: types.ModuleType) -> NoReturn:
    try:
        exec(script.code, vars(main))  # noqa: S102  as the interpreter does
        code = 0
    except SystemExit as error:
        code = _exit_code(error.code)
    except BaseException as error:  # noqa: BLE001  as the interpreter does
        if error.__traceback__ is not None:
            error.__traceback__ = error.__traceback__.tb_next  # without this frame
        sys.excepthook(type(error), error, error.__traceback__)
        if isinstance(error, KeyboardInterrupt):
            _end_by_interrupt()
        code = 1
    ctypes.pythonapi.Py_Exit(code)  # waits for threads, calls what atexit knows, flushes
    raise AssertionError("Py_Exit does not return")


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)  # noqa: T201  so does the interpreter
    return 1


def _end_by_interrupt() -> NoReturn:
    """End by SIGINT, so that whoever waits sees what happened; else as Py_Exit does."""
    import atexit  # noqa: PLC0415  for this alone

    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
    atexit._run_exitfuncs()  # noqa: SLF001
    sys.stdout.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
    raise AssertionError("the default action of SIGINT is to end")
