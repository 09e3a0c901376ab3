import json
from pathlib import Path
from typing import Any

from msctl.render.doctor_text import doctor_lines
from tests.cli.terminal import msctl, on_terminal

FINDINGS: list[dict[str, Any]] = [
    {"level": "ok", "topic": "python", "what": "interpreter", "message": "3.11.7", "hint": ""},
    {"level": "warn", "topic": "ports", "what": "gateway", "message": "is held", "hint": "set it"},
    {"level": "fail", "topic": "ports", "what": "order", "message": "bad\x1b[2J", "hint": ""},
]
DOCUMENT = {
    "schema_version": 1,
    "healthy": False,
    "counts": {"ok": 1, "warn": 1, "fail": 1},
    "findings": FINDINGS,
}


def application(project: Path) -> None:
    """Make the modules that the configuration names."""
    (project / "shop").mkdir()
    for name in ("users", "orders"):
        (project / "shop" / f"{name}.py").write_text("raise SystemExit('imported')\n")
    (project / "msctl.yaml").write_text(
        "services:\n"
        "  user-service: {port: auto, app: shop.users:app}\n"
        "  order-service: {port: auto, app: shop.orders:app}\n"
    )


def test_findings_are_grouped_and_counted_one_line_each() -> None:
    assert doctor_lines(DOCUMENT, decorated=False) == [
        "python",
        "  ok    interpreter: 3.11.7",
        "ports",
        "  warn  gateway: is held (set it)",
        "  fail  order: bad [2J",
        "1 failed, 1 warning, 1 ok",
    ]


def test_a_fleet_that_can_run_is_0_and_nothing_is_imported(project: Path) -> None:
    application(project)
    done = msctl(project, "doctor")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert "  ok    found: user-service, order-service" in lines
    assert "  ok    daemon: none runs (msctl up starts it)" in lines
    assert "\x1b" not in done.out
    assert lines[-1].startswith("0 failed, ")


def test_what_keeps_it_from_running_is_1(project: Path) -> None:
    application(project)
    (project / "shop" / "orders.py").unlink()
    done = msctl(project, "doctor")
    assert done.code == 1
    assert "  fail  order-service: shop.orders:app: there is no module" in done.out


def test_a_bad_configuration_is_part_of_the_report(project: Path) -> None:
    (project / "msctl.yaml").write_text("services:\n  a: {prot: 1}\n  b: {image: x}\n")
    done = msctl(project, "doctor")
    assert done.code == 1
    assert "  fail  msctl.yaml:2: services.a.prot: unknown key" in done.out
    assert "  fail  msctl.yaml:3: services.b.image: unknown key" in done.out
    assert "  ok    interpreter: " in done.out


def test_without_a_configuration_the_machine_is_examined_all_the_same(tmp_path: Path) -> None:
    done = msctl(tmp_path, "doctor")
    assert done.code == 1
    assert "  fail  configuration: no configuration here" in done.out
    assert "  ok    interpreter: " in done.out


def test_json_is_one_document(project: Path) -> None:
    application(project)
    done = msctl(project, "doctor", "--json")
    document = json.loads(done.out)
    assert (document["schema_version"], document["healthy"]) == (1, True)
    assert {"python", "machine", "config", "programs", "state", "warm start"} <= {
        finding["topic"] for finding in document["findings"]
    }
    keys = {"level", "topic", "what", "message", "hint"}
    assert all(finding.keys() == keys for finding in document["findings"])


def test_levels_are_coloured_on_a_terminal_only(project: Path) -> None:
    application(project)
    assert "\x1b[32mok  \x1b[0m" in on_terminal(project, ["doctor"]).out


def test_a_file_is_examined_when_it_is_named(project: Path, tmp_path: Path) -> None:
    application(project)
    done = msctl(tmp_path, "doctor", "-f", str(project / "msctl.yaml"))
    assert done.code == 0
    assert "configuration: shop/msctl.yaml: 2 services" in done.out
