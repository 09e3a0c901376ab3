"""What was probably meant: near names, and what other tools call the same thing."""

import difflib
from collections.abc import Iterable

_PROCESSES = "msctl runs processes, not images: give a command"

# docker compose, process-compose, Kubernetes, supervisord, PM2, foreman, systemd, .NET Aspire.
OTHER_TOOLS: dict[str, str] = {
    "args": "command", "cmd": "command", "entrypoint": "command", "exec": "command",
    "exec_start": "command", "executable": "command", "program": "command", "run": "command",
    "script": "command", "shell": "command", "start_command": "command",
    "application": "app", "asgi": "app", "module": "app", "target": "app", "import": "app",
    "interpreter": "python",
    "cwd": "working_dir", "dir": "working_dir", "directory": "working_dir",
    "work_dir": "working_dir", "workdir": "working_dir", "working_directory": "working_dir",
    "after": "dependencies", "depends": "dependencies", "depends_on": "dependencies",
    "links": "dependencies", "needs": "dependencies", "requires": "dependencies",
    "wait_for": "dependencies", "waits_for": "dependencies",
    "env": "environment", "env_vars": "environment", "envs": "environment",
    "vars": "environment", "variables": "environment",
    "dotenv": "env_file", "env_files": "env_file", "envfile": "env_file",
    "environment_file": "env_file",
    "expose": "port", "listen": "port", "published": "port", "service_port": "port",
    "address": "host", "bind": "host", "hostname": "host", "interface": "host",
    "kind": "service_type", "type": "service_type",
    "health_check": "health", "healthcheck": "health", "readiness": "health",
    "readiness_probe": "health", "readinessprobe": "health", "startup_probe": "health",
    "health_endpoint": "health_check_path", "health_path": "health_check_path",
    "health_url": "health_check_path",
    "liveness_check": "liveness", "liveness_probe": "liveness", "livenessprobe": "liveness",
    "count": "replicas", "instances": "replicas", "numprocs": "replicas", "scale": "replicas",
    "workers": "replicas",
    "autoscale": "scaling", "autoscaling": "scaling", "hpa": "scaling",
    "lb": "balancer", "load_balancer": "balancer", "load_balancing": "balancer",
    "circuit_breaker": "breaker", "circuitbreaker": "breaker", "retry": "retries",
    "autorestart": "restart", "availability": "restart", "restart_policy": "restart",
    "cpu": "resources", "cpus": "resources", "deploy": "resources", "mem_limit": "resources",
    "memory": "resources", "nice": "resources", "ulimits": "resources",
    "kill_signal": "stop_signal", "killsignal": "stop_signal", "stopsignal": "stop_signal",
    "grace_period": "stop_timeout", "kill_timeout": "stop_timeout",
    "shutdown": "stop_timeout", "stop_grace_period": "stop_timeout",
    "stopwaitsecs": "stop_timeout", "termination_grace_period_seconds": "stop_timeout",
    "listen_timeout": "start_timeout", "start_period": "start_timeout",
    "startsecs": "start_timeout",
    "request_timeout": "timeout",
    "database": "data", "databases": "data", "stores": "data", "volumes": "data",
    "groups": "profiles", "labels": "profiles", "profile": "profiles", "tags": "profiles",
    "autoreload": "watch", "develop": "watch", "reload": "watch",
    "accesslog": "access_log", "desc": "description", "title": "description",
}  # fmt: skip

ADVICE: dict[str, str] = {
    "build": _PROCESSES,
    "container_name": _PROCESSES,
    "dockerfile": _PROCESSES,
    "image": _PROCESSES,
    "disabled": "give the service a profile, and it starts only when that is asked for",
    "enabled": "give the service a profile, and it starts only when that is asked for",
    "networks": "all services share this machine's network; remove it",
    "version": "the format has no version; remove it",
}
"""Keys that have no counterpart here, and what to do instead."""

