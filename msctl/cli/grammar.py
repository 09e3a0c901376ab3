"""What can be written on the command line: the one definition of its commands and options.

Two parsers read it. `msctl.cli.app` makes a typer app of it, for people: help, completion,
messages. `msctl.cli.argv` takes what is plain at once, because most of the time of a short
command would go into importing typer. Plain data, for the same reason; no dataclasses or enums.
"""

# What the value of an option is.
FLAG = "flag"
"""No value: it is there or not."""
TEXT = "text"
TEXTS = "texts"
"""It may be repeated, and all of them count."""
PATH = "path"
PATHS = "paths"
SECONDS = "seconds"
"""A number above 0."""
COUNT = "count"
"""A whole number from 0 on."""
CHOICE = "choice"

# How often an argument is there.
ONE = "one"
OPTIONAL = "optional"
ANY = "any"
SOME = "some"
"""At least once."""
REST = "rest"
"""All that follows `--`, which has to be there with something behind it."""


class Option:
    """An option: the name of its value, its flags, what it takes and what it is for."""

    __slots__ = ("choices", "flags", "help", "kind", "metavar", "name")

    def __init__(
        self,
        name: str,
        flags: tuple[str, ...],
        kind: str,
        help: str,  # noqa: A002  what everybody calls it
        *,
        metavar: str | None = None,
        choices: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.flags = flags
        self.kind = kind
        self.help = help
        self.metavar = metavar
        self.choices = choices
        """The first one is the default."""


class Argument:
    """An argument; `services` says that the shell offers the services' names for it."""

    __slots__ = ("help", "metavar", "name", "services", "times")

    def __init__(
        self,
        name: str,
        times: str,
        help: str,  # noqa: A002  what everybody calls it
        *,
        metavar: str | None = None,
        services: bool = False,
    ) -> None:
        self.name = name
        self.times = times
        self.help = help
        self.metavar = metavar
        self.services = services


class Command:
    """A command; `exclusive` are pairs of options, and what to say when both are given."""

    __slots__ = ("alias", "arguments", "exclusive", "help", "name", "options")

    def __init__(
        self,
        name: str,
        help: str,  # noqa: A002  what everybody calls it
        *,
        arguments: tuple[Argument, ...] = (),
        options: tuple[Option, ...] = (),
        alias: str | None = None,
        exclusive: tuple[tuple[str, str, str], ...] = (),
    ) -> None:
        self.name = name
        self.help = help
        self.arguments = arguments
        self.options = options
        self.alias = alias
        self.exclusive = exclusive


_FILE_HELP = "Config file or directory; may be repeated."
FILE = Option("file", ("--file", "-f"), PATHS, _FILE_HELP, metavar="PATH")
_LONG_FILE = Option("file", ("--file",), PATHS, _FILE_HELP, metavar="PATH")
"""Where -f means --follow."""
PROJECT = Option(
    "project",
    ("--project", "-p"),
    TEXT,
    "The fleet of this name, beside the first.",
    metavar="NAME",
)
COMMON = (FILE, PROJECT)
"""What may stand before the command's name, too, and counts for all of them then."""
SERVICES = Argument(
    "services",
    ANY,
    "Services; all when none is named.",
    metavar="[SERVICE]...",
    services=True,
)
_TIMEOUT = Option(
    "timeout", ("--timeout",), SECONDS, "Give up after this many seconds.", metavar="S"
)
_FOLLOW = Option("follow", ("--follow", "-f"), FLAG, "Go on with what comes.")
_PROFILE = Option("profile", ("--profile",), TEXTS, "Services of this profile too.", metavar="P")
_JSON_LINES = Option("as_json", ("--json",), FLAG, "One JSON object a line.")

COMMANDS = (
    Command(
        "up",
        "Start services with what they need; return when all are healthy.",
        arguments=(SERVICES,),
        options=(
            Option("detach", ("--detach", "-d"), FLAG, "Return when all is healthy (the default)."),
            Option(
                "foreground",
                ("--foreground",),
                FLAG,
                "Stay, show the logs; Ctrl-C stops everything.",
            ),
            Option("no_deps", ("--no-deps",), FLAG, "Do not start what they depend on."),
            Option(
                "no_wait", ("--no-wait",), FLAG, "Return without waiting until they are healthy."
            ),
            _TIMEOUT,
            Option("scale", ("--scale",), TEXTS, "Number of instances.", metavar="NAME=N"),
            _PROFILE,
            Option(
                "isolated",
                ("--isolated",),
                FLAG,
                "One more fleet: a name, ports and data of its own.",
            ),
            Option("dry_run", ("--dry-run",), FLAG, "Print what would be started, in order."),
            Option("keep", ("--keep",), FLAG, "On failure leave everything as it is."),
            Option("watch", ("--watch", "-w"), FLAG, "Restart them when their files change."),
            *COMMON,
        ),
        exclusive=(("detach", "foreground", "--detach and --foreground exclude each other"),),
    ),
    Command(
        "status",
        "Show the services: status, health, address, instances.",
        arguments=(SERVICES,),
        options=(
            Option("as_json", ("--json",), FLAG, "One JSON document."),
            Option("watch", ("--watch",), FLAG, "Show it until interrupted."),
            Option("check", ("--check",), FLAG, "Exit 3 unless all that is wanted is healthy."),
            Option("quiet", ("--quiet", "-q"), FLAG, "Names only."),
            *COMMON,
        ),
        alias="ps",
        exclusive=(
            ("watch", "check", "--watch and --check exclude each other; see also: msctl wait"),
            ("as_json", "quiet", "--json and --quiet exclude each other"),
        ),
    ),
    Command(
        "call",
        "Send one request to a service and print the response's body.",
        arguments=(
            Argument("service", ONE, "Whom to call.", services=True),
            Argument("method", ONE, "GET, POST, ..."),
            Argument("path", ONE, "The path, with a query or without."),
            Argument("body", OPTIONAL, "JSON text, @FILE, or - for stdin."),
        ),
        options=(
            Option("header", ("--header", "-H"), TEXTS, "A header field.", metavar="'K: V'"),
            Option("query", ("--query", "-q"), TEXTS, "A query parameter.", metavar="K=V"),
            Option("include", ("--include", "-i"), FLAG, "Print status line and headers too."),
            Option("output", ("--output", "-o"), PATH, "Write the body there.", metavar="FILE"),
            _TIMEOUT,
            Option("instance", ("--instance",), TEXT, "This instance and no other.", metavar="ID"),
            Option("no_fail", ("--no-fail",), FLAG, "Exit 0 for a service's error status too."),
            Option("verbose", ("--verbose", "-v"), FLAG, "Say who answered, and how fast."),
            Option("each", ("--each",), FLAG, "Make a request of each line of stdin, its body."),
            Option(
                "parallel",
                ("--parallel", "-P"),
                COUNT,
                "With --each: so many at a time.",
                metavar="N",
            ),
            *COMMON,
        ),
        exclusive=(
            ("each", "body", "with --each the bodies come from stdin; leave BODY out"),
            ("each", "output", "--each and --output exclude each other"),
            ("each", "include", "--each and --include exclude each other"),
            ("each", "verbose", "--each and --verbose exclude each other"),
        ),
    ),
    Command(
        "logs",
        "Show the logs of services, merged by time.",
        arguments=(SERVICES,),
        options=(
            _FOLLOW,
            Option("lines", ("--lines", "-n"), COUNT, "Only the last N lines.", metavar="N"),
            Option(
                "since",
                ("--since",),
                TEXT,
                "Not older than this: 5m, 1h30m or a date.",
                metavar="TIME",
            ),
            _JSON_LINES,
            Option("no_prefix", ("--no-prefix",), FLAG, "The bare lines."),
            Option("timestamps", ("--timestamps", "-t"), FLAG, "Times, in UTC."),
            _LONG_FILE,
            PROJECT,
        ),
    ),
    Command(
        "stop",
        "Stop services; without names everything, and the daemon.",
        arguments=(SERVICES,),
        options=(
            _TIMEOUT,
            Option("kill", ("--kill",), FLAG, "Kill at once, without draining."),
            Option("data", ("--data",), FLAG, "Delete their data too, after asking."),
            Option("yes", ("--yes", "-y"), FLAG, "With --data: do not ask."),
            *COMMON,
        ),
        alias="down",
    ),
    Command(
        "start",
        "Start services that were stopped or have failed.",
        arguments=(SERVICES,),
        options=(_TIMEOUT, *COMMON),
    ),
    Command(
        "restart",
        "Restart services without failing a request.\n\n"
        "Configuration and environment are read again.",
        arguments=(SERVICES,),
        options=(
            Option("hard", ("--hard",), FLAG, "Stop first, then start."),
            Option(
                "parallel",
                ("--parallel",),
                COUNT,
                "Instances of a service that are replaced at once.",
                metavar="N",
            ),
            _TIMEOUT,
            *COMMON,
        ),
    ),
    Command(
        "scale",
        "Set how many instances services have.",
        arguments=(
            Argument(
                "scale",
                SOME,
                "Services and their number of instances.",
                metavar="NAME=N",
                services=True,
            ),
        ),
        options=(_TIMEOUT, *COMMON),
    ),
    Command(
        "wait",
        "Wait until services are healthy, stopped or completed.",
        arguments=(SERVICES,),
        options=(
            Option(
                "goal",
                ("--for",),
                CHOICE,
                "What to wait for.",
                choices=("healthy", "stopped", "completed"),
            ),
            _TIMEOUT,
            *COMMON,
        ),
    ),
    Command(
        "events",
        "Show what happened to the fleet: its last 1000 events.",
        arguments=(SERVICES,),
        options=(_FOLLOW, _JSON_LINES, _LONG_FILE, PROJECT),
    ),
    Command(
        "with",
        "Run a command beside a fleet of its own, which ends with it.\n\n"
        "The services are started isolated and with fresh data; when all are healthy the command "
        "runs, with their addresses in its environment. Its exit code is the result.",
        arguments=(
            SERVICES,
            Argument("command", REST, "The command and its arguments.", metavar="COMMAND..."),
        ),
        options=(_TIMEOUT, _PROFILE, FILE),
    ),
    Command(
        "run",
        "Run a command in place of an instance of a service.\n\n"
        "It gets the environment and the directory that the instance would get.",
        arguments=(
            Argument("service", ONE, "In whose place.", services=True),
            Argument("command", REST, "The command and its arguments.", metavar="COMMAND..."),
        ),
        options=COMMON,
    ),
)
