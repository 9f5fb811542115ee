"""Attention, and the masks that say who may look at whom."""

from __future__ import annotations

from collections.abc import Sequence

from contractconv.api.tensor import Tensor, applied, index, size
from contractconv.errors import OperandError, ParameterError, ShapeError, with_carets
from contractconv.functions.axes import axis_of, check_within, product, summed, without
from contractconv.functions.softmax import softmax
from contractconv.programs.nodes import Axes


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    over: str,
    feature: str,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    scale: float | Tensor | None = None,
) -> Tensor:
    """Look things up by similarity, ``Σ_s softmax_s(q·k[s] / √d + bias) v[s]``.

    Axes that query, key and value share are batch; heads, for instance.

    Args:
        query: ``"b h t d"``.
        key: ``"b h s d"``.
        value: ``"b h s e"``.
        over: the axis of key and value along which is looked, ``"s"``; the query has another one.
        feature: the axis along which query and key are compared, ``"d"``.
        mask: truth values along any of these axes but the features, ``"t s"``: who is looked at.
            Who looks at nobody gets zeros, and passes no gradient back.
        bias: what is added to the similarities, along such axes.
        scale: what similarities are multiplied by; by default one over the root of the number of
            features.

    Returns:
        A tensor ``"b h t e"``: the axes of the query, with the value's features.

    Raises:
        ShapeError: there is no such axis, or the query has the axis ``over``, too.

    Example:
        >>> import contractconv as cc
        >>> q = cc.tensor("q", "b h t d")
        >>> k, v = cc.tensor("k", "b h s d"), cc.tensor("v", "b h s d")
        >>> attention(q, k, v, over="s", feature="d", mask=causal_mask("t", "s"))
        <tensor b h t d>

    Source: Vaswani et al., "Attention is all you need", NeurIPS (2017), section 3.2.1.
    """
    seen, compared = axis_of(key, over, "the key"), axis_of(query, feature, "the query")
    axis_of(value, over, "the value")
    axis_of(key, feature, "the key")
    _check_apart(query, seen)
    whole = _scale(query, compared) if scale is None else scale
    scaled = (query * whole).called("scaled")
    scores = product([scaled, key], _joined(query, key, compared)).called("scores")
    if bias is not None:
        check_within(bias, scores.axes, "the bias", "similarities")
        scores = scores + bias
    if mask is not None:
        check_within(mask, scores.axes, "the mask", "similarities")
    weights = softmax(scores, seen, mask).called("weights")
    ours = without(scores.axes, [seen])
    return product([weights, value], (*ours, *without(value.axes, scores.axes)))


def multi_head_attention(
    x: Tensor,
    weights: Sequence[Tensor],
    axis: str,
    feature: str,
    head: str,
    mask: Tensor | None = None,
    context: Tensor | None = None,
    over: str | None = None,
) -> Tensor:
    """Attend with several heads at once: heads are an axis of the weights, and nothing is split.

    Args:
        x: ``"b t d"``.
        weights: of query, key, value and result: ``"d h k"``, ``"d h k"``, ``"d h v"`` and
            ``"h v d"``.
        axis: the axis of those who look, ``"t"``.
        feature: the features of ``x`` that the weights meet, ``"d"``.
        head: the axis of the heads, ``"h"``.
        mask: truth values, along ``t``, ``over``, batch or heads: who is looked at.
        context: whom they look at, ``"b s d"``; by default each other.
        over: the axis of the context along which is looked, ``"s"``. If they look at each other,
            it is by default ``axis`` with an underscore, ``"t_"``.

    Returns:
        A tensor ``"b t d"``.

    Raises:
        ShapeError: there is no such axis, or weights do not fit each other.
        OperandError: the number of weights is not four.
        ParameterError: there is a context, and ``over`` is not given.

    Example:
        >>> import contractconv as cc
        >>> x, W = cc.tensor("x", "b t d"), [cc.tensor(f"W_{n}", "d h k") for n in "qkv"]
        >>> W_out = cc.tensor("W_out", "h k d")
        >>> multi_head_attention(x, [*W, W_out], "t", "d", "h", mask=causal_mask("t", "t_"))
        <tensor b t d>

    Source: Vaswani et al., "Attention is all you need", NeurIPS (2017), section 3.2.2.
    """
    if len(weights) != 4:
        raise OperandError(
            f"the weights of query, key, value and result are wanted: four, not {len(weights)}"
        )
    if context is None:
        over = over or f"{axis_of(x, axis, 'x')}_"
        context = x.named([over if a == axis else a for a in x.axes])
    elif over is None:
        raise ParameterError("over= says along which axis of the context is looked")
    features = [feature]
    queries = summed(x, weights[0], features)
    keys, values = (summed(context, weight, features) for weight in weights[1:3])
    compared = " ".join(without(weights[0].axes, [feature, head]))
    seen = attention(queries, keys, values, over, compared, mask)
    return summed(seen, weights[3], without(weights[3].axes, features))


def causal_mask(query: str, key: str, offset: int | Tensor = 0) -> Tensor:
    """Who may look at whom if nobody sees the future, ``[t + offset >= s]``.

    Args:
        query: the axis of those who look.
        key: the axis of those who are looked at.
        offset: where the first of those who look stands among those who are looked at.

    Returns:
        Truth values along both axes, whose sizes follow from what they meet.

    Example:
        >>> causal_mask("t", "s")
        <tensor t s>
    """
    return _moved(query, offset) >= index(key)


def banded_mask(
    query: str, key: str, behind: int, ahead: int = 0, offset: int | Tensor = 0
) -> Tensor:
    """Who may look at whom if nobody sees far, ``[-ahead <= t + offset - s <= behind]``.

    Args:
        query: the axis of those who look.
        key: the axis of those who are looked at.
        behind: how far back is seen; 0 is oneself only.
        ahead: how far ahead is seen.
        offset: where the first of those who look stands among those who are looked at.

    Returns:
        Truth values along both axes, whose sizes follow from what they meet.

    Raises:
        ParameterError: a distance is negative.

    Example:
        >>> banded_mask("t", "s", behind=128)
        <tensor t s>

    Source: Beltagy, Peters and Cohan, "Longformer", arXiv:2004.05150 (2020), section 3.
    """
    if behind < 0 or ahead < 0:
        raise ParameterError(f"distances are not negative: behind={behind}, ahead={ahead}")
    distance = _moved(query, offset) - index(key)
    return (distance <= behind) & (distance >= -ahead)


def _moved(axis: str, offset: int | Tensor) -> Tensor:
    at = index(axis)
    return at if isinstance(offset, int) and offset == 0 else at + offset


def _scale(query: Tensor, feature: str) -> Tensor:
    return applied("rsqrt", size(query, feature))


def _joined(query: Tensor, key: Tensor, feature: str) -> Axes:
    ours = without(query.axes, [feature])
    return (*ours, *without(key.axes, [*ours, feature]))


def _check_apart(query: Tensor, over: str) -> None:
    if over in query.axes:
        shown = " ".join(query.axes)
        at = len(" ".join(("", *query.axes[: query.axes.index(over)])))
        hint = "those who look have an axis of their own: rename it, as in key.named('b s d')"
        message = f"the query has the axis {over!r}, along which is looked"
        raise ShapeError(with_carets(message, shown, [(at, at + len(over))], hint))
