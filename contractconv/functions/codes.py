"""One-hot codes, and tables of vectors that are read by them."""

from __future__ import annotations

from contractconv.api.tensor import Tensor, applied, index
from contractconv.api.tensor import size as size_of
from contractconv.errors import ShapeError, with_carets
from contractconv.functions.axes import axis_of, check_integers, product, without
from contractconv.programs.build import as_axes


def one_hot(labels: Tensor, axis: str, size: int | Tensor | None = None) -> Tensor:
    """Write labels as codes, ``[label = c]``: one where the new axis is at the label, else zero.

    Args:
        labels: integers, ``"b"``. A label that is not on the axis has a code of zeros.
        axis: the name of the new axis, the last one.
        size: of the new axis; by default it follows from what the codes meet.

    Returns:
        A tensor ``"b axis"`` that widens nothing it meets.

    Raises:
        OperandError: the labels are no integers.
        ShapeError: they have such an axis already.

    Example:
        >>> import contractconv as cc
        >>> one_hot(cc.tensor("labels", "b", "int64"), "class", 10)
        <tensor code: b class>
    """
    check_integers(labels, "labels", "cc.tensor('labels', 'b', 'int64')")
    (name,) = as_axes([axis])
    if name in labels.axes:
        shown = " ".join(labels.axes)
        at = len(" ".join(labels.axes[: labels.axes.index(name)])) + (labels.axes[0] != name)
        message = f"the labels have an axis {name!r} already"
        raise ShapeError(with_carets(message, shown, [(at, at + len(name))]))
    return applied("where", labels == index(name, size), 1, 0).called("code")


def embedding(tokens: Tensor, table: Tensor, axis: str) -> Tensor:
    """Read the vector of each token in a table, ``Σ_v [token = v] · table[v]``.

    It is a contraction with a code, and its gradient adds up in each row what came back to it.

    Args:
        tokens: integers, ``"b t"``; one that is not in the table reads zeros.
        table: a vector for each token, ``"v d"``.
        axis: which axis of the table tokens count.

    Returns:
        A tensor ``"b t d"``.

    Raises:
        ShapeError: the table has no such axis.
        OperandError: the tokens are no integers.

    Example:
        >>> import contractconv as cc
        >>> tokens, table = cc.tensor("tokens", "b t", "int64"), cc.tensor("table", "v d")
        >>> embedding(tokens, table, "v")
        <tensor b t d>
    """
    name = axis_of(table, axis, "the table")
    check_integers(tokens, "tokens", "cc.tensor('tokens', 'b t', 'int64')")
    code = one_hot(tokens, name, size_of(table, name))
    others = without(table.axes, [name])
    return product([code, table], (*tokens.axes, *without(others, tokens.axes)))
