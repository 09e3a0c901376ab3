"""Health checks of other tools, as msctl makes them."""

import re

from msctl.config.drafting.compose_text import converted, literal
from msctl.config.drafting.shell import PORT, protected
from msctl.config.drafting.sketch import Keys, Value
from msctl.config.drafting.source_tree import (
    Tree,
    is_true,
    seconds,
    shown,
    text,
    texts,
    tree,
    whole,
)

_URL = re.compile(
    r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::(?:\d+|\$\{?\w+\}?))?(/[^\s'\"|;&)]*)?"
)
_ASKS_OVER_HTTP = re.compile(r"\b(curl|wget|http)\b|urllib|requests|fetch\(")
_USUAL_START = 30.0
_COMPOSE_TIMES = {"interval": "interval", "timeout": "timeout"}
_PROBE_TIMES = {"period_seconds": "interval", "timeout_seconds": "timeout"}
_PROBE_COUNTS = {"success_threshold": "rise", "failure_threshold": "fall"}


def from_compose(check: Tree, *, is_http: bool, port: int | None) -> tuple[Keys, list[str]]:
    """Return the keys that a compose `healthcheck` becomes; `port` is the container's."""
    test = check.get("test")
    parts = texts(test)
    if is_true(check.get("disable")) or parts[:1] == ["NONE"]:
        return {"health": "none"}, []
    health: dict[str, Value] = {}
    keys: Keys = {}
    if parts:
        _ask(health, keys, parts, in_shell=isinstance(test, str), is_http=is_http, port=port)
    for source, target in _COMPOSE_TIMES.items():
        if (duration := seconds(check.get(source))) is not None:
            health[target] = duration
    if (retries := whole(check.get("retries"))) is not None:
        health["fall"] = retries
    start = seconds(check.get("start_period"))
    if start is not None and start > _USUAL_START:
        keys["start_timeout"] = start
    if health:
        keys["health"] = health
    known = {"test", "disable", "retries", "start_period", *_COMPOSE_TIMES}
    return keys, [
        f"healthcheck, left out: {shown(k, v)}" for k, v in check.items() if k not in known
    ]


def _ask(
    health: dict[str, Value],
    keys: Keys,
    parts: list[str],
    *,
    in_shell: bool,
    is_http: bool,
    port: int | None,
) -> None:
    kind, rest = ("CMD-SHELL", parts) if in_shell else (parts[0], parts[1:])
    line = " ".join(rest)
    url = _URL.search(line)
    if is_http and url and _ASKS_OVER_HTTP.search(line):
        keys["health_check_path"] = converted(url[1] or "/")
        return
    if port is not None:
        rest = [re.sub(rf"(?<!\d){port}(?!\d)", lambda _: PORT, part) for part in rest]
    if kind == "CMD-SHELL":
        shell = " ".join(protected(literal(part)) for part in rest)
        health["command"] = ["sh", "-c", shell.replace(protected(PORT), PORT)]
    else:
        health["command"] = [part if PORT in part else converted(part) for part in rest]


def from_probe(probe: Tree, *, is_http: bool) -> tuple[Keys, list[str]]:
    """Return the keys that a probe of process-compose becomes: http_get or exec."""
    keys: Keys = {}
    health: dict[str, Value] = {}
    http = tree(probe.get("http_get"))
    command = text(tree(probe.get("exec")).get("command"))
    if http and is_http:
        path = text(http.get("path")) or "/"
        keys["health_check_path"] = path if path.startswith("/") else f"/{path}"
    elif command:
        health["command"] = ["sh", "-c", protected(literal(command))]
    for source, target in _PROBE_TIMES.items():
        if (duration := seconds(probe.get(source))) is not None:
            health[target] = duration
    for source, target in _PROBE_COUNTS.items():
        if (count := whole(probe.get(source))) is not None:
            health[target] = count
    if health:
        keys["health"] = health
    known = {"http_get", "exec", *_PROBE_TIMES, *_PROBE_COUNTS}
    left_out = [shown(key, value) for key, value in probe.items() if key not in known]
    return keys, [f"probe, left out: {each}" for each in left_out]


def probed_port(probe: Tree) -> object:
    """Return the port that an http_get asks, as it is written."""
    return tree(probe.get("http_get")).get("port")
