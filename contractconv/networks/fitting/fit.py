"""Fitting a network to data: epochs of steps, what is measured, and what is kept to go on from."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contractconv.errors import ParameterError, TrainingError
from contractconv.execution.calibration import chosen_by
from contractconv.layers.nesting import Nested, from_names
from contractconv.markup.parts import Column, article, row, table
from contractconv.networks.fitting import chance
from contractconv.networks.fitting.data import Augment, Batch, Source, augmented
from contractconv.networks.fitting.measures import Measures
from contractconv.networks.fitting.metrics import Row, plot, write_csv
from contractconv.networks.fitting.progressed import Best, Progressed, Saved
from contractconv.networks.fitting.stepper import Stepper
from contractconv.progress import Progress

if TYPE_CHECKING:
    from contractconv.networks.network import Network
    from contractconv.training import KFAC, Optimizer


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

    def _repr_html_(self) -> str:
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        head = [Column(name.replace("_", " "), number=True) for name in names]
        shown = (row(head, [_figure(one.get(name)) for name in names]) for one in self.rows)
        return article([f"<p>{escape(str(self))}</p>", table(head, shown)])


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


_COUNTS = ("epoch", "step", "seconds", "rate")


@dataclass(frozen=True)
class Training:
    """A training: who makes steps of which data, and what is done in between.

    Attributes:
        network: what is trained.
        optimizer: what says the rates.
        stepper: what takes steps.
        source: where batches come from.
        epochs: how many there will be.
        seed: of all chance.
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
    seed: int
    augment: Augment | None
    measures: Measures
    saved: Saved | None
    every: int | None
    csv: str | Path | None
    picture: str | Path | None
    progress: Progress

    def run(self, at: Progressed) -> Fit:
        """Go on from where it is until it is over.

        Whoever interrupts it finds the last whole step in the checkpoint, if there is one.
        """
        with self.progress, chosen_by(at.figures):
            self.progress.begin(self._total(), at.step)
            self._show(at)
            last = at
            try:
                for last in self._states(at):
                    self._settle(last)
            except KeyboardInterrupt:
                if self.saved is not None and last is not at:
                    self.saved.keep(last)
                raise
        return self._fit(last)

    def _fit(self, at: Progressed) -> Fit:
        best, average = at.best, at.state.get("average")
        return Fit(
            from_names(at.state["parameters"] if best is None else best.arrays),
            None if average is None else from_names(_averaged(at)),
            list(at.rows), at.step, at.seconds, "patience" if self._is_over(at) else "epochs",
        )  # fmt: skip

    def _states(self, at: Progressed) -> Iterator[Progressed]:
        """Where it is after each step, and after what is measured behind each epoch."""
        began = time.perf_counter() - at.seconds
        while at.epoch < self.epochs and not self._is_over(at):
            for batch in self.source.epoch(chance.of_epoch(self.seed, at.epoch), at.position):
                later = self._stepped(at, batch)
                at = replace(later, seconds=time.perf_counter() - began)
                yield at
            at = self._measured(at, time.perf_counter() - began)
            yield at

    def _stepped(self, at: Progressed, batch: Batch) -> Progressed:
        """Where it is after a step more."""
        number = at.step + 1
        rng, rate = chance.of_step(self.seed, number), self._rate(number)
        taken = batch if self.augment is None else augmented(self.augment, batch, rng)
        loss, state = self.stepper(taken, number, rate, at.state, rng)
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} in step {number} (epoch {at.epoch + 1}, rate {rate:.3g}): "
                "take a lower rate, or clip gradients with clip=1.0; the last checkpoint, if "
                "there is one, is from before"
            )
        self.progress.step(loss=loss)
        rows = len(taken[-1])
        return replace(
            at, state=state, step=number, position=at.position + 1,
            summed=at.summed + loss * rows, counted=at.counted + rows,
        )  # fmt: skip

    def _total(self) -> int | None:
        return None if self.source.steps is None else self.epochs * self.source.steps

    def _rate(self, number: int) -> float:
        total = self._total()
        if total is None and callable(self.optimizer.rate):
            raise ParameterError(
                "a rate that changes needs to know how many steps there will be: say "
                "steps_per_epoch="
            )
        return self.optimizer.rate_at(number, total or 1)

    # -- what is measured, and kept --------------------------------------------------------------

    def _measured(self, at: Progressed, seconds: float) -> Progressed:
        """Where it is when an epoch is over."""
        if not at.counted:
            raise ParameterError("an epoch has no batch: data that can be gone through once only?")
        row: Row = {"epoch": at.epoch + 1, "step": at.step, "seconds": round(seconds, 3)}
        row["loss"] = at.summed / at.counted
        row |= self.measures.of(self.network, _averaged(at))
        return replace(
            at, epoch=at.epoch + 1, position=0, summed=0.0, counted=0, rows=(*at.rows, row),
            best=self._best(at, row), seconds=seconds,
        )  # fmt: skip

    def _best(self, at: Progressed, row: Row) -> Best | None:
        """The best parameters so far, if the training ends by them."""
        if self.measures.patience is None:
            return None
        value = row[self.measures.monitor]
        if at.best is None or self.measures.is_better(value, at.best.value):
            return Best(value, at.epoch + 1, _averaged(at))
        return at.best

    def _is_over(self, at: Progressed) -> bool:
        """Whether nothing has got better for so long."""
        patience = self.measures.patience
        return patience is not None and at.best is not None and (
            at.epoch - at.best.epoch >= patience
        )  # fmt: skip

    def _settle(self, at: Progressed) -> None:
        """Show and keep what is to be shown and kept here."""
        if at.position == 0:
            self._show(at)
        if self.saved is not None and self._is_due(at):
            self.saved.keep(at)

    def _is_due(self, at: Progressed) -> bool:
        if at.position == 0:
            return self.every is None or at.epoch == self.epochs or self._is_over(at)
        return self.every is not None and at.step % self.every == 0

    def _show(self, at: Progressed) -> None:
        if self.csv is not None:
            write_csv(at.rows, self.csv)
        if self.picture is not None and at.rows:
            plot(at.rows, self.picture)


def _averaged(at: Progressed) -> dict[str, Any]:
    """The parameters, averaged where they are."""
    return {**at.state["parameters"], **at.state.get("average", {})}
