from typing import Any

from msctl.render.projects_table import projects_lines


def project(name: str, **keys: Any) -> dict[str, Any]:
    stopped = {
        "running": False, "isolated": None, "gateway": None, "running_services": 0,
        "total_services": 3, "uptime": None,
    }  # fmt: skip
    return {"name": name, **stopped, **keys}


RUNS = {"running": True, "gateway": "http://127.0.0.1:8701", "uptime": 63.4}


def test_every_fleet_is_a_line_with_what_is_known() -> None:
    lines = projects_lines(
        [
            project("shop"),
            project("ci", **RUNS, isolated=True, running_services=2),
            project("old", **RUNS, isolated=False, total_services=None),
            project("hung", **{**RUNS, "uptime": None}),
        ],
        width=None,
        decorated=False,
    )
    assert [" ".join(line.split()) for line in lines] == [
        "NAME STATUS GATEWAY SERVICES UPTIME",
        "shop stopped - 0/3 -",
        "ci running (isolated) http://127.0.0.1:8701 2/3 1m 3s",
        "old running http://127.0.0.1:8701 0/- 1m 3s",
        "hung no answer http://127.0.0.1:8701 0/3 -",
    ]