NESTED: dict[str, dict[str, str]] = {
    "": {
        "apps": "services", "functions": "services", "processes": "services",
        "programs": "services", "service": "services",
        "extends": "include", "imports": "include", "includes": "include",
        "name": "project", "project_name": "project",
        "common": "defaults", "default": "defaults", "proxy": "gateway",
    },
    "health": {
        "endpoint": "path", "url": "path", "uri": "path", "http_get": "path", "exec": "command",
        "test": "command", "cmd": "command", "port": "tcp", "tcp_socket": "tcp",
        "retries": "fall", "failure_threshold": "fall", "unhealthy_threshold": "fall",
        "success_threshold": "rise", "healthy_threshold": "rise", "status": "expect_status",
        "period_seconds": "interval", "timeout_seconds": "timeout",
    },
    "breaker": {
        "threshold": "failure_threshold", "failures": "failure_threshold",
        "fail_max": "failure_threshold", "max_failures": "failure_threshold",
        "recovery_timeout": "timeout", "reset_timeout": "timeout", "open_for": "timeout",
        "error_rate": "failure_rate", "rate": "failure_rate", "min_calls": "minimum_calls",
        "minimum_requests": "minimum_calls", "interval": "window",
    },
    "retries": {"max": "attempts", "max_attempts": "attempts", "retries": "attempts",
                "count": "attempts", "ratio": "budget"},
    "limits": {"max_connections": "in_flight", "max_in_flight": "in_flight",
               "concurrency": "in_flight", "max_queue": "queue", "idle_timeout": "idle"},
    "scaling": {"min_replicas": "min", "max_replicas": "max", "target": "target_connections"},
    "resources": {"mem": "memory", "mem_limit": "memory", "cpu": "cpus", "nofile": "open_files",
                  "priority": "nice"},
    "balancer": {"strategy": "algorithm", "policy": "algorithm", "type": "algorithm",
                 "warmup": "slow_start"},
    "gateway": {"bind": "host", "address": "host", "listen": "port"},
}  # fmt: skip
"""The same by section; the empty one is what stands beside the services."""
NESTED["liveness"] = NESTED["health"]

VALUES: dict[str, str] = {
    "service_started": "started", "service_healthy": "healthy", "running": "started",
    "process_healthy": "healthy", "process_started": "started", "ready": "healthy",
    "service_completed_successfully": "completed", "process_completed": "completed",
    "process_completed_successfully": "completed",
    "http": "api", "web": "api", "service": "api", "job": "worker", "task": "worker",
    "db": "database", "queue": "message_queue", "broker": "message_queue", "redis": "cache",
    "rr": "round_robin", "roundrobin": "round_robin", "leastconn": "least_connections",
    "least_conn": "least_connections", "least_request": "p2c", "ewma": "peak_ewma",
    "power_of_two": "p2c",
    "fork": "auto", "spawn": "exec",
}  # fmt: skip
"""What other tools call the values of our enumerations."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that this one is probably a misspelling of."""
    candidates = {name.lower(): name for name in known}
    matches = difflib.get_close_matches(_plain(word), candidates, n=1, cutoff=0.6)
    return candidates[matches[0]] if matches else None


def suggest_key(key: str, known: Iterable[str], section: str | None = None) -> str | None:
    """Return the key that was probably meant; `section` is None for the keys of a service."""
    known = list(known)
    table = OTHER_TOOLS if section is None else NESTED.get(section, {})
    names = (table.get(_plain(key)), table.get(_plain(key).rstrip("s")), nearest(key, known))
    return next((name for name in names if name in known), None)


def suggest_value(word: str, known: Iterable[str]) -> str | None:
    """Return the value of an enumeration that was probably meant."""
    known = list(known)
    names = (VALUES.get(_plain(word)), nearest(word, known))
    return next((name for name in names if name in known), None)


def did_you_mean(name: str | None) -> str:
    """Return the suggestion as it ends a message; empty without one."""
    return f" (did you mean {name}?)" if name else ""


def _plain(word: str) -> str:
    return word.strip().lower().replace("-", "_")
