"""A contraction compiled for fixed shapes: everything but the arithmetic is done beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import is_
from typing import Any

import numpy as np

from contractconv.arrays.epilogue import ending
from contractconv.arrays.operands import as_operand
from contractconv.arrays.precision import (
    accumulator,
    is_rounded,
    result_dtype,
    rounded,
    working_dtype,
)
from contractconv.arrays.views import Array
from contractconv.caches import Shelf
from contractconv.errors import OperandError, ShapeError
from contractconv.execution.gradient import backward, gradient
from contractconv.execution.profile import Profile, profiled
from contractconv.execution.ready import layout, ready
from contractconv.execution.run import planned, run
from contractconv.notation.places import operand_position
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Spec
from contractconv.planning.plan import Plan


class Compiled:
    """A contraction for operands of fixed shapes and one dtype.

    Attributes:
        plan: how the forward contraction is executed.
    """

    def __init__(
        self,
        spec: Spec,
        problem: Problem,
        shapes: Sequence[Shape],
        dtype: np.dtype[Any],
        algorithm: str = "auto",
    ) -> None:
        self._spec = spec
        self._problem = problem
        self._shapes = tuple(shapes)
        self._dtype = dtype
        # What is added to a result, or contracted back from it, is in the numbers of its sums.
        self._numbers = accumulator(result_dtype(problem.reduce, dtype))
        self._algorithm = algorithm
        numbers = working_dtype(problem, result_dtype(problem.reduce, dtype))
        self.plan = planned(problem, str(numbers), algorithm)
        self._backward: dict[int, Plan] = {}
        self._ready = Shelf()

    def __call__(self, *operands: Any, bias: Any = None, activation: str | None = None) -> Array:
        """Contract arrays of the compiled shapes, and finish the result while it is in cache.

        Args:
            *operands: the operands.
            bias: an array that is added along the last axis of the result.
            activation: ``"relu"`` makes zero of what is negative then.

        Returns:
            A new array.

        Raises:
            ShapeError: a shape differs from the compiled one, or the bias does not fit.
            OperandError: the number of operands, a dtype or the activation is wrong.
        """
        plain = bias is None and activation is None
        known = self._ready.get(layout(operands)) if plain else None  # nothing is kept for None
        if known is not None:
            made: Array = known(operands)
            return made
        arrays = self._checked(operands)
        if plain:
            self._keep(operands, arrays)
            return run(self.plan, arrays)
        shape = self._problem.result_shape
        added = None if bias is None else self._array(bias, "the bias", shape[-1:], self._numbers)
        return run(self.plan, arrays, ending=ending(added, activation, shape))

    def _keep(self, operands: Sequence[Any], arrays: Sequence[Array]) -> None:
        """Keep what carries out a call for the next one, if operands are taken as they are."""
        work = ready(self.plan, arrays) if all(map(is_, operands, arrays)) else None
        key = layout(operands)
        if work is not None and key is not None:
            self._ready.put(key, work, 0)

    def vjp(self, n: int, cotangent: Any, *operands: Any) -> Array:
        """Contract a cotangent (of the result's shape) back to operand ``n``.

        Raises:
            OperandError: there is no operand ``n``.
        """
        n = self._position(n)
        arrays = self._checked(operands)
        given = self._array(cotangent, "the cotangent", self._problem.result_shape, self._numbers)
        steps = self.vjp_plan(n)
        return gradient(self._spec, n, self._problem, given, arrays, self._algorithm, steps)

    def vjp_plan(self, n: int) -> Plan:
        """How the backward contraction of operand ``n`` is executed.

        An algorithm that was asked for is used where it applies; the rest is direct.
        """
        n = self._position(n)
        if n not in self._backward:
            problem = backward(self._spec, n, self._problem, self._shapes)
            made = planned(problem, str(self._numbers), self._algorithm, lenient=True)
            forward = None if self._problem.reduce == "sum" else self._problem
            self._backward[n] = replace(made, forward=forward)
        return self._backward[n]

    def profile(self, *operands: Any) -> Profile:
        """Time each piece of a call: what the plan predicts, as it is.

        Args:
            *operands: the operands, as in a call.

        Returns:
            What ran, and how long, in a median of five calls; ``print`` shows it as a table.
        """
        return profiled(lambda: self(*operands))

    def vjp_profile(self, n: int, cotangent: Any, *operands: Any) -> Profile:
        """Time each piece of :meth:`vjp`, as :meth:`profile` does."""
        return profiled(lambda: self.vjp(n, cotangent, *operands))

    def _position(self, n: int) -> int:
        return n if type(n) is int and n in self._backward else operand_position(self._spec, n)

    def _checked(self, operands: Sequence[Any]) -> list[Array]:
        if len(operands) != len(self._shapes):
            raise OperandError(
                f"compiled for {len(self._shapes)} operand{'s' * (len(self._shapes) != 1)}, "
                f"called with {len(operands)}"
            )
        return [
            self._array(operand, f"operand {n}", shape, self._dtype)
            for n, (operand, shape) in enumerate(zip(operands, self._shapes, strict=True))
        ]

    def _array(self, operand: Any, what: str, shape: Shape, dtype: np.dtype[Any]) -> Array:
        if type(operand) is np.ndarray and operand.dtype == dtype and operand.shape == shape:
            return operand
        given = as_operand(operand, what)
        try:
            array = np.asarray(given, dtype if type(given) is int else None)
        except OverflowError:
            raise OperandError(f"{what} is {given}, which {dtype} cannot hold") from None
        if array.shape != shape:
            raise ShapeError(f"{what} has shape {array.shape}, compiled for {shape}")
        # Rounding a float is what a caller asks for; wrapping an integer around is not.
        rule: Any = "same_kind" if is_rounded(dtype) else "safe"
        if not np.can_cast(array.dtype, accumulator(dtype), rule):
            raise OperandError(f"{what} is {array.dtype}, compiled for {self._dtype}")
        return rounded(array, dtype)

    def __repr__(self) -> str:
        shapes = ", ".join(map(str, self._shapes))
        return f"Compiled({str(self._spec)!r}, {shapes}, dtype={self._dtype.name!r})"
