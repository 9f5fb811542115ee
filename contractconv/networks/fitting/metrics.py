"""What is measured of a network, epoch by epoch: as rows, as a file, as a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from contractconv import whole_files
from contractconv.errors import OperandError, ParameterError

Metric = Callable[[Any, Any], float]
"""A function of what a network makes and of what is wanted, both arrays: a mean over rows."""
Row = dict[str, float]


def accuracy(made: Any, wanted: Any) -> float:
    """The share of rows whose greatest score is at the label.

    Example:
        >>> accuracy(np.array([[0.2, 0.8], [0.9, 0.1]]), np.array([1, 1]))
        0.5
    """
    labels = wanted if wanted.ndim < made.ndim else wanted.argmax(-1)
    return float(np.mean(made.argmax(-1) == labels))


def mean_absolute_error(made: Any, wanted: Any) -> float:
    """How far off it is on average.

    Example:
        >>> mean_absolute_error(np.array([1.0, 3.0]), np.array([1.0, 2.0]))
        0.5
    """
    return float(np.mean(np.abs(made - wanted)))


METRICS: dict[str, Metric] = {
    "accuracy": accuracy,
    "mean_absolute_error": mean_absolute_error,
}
"""By name; each is one entry."""


def as_metrics(given: Any, loss: Any) -> dict[str, Metric]:
    """What is to be measured.

    Args:
        given: names, functions, or functions by name; ``None`` for what suits the loss.
        loss: what the network is trained by.

    Raises:
        ParameterError: there is no metric of a name, or two of one.
    """
    if given is None:
        given = ("accuracy",) if loss == "cross_entropy" else ()
    if isinstance(given, Mapping):
        listed = list(given.items())
    else:
        several = [given] if isinstance(given, str) or callable(given) else list(given)
        listed = list(map(_named, several))
    _check_apart([name for name, _ in listed])
    return dict(listed)


def _check_apart(names: Sequence[str]) -> None:
    """See that each is measured under a name of its own."""
    for n, name in enumerate(names):
        if name == "loss" or name in names[:n]:
            raise ParameterError(
                f"there are two measures {name!r}: say metrics={{name: function}}, with other names"
            )


def _named(given: Any) -> tuple[str, Metric]:
    if isinstance(given, str):
        if given not in METRICS:
            raise ParameterError(
                f"there is no metric {given!r}: give one of {', '.join(METRICS)}, or a function of "
                "what the network makes and of what is wanted"
            )
        return given, METRICS[given]
    if not callable(given):
        raise ParameterError(f"metrics={given!r} is neither a name nor a function")
    return getattr(given, "__name__", "metric"), given


def written(rows: Sequence[Row]) -> str:
    """Rows as comma-separated values, with a line of names.

    Example:
        >>> written([{"epoch": 1, "loss": 0.5}]).splitlines()
        ['epoch,loss', '1,0.5']
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO()
    writer = csv.DictWriter(file, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def write_csv(rows: Sequence[Row], path: str | Path) -> None:
    """Write rows to a file, which is there as a whole at any time.

    Raises:
        OperandError: it cannot be written.
    """
    try:
        whole_files.write(Path(path), written(rows).encode())
    except OSError as error:
        raise OperandError(f"metrics cannot be written to {path}: {error.strerror}") from None


def plot(rows: Sequence[Row], path: str | Path | None = None) -> Any:
    """Draw what was measured against epochs: losses on the left, what is left on the right.

    Args:
        rows: what was measured.
        path: where the picture is saved.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is missing; the message says what to install.
        OperandError: the picture cannot be written.
    """
    figure = new_figure()
    names = list(dict.fromkeys(n for row in rows for n in row if n not in _ASIDE))
    panels = [group for group in (_losses(names), _others(names)) if group]
    for position, group in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), position)
        for name in group:
            known = [(row["epoch"], row[name]) for row in rows if name in row]
            axes.plot(*zip(*known, strict=True), label=name.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.tight_layout()
    if path is not None:
        _save(figure, path)
    return figure


def _save(figure: Any, path: str | Path) -> None:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OperandError(f"the picture cannot be written to {path}: {reason}") from None


_ASIDE = ("epoch", "step", "seconds", "rate")


def _losses(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.endswith("loss")]


def _others(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.endswith("loss")]


def new_figure() -> Any:
    """A figure with nothing in it, that needs no window.

    Raises:
        ImportError: matplotlib is missing; the message says what to install.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install matplotlib") from None
    figure = Figure(figsize=(9, 3.6))
    FigureCanvasAgg(figure)
    return figure
