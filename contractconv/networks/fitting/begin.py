"""What a caller of ``fit`` says, made into a training that can run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contractconv.errors import OperandError, ParameterError
from contractconv.layers.nesting import Nested
from contractconv.networks.fitting import chance
from contractconv.networks.fitting.data import Augment, Source, Stream, as_source
from contractconv.networks.fitting.fit import Fit, Training
from contractconv.networks.fitting.measures import Measures
from contractconv.networks.fitting.metrics import as_metrics, new_figure
from contractconv.networks.fitting.natural import NaturalStepper
from contractconv.networks.fitting.progressed import Progressed, Saved
from contractconv.networks.fitting.step import Rules
from contractconv.networks.fitting.stepper import ProgramStepper, Stepper
from contractconv.networks.losses import as_loss
from contractconv.networks.nesting import in_order
from contractconv.progress import Progress
from contractconv.training import KFAC, Optimizer, to_facts
from contractconv.training.checks import is_number

if TYPE_CHECKING:
    from contractconv.layers.records import Parameter
    from contractconv.networks.network import Network
    from contractconv.networks.traced import Objective


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
    chance.check_seed(seed)
    if plot is not None:
        new_figure()  # what is missing is said before the training
    source = as_source(data, batch, steps_per_epoch, shuffle)
    tested = None if validation is None else as_source(validation, batch, None, shuffled=False)
    measures = Measures.of_options(loss, as_metrics(metrics, loss), tested, monitor, patience)
    steps = stepper(network, optimizer, loss, clip, average)
    first = _first_batch(source)
    begun = _begun(network, steps, first, params, seed)
    saved = None
    if checkpoint is not None:
        what = _of_network(network.objective(*first, loss=loss), begun) | {
            "optimizer": to_facts(optimizer), "clip": clip, "average": average,
            "monitor": None if patience is None else measures.monitor,
            "augment": augment is not None, "seed": seed,
        }  # fmt: skip
        saved = Saved(Path(checkpoint), what | _of_data(source))
    training = Training(
        network, optimizer, steps, source, epochs, seed, augment, measures, saved, every, csv, plot,
        Progress(progress),
    )  # fmt: skip
    at = saved.found() if saved is not None else None
    return training.run(at or begun)


def stepper(
    network: Network, optimizer: Optimizer | KFAC, loss: Any, clip: float | None,
    average: float | None,
) -> Stepper:  # fmt: skip
    """What makes steps of an optimiser.

    Raises:
        ParameterError: there is no such loss or optimiser; the average keeps no share below one;
            gradients are clipped, and KFAC limits steps by itself.
    """
    as_loss(loss)
    if not isinstance(optimizer, (Optimizer, KFAC)):
        raise ParameterError(f"optimizer={optimizer!r}: say cc.training.Adam(), or another one")
    if average is not None and not (is_number(average) and 0 <= average < 1):
        raise ParameterError(f"average={average!r}: a share is kept, from zero up to below one")
    if clip is not None and not (is_number(clip) and clip > 0):
        raise ParameterError(f"clip={clip!r}: a length above zero is wanted")
    if not isinstance(optimizer, KFAC):
        return ProgramStepper(network, loss, Rules(optimizer, clip, average))
    if clip is not None:
        raise ParameterError("KFAC limits its steps by itself: say KFAC(clip=...)")
    return NaturalStepper(network, loss, optimizer, average)


def _begun(
    network: Network, steps: Stepper, first: Sequence[Any], params: Nested | None, seed: int
) -> Progressed:
    """Where a training begins."""
    inputs = first[:-1]
    given = network.init(chance.of_parameters(seed), *inputs) if params is None else params
    parameters = network.traced(*inputs).parameters
    arrays = [np.asarray(array) for array in in_order(given, parameters)]
    _check_numbers(parameters, arrays)
    return Progressed(steps.first(parameters, arrays))


def _check_numbers(parameters: Sequence[Parameter], arrays: Sequence[Any]) -> None:
    """See that a step makes the numbers that it takes."""
    kinds = {array.dtype.name: p.name for p, array in zip(parameters, arrays, strict=True)}
    if len(kinds) > 1 or any(array.dtype.kind != "f" for array in arrays):
        told = ", ".join(f"{name} is {kind}" for kind, name in kinds.items())
        raise OperandError(
            f"parameters are trained in floating-point numbers of one kind: {told}; "
            "net.init(..., dtype=) makes such, and array.astype"
        )


def _first_batch(source: Source) -> Sequence[Any]:
    """The first batch, of which shapes and numbers are read; its data are not looked at."""
    first = next(source.epoch(np.random.default_rng(0)), None)
    if first is None:
        raise ParameterError("there is no batch in the data")
    return first


def _of_network(whole: Objective, begun: Progressed) -> dict[str, Any]:
    """What a network and its parameters are, in JSON: the same where a training is gone on with."""
    arrays = begun.state["parameters"]
    return {
        "network": whole.loss._node.key.hex(),
        "parameters": {name: [a.dtype.name, *a.shape] for name, a in arrays.items()},
    }


def _of_data(source: Source) -> dict[str, Any]:
    """How batches are taken, in JSON."""
    if isinstance(source, Stream):
        return {"steps_per_epoch": source.steps}
    return {"rows": source.rows, "batch": source.batch, "shuffle": source.shuffled}


def _check_counts(**given: object) -> None:
    for name, value in given.items():
        if value is not None and (type(value) is not int or value < 1):
            raise ParameterError(f"{name}={value!r}: a positive integer is wanted")
