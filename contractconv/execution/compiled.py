"""A contraction compiled for fixed shapes: everything but the arithmetic is done beforehand."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from operator import is_
from typing import Any, Never

import numpy as np

from contractconv.arrays.conversion import Conversion, as_dtype, fitted
from contractconv.arrays.epilogue import ending
from contractconv.arrays.precision import accumulator, result_dtype, working_dtype
from contractconv.arrays.views import Array
from contractconv.cache_register import Shelf
from contractconv.engines.portable.libraries import has_foreign
from contractconv.errors import OperandError, ParameterError
from contractconv.execution.foreign import entry
from contractconv.execution.foreign import gradient as foreign_gradient
from contractconv.execution.foreign.conversion import Conversion as ForeignConversion
from contractconv.execution.foreign.inputs import settled_arrays
from contractconv.execution.gradient import beside_weights, gradient, ready_gradient
from contractconv.execution.limited_plans import planned_within
from contractconv.execution.profile import Profile, profiled
from contractconv.execution.programs.compiled import CompiledProgram, all_gradients
from contractconv.execution.ready import Ready, key_of
from contractconv.execution.run import carry_out, made_ready, run, run_first
from contractconv.markup.parts import article, code
from contractconv.markup.shown import Printed
from contractconv.notation.carets import operand_position
from contractconv.notation.keywords import Casting
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Spec
from contractconv.planning.derived_problems import backward
from contractconv.planning.options import DEFAULTS, Options, unsaid
from contractconv.planning.plan import Plan
from contractconv.reductions.table import REDUCTIONS

# Takes a cotangent and the operands to a gradient; nothing if it has to be made in another way.
Back = Callable[[Array, Sequence[Any]], Array | None]


class Compiled(Printed):
    """A contraction for operands of fixed shapes and one dtype.

    Attributes:
        plan: how the forward contraction is executed.
    """

    def __init__(
        self,
        spec: Spec,
        problem: Problem,
        shapes: Sequence[Shape],
        options: Options,
        names: Sequence[str] = (),
    ) -> None:
        self._spec = spec
        self._named = replace(spec, names=tuple(names))
        self._labels = [*names] or [f"operand {n}" for n in range(len(shapes))]
        self._problem = problem
        self._shapes = tuple(shapes)
        self._options = options
        self._dtype = as_dtype(options.dtype, spec.indices)
        # What is added to a result, or contracted back from it, is in the numbers of its sums.
        self._numbers = accumulator(result_dtype(problem.reduce, self._dtype))
        numbers = working_dtype(problem, result_dtype(problem.reduce, self._dtype))
        self.plan = planned_within(problem, numbers, options)
        self._backward: dict[int, Plan] = {}
        self._ready = Shelf()
        self._all_gradients: CompiledProgram | None = None

    def __call__(
        self,
        *operands: Any,
        bias: Any = None,
        activation: str | None = None,
        out: Array | None = None,
        casting: Casting = "safe",
        **others: Never,
    ) -> Array:
        """Contract arrays of the compiled shapes, and finish the result while it is in cache.

        Args:
            *operands: the operands.
            bias: an array that is added along the last axis of the result.
            activation: ``"relu"`` makes zero of what is negative then.
            out: an array of the result's shape that is filled and returned.
            casting: which conversion to the dtype of ``out`` is allowed.
            **others: none; what a contraction is compiled for is settled.

        Returns:
            A new array, or ``out``.

        Raises:
            ShapeError: a shape differs from the compiled one, or the bias does not fit.
            OperandError: the number of operands, a dtype or the activation is wrong.
            ParameterError: an option that was settled, or makes no sense here.
        """
        options = self._asked(
            "a compiled contraction", others,
            bias=bias, activation=activation, out=out, casting=casting,
        )  # fmt: skip
        if options is not DEFAULTS or self._options.memory_limit is not None:
            if has_foreign(operands):
                return self._foreign(operands, options)
            return self._filled(self._made(self._checked(operands), options), options)
        key = key_of(operands)
        known: Ready | None = self._ready.get(key)
        return self._run_first(key, operands) if known is None else known.carry(operands)

    def _foreign(self, operands: Sequence[Any], options: Options) -> Array:
        """Contract arrays of another library, as it was settled and as the call says."""
        self._check_count(operands)
        names, shapes = [*self._labels], [*self._shapes]
        dtypes, given = [self._dtype] * len(names), [*operands]
        if options.bias is not None:
            names.append("the bias")
            shapes.append(self._problem.result_shape[-1:])
            dtypes.append(self._numbers)
            given.append(options.bias)
        library, arrays = settled_arrays(given, names, shapes, dtypes)
        bias = None if options.bias is None else arrays.pop()
        asked = {name: getattr(options, name) for name in ("activation", "out", "casting")}
        told = replace(self._options, dtype=None, bias=bias, **asked)
        indices = self._spec.indices
        made: Array = entry.called(library, self._problem, arrays, told, indices)
        return made

    def _foreign_vjp(self, n: int, given: Sequence[Any], options: Options) -> Array:
        """Contract a cotangent of another library back."""
        self._check_count(given[1:])
        names = ["the cotangent", *self._labels]
        shapes = (self._problem.result_shape, *self._shapes)
        dtypes = [self._numbers, *[self._dtype] * len(self._shapes)]
        library, (cotangent, *arrays) = settled_arrays(given, names, shapes, dtypes)
        told = replace(self._options, dtype=None, out=options.out, casting=options.casting)
        wanted = ForeignConversion.of(library, told, self._problem.reduce, self._spec.indices)
        made: Array = foreign_gradient.gradient(
            self._spec, n, self._problem, cotangent, arrays, told
        )
        return made if wanted is None else wanted.filled(made)

    def _run_first(self, key: Hashable, operands: Sequence[Any]) -> Array:
        """Keep what carries out a call for the next one, if operands are taken as they are."""
        if has_foreign(operands):
            return self._foreign(operands, DEFAULTS)
        arrays = self._checked(operands)
        made, ready = run_first(self.plan, arrays)
        if key is not None and all(map(is_, operands, arrays)):
            self._ready.put(key, ready, ready.size)
        return made

    def vjp(
        self,
        n: int | str,
        cotangent: Any,
        *operands: Any,
        out: Array | None = None,
        casting: Casting = "safe",
        **others: Never,
    ) -> Array:
        """Contract a cotangent (of the result's shape) back to operand ``n``, or of that name.

        Raises:
            OperandError: there is no operand ``n``.
        """
        n = self._position(n)
        options = self._asked("a compiled gradient", others, out=out, casting=casting)
        key = n, key_of((cotangent, *operands))
        known: Back | None = self._ready.get(key) if options is DEFAULTS else None
        if known is not None and (made := known(cotangent, operands)) is not None:
            return made
        if has_foreign((cotangent, *operands)):
            return self._foreign_vjp(n, (cotangent, *operands), options)
        arrays = self._checked(operands)
        given = self._array(cotangent, "the cotangent", self._problem.result_shape, self._numbers)
        made = gradient(
            self._spec, n, self._problem, given, arrays, self._options, self.vjp_plan(n)
        )
        as_given = all(map(is_, (cotangent, *operands), (given, *arrays)))
        if options is DEFAULTS and key[1] is not None and as_given:
            self._keep_gradient(n, key, given, arrays)
        return self._filled(made, options)

    def _keep_gradient(self, n: int, key: Hashable, given: Array, arrays: list[Array]) -> None:
        """Keep what carries out a gradient for the next one, if that is all there is to do."""
        plan, options = self.vjp_plan(n), self._options
        converted = self._dtype.kind not in "fc" or self._numbers != self._dtype
        if converted or options.memory_limit is not None:
            return
        if plan.at_once is not None:
            found = ready_gradient(self._problem, given, arrays)
            if found is not None:
                carry = found.carry
                self._ready.put(key, lambda given, operands: carry(given, *operands), found.size)
        elif REDUCTIONS[self._problem.reduce].is_sum:
            ready = made_ready(plan, [given, *arrays[:n], *arrays[n + 1 :]])

            def back(given: Array, operands: Sequence[Any]) -> Array:
                return ready.carry([given, *operands[:n], *operands[n + 1 :]])

            self._ready.put(key, back, ready.size)

    def vjps(self, cotangent: Any, *operands: Any) -> tuple[Array, ...]:
        """Contract a cotangent back to every operand.

        The operands meet in pairs, and one cotangent comes back to each pair: all gradients
        together take about twice what the contraction takes, and not as much again for each.

        Returns:
            An array for each operand, of its shape and its dtype.

        Example:
            >>> import contractconv as cc
            >>> run = cc.Contraction("i j, j k, k l -> i l").compile((2, 3), (3, 4), (4, 5))
            >>> [made.shape for made in run.vjps(np.ones((2, 5)), *map(np.ones, run.shapes))]
            [(2, 3), (3, 4), (4, 5)]
        """
        if self._dtype.kind not in "fc" or self._options.memory_limit is not None:
            return tuple(self.vjp(n, cotangent, *operands) for n in range(len(self._shapes)))
        if self._all_gradients is None:
            self._all_gradients = all_gradients(self._spec, self._problem, self._dtype)
        if has_foreign((cotangent, *operands)):
            self._check_count(operands)
            return tuple(self._all_gradients(*operands, cotangent))
        arrays = self._checked(operands)
        given = self._array(cotangent, "the cotangent", self._problem.result_shape, self._numbers)
        return tuple(self._all_gradients(*arrays, given.astype(self._dtype, copy=False)))

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes of the operands."""
        return self._shapes

    def vjp_plan(self, n: int | str) -> Plan:
        """How the backward contraction of operand ``n`` is executed.

        An algorithm that was asked for is used where it applies; the rest is direct.
        """
        n = self._position(n)
        if n not in self._backward:
            problem = backward(self._spec, n, self._problem, self._shapes)
            inner = beside_weights(self._options, self._problem)
            made = planned_within(problem, self._numbers, inner, lenient=True)
            forward = None if REDUCTIONS[self._problem.reduce].is_sum else self._problem
            self._backward[n] = replace(made, forward=forward)
        return self._backward[n]

    def profile(self, *operands: Any) -> Profile:
        """Time each piece of a call: what the plan predicts, as it is.

        Args:
            *operands: the operands, as in a call.

        Returns:
            What ran, and how long, in a median of five calls; ``print`` shows it as a table.
        """
        arrays = self._checked(operands)
        return profiled(lambda: self(*arrays))

    def vjp_profile(self, n: int | str, cotangent: Any, *operands: Any) -> Profile:
        """Time each piece of :meth:`vjp`, as :meth:`profile` does."""
        arrays = self._checked(operands)
        return profiled(lambda: self.vjp(n, cotangent, *arrays))

    def _made(self, arrays: Sequence[Array], options: Options) -> Array:
        shape = self._problem.result_shape
        finish = ending(options, shape, self._numbers, "compiled for")
        if self._options.memory_limit is None:
            return run(self.plan, arrays, finish)
        return carry_out(self._problem, arrays, self._options, ending=finish)

    def _filled(self, made: Array, options: Options) -> Array:
        if options is DEFAULTS:
            return made
        wanted = Conversion.of(options, self._problem.reduce, self._spec.indices)
        return made if wanted is None else wanted.filled(made)

    def _asked(self, call: str, others: Mapping[str, Any], **given: Any) -> Options:
        if not others and unsaid(given):
            return DEFAULTS
        options = Options.of(self._spec, call, others, **given)
        if others:
            name, value = next(iter(others.items()))
            raise ParameterError(f"{call} has its extents already, and takes no {name}={value!r}")
        return options

    def _position(self, n: int | str) -> int:
        if type(n) is int and (n in self._backward or self._named.is_tied):
            return n
        return operand_position(self._named, n)

    def _check_count(self, operands: Sequence[Any]) -> None:
        if len(operands) != len(self._shapes):
            raise OperandError(
                f"compiled for {len(self._shapes)} operand{'s' * (len(self._shapes) != 1)}, "
                f"called with {len(operands)}"
            )

    def _checked(self, operands: Sequence[Any]) -> list[Array]:
        self._check_count(operands)
        return [
            self._array(operand, label, shape, self._dtype)
            for label, operand, shape in zip(self._labels, operands, self._shapes, strict=True)
        ]

    def _array(self, operand: Any, what: str, shape: Shape, dtype: np.dtype[Any]) -> Array:
        return fitted(operand, what, shape, dtype, "compiled for")

    def _repr_html_(self) -> str:
        from contractconv.planning.report_page import plan_parts

        return article([f"<p>{code(repr(self))}</p>", *plan_parts(self.plan)])

    def __repr__(self) -> str:
        shapes = ", ".join(map(str, self._shapes))
        return f"Compiled({str(self._spec)!r}, {shapes}, dtype={self._dtype.name!r})"
