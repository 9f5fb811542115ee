"""Losses: each a number, if nothing else is said; of numbers of any size, and exact there."""

from __future__ import annotations

from typing import Any, Literal

from contractconv.api.tensor import Tensor, applied, index, size
from contractconv.errors import ParameterError
from contractconv.functions.axes import (
    axis_of,
    check_integers,
    check_within,
    number_of,
    product,
    reduced,
    without,
)
from contractconv.functions.shares import rest_of
from contractconv.functions.softmax import from_greatest, log_total

Over = Literal["mean", "sum"] | None
"""What is done with the losses of a batch: averaged, added up, or nothing."""

_LABELS = "cc.tensor('labels', 'b', 'int64'); or give probabilities, along {axis!r} too"


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    axis: str = "class",
    smoothing: float = 0.0,
    mask: Tensor | None = None,
    reduce: Over = "mean",
) -> Tensor:
    """How many nats a prediction is off, ``-Σ_c q[c] log softmax(logits)[c]``.

    Of integer labels it is ``log Σ_c exp(z[c]) - z[label]``, with ``z = logits - max logits``: no
    code is made, and logits of any size are exact. The gradient is ``softmax(logits) - q``.

    Args:
        logits: ``"b class"``, with any axes beside the classes.
        labels: integers ``"b"``, which have to be classes; or probabilities ``"b class"``.
        axis: which axis the classes are.
        smoothing: the share ``ε`` of the target that is spread evenly over the classes.
        mask: truth values, along axes of the batch: whose losses count. Those of others are zero,
            and the mean is taken over those that count.
        reduce: ``"mean"`` or ``"sum"`` over the axes of the batch, ``None`` for a loss each.

    Returns:
        A number; or a tensor ``"b"`` if nothing is reduced.

    Raises:
        ShapeError: there is no such axis, or labels have axes that the logits lack.
        OperandError: labels without the axis of the classes are no integers.
        ParameterError: the smoothing is not between 0 and 1, or the reduction unknown.

    Example:
        >>> import contractconv as cc
        >>> logits, labels = cc.tensor("logits", "b class"), cc.tensor("labels", "b", "int64")
        >>> cross_entropy(logits, labels)
        <tensor a number>

    Source: Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception architecture",
    CVPR (2016), section 7, for the smoothing.
    """
    name = axis_of(logits, axis, "logits")
    _check_share(smoothing)
    check_within(labels, logits.axes, "labels", "logits")
    z = from_greatest(logits, (name,))
    whole = log_total(z, (name,))
    if name in labels.axes:
        target = smoothed(labels, smoothing, name)
        loss = -product([target, z - whole], without(logits.axes, [name]))
    else:
        loss = whole - _expected(z, labels, name, smoothing)
    return averaged(loss, reduce, mask)


def nll(
    log_probabilities: Tensor,
    labels: Tensor,
    axis: str = "class",
    mask: Tensor | None = None,
    reduce: Over = "mean",
) -> Tensor:
    """Take the negative logarithm of the probability of each label, ``-log p[label]``.

    Args:
        log_probabilities: ``"b class"``, as :func:`~contractconv.functions.log_softmax` makes them.
        labels: integers ``"b"``, which have to be classes.
        axis: which axis the classes are.
        mask: truth values, along axes of the batch: whose losses count.
        reduce: ``"mean"`` or ``"sum"`` over the axes of the batch, ``None`` for a loss each.

    Returns:
        A number; or a tensor ``"b"`` if nothing is reduced.

    Raises:
        ShapeError: there is no such axis, or labels have axes that the probabilities lack.
        OperandError: the labels are no integers.

    Example:
        >>> import contractconv as cc
        >>> logp, labels = cc.tensor("logp", "b class"), cc.tensor("labels", "b", "int64")
        >>> nll(logp, labels, reduce=None)
        <tensor b>
    """
    name = axis_of(log_probabilities, axis, "log_probabilities")
    batch = without(log_probabilities.axes, [name])
    check_within(labels, batch, "labels", "the batch")
    return averaged(-picked(log_probabilities, labels, name), reduce, mask)


def mse(
    prediction: Tensor, target: Tensor, mask: Tensor | None = None, reduce: Over = "mean"
) -> Tensor:
    """Average squared errors, ``(prediction - target)²``.

    Args:
        prediction: any axes.
        target: the same, or some of them.
        mask: truth values: which errors count.
        reduce: ``"mean"`` or ``"sum"`` over all axes, ``None`` for a loss each.

    Returns:
        A number; or a tensor with the axes of the prediction if nothing is reduced.

    Raises:
        ShapeError: the target has axes that the prediction lacks.

    Example:
        >>> import contractconv as cc
        >>> mse(cc.tensor("y", "b o"), cc.tensor("target", "b o"))
        <tensor a number>
    """
    check_within(target, prediction.axes, "the target", "the prediction")
    return averaged(applied("square", prediction - target), reduce, mask)


