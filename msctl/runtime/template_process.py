"""The template: a process with the heavy imports done, of which instances are forks.

It has one thread, no loop and no connection but the channel to the daemon, whose end is its
end. Orders are carried out one after another. For each it forks twice: the process between
ends at once, so that the instance becomes the daemon's own child, the daemon being the next
subreaper above. The instance itself answers, so there is none that the daemon has not heard
of; when the daemon has gone away meanwhile, the answer fails and the instance ends.
"""

import gc
import os
import socket
import stat
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from msctl.runtime import template_wire as wire
from msctl.runtime.default_signals import restore_default_signals
from msctl.runtime.process_title import show_process
from msctl.runtime.rehearsal import rehearse
from msctl.runtime.shadowing import LoadedModules
from msctl.runtime.template_instance import Order, Script, be_instance
from msctl.runtime.tether import die_with

BASE = (
    "uvicorn",
    "uvloop",
    "httptools",
    "fastapi",
)
"""What daemon and instances both need: the daemon imports it before it forks the template."""
INSTANCE_ONLY = (
    "httpx",
    "importlib.metadata",
    "msctl.service",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
)
LOADED_LATE = (
    "anyio._backends._asyncio",
    "fastapi.telemetry._runtime",
)
"""What the libraries import when they first need it; not every version has all of them."""
_SCRIPT = Path(__file__).with_name("asgi.py")
_OWN_DESCRIPTORS = Path("/proc/self/fd")
_OWN_THREADS = Path("/proc/self/task")
_EPOLL = "anon_inode:[eventpoll]"


class UnfitError(Exception):
    """No instance may be forked from this process; the message says why."""


def import_base() -> None:
    """Import what daemon and instances share."""
    for name in BASE:
        import_module(name)


def run_template(channel: socket.socket, daemon: int) -> NoReturn:
    """Be the template until the daemon closes its end of the channel; `daemon` is its pid."""
    code = 1
    try:
        _be_alone(channel, daemon)
        _Template(channel, daemon).run()
        code = 0
    except BaseException:  # noqa: BLE001  the daemon's log is its last trace
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)  # after a fork, the frames above belong to the daemon


def _be_alone(channel: socket.socket, daemon: int) -> None:
    """Leave the daemon's session, and everything that it had open."""
    os.setsid()
    die_with(daemon)
    restore_default_signals()
    channel.settimeout(None)
    kept = {0, 1, 2, channel.fileno()}
    for descriptor in _open_descriptors() - kept:
        os.close(descriptor)
    gc.disable()
    # Not what the daemon was started with: nobody must take this for an instance of a fleet
    # in whose service the daemon's own command ran.
    environment = {key: text for key, text in os.environ.items() if key != "MSCTL_INSTANCE"}
    command = [sys.executable, "-m", "msctl", "_template", str(channel.fileno()), str(daemon)]
    show_process(command, environment)


class _Template:
    def __init__(self, channel: socket.socket, daemon: int) -> None:
        self._channel = channel
        self._daemon = daemon
        self._inherited = _open_descriptors()

    def run(self) -> None:
        """Import, tell whether that went well, and carry out orders."""
        import_base()
        for name in INSTANCE_ONLY:
            import_module(name)
        for name in LOADED_LATE:
            with suppress(ImportError):
                import_module(name)
        rehearse()
        self._script = Script.compile(_SCRIPT)
        first = wire.receive(self._channel)
        if first is None:
            return  # the daemon has found something wrong with its configuration
        try:
            self._preload(first[0]["preload"])
        except UnfitError as error:
            wire.send(self._channel, {"unfit": str(error)})
            return
        self._modules = LoadedModules.now()
        gc.freeze()
        wire.send(self._channel, {"ready": True})
        while received := wire.receive(self._channel):
            self._serve(*received)

    def _preload(self, names: Sequence[str]) -> None:
        self._check("")
        for name in names:
            try:
                import_module(name)
            except BaseException as error:
                reason = f"{type(error).__name__}: {error}"
                raise UnfitError(f"preload: {name} cannot be imported ({reason})") from error
            self._check(f"preload: {name}: ")

    def _check(self, whose: str) -> None:
        """Raise UnfitError when this process has what must not be forked."""
        if threading.active_count() > 1:
            others = [t.name for t in threading.enumerate() if t is not threading.main_thread()]
            raise UnfitError(f"{whose}the thread {', '.join(others)} runs in the template")
        if len(list(_OWN_THREADS.iterdir())) > 1:
            raise UnfitError(f"{whose}a thread runs in the template")
        for descriptor in _open_descriptors() - self._inherited:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                raise UnfitError(f"{whose}a socket is open in the template")
            if os.fspath((_OWN_DESCRIPTORS / str(descriptor)).readlink()) == _EPOLL:
                raise UnfitError(f"{whose}an event loop exists in the template")

    def _serve(self, order: dict[str, Any], descriptors: list[int]) -> None:
        """Carry out one order; nothing of it stays here."""
        try:
            if reason := self._modules.shadowed_in(order["working_dir"]):
                self._answer(order, unfit=reason)
                return
            between = os.fork()
            if between == 0:
                self._bear(order, descriptors)
            os.waitpid(between, 0)
        except OSError as error:
            self._answer(order, error=f"cannot fork: {error.strerror}")
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _bear(self, order: dict[str, Any], descriptors: list[int]) -> NoReturn:
        """Fork the instance and end as soon as it has answered; the daemon adopts it then."""
        try:
            midwife = os.getpid()
            hears, says = os.pipe()
            if os.fork() == 0:
                os.close(hears)
                self._live(order, descriptors, says, midwife)
            os.close(says)
            if not os.read(hears, 1):
                self._answer(order, error="the instance died at birth")
        except OSError as error:
            self._answer(order, error=f"cannot fork: {error.strerror}")
        finally:
            os._exit(0)

    def _live(
        self, order: dict[str, Any], descriptors: list[int], says: int, midwife: int
    ) -> NoReturn:
        """Be the instance: answer, so that the daemon can signal it, and go about its work."""
        try:
            os.setsid()
            if problem := _enter(order["working_dir"]):
                self._answer(order, error=problem)
            else:
                self._answer(order, pid=os.getpid())
            os.write(says, b".")
            os.close(says)
            self._channel.close()
            if problem:
                os._exit(1)
            listener, stdout, stderr = descriptors
            be_instance(
                Order(
                    environment=order["environment"],
                    arguments=order["arguments"],
                    listener=listener,
                    stdout=stdout,
                    stderr=stderr,
                ),
                self._script,
                midwife,
                self._daemon,
            )
        except BaseException:  # noqa: BLE001  its log is the place for it
            traceback.print_exc()
        finally:
            os._exit(1)

    def _answer(self, order: dict[str, Any], **facts: object) -> None:
        wire.send(self._channel, {"id": order["id"], **facts})


def _enter(directory: str) -> str | None:
    try:
        os.chdir(directory)
    except OSError as error:
        return f"cannot enter working_dir {directory}: {error.strerror}"
    return None


def _open_descriptors() -> set[int]:
    listed = {int(entry) for entry in os.listdir(_OWN_DESCRIPTORS)}  # noqa: PTH208  names
    return {number for number in listed if _is_open(number)}


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:  # it was that of the listing
        return False
    return True
