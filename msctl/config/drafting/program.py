"""From a command to the keys of a service: what it runs, whether it has a port, how it is checked."""

from dataclasses import dataclass, field

from msctl.config.drafting.asgi_line import asgi_line
from msctl.config.drafting.servers import server_of, with_port
from msctl.config.drafting.shell import (
    PORT,
    arguments,
    command_of_line,
    default_port,
    joined,
    leading_variables,
    mentions_port,
    told_port,
)
from msctl.config.drafting.sketch import Keys, Value

_ANY_ANSWER = (200, 204, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405)


@dataclass
class Program:
    """What a command line becomes."""

    keys: Keys
    has_port: bool = False
    port: int | None = None
    notes: list[str] = field(default_factory=list)
    remarks: dict[str, str] = field(default_factory=dict)

    @property
    def is_http(self) -> bool:
        """Whether msctl holds its port and sends requests to it."""
        return self.has_port and "service_type" not in self.keys


def program_of_line(line: str, *, is_web: bool = False) -> Program:
    """Return what a line for a shell becomes; `is_web` is what else is known of it."""
    variables, rest = leading_variables(line)
    is_web = is_web or mentions_port(rest)
    program = program_of(command_of_line(rest), port=default_port(rest), is_web=is_web)
    if variables:
        program.keys["environment"] = dict(variables)
    return program


def program_of(
    command: str | list[str], *, port: int | None = None, is_web: bool = False
) -> Program:
    """Return what a command becomes; `port` is where it listens if its arguments say nothing."""
    argv = arguments(command)
    server = server_of(argv[0]) if argv else None
    if server is not None:
        told, argv = told_port(argv)
        keys: Keys = {"service_type": server.service_type.value, "command": _text(with_port(argv))}
        return Program(keys, has_port=True, port=told or port or server.port)
    asgi = asgi_line(argv)
    if asgi is not None:
        program = Program(asgi.keys, has_port=True, port=asgi.port or port, notes=asgi.notes)
        ask_for_any_answer(program)
        return program
    told, changed = told_port(argv)
    text = _text(changed) if argv else _value(command)
    program = Program({"command": text}, port=told or port)
    program.has_port = is_web or program.port is not None or any(PORT in part for part in argv)
    if not program.has_port:
        program.keys = {"service_type": "worker", **program.keys}
        return program
    if not any(PORT in part for part in changed):
        program.remarks["command"] = "must listen on the port in $PORT, which msctl chooses"
    ask_for_any_answer(program)
    return program


def ask_for_any_answer(program: Program) -> None:
    """Take any HTTP answer as a sign of health, where no path for it is known."""
    program.keys["health"] = {"path": "/", "expect_status": list(_ANY_ANSWER)}
    program.remarks["health"] = "any answer will do; better name a path that says how it is"


def _text(argv: list[str]) -> Value:
    return _value(joined(argv))


def _value(command: str | list[str]) -> Value:
    return command if isinstance(command, str) else list(command)
