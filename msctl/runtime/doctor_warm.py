"""The checks of warm start: which services are forked from the template, and what keeps others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from msctl.config.models import ServiceConfig
from msctl.config.process import StartMode
from msctl.runtime.doctor import Finding, Topic, enumerate_names, ok, warn
from msctl.runtime.warm_spawner import start_variable


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmFacts:
    """What decides how the instances of a fleet are started."""

    platform: str
    services: Sequence[ServiceConfig]
    environment: Mapping[str, str]
    """That of the command that would start them."""
    preload: Sequence[str] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    """By module of `preload`, why it cannot be imported."""


def check_warm_start(facts: WarmFacts) -> Iterator[Finding]:
    """Say what is forked, what is exec'd and why."""
    if facts.platform != "linux":
        yield warn(Topic.WARM_START, "template", "only on Linux; everything is exec'd")
        return
    cold: dict[str, list[str]] = {}
    warm = []
    for service in facts.services:
        if (reason := why_cold(service)) is not None:
            cold.setdefault(reason, []).append(service.name)
        elif variable := _start_variable(service, facts.environment):
            message = f"exec'd: its environment sets {variable}, which takes effect only at a start"
            hint = f"set {variable} for the command that starts the fleet instead"
            yield warn(Topic.WARM_START, service.name, message, hint)
        else:
            warm.append(service.name)
    if facts.failures and warm:
        yield from _preload_failures(facts, warm)
    elif warm:
        yield ok(Topic.WARM_START, "forked", enumerate_names(warm))
    for reason, names in cold.items():
        yield ok(Topic.WARM_START, "exec'd", f"{enumerate_names(names)} ({reason})")
    if facts.preload and not facts.failures:
        yield ok(Topic.WARM_START, "preload", enumerate_names(facts.preload))


def why_cold(service: ServiceConfig) -> str | None:
    """Return what in its configuration has a service exec'd; None when it may be forked."""
    if service.command is not None:
        return "command"
    if service.python is not None:
        return "python: another interpreter"
    return "start: exec" if service.start is StartMode.EXEC else None


def _start_variable(service: ServiceConfig, environment: Mapping[str, str]) -> str | None:
    final = {**environment, **service.file_environment, **service.environment}
    return start_variable(final, environment)


def _preload_failures(facts: WarmFacts, warm: Sequence[str]) -> Iterator[Finding]:
    for module, reason in facts.failures.items():
        message = f"{module} cannot be imported ({reason}); {enumerate_names(warm)} are exec'd"
        hint = "install it, or take it out of preload"
        yield warn(Topic.WARM_START, "preload", message, hint)
