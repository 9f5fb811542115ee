"""What a caller of ``fit`` says, made into a training that can run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contractconv.errors import ParameterError
from contractconv.networks.fitting.data import Arrays, Source, as_source
from contractconv.networks.fitting.fit import Augment, Fit, Measures, Training
from contractconv.networks.fitting.metrics import as_metrics
from contractconv.networks.fitting.natural import NaturalStepper
from contractconv.networks.fitting.progress import Progress
from contractconv.networks.fitting.progressed import Progressed, Saved
from contractconv.networks.fitting.step import Rules
from contractconv.networks.fitting.stepper import ProgramStepper, Stepper
from contractconv.networks.losses import as_loss
from contractconv.networks.nesting import Nested, in_order
from contractconv.training import KFAC, to_facts

if TYPE_CHECKING:
    from contractconv.networks.network import Network
    from contractconv.training import Optimizer


def fit(
    network: Network,
    data: Any,
    *,
    optimizer: Optimizer | KFAC,
    loss: Any,
    epochs: int,
    batch: int,
    params: Nested | None,
    seed: int,
    validation: Any,
    metrics: Any,
    augment: Augment | None,
    clip: float | None,
    average: float | None,
    patience: int | None,
    monitor: str | None,
    checkpoint: str | Path | None,
    every: int | None,
    csv: str | Path | None,
    plot: str | Path | None,
    progress: bool | None,
    steps_per_epoch: int | None,
    shuffle: bool,
) -> Fit:
    """Train a network; see :meth:`contractconv.Network.fit`."""
    _check_counts(epochs=epochs, every=every, patience=patience, steps_per_epoch=steps_per_epoch)
    source = as_source(data, batch, steps_per_epoch, shuffle)
    tested = None if validation is None else as_source(validation, batch, None, shuffled=False)
    steps = stepper(network, optimizer, loss, clip, average)
    first = _first_batch(source)
    saved = None
    if checkpoint is not None:
        saved = Saved(
            Path(checkpoint),
            _settings(network, source, first, loss, Rules(optimizer, clip, average), batch, seed),
        )
    training = Training(
        network, optimizer, steps, source, epochs, augment,
        Measures(
            loss, as_metrics(metrics, loss), tested,
            monitor or ("loss" if tested is None else "validation_loss"), patience,
        ),
        saved, every, csv, plot, Progress(progress),
    )  # fmt: skip
    at = saved.found() if saved is not None else None
    return training.run(at or _begun(network, steps, first, params, seed))


def stepper(
    network: Network, optimizer: Optimizer | KFAC, loss: Any, clip: float | None,
    average: float | None,
) -> Stepper:  # fmt: skip
    """What makes steps of an optimiser.

    Raises:
        ParameterError: gradients are clipped, and KFAC limits steps by itself.
    """
    as_loss(loss)
    if not isinstance(optimizer, KFAC):
        return ProgramStepper(network, loss, Rules(optimizer, clip, average))
    if clip is not None:
        raise ParameterError("KFAC limits its steps by itself: say KFAC(clip=...)")
    return NaturalStepper(network, loss, optimizer, average)


def _begun(
    network: Network, steps: Stepper, first: Sequence[Any], params: Nested | None, seed: int
) -> Progressed:
    """Where a training begins."""
    rng = np.random.default_rng(seed)
    inputs = first[:-1]
    given = network.init(rng, *inputs) if params is None else params
    parameters = network.traced(*inputs).parameters
    arrays = [np.asarray(array) for array in in_order(given, parameters)]
    return Progressed(steps.first(parameters, arrays), rng)


def _first_batch(source: Source) -> Sequence[Any]:
    """The first batch, of which shapes and numbers are read; its data are not looked at."""
    first = next(source.epoch(np.random.default_rng(0)), None)
    if first is None:
        raise ParameterError("there is no batch in the data")
    return first


def _settings(
    network: Network, source: Source, first: Sequence[Any], loss: Any, rules: Rules, batch: int,
    seed: int,
) -> dict[str, Any]:  # fmt: skip
    """What a training is, in JSON: what has to be the same where it is gone on with."""
    whole = network.objective(*first, loss=loss)
    return {
        "network": whole.loss._node.key.hex(),
        "parameters": {p.name: list(p.shape) for p in whole.traced.parameters},
        "optimizer": to_facts(rules.optimizer),
        "clip": rules.clip,
        "average": rules.average,
        "batch": batch,
        "rows": source.rows if isinstance(source, Arrays) else None,
        "seed": seed,
    }


def _check_counts(**given: int | None) -> None:
    for name, value in given.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise ParameterError(f"{name}={value!r}: an integer is wanted")
        if value is not None and value < 1:
            raise ParameterError(f"{name}={value!r}: a positive number is wanted")
