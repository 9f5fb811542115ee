"""A normalisation behind a layer becomes part of its weight and bias."""

from __future__ import annotations

from typing import Any

import numpy as np

from contractconv.api.contract import contract
from contractconv.api.program import Program, program
from contractconv.api.tensor import applied, tensor
from contractconv.errors import ShapeError
from contractconv.programs.build import as_axes


def folding(axes: str, channels: str, epsilon: float = 1e-5) -> Program:
    """Write the program that folds a normalisation into the layer before it.

    Args:
        axes: the axes of the weight, ``"k l c o"``.
        channels: those of them along which is normalised, ``"o"``; several are one axis of the
            normalisation, as ``"g o"`` are.
        epsilon: what keeps the root from zero.

    Returns:
        A program of ``W``, ``bias``, ``scale``, ``shift``, ``mean`` and ``variance``, whose
        results are the new weight and the new bias.

    Raises:
        ShapeError: the weight has no such axis.

    Example:
        >>> print(folding("k l c o", "o"))
        def fold(W: "k l c o", bias: "o", scale: "o", shift: "o", mean: "o", variance: "o"):
            factor = scale * rsqrt(variance + 1e-05)
            weight = contract("k l c o, o -> k l c o", W, factor)
            moved = (bias - mean) * factor + shift
            return weight, moved
        <BLANKLINE>
    """
    names, normalised = as_axes(axes), as_axes(channels)
    if not set(normalised) <= set(names):
        raise ShapeError(f"the weight has the axes '{axes}', and not all of '{channels}'")
    vector = normalised[0] if len(normalised) == 1 else "channel"
    W = tensor("W", axes)
    bias, scale, shift, mean, variance = (
        tensor(name, vector) for name in ("bias", "scale", "shift", "mean", "variance")
    )
    factor = (scale * applied("rsqrt", variance + epsilon)).called("factor")
    term = f"({' '.join(normalised)})"
    weight = contract(f"{axes}, {term} -> {axes}", W, factor)
    moved = (bias - mean) * factor + shift
    inputs = [W, bias, scale, shift, mean, variance]
    return program(weight=weight, moved=moved, inputs=inputs, name="fold")


def fold(
    W: Any,
    bias: Any,
    scale: Any,
    shift: Any,
    mean: Any,
    variance: Any,
    *,
    axes: str = "k l c o",
    channels: str = "o",
    epsilon: float = 1e-5,
) -> tuple[Any, Any]:
    """Fold a batch normalisation, as it is after training, into the layer before it.

    With ``f = scale / √(variance + ε)``, the layer ``W x + bias`` and the normalisation together
    are the layer ``(f W) x + f (bias - mean) + shift``.

    Args:
        W: the weight of a convolution or of a dense layer.
        bias: its bias, along the channels; ``None`` if it has none.
        scale: of the normalisation, and the other three likewise, along the channels.
        shift: what it adds.
        mean: its running mean.
        variance: its running variance.
        axes: the axes of the weight.
        channels: see :func:`folding`.
        epsilon: what keeps the root from zero.

    Returns:
        The new weight and the new bias.

    Raises:
        ShapeError: shapes do not fit.

    Example:
        >>> import numpy as np
        >>> one = np.ones(2)
        >>> W, bias = fold(np.ones((3, 2)), None, 2 * one, one, one, 4 * one, axes="c o", epsilon=0)
        >>> W[0], bias
        (array([1., 1.]), array([0., 0.]))

    Source: Jacob et al., "Quantization and training of neural networks", CVPR (2018), section 3.2.
    """
    given = {"scale": scale, "shift": shift, "mean": mean, "variance": variance}
    whole = {"W": W, "bias": np.zeros_like(shift) if bias is None else bias, **given}
    weight, moved = folding(axes, channels, epsilon)(**whole)
    return weight, moved
