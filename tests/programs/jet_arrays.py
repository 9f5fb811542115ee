"""Arrays of numbers that know how they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from programs.jets import Jet, jet, plain, times, total, value_of

Array = NDArray[Any]


def exact(values: Any) -> Array:
    """An array of numbers as one of exact ones, and of jets."""
    array = np.asarray(values)
    return each(plain, array.astype(object))


def each(change: Callable[..., Any], *arrays: Array) -> Array:
    """Apply a function to the elements of arrays that fit."""
    wide = np.broadcast_arrays(*arrays)
    found = np.empty(wide[0].shape, object)
    for place in np.ndindex(*found.shape):
        found[place] = change(*(array[place] for array in wide))
    return found


def variables(
    inputs: Mapping[str, Array], wrt: Sequence[str], tangents: Mapping[str, Array] | None = None
) -> dict[str, Array]:
    """Inputs that know how they change: each element of some by itself, and along a direction."""
    found = {name: exact(array) for name, array in inputs.items()}
    for name in dict.fromkeys((*wrt, *(tangents or {}))):
        direction = exact((tangents or {}).get(name, np.zeros(np.shape(inputs[name]), object)))
        found[name] = varied(found[name], direction, name if name in wrt else None)
    return found


def varied(array: Array, direction: Array, name: str | None) -> Array:
    """An array that changes along a direction, and whose elements are variables."""
    found = np.empty(array.shape, object)
    for at in np.ndindex(*array.shape):
        slopes = {} if name is None else {(name, at): Fraction(1)}
        found[at] = Jet(value_of(array[at]), direction[at], slopes)
    return found


def gradient(number: Any, name: str, shape: Sequence[int], mixed: bool = False) -> Array:
    """The slopes of a number by each element of an input; or how they change."""
    known = jet(number)
    slopes = known.mixed if mixed else known.slopes
    found = np.empty(tuple(shape), object)
    for at in np.ndindex(*found.shape):
        found[at] = slopes.get((name, at), Fraction(0))
    return found


def values(array: Array) -> Array:
    """The values of an array of jets."""
    return each(value_of, array)


def tangent(array: Array) -> Array:
    """How an array changes along the direction."""
    return each(lambda number: jet(number).tangent, array)


def inner(left: Array, right: Array) -> Any:
    """The sum of the products of elements."""
    return total(times(a, b) for a, b in zip(left.ravel(), right.ravel(), strict=True))
