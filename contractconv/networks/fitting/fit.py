"""Fitting a network to data: epochs of steps, what is measured, and what is kept to go on from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contractconv.errors import ParameterError, TrainingError
from contractconv.networks.fitting.data import Batch, Source
from contractconv.networks.fitting.metrics import Metric, Row, plot, write_csv
from contractconv.networks.fitting.progress import Progress
from contractconv.networks.fitting.progressed import Best, Progressed, Saved
from contractconv.networks.fitting.stepper import Stepper
from contractconv.networks.nesting import Nested, nested

if TYPE_CHECKING:
    from contractconv.networks.network import Network
    from contractconv.training import KFAC, Optimizer

Augment = Callable[[Batch, np.random.Generator], Sequence[Any]]


@dataclass
class Fit:
    """What came of a training.

    Attributes:
        params: the parameters: the last ones, or the best ones if there was a ``patience``.
        average: their moving average, if there was one.
        rows: what was measured, a row an epoch.
        steps: how many steps there were.
        seconds: how long it took, earlier runs of the same training among it.
        stopped: why it ended: ``"epochs"`` or ``"patience"``.
    """

    params: Nested
    average: Nested | None
    rows: list[Row]
    steps: int
    seconds: float
    stopped: str

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw what was measured, epoch by epoch; save it if there is a path."""
        return plot(self.rows, path)

    def __str__(self) -> str:
        last = self.rows[-1] if self.rows else {}
        told = [f"{n.replace('_', ' ')} {v:.4g}" for n, v in last.items() if n not in _COUNTS]
        return ", ".join((f"{self.steps} steps in {self.seconds:.1f} s", *told))

    def __repr__(self) -> str:
        return f"<fit: {self}>"


_COUNTS = ("epoch", "step", "seconds", "rate")


@dataclass(frozen=True)
class Measures:
    """What is measured after each epoch.

    Attributes:
        loss: what the network is measured by.
        metrics: what else.
        validation: on which data.
        monitor: what ought to get better.
        patience: after how many epochs in which it does not the training ends.
    """

    loss: Any
    metrics: Mapping[str, Metric]
    validation: Source | None
    monitor: str
    patience: int | None

    def is_better(self, now: float, before: float) -> bool:
        """Losses and errors get smaller, everything else greater."""
        smaller = self.monitor.endswith(("loss", "error"))
        return now < before if smaller else now > before