def huber(
    prediction: Tensor,
    target: Tensor,
    delta: float = 1.0,
    mask: Tensor | None = None,
    reduce: Over = "mean",
) -> Tensor:
    """Square small errors, and take large ones as they are.

    With ``a = |prediction - target|`` and ``q = min(a, δ)`` it is ``q (a - q/2)``: ``a²/2`` up to
    ``δ``, ``δ (a - δ/2)`` beyond. No gradient is greater than ``δ``.

    Args:
        prediction: any axes.
        target: the same, or some of them.
        delta: from which error on the loss grows no faster, ``δ > 0``.
        mask: truth values: which errors count.
        reduce: ``"mean"`` or ``"sum"`` over all axes, ``None`` for a loss each.

    Returns:
        A number; or a tensor with the axes of the prediction if nothing is reduced.

    Raises:
        ShapeError: the target has axes that the prediction lacks.
        ParameterError: ``delta`` is not positive.

    Example:
        >>> import contractconv as cc
        >>> huber(cc.tensor("y", "b"), cc.tensor("target", "b"), delta=0.5, reduce=None)
        <tensor b>

    Source: Huber, "Robust estimation of a location parameter", Ann. Math. Stat. 35 (1964).
    """
    check_within(target, prediction.axes, "the target", "the prediction")
    if not delta > 0:
        raise ParameterError(f"delta={delta!r} is not positive")
    error = abs((prediction - target).called("difference")).called("error")
    inner = applied("min", error, delta).called("inner")
    return averaged(inner * (error - inner / 2), reduce, mask)


def binary_cross_entropy(
    logits: Tensor, targets: Tensor, mask: Tensor | None = None, reduce: Over = "mean"
) -> Tensor:
    """How many nats yes-or-no predictions are off, ``-t log σ(x) - (1 - t) log(1 - σ(x))``.

    Both logarithms are softplus of the logit, so that nothing cancels, whatever the logit:
    ``t softplus(-x) + (1 - t) softplus(x)``. The gradient is ``σ(x) - t``.

    Args:
        logits: any axes.
        targets: probabilities of yes, or truth values, along the same axes, or some of them.
        mask: truth values: whose losses count.
        reduce: ``"mean"`` or ``"sum"`` over all axes, ``None`` for a loss each.

    Returns:
        A number; or a tensor with the axes of the logits if nothing is reduced.

    Raises:
        ShapeError: the targets have axes that the logits lack.

    Example:
        >>> import contractconv as cc
        >>> binary_cross_entropy(cc.tensor("x", "b label"), cc.tensor("t", "b label"))
        <tensor a number>
    """
    check_within(targets, logits.axes, "targets", "logits")
    missed = targets * applied("softplus", -logits)
    return averaged(missed + (1 - targets) * applied("softplus", logits), reduce, mask)


def smoothed(probabilities: Tensor, share: float, axis: str) -> Tensor:
    """Probabilities of which a share is spread evenly over the classes."""
    if not share:
        return probabilities
    return rest_of(share) * probabilities + share / number_of(probabilities, (axis,))


def picked(x: Tensor, labels: Tensor, axis: str) -> Tensor:
    """What lies at a label, along an axis: a sum that reads nothing else, not even infinities."""
    check_integers(labels, "labels", _LABELS.format(axis=axis))
    chosen = applied("where", labels == index(axis, size(x, axis)), x, 0)
    return product([chosen], without(x.axes, [axis])).called("at_label")


def averaged(loss: Tensor, reduce: Over, mask: Tensor | None = None) -> Tensor:
    """What is left of losses: their mean, their sum, or all of them.

    Raises:
        ShapeError: the mask has axes that the losses lack.
        ParameterError: the reduction is unknown.
    """
    if reduce not in ("mean", "sum", None):
        raise ParameterError(f"reduce={reduce!r} is neither 'mean' nor 'sum' nor None")
    if mask is not None:
        check_within(mask, loss.axes, "the mask", "what is lost")
        return _masked(loss, reduce, mask)
    return loss if reduce is None else reduced(loss.called("losses"), loss.axes, reduce)


def _masked(loss: Tensor, reduce: Over, mask: Tensor) -> Tensor:
    kept = applied("where", mask, loss, 0).called("losses")
    if reduce is None:
        return kept
    whole = reduced(kept, loss.axes, "sum")
    if reduce == "sum":
        return whole
    return whole / applied("max", _count(mask, loss), 1).called("count")


def _count(mask: Tensor, loss: Tensor) -> Tensor:
    """How many losses count."""
    ones = reduced(applied("where", mask, 1, 0), mask.axes, "sum")
    left = without(loss.axes, mask.axes)
    return ones * number_of(loss, left) if left else ones


def _expected(z: Tensor, labels: Tensor, axis: str, smoothing: float) -> Tensor:
    """What is expected of a target: a number at its label, and a share of the mean."""
    at_label = picked(z, labels, axis)
    if not smoothing:
        return at_label
    return rest_of(smoothing) * at_label + smoothing * reduced(z, (axis,), "mean")


def _check_share(value: Any) -> None:
    if not 0 <= value <= 1:
        raise ParameterError(f"smoothing={value!r} is not between 0 and 1")
