"""Status documents and messages as the daemon sends them."""

from typing import Any

Json = dict[str, Any]


def instance(name: str, **changes: Any) -> Json:
    return {
        "id": name,
        "generation": 1,
        "pid": 4711,
        "host": "127.0.0.1",
        "port": 40123,
        "status": "running",
        "health": "healthy",
        "connections": 0,
        "breaker": {"state": "closed"},
        "restarts": 0,
        "exit_code": None,
        "started_at": "2026-01-01T00:00:00Z",
        "uptime": 11.9,
        "rss": 15000000,
        **changes,
    }


def service(name: str, **changes: Any) -> Json:
    return {
        "name": name,
        "service_type": "api",
        "status": "running",
        "health": "healthy",
        "port": 8001,
        "url": "http://localhost:8001",
        "replicas": 1,
        "ready": 1,
        "restarts": 0,
        "dependencies": [],
        "balancer": "round_robin",
        "breaker": {"state": "closed"},
        "instances": [instance(f"{name}-1")],
        **changes,
    }


def stopped(name: str, **changes: Any) -> Json:
    return service(name, status="stopped", health="unknown", ready=0, instances=[], **changes)


def status(*services: Json) -> Json:
    return {
        "schema_version": 1,
        "project": "shop",
        "gateway": "http://127.0.0.1:8700",
        "uptime": 12.3,
        "total_services": len(services),
        "running_services": sum(s["status"] == "running" for s in services),
        "registered_services": len(services),
        "services": list(services),
    }


def accepted(*names: str, **changes: Any) -> Json:
    row = {"status": "stopped", "health": "unknown", "port": 8001, "replicas": 1, "ready": 0}
    rows = [{"name": name, "dependencies": [], **row, **changes} for name in names]
    return {"type": "accepted", "operation": "op-1", "services": rows}


def event(name: str, kind: str, before: str, after: str, reason: str = "") -> Json:
    return {
        "type": "event",
        "time": "2026-01-01T00:00:00.000000Z",
        "service": name,
        "instance": f"{name}-1",
        "kind": kind,
        "from": before,
        "to": after,
        "reason": reason,
    }


def result(exit_code: int = 0, **changes: Any) -> Json:
    return {
        "type": "result",
        "exit_code": exit_code,
        "message": "",
        "failures": [],
        "problems": [],
        "changes": [],
        "status": status(),
        **changes,
    }
