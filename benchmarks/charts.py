"""Bars and curves as SVG, for benchmarks that compare things (`pip install ".[bench]"`)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_OWN, _OTHERS = "#c2410c", "#94a3b8"
_CURVES = ("#c2410c", "#0f766e", "#1d4ed8", "#7c3aed", "#a16207")


@contextmanager
def panels(target: Path, count: int, title: str) -> Iterator[Sequence[Any]]:
    """Give so many axes side by side and write the file when they are drawn."""
    # Imported here: only who draws needs it.
    import matplotlib as mpl  # noqa: PLC0415 - see above
    from matplotlib import pyplot as plt  # noqa: PLC0415

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "msctl"  # the same data gives the same file
    figure, axes = plt.subplots(1, count, figsize=(4.2 * count, 3.2), squeeze=False)
    yield axes[0]
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)


def bars(axis: Any, title: str, values: Mapping[str, float], form: str) -> None:
    """Draw a bar for each name, msctl's in their own colour, with its value as `form` says."""
    colours = [_OWN if name.startswith("msctl") else _OTHERS for name in values]
    drawn = axis.barh(list(values), list(values.values()), color=colours)
    axis.bar_label(drawn, fmt=form, padding=3, fontsize=9)
    axis.set_title(title, fontsize=10)
    axis.invert_yaxis()
    axis.margins(x=0.15)
    axis.spines[["top", "right", "bottom"]].set_visible(False)
    axis.tick_params(bottom=False, labelbottom=False, left=False)


def curves(axis: Any, title: str, lines: Mapping[str, Mapping[int, float]]) -> None:
    """Draw a curve for each name, both scales logarithmic."""
    for colour, (name, points) in zip(_CURVES, lines.items(), strict=False):
        axis.plot(list(points), list(points.values()), marker="o", color=colour, label=name)
    axis.set(xscale="log", yscale="log")
    axis.set_title(title, fontsize=10)
    low, high = axis.get_ylim()
    axis.set_ylim(low, high * 20)  # room for the legend
    axis.legend(fontsize=7, loc="upper left", ncols=2, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
