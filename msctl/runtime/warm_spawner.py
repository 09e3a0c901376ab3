"""Starts instances warm where that is possible, and by exec where it is not."""

import os
from collections.abc import Mapping

from msctl.runtime.process import LocalProcess, Output
from msctl.runtime.reaper import Reaper
from msctl.runtime.spawner import (
    AsgiProgram,
    Launch,
    Process,
    Spawner,
    SpawnError,
    check_working_dir,
)
from msctl.runtime.streams import Streams
from msctl.runtime.template import NotWarm
from msctl.runtime.template_keeper import TemplateKeeper

_READ_AT_START = ("PYTHON", "LD_", "LC_", "LANG", "GLIBC_", "MALLOC_")
"""Beginnings of variables that the interpreter, or the C library, reads when it starts."""
_READ_AT_IMPORT = {"OTEL_PROPAGATORS", "OTEL_PYTHON_CONTEXT", "PYDANTIC_DISABLE_PLUGINS"}
"""Variables that the libraries of the template read when they are imported."""
_NO_MATTER = {"PYTHONFAULTHANDLER", "PYTHONUNBUFFERED"}
"""Both have it: what is exec'd by the variable, what is forked by asgi.py, or by the template's
`-u`."""


class WarmSpawner:
    """Forks an instance from the template, or leaves it to another spawner and says why."""

    def __init__(self, cold: Spawner, keeper: TemplateKeeper, reaper: Reaper) -> None:
        self._cold = cold
        self._keeper = keeper
        self._reaper = reaper

    async def spawn(self, launch: Launch, output: Output) -> Process:
        """Start the instance. Raises SpawnError."""
        program = launch.program
        if not isinstance(program, AsgiProgram) or not program.warm:
            return await self._cold.spawn(launch, output)
        check_working_dir(launch)
        try:
            return await self._fork(launch, program, output)
        except NotWarm as reason:
            output("msctl", f"exec'd, not forked from the template: {reason}\n".encode())
        return await self._cold.spawn(launch, output)

    async def _fork(self, launch: Launch, program: AsgiProgram, output: Output) -> LocalProcess:
        assert launch.listener is not None, "an ASGI program is handed its listening socket"
        if variable := start_variable(launch.environment, self._keeper.environment):
            raise NotWarm(f"its environment sets {variable}, which takes effect only at a start")
        template = self._keeper.template()
        order = {
            "environment": dict(launch.environment),
            "working_dir": os.fspath(launch.working_dir),
            "arguments": program.arguments,
        }
        streams = Streams()
        try:
            with self._reaper.expecting():
                descriptors = (launch.listener.fileno(), *streams.write_ends)
                pid = _born(await template.ask(order, descriptors))
                process = LocalProcess(pid, launch.instance)
                self._reaper.watch(pid, process.set_exit_code)
        except BaseException:
            streams.close()
            raise
        streams.handed_over()
        streams.pump(process, output)
        return process


def _born(answer: Mapping[str, object]) -> int:
    match answer:
        case {"pid": int(pid)}:
            return pid
        case {"unfit": reason}:
            raise NotWarm(str(reason))
        case _:
            raise SpawnError(f"cannot be forked from the template: {answer.get('error')}")


def start_variable(environment: Mapping[str, str], template: Mapping[str, str]) -> str | None:
    """Return a variable that differs from the template's and that only a start can heed."""
    for name in sorted(environment.keys() | template.keys()):
        if (
            (name.startswith(_READ_AT_START) or name in _READ_AT_IMPORT)
            and name not in _NO_MATTER
            and environment.get(name) != template.get(name)
        ):
            return name
    return None
