"""Everything that can go wrong, as facts; `msctl.cli.errors` turns them into exit codes.

MsctlError
├── ConfigError            the configuration has problems (exit 2)
├── UsageError             the command was used wrongly (exit 2)
│   └── UnknownService     no such service; knows the nearest name
│       └── UnknownInstance  no such instance of a service
├── NoDaemon               no daemon runs for this project (exit 4)
├── FleetError             services failed to start, stop or become healthy (exit 1)
├── PortInUse              another program holds a service port (exit 1)
├── TimeLimitExpired       `--timeout` of a command ran out (exit 124)
├── IllegalTransition      a state machine was asked for what its table forbids
└── CallError              a call to a service had no good answer
    ├── ServiceUnavailable the router refused it: open breaker, no instance, overload
    ├── CallTimeout        the call's time limit ran out
    └── ServiceError       the service itself answered with a status of 400 or above
"""

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a command may
if TYPE_CHECKING:
    from msctl.findings import Failure as Failure  # noqa: PLC0414 - exported
    from msctl.findings import Problem as Problem  # noqa: PLC0414 - exported


class MsctlError(Exception):
    """Root of all errors that msctl raises on purpose."""


class ConfigError(MsctlError):
    """The configuration has problems: all that one run could find, in file order."""

    def __init__(self, problems: "list[Problem]") -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class UsageError(MsctlError):
    """The command was used wrongly; the message says how to put it right."""


class UnknownService(UsageError):
    """No service has this name."""

    _kind = "service"

    def __init__(self, name: str, nearest: str | None = None) -> None:
        self.name = name
        self.nearest = nearest
        hint = f"; did you mean {nearest}?" if nearest else ""
        super().__init__(f"unknown {self._kind} {name}{hint}")


class UnknownInstance(UnknownService):
    """No instance has this name, which is given as SERVICE/INSTANCE."""

    _kind = "instance"


class NoDaemon(MsctlError):
    """No daemon runs for this project, or for the fleet of this name beside the first."""

    def __init__(self, project: str | None = None) -> None:
        if project is None:
            super().__init__("no fleet is running here; start it with: msctl up")
        else:
            super().__init__(
                f"no fleet {project} is running here; start it with: msctl -p {project} up"
            )


class FleetError(MsctlError):
    """Services failed to start, stop or become healthy."""

    def __init__(self, failures: "list[Failure]", message: str = "") -> None:
        self.failures = failures
        reasons = "; ".join(f"{failure.service}: {failure.reason}" for failure in failures)
        super().__init__(": ".join(filter(None, (message, reasons))))


class PortInUse(MsctlError):
    """Another program holds a port that the configuration names."""

    def __init__(self, service: str, port: int, holder: str | None = None) -> None:
        self.service = service
        self.port = port
        self.holder = holder
        by = f" by {holder}" if holder else ""
        super().__init__(
            f"{service}: port {port} is in use{by}; stop that program or change the service's port"
        )


class TimeLimitExpired(MsctlError):
    """`--timeout` of a command ran out before what it waited for had happened."""


class IllegalTransition(MsctlError):
    """A state machine was asked for a change that its table forbids; nothing was changed."""


class CallError(MsctlError):
    """A call to a service had no good answer."""

    def __init__(self, service: str, message: str) -> None:
        self.service = service
        super().__init__(f"{service}: {message}")


class ServiceUnavailable(CallError):
    """The router could not give the call to any instance.

    `reason` is one of the router's reasons (router.md); `retry_after` is in seconds,
    None when it is not known.
    """

    def __init__(
        self, service: str, reason: str, detail: str, retry_after: float | None = None
    ) -> None:
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(service, f"{reason}: {detail}")


class CallTimeout(CallError):
    """The call's time limit ran out; `seconds` is that limit."""

    def __init__(self, service: str, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(service, f"no answer within {seconds:g} s")


class ServiceError(CallError):
    """The service itself answered with a status of 400 or above; `body` is its answer."""

    def __init__(self, service: str, status: int, body: object) -> None:
        self.status = status
        self.body = body
        super().__init__(service, f"answered {status}: {body}")


def __getattr__(name: str) -> object:
    """Import what the exceptions carry when it is asked for: few commands need it."""
    if name not in {"Failure", "Problem"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from msctl import findings  # noqa: PLC0415 - for start-up time, see above

    return getattr(findings, name)
