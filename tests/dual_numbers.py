"""Exact derivatives by dual numbers: a witness that knows no product rule of contractions.

A dual number ``a + b·ε`` with ``ε² = 0`` carries a derivative through sums and products; one whose
parts are dual numbers carries a second one. The contraction is evaluated point by point, as the
oracle finds the points.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from oracle import landings_of, read_spec


@dataclass(frozen=True)
class Dual:
    """A value and its change."""

    value: Any
    change: Any

    def __add__(self, other: Any) -> Dual:
        more = as_dual(other)
        return Dual(self.value + more.value, self.change + more.change)

    def __mul__(self, other: Any) -> Dual:
        more = as_dual(other)
        change = self.value * more.change + self.change * more.value
        return Dual(self.value * more.value, change)

    __radd__, __rmul__ = __add__, __mul__


def as_dual(number: Any) -> Dual:
    """A number that does not change."""
    return number if isinstance(number, Dual) else Dual(number, 0)


def moved(array: np.ndarray[Any, Any], direction: Any) -> np.ndarray[Any, Any]:
    """An array that changes in a direction."""
    made = np.empty(array.shape, object)
    for place in np.ndindex(array.shape):
        made[place] = Dual(array[place], np.asarray(direction)[place])
    return made


def change(number: Any) -> Any:
    """How a number changes."""
    return number.change if isinstance(number, Dual) else 0


def contracted(
    spec: str,
    arrays: Sequence[np.ndarray[Any, Any]],
    extents: Mapping[str, int],
    shape: Sequence[int],
    reduce: str = "sum",
) -> list[Any]:
    """The elements of a contraction of numbers of any kind, in row-major order."""
    landings = landings_of(read_spec(spec), [np.shape(a) for a in arrays], extents, shape)
    flats = [np.asarray(array, object).ravel() for array in arrays]
    made = []
    for landing in landings:
        values = [
            math.prod((flat[at] for flat, at in zip(flats, read, strict=True)), start=1)
            for read in landing.reads
        ]
        if reduce == "prod":
            made.append(math.prod(values, start=1))
        else:
            share = Fraction(1, max(1, landing.points)) if reduce == "mean" else 1
            made.append(sum(values, start=0) * share)
    return made


def inner(cotangent: np.ndarray[Any, Any], made: Sequence[Any]) -> Any:
    """The loss whose gradient by the result is the cotangent."""
    weights = np.asarray(cotangent, object).ravel()
    return sum((value * weight for value, weight in zip(made, weights, strict=True)), start=0)


def unit(shape: tuple[int, ...], place: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """One at a place, zero elsewhere."""
    made = np.zeros(shape, int)
    made[place] = 1
    return made
