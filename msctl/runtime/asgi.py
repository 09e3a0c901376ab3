"""Runs one ASGI application with uvicorn on a socket that was handed down.

A script, not a module of the package: it is run by path, so that a service with an
interpreter of its own needs uvicorn there, but not msctl. A warm instance runs the very same
text as its `__main__`, after the fork.

    asgi.py FD APP HEALTH_PATH [factory] [access_log]
"""

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


def main() -> None:
    """Serve until told to stop; exit 3 when the application does not start, as uvicorn does."""
    descriptor, app, health_path, *flags = sys.argv[1:]
    sys.argv[:] = [app]
    show_name()
    logging.getLogger("uvicorn.access").addFilter(NotTheProbes(health_path))
    config = uvicorn.Config(app, factory="factory" in flags, access_log="access_log" in flags)
    server = uvicorn.Server(config)
    # An AF_INET socket object, never `fd=`: uvicorn takes that for a unix socket and leaves
    # Nagle's algorithm on, which costs every keep-alive request 44 ms.
    with socket.socket(fileno=int(descriptor)) as listener:
        listener.set_inheritable(False)  # a dead instance must refuse; its helpers must not hold on
        server.run(sockets=[listener])
    if not server.started:
        sys.exit(3)


if __name__ == "__main__":
    main()
