"""The picture of a comparison made by proxy.py.

    python benchmarks/plot.py RESULTS.json docs/proxies.svg

Needs matplotlib (`pip install ".[bench]"`).
"""

import json
import sys
from pathlib import Path
from typing import Any

_OWN, _OTHERS = "#c2410c", "#94a3b8"


def draw(document: dict[str, Any], target: Path) -> None:
    """Write bars of the processor time per request, one group for each row of the table."""
    # Imported here: only who draws needs it.
    import matplotlib as mpl  # noqa: PLC0415 - see above
    from matplotlib import pyplot as plt  # noqa: PLC0415

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "msctl"  # the same data gives the same file
    summaries = document["summaries"]
    rows = list(dict.fromkeys(one["row"] for one in summaries))
    figure, axes = plt.subplots(1, len(rows), figsize=(4 * len(rows), 3.2), squeeze=False)
    for axis, row in zip(axes[0], rows, strict=True):
        _draw_row(axis, row, [one for one in summaries if one["row"] == row])
    figure.suptitle("processor time per request, microseconds (less is better)", fontsize=11)
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)


def _draw_row(axis: Any, row: str, summaries: list[dict[str, Any]]) -> None:
    names = [one["proxy"] for one in summaries]
    values = [one["cpu_per_request"] * 1e6 for one in summaries]
    colours = [_OWN if name == "msctl" else _OTHERS for name in names]
    bars = axis.barh(names, values, color=colours)
    axis.bar_label(bars, fmt="%.0f", padding=3, fontsize=9)
    axis.set_title(row, fontsize=10)
    axis.invert_yaxis()
    axis.margins(x=0.15)
    axis.spines[["top", "right", "bottom"]].set_visible(False)
    axis.tick_params(bottom=False, labelbottom=False, left=False)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
