"""What is measured of a network on data, and what of that ought to get better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from contractconv.engines.portable.libraries import as_numpy
from contractconv.errors import OperandError, ParameterError
from contractconv.layers.nesting import Nested, from_names
from contractconv.networks.fitting.data import Source
from contractconv.networks.fitting.metrics import Metric, Row

if TYPE_CHECKING:
    from contractconv.networks.network import Network


def measured(
    network: Network, params: Nested, source: Source, loss: Any, metrics: Mapping[str, Metric]
) -> Row:
    """Measure a network on batches of a source, as it is after training.

    Returns:
        The loss and the metrics, means over rows.

    Raises:
        OperandError: there is no batch.
    """
    sums, rows = dict.fromkeys(("loss", *metrics), 0.0), 0
    for batch in source.epoch(np.random.default_rng(0)):
        found, made = network.loss_and_output(params, *batch, loss=loss)
        met = as_numpy(made), as_numpy(batch[-1])
        values = [found, *(metric(*met) for metric in metrics.values())]
        count = len(batch[-1])
        sums = {n: s + float(v) * count for (n, s), v in zip(sums.items(), values, strict=True)}
        rows += count
    if not rows:
        raise OperandError("there is nothing in the data to measure it on")
    return {name: total / rows for name, total in sums.items()}


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

    @classmethod
    def of_options(
        cls, loss: Any, metrics: Mapping[str, Metric], validation: Source | None,
        monitor: str | None, patience: int | None,
    ) -> Measures:  # fmt: skip
        """What a caller said; the loss of the validation is what ought to get better otherwise.

        Raises:
            ParameterError: nothing of that name is measured.
        """
        otherwise = "loss" if validation is None else "validation_loss"
        found = cls(loss, metrics, validation, monitor or otherwise, patience)
        if found.monitor not in found.names:
            raise ParameterError(
                f"monitor={monitor!r} is not measured; there are {', '.join(found.names)}"
            )
        return found

    @property
    def names(self) -> list[str]:
        """What there is to monitor."""
        tested = [] if self.validation is None else ["loss", *self.metrics]
        return ["loss", *(f"validation_{name}" for name in tested)]

    def of(self, network: Network, arrays: Mapping[str, Any]) -> Row:
        """What is measured on the validation, if there is one."""
        if self.validation is None:
            return {}
        params = from_names(arrays)
        found = measured(network, params, self.validation, self.loss, self.metrics)
        return {f"validation_{name}": value for name, value in found.items()}

    def is_better(self, now: float, before: float) -> bool:
        """Losses and errors get smaller, everything else greater; anything is better than none."""
        if math.isnan(before):
            return not math.isnan(now)
        smaller = self.monitor.endswith(("loss", "error"))
        return now < before if smaller else now > before
