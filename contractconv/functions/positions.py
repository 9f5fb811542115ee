"""Positions: where something stands in a sequence, as features, or as a turn of them."""

from __future__ import annotations

from typing import Literal

from contractconv.api.tensor import Tensor, applied, index, size
from contractconv.errors import ParameterError
from contractconv.functions.axes import axis_of, cast_like, check_integers, contracted
from contractconv.programs.build import unused

Pairs = Literal["halves", "neighbours"]
"""Which features turn together: those of both halves, or those side by side."""


def sinusoidal(like: Tensor, axis: str, feature: str, base: float = 10000.0) -> Tensor:
    """Write positions as waves, ``sin`` and ``cos`` of ``t / base^(2i/d)``, by turns.

    Args:
        like: whose sizes and numbers the result has; ``"b t d"``.
        axis: along which positions are counted, ``"t"``.
        feature: the axis of the waves, ``"d"``.
        base: how much longer the longest wave is than the shortest.

    Returns:
        A tensor ``"t d"``, which is added to ``like`` by name.

    Raises:
        ShapeError: there is no such axis.

    Example:
        >>> import contractconv as cc
        >>> x = cc.tensor("x", "b t d")
        >>> x + sinusoidal(x, "t", "d")
        <tensor b t d>

    Source: Vaswani et al., "Attention is all you need", NeurIPS (2017), section 3.5.
    """
    at = index(axis_of(like, axis), size(like, axis))
    i = index(axis_of(like, feature), size(like, feature))
    angle = _angles(at, i - i % 2, size(like, feature), base)
    waves = applied("where", i % 2 == 0, applied("sin", angle), applied("cos", angle))
    return cast_like(waves, like)


def rope(
    x: Tensor,
    axis: str,
    feature: str,
    base: float = 10000.0,
    pairs: Pairs = "halves",
    positions: Tensor | None = None,
) -> Tensor:
    """Turn pairs of features by an angle that grows with the position.

    The pair ``i`` at position ``t`` is turned by ``t / base^(2i/d)``. So products of queries and
    keys depend on how far they are apart. It is one contraction, with matrices of cosines and
    sines; its gradient turns back.

    Args:
        x: ``"b t h d"``, with an even number of features.
        axis: along which positions are counted, ``"t"``.
        feature: the axis of the features, ``"d"``.
        base: how much slower the last pair turns than the first.
        pairs: ``"halves"``: features ``i`` and ``i + d/2``; ``"neighbours"``: ``2i`` and ``2i+1``.
        positions: integers along ``t``, and batch: other positions than 0, 1, 2, ...

    Returns:
        A tensor with the axes of ``x``.

    Raises:
        ShapeError: there is no such axis.
        OperandError: the positions are no integers.
        ParameterError: the pairs are of neither kind.

    Example:
        >>> import contractconv as cc
        >>> rope(cc.tensor("q", "b t h d"), "t", "d")
        <tensor b t h d>

    Source: Su et al., "RoFormer", arXiv:2104.09864 (2021), section 3.2.2.
    """
    at, name = axis_of(x, axis), axis_of(x, feature)
    if pairs not in ("halves", "neighbours"):
        raise ParameterError(f"pairs={pairs!r} is neither 'halves' nor 'neighbours'")
    if positions is not None:
        check_integers(positions, "positions", "cc.tensor('positions', 'b t', 'int64')")
    i, side, turned = (unused(n, x.axes) for n in ("i", "side", "turned"))
    apart = _apart(x, name, i, side, pairs)
    here = index(at, size(x, at)) if positions is None else positions
    angle = _angles(here, 2 * index(i, size(apart, i)), size(x, name), base)
    matrix = cast_like(_turn(angle, side, turned), x).called("turns")
    before, after = " ".join(apart.axes), _composed(x, name, i, turned, pairs)
    made = contracted(f"{before}, {' '.join(matrix.axes)} -> {after}", [apart, matrix])
    return made.named(x.axes)


def _apart(x: Tensor, feature: str, i: str, side: str, pairs: Pairs) -> Tensor:
    """Features as pairs, ``i``, of which both have a ``side``."""
    after = " ".join(f"{side} {i}" if a == feature else a for a in x.axes)
    before = _composed(x, feature, i, side, pairs)
    return contracted(f"{before} -> {after}", [x], {side: 2}).called("pairs")


def _composed(x: Tensor, feature: str, i: str, side: str, pairs: Pairs) -> str:
    """The axes of a tensor, in which pairs and sides are composed to features."""
    whole = f"({side} {i})" if pairs == "halves" else f"({i} {side})"
    return " ".join(whole if a == feature else a for a in x.axes)


def _angles(at: Tensor, twice: Tensor, features: Tensor, base: float) -> Tensor:
    """``t / base^(2i/d)``, in the widest numbers: in few digits, late positions are lost."""
    rate = base ** (-twice.cast("float64") / features)
    return (at.cast("float64") * rate).called("angle")


def _turn(angle: Tensor, side: str, turned: str) -> Tensor:
    """Matrices that turn a pair: cosines on the diagonal, sines beside it."""
    before, after = index(side, 2), index(turned, 2)
    beside = (after - before) * applied("sin", angle)
    return applied("where", before == after, applied("cos", angle), beside)
