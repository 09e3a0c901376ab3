"""Runs one ASGI application with uvicorn on a socket that was handed down.

A script, not a module of the package: it is run by path, so that a service with an
interpreter of its own needs uvicorn there, but not msctl. A warm instance runs the very same
text as its `__main__`, after the fork.

    asgi.py FD APP HEALTH_PATH [factory] [access_log] [imports=FILE]
"""

import faulthandler
import logging
import os
import socket
import sys

# Run by path, this file's directory comes first on sys.path; the service's belongs there.
if not getattr(sys.flags, "safe_path", False):
    del sys.path[0]
sys.path.insert(0, os.getcwd())  # noqa: PTH109  before anything is imported

import uvicorn

_NAME_OF_THIS_PROCESS = "/proc/self/comm"
_INSTALLED = tuple(
    {path + os.sep for path in (sys.prefix, sys.base_prefix, os.path.dirname(uvicorn.__path__[0]))}  # noqa: PTH120
)
"""Where the standard library and the packages lie: nobody edits what is there."""


class NotTheProbes(logging.Filter):
    """Keeps msctl's health checks out of the access log."""

    def __init__(self, health_path: str) -> None:
        super().__init__()
        self._health_path = health_path

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the line is about a request of somebody's own."""
        arguments = record.args
        if not isinstance(arguments, tuple) or len(arguments) < 3:  # noqa: PLR2004  uvicorn's fields
            return True
        return str(arguments[2]).partition("?")[0] != self._health_path


def show_name() -> None:
    """Be called after the instance where processes are listed by name, as in `top`."""
    if os.access(_NAME_OF_THIS_PROCESS, os.W_OK):  # Linux
        with open(_NAME_OF_THIS_PROCESS, "w") as name:  # noqa: PTH123  pathlib is one more import
            name.write(os.environ.get("MSCTL_INSTANCE", "asgi"))


class Server(uvicorn.Server):
    """Tells which files of the service's own it has imported, each time there are more."""

    imports: str | None = None
    """Where to write them, a line for each; None: nowhere."""
    _modules = 0

    async def on_tick(self, counter: int) -> bool:
        """Look, ten times a second: uvicorn's own pace."""
        if self.imports is not None and len(sys.modules) != self._modules:
            self._modules = len(sys.modules)
            write_imports(self.imports)
        return await super().on_tick(counter)


def write_imports(path: str) -> None:
    """Write which Python files are loaded, but for those that are installed."""
    found = {getattr(module, "__file__", None) for module in [*sys.modules.values()]}
    own = sorted(
        os.path.realpath(file)
        for file in found
        if isinstance(file, str) and file.endswith(".py") and not file.startswith(_INSTALLED)
    )
    try:
        with open(path + ".part", "w") as part:  # noqa: PTH123  pathlib is one more import
            part.write("".join(f"{file}\n" for file in own if "\n" not in file))
        os.replace(path + ".part", path)  # noqa: PTH105
    except OSError:
        pass  # who reads it does without


def main() -> None:
    """Serve until told to stop; exit 3 when the application does not start, as uvicorn does."""
    descriptor, app, health_path, *flags = sys.argv[1:]
    sys.argv[:] = [app]
    show_name()
    logging.getLogger("uvicorn.access").addFilter(NotTheProbes(health_path))
    if os.environ.get("PYTHONFAULTHANDLER"):
        faulthandler.enable()  # what the interpreter does at its start, which a fork has not
    config = uvicorn.Config(app, factory="factory" in flags, access_log="access_log" in flags)
    server = Server(config)
    server.imports = next((f[8:] for f in flags if f.startswith("imports=")), None)
    # An AF_INET socket object, never `fd=`: uvicorn takes that for a unix socket and leaves
    # Nagle's algorithm on, which costs every keep-alive request 44 ms.
    with socket.socket(fileno=int(descriptor)) as listener:
        listener.set_inheritable(False)  # a dead instance must refuse; its helpers must not hold on
        server.run(sockets=[listener])
    if not server.started:
        sys.exit(3)


if __name__ == "__main__":
    main()
