"""Command lines as other tools have them, and as msctl runs them: never by a shell of its own.

msctl replaces `${VAR}` in an argument and leaves a bare `$VAR` alone (contract.md, Config).
"""

import re
import shlex

from msctl.config.drafting.numbering import valid_port

PORT = "${PORT}"

_PORT_FORMS = re.compile(r"\$(?:PORT\b|\{PORT(?::?[-=][^{}$]*)?\})")
_PORT_DEFAULT = re.compile(r"\$\{PORT:?[-=](\d+)\}")
_SHELL_ONLY = re.compile(r"[|&;<>()`\\\n*?\[#~!]|\$(?!\{PORT\})")
_ASSIGNMENT = re.compile(r"\s*[A-Za-z_]\w*=")
_SET = re.compile(r"([A-Za-z_]\w*)=([\w./:@,+-]*)\s+")
_PORT_OPTIONS = frozenset(
    {"--port", "-p", "--bind", "-b", "--listen", "-l", "--http-port", "--http", "--addr"}
    | {"--address", "-addr", "-port", "-listen", "--server.port"}
)
_BEFORE_A_PORT = frozenset({"runserver", "http.server"})
_ADDRESS = re.compile(r"((?:[\w.-]*|\*|\[[0-9a-fA-F:]*\]):)?(\d{2,5})")
_LOCAL = re.compile(r"(?:0\.0\.0\.0|127\.0\.0\.1|localhost|\*|\[::1?\]|):")
_LEAST_DIGITS = 2
_LEAST_DIGITS_OF_A_LETTER = 3
"""`-p 80` may mean many things, `-p 8000` one."""


def protected(text: str) -> str:
    """Return the text so that nothing in it is replaced when an instance is spawned."""
    return re.sub(r"\$(?=[{$])", "$$", text)


def command_of_line(line: str) -> str | list[str]:
    """Return the command for what was a line for a shell.

    A line that needs no shell stays what it is, its port as `${PORT}`; any other goes to
    `sh -c` as it was written, so that it means the same.
    """
    line = line.strip()
    plain = _PORT_FORMS.sub(lambda _: PORT, line)
    if not _needs_shell(plain):
        return plain
    return ["sh", "-c", protected(line)]


def _needs_shell(line: str) -> bool:
    if _SHELL_ONLY.search(line) or _ASSIGNMENT.match(line) or ("'" in line and PORT in line):
        return True
    try:
        return not any(shlex.split(line))
    except ValueError:
        return True


def leading_variables(line: str) -> tuple[dict[str, str], str]:
    """Return the variables that a line sets for its program, and the rest of the line."""
    variables: dict[str, str] = {}
    rest = line.strip()
    while (match := _SET.match(rest)) and rest[match.end() :]:
        variables[match[1]] = match[2]
        rest = rest[match.end() :]
    return variables, rest


def arguments(command: str | list[str]) -> list[str]:
    """Return a command's arguments, `exec` in front left out; empty for what a shell runs."""
    argv = shlex.split(command) if isinstance(command, str) else list(command)
    if argv[:2] == ["sh", "-c"]:
        return []
    return argv[1:] if argv[:1] == ["exec"] else argv


def mentions_port(line: str) -> bool:
    """Whether a line takes its port from the environment."""
    return _PORT_FORMS.search(line) is not None


def default_port(line: str) -> int | None:
    """Return the port that a line falls back to: 8000 in `${PORT:-8000}`."""
    match = _PORT_DEFAULT.search(line)
    return valid_port(match[1]) if match else None


def told_port(argv: list[str]) -> tuple[int | None, list[str]]:
    """Return the port that the arguments name, and the arguments with `${PORT}` in its place."""
    for index in range(1, len(argv)):
        option, equals, value = argv[index].rpartition("=")
        least = _LEAST_DIGITS
        if equals and option in _PORT_OPTIONS:
            before, candidate = f"{option}=", value
        elif argv[index - 1] in _PORT_OPTIONS | _BEFORE_A_PORT or _LOCAL.match(argv[index]):
            before, candidate = "", argv[index]
            least = _LEAST_DIGITS_OF_A_LETTER if len(argv[index - 1]) == len("-p") else least
        else:
            continue
        match = _ADDRESS.fullmatch(candidate)
        port = valid_port(match[2]) if match else None
        if match and port and (match[1] or len(match[2]) >= least):
            changed = f"{before}{match[1] or ''}{PORT}"
            return port, [*argv[:index], changed, *argv[index + 1 :]]
    return None, argv


def joined(argv: list[str]) -> str | list[str]:
    """Return the arguments as one text where that is as clear, else as the list."""
    text = " ".join(argv)
    try:
        return text if shlex.split(text) == argv else argv
    except ValueError:
        return argv
