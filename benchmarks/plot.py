"""Results as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.layers import BACKWARD, FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT
from benchmarks.peers import OURS
from benchmarks.results import FASTER_TORCH, Results, unique

COLORS = {
    FORWARD: "#3b6ea5",
    INPUT_GRADIENT: "#e08a3c",
    WEIGHT_GRADIENT: "#5a9e6f",
    BACKWARD: "#b0615f",
    "step": "#7a6aa8",
}
GAP = 0.8  # between two cases, in bars


def plot(results: Results, path: Path, ours: str = OURS) -> None:
    """Draw the ratio to torch of every measurement as a bar: to the right of 1 ours is faster.

    Bars are pale where other processes disturbed the measurement.
    """
    mpl.use("Agg")
    bars = ratios(results, ours)
    places, labels = positions([bar.case for bar in bars])
    figure, axes = plt.subplots(figsize=(9, 1.5 + 0.19 * (places[-1] + 1)), layout="constrained")
    for place, bar in zip(places, bars, strict=True):
        _draw(axes, place, bar)
    _label(axes, labels)
    colors = unique(bar.direction for bar in bars)
    patches = [mpl.patches.Patch(color=COLORS[d], label=d) for d in colors]
    figure.legend(handles=patches, ncols=len(patches), loc="outside upper center", frameon=False)
    axes.set_xlabel(f"time of {FASTER_TORCH} / time of {ours}")
    figure.savefig(path, dpi=150)
    plt.close(figure)


class Bar(NamedTuple):
    """A measurement, its ratio to torch, and whether it was disturbed."""

    case: str
    direction: str
    ratio: float
    disturbed: bool


def ratios(results: Results, ours: str) -> list[Bar]:
    """The bars of all measurements that both have a time for.

    Raises:
        SystemExit: there is nothing of the kind.
    """
    found = [
        Bar(
            str(r.measurement.case), r.measurement.direction, ratio, r.disturbed(FASTER_TORCH, ours)
        )
        for r in results.records
        if (ratio := r.ratio(FASTER_TORCH, ours)) is not None
    ]
    if not found:
        raise SystemExit(f"nothing to plot: no measurement has times of torch and of {ours}")
    return found


def positions(cases: list[str]) -> tuple[list[float], dict[str, float]]:
    """Where the bars stand, with a gap between cases, and where the name of each case.

    >>> positions(["a", "a", "b"])
    ([0.0, 1.0, 2.8], {'a': 0.5, 'b': 2.8})
    """
    group = unique(cases)
    places = [n + GAP * group.index(case) for n, case in enumerate(cases)]
    of = {case: [p for p, c in zip(places, cases, strict=True) if c == case] for case in group}
    return places, {case: (bars[0] + bars[-1]) / 2 for case, bars in of.items()}


def _draw(axes: Any, place: float, bar: Bar) -> None:
    strength = 0.3 if bar.disturbed else 1
    # A bar starts at 1, where both are equally fast.
    color = COLORS[bar.direction]
    axes.barh(place, bar.ratio - 1, left=1, height=0.85, color=color, alpha=strength)
    side = "left" if bar.ratio >= 1 else "right"
    text = f" {'~' * bar.disturbed}{bar.ratio:.2f} "
    axes.text(bar.ratio, place, text, ha=side, va="center", fontsize=7)


def _label(axes: Any, labels: dict[str, float]) -> None:
    axes.set_yticks(list(labels.values()), list(labels), fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.08, y=0.01)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(LogLocator(base=2))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.axvline(1, color="black", linewidth=1)
    axes.grid(axis="x", linewidth=0.4, alpha=0.6)
    axes.set_axisbelow(True)
