"""Factors that are averaged from step to step, and their inverses: arrays by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from contractconv.training.kfac.damping import Array, Method, damped_inverses
from contractconv.training.kfac.sites import Site

Arrays = dict[str, Array]
Shape = tuple[int, ...]
# What a program makes of factors, what is averaged, and what updates are given.
INPUT_PARTS, OUTPUT_PART = ("windows", "window_sum", "places"), "cotangents"
FACTORS = ("input_factor", "output_factor")
INVERSES = ("rows", "cross", "corner", "columns")


@dataclass(frozen=True)
class Block:
    """The curvature of a weight, and of the bias that is a row of it, as arrays.

    Attributes:
        name: of the weight.
        groups: the sizes of the axes that number groups.
        rows: the sizes of the indices that are summed.
        columns: the sizes of those that the weight alone gives to the result.
        has_bias: whether the last row of the input factor is that of a bias.
    """

    name: str
    groups: Shape
    rows: Shape
    columns: Shape
    has_bias: bool

    @staticmethod
    def of(name: str, site: Site, shape: Shape) -> Block:
        """The block of a weight of some shape."""
        sizes = dict(zip([a.plain for a in site.layer.target], shape, strict=True))
        matrix = site.matrix
        parts = (matrix.groups, matrix.rows, matrix.columns)
        groups, rows, columns = (tuple(sizes[name] for name in names) for names in parts)
        return Block(name, groups, rows, columns, site.bias is not None)

    @property
    def sizes(self) -> tuple[int, int]:
        """How many rows both factors have."""
        return prod(self.rows) + self.has_bias, prod(self.columns)

    def begin(self, numbers: np.dtype[np.generic]) -> Arrays:
        """The factors and inverses before there are any: zeros."""
        found = {
            f"{self.name}_{factor}": np.zeros((prod(self.groups), size, size), average_of(numbers))
            for factor, size in zip(FACTORS, self.sizes, strict=True)
        }
        return found | {
            f"{self.name}_{part}": np.zeros(shape, numbers)
            for part, shape in self._inverse_shapes.items()
        }

    def averaged(
        self, state: Mapping[str, Array], made: Mapping[str, Array], share: float
    ) -> Arrays:
        """The running averages of both factors with those that a program has made.

        Args:
            state: the averages so far.
            made: ``NAME_windows`` and so on, as the program of factors makes them.
            share: how much is kept of what there was.
        """
        new = (self._input_factor(made), self._squared(made[f"{self.name}_{OUTPUT_PART}"]))
        names = [f"{self.name}_{factor}" for factor in FACTORS]
        return {
            name: np.asarray(share * state[name] + (1 - share) * array, state[name].dtype)
            for name, array in zip(names, new, strict=True)
        }

    def inverted(
        self, state: Mapping[str, Array], weight: float, damping: float, method: Method
    ) -> Arrays:
        """Invert both factors, and cut the row of the bias off.

        Args:
            state: the averages.
            weight: the sum of the weights in them, by which they are divided.
            damping: see :func:`~contractconv.training.kfac.damping.damped_inverses`.
            method: likewise.

        Returns:
            ``NAME_rows``, ``NAME_cross``, ``NAME_corner`` and ``NAME_columns``, as
            :class:`~contractconv.training.kfac.directions.Inverses` names them.
        """
        left, right = (state[f"{self.name}_{f}"] / weight for f in FACTORS)
        first, last = damped_inverses(left, right, damping, method)
        size = prod(self.rows)
        parts = {"rows": first[:, :size, :size], "columns": last}
        if self.has_bias:
            parts |= {"cross": first[:, :size, size], "corner": first[:, size, size]}
        names = {part: f"{self.name}_{part}" for part in self._inverse_shapes}
        return {
            name: np.ascontiguousarray(parts[part], state[name].dtype).reshape(state[name].shape)
            for part, name in names.items()
        }

    def _input_factor(self, made: Mapping[str, Array]) -> Array:
        """The input factor as a matrix for each group, the row of the bias last."""
        own, *bias = (made[f"{self.name}_{p}"] for p in INPUT_PARTS if f"{self.name}_{p}" in made)
        own = self._squared(own)
        if not bias:
            return own
        groups, size, _ = own.shape
        whole = np.empty((groups, size + 1, size + 1), own.dtype)
        whole[:, :size, :size] = own
        whole[:, :size, size] = whole[:, size, :size] = bias[0].reshape(groups, size)
        whole[:, size, size] = bias[1]
        return whole

    def _squared(self, factor: Array) -> Array:
        """A factor as a matrix for each group, ``"g n n"``."""
        size = factor.shape[-1] if factor.ndim > len(self.groups) else 1
        return factor.reshape(prod(self.groups), size, size)

    @property
    def _inverse_shapes(self) -> dict[str, Shape]:
        row = (prod(self.rows),) * bool(self.rows)
        column = (prod(self.columns),) * bool(self.columns)
        beside: dict[str, Shape] = {"cross": row, "corner": ()} if self.has_bias else {}
        shapes: dict[str, Sequence[int]] = {"rows": row * 2, **beside, "columns": column * 2}
        return {part: (*self.groups, *shape) for part, shape in shapes.items()}


def average_of(numbers: np.dtype[np.generic]) -> np.dtype[np.generic]:
    """The numbers of averages: no shorter than float32, in which matrices can be inverted."""
    return np.result_type(numbers, np.float32)