@dataclass(frozen=True)
class Training:
    """A training: who makes steps of which data, and what is done in between.

    Attributes:
        network: what is trained.
        optimizer: what says the rates.
        stepper: what takes steps.
        source: where batches come from.
        epochs: how many there will be.
        augment: what is done to each batch before.
        measures: what is measured.
        saved: where it is kept; ``None`` for nowhere.
        every: after how many steps it is kept; ``None`` for after each epoch.
        csv: where rows are written.
        picture: where they are drawn.
        progress: what shows how far it is.
    """

    network: Network
    optimizer: Optimizer | KFAC
    stepper: Stepper
    source: Source
    epochs: int
    augment: Augment | None
    measures: Measures
    saved: Saved | None
    every: int | None
    csv: str | Path | None
    picture: str | Path | None
    progress: Progress

    def run(self, at: Progressed) -> Fit:
        """Go on from where it is until it is over."""
        began = time.perf_counter() - at.seconds
        with self.progress:
            self.progress.begin(self._total(), at.step)
            while at.epoch < self.epochs and not self._is_over(at):
                self._epoch(at, began)
        stopped = "patience" if self._is_over(at) else "epochs"
        trained = at.best.arrays if at.best is not None else at.state["parameters"]
        average = at.state.get("average")
        return Fit(
            _nested(trained), None if average is None else _nested(self._averaged(at)),
            at.rows, at.step, at.seconds, stopped,
        )  # fmt: skip

    def _total(self) -> int | None:
        return None if self.source.steps is None else self.epochs * self.source.steps

    def _epoch(self, at: Progressed, began: float) -> None:
        """What is left of an epoch; then what is measured."""
        if not at.position:
            at.order = int(at.rng.integers(1 << 62))
        for batch in self.source.epoch(np.random.default_rng(at.order), at.position):
            self._step(at, batch)
            if self.every and at.step % self.every == 0:
                self._keep(at, began)
        self._check_any(at)
        row = self._row(at, time.perf_counter() - began)
        at.rows.append(row)
        self._remember(at, row)
        at.epoch, at.position, at.summed, at.counted = at.epoch + 1, 0, 0.0, 0
        self._show(at)
        if not self.every or at.epoch == self.epochs or self._is_over(at):
            self._keep(at, began)
        at.seconds = time.perf_counter() - began

    def _step(self, at: Progressed, batch: Batch) -> None:
        taken = batch if self.augment is None else tuple(self.augment(batch, at.rng))
        rate = self._rate(at)
        loss, state = self.stepper(taken, at.step + 1, rate, at.state, at.rng)
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} in step {at.step + 1} (epoch {at.epoch + 1}, rate {rate:.3g}):"
                " take a lower rate, or clip gradients with clip=1.0; the last checkpoint, if "
                "there is one, is from before"
            )
        rows = len(taken[-1])
        at.state, at.step, at.position = state, at.step + 1, at.position + 1
        at.summed, at.counted = at.summed + loss * rows, at.counted + rows
        self.progress.step(loss)

    def _rate(self, at: Progressed) -> float:
        total = self._total()
        if total is None and callable(self.optimizer.rate):
            raise ParameterError(
                "a rate that changes needs to know how many steps there will be: say "
                "steps_per_epoch="
            )
        return self.optimizer.rate_at(at.step + 1, total or 1)

    def _check_any(self, at: Progressed) -> None:
        if not at.counted:
            raise ParameterError("an epoch has no batch: data that can be gone through once only?")

    # -- what is measured, and kept --------------------------------------------------------------

    def _row(self, at: Progressed, seconds: float) -> Row:
        row: Row = {"epoch": at.epoch + 1, "step": at.step, "seconds": round(seconds, 3)}
        row["loss"] = at.summed / at.counted
        if self.measures.validation is not None:
            measured = self.network.measured(
                _nested(self._averaged(at)), self.measures.validation, self.measures.loss,
                self.measures.metrics,
            )  # fmt: skip
            row |= {f"validation_{name}": value for name, value in measured.items()}
        return row

    def _averaged(self, at: Progressed) -> dict[str, Any]:
        """The parameters, averaged where they are."""
        return {**at.state["parameters"], **at.state.get("average", {})}

    def _remember(self, at: Progressed, row: Row) -> None:
        if self.measures.patience is None:
            return
        if self.measures.monitor not in row:
            known = ", ".join(name for name in row if name not in _COUNTS)
            raise ParameterError(
                f"monitor={self.measures.monitor!r} is not measured; there are {known}"
            )
        value = row[self.measures.monitor]
        if at.best is None or self.measures.is_better(value, at.best.value):
            at.best = Best(value, at.epoch + 1, self._averaged(at))

    def _is_over(self, at: Progressed) -> bool:
        """Whether nothing has got better for so long."""
        patience = self.measures.patience
        return patience is not None and at.best is not None and (
            at.epoch - at.best.epoch >= patience
        )  # fmt: skip

    def _show(self, at: Progressed) -> None:
        if self.csv is not None:
            write_csv(at.rows, self.csv)
        if self.picture is not None:
            plot(at.rows, self.picture)

    def _keep(self, at: Progressed, began: float) -> None:
        at.seconds = time.perf_counter() - began
        if self.saved is not None:
            self.saved.keep(at)


def _nested(arrays: Mapping[str, Any]) -> Nested:
    return nested({tuple(name.split(".")): array for name, array in arrays.items()})
