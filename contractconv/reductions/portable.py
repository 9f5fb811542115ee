"""Local derivatives of reductions on arrays of any library.

Each is given a library (``engines.portable.libraries.Library``), the name of the dtype, values
whose last axis holds the points of each element, in row-major order, with the identity where none
counts, and which count.
"""

from __future__ import annotations

from typing import Any


def greatest(library: Any, dtype: str, values: Any, valid: Any) -> Any:
    """One at the first valid maximum, zero elsewhere; NaN counts as the maximum."""
    return _first(library, dtype, values, valid, "maximum")


def least(library: Any, dtype: str, values: Any, valid: Any) -> Any:
    """One at the first valid minimum, zero elsewhere; NaN counts as the minimum."""
    return _first(library, dtype, values, valid, "minimum")


def _first(library: Any, dtype: str, values: Any, valid: Any, best: str) -> Any:
    none = values != values  # noqa: PLR0124 - what is no number differs from itself
    hit = ((values == _along(library, values, best)) | none) & valid
    place = library.first(hit)
    numbered = library.positions(values.shape[-1], values)
    return library.cast((numbered == place.reshape((*place.shape, 1))) & hit, dtype)


def others(library: Any, dtype: str, values: Any, valid: Any) -> Any:
    """The product of all other points: no division, so zeros need no care."""
    axis = len(values.shape) - 1
    ones = library.broadcast(library.number(1, dtype, values), (*values.shape[:-1], 1))

    def before(given: Any) -> Any:
        return library.joined([ones, library.products(given[..., :-1])], axis)

    behind = library.flipped(before(library.flipped(values)))
    return library.where(valid, before(values) * behind, library.number(0, dtype, values))


def softmax(library: Any, dtype: str, values: Any, valid: Any) -> Any:
    """The powers over their sum, so that they add up to one however the result was rounded.

    A NaN makes NaN of all; an infinity takes everything, and is NaN itself. Where all values are
    minus infinity there is nothing to share out.
    """
    zero, one = (library.number(n, dtype, values) for n in (0, 1))
    top = _along(library, values, "maximum")
    powers = library.exp(values - library.where(top == -float("inf"), zero, top))
    total = _along(library, powers, "add")
    shares = powers / library.where(total == 0, one, total)
    return library.where(valid & (powers != 0), shares, zero)


# -- how they change -----------------------------------------------------------------------------


def change_of_others(library: Any, dtype: str, values: Any, changes: Any, valid: Any) -> Any:
    """The products of all others, changed: running products of both ends and their changes."""
    left, left_change = _running(library, dtype, values, changes)
    turned = _running(library, dtype, library.flipped(values), library.flipped(changes))
    right, right_change = map(library.flipped, turned)
    zero = library.number(0, dtype, values)
    return library.where(valid, left_change * right + left * right_change, zero)


def _running(library: Any, dtype: str, values: Any, changes: Any) -> tuple[Any, Any]:
    """The product of all points before each one, and its change."""
    shape, axis = (*values.shape[:-1], 1), len(values.shape) - 1
    products, moves = ([library.broadcast(library.number(n, dtype, values), shape)] for n in (1, 0))
    for n in range(values.shape[-1] - 1):
        value, change = values[..., n : n + 1], changes[..., n : n + 1]
        moves.append(moves[-1] * value + products[-1] * change)
        products.append(products[-1] * value)
    return library.joined(products, axis), library.joined(moves, axis)


def change_of_softmax(library: Any, dtype: str, values: Any, changes: Any, valid: Any) -> Any:
    """``P·(v - Σ P·v)`` for changes ``v``."""
    weights = softmax(library, dtype, values, valid)
    return weights * (changes - _along(library, weights * changes, "add"))


def _along(library: Any, values: Any, combine: str) -> Any:
    """The reduction of the last axis, which stays."""
    axis = len(values.shape) - 1
    return library.reductions[combine](values, (axis,)).reshape((*values.shape[:-1], 1))
