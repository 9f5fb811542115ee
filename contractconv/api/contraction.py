"""Contractions: what a string says, and everything that can be asked about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, overload

from contractconv.api.call_checks import called, enter_execution
from contractconv.api.representations import Written
from contractconv.notation.carets import operand_position
from contractconv.notation.ellipsis import expand_dots
from contractconv.notation.extents import bind, resolved, split_values
from contractconv.notation.keywords import Casting
from contractconv.notation.names import named as named_as
from contractconv.notation.names import names_text, spread
from contractconv.notation.parser import as_reduction, parse
from contractconv.notation.problem import Problem, Shape, as_shape
from contractconv.notation.shift import block_spec
from contractconv.notation.spec import Reduction, Spec
from contractconv.planning.options import Optimize, Options
from contractconv.planning.path import Minimize
from contractconv.planning.setting import Algorithm
from contractconv.tensor_types import are_of_torch

if TYPE_CHECKING:
    from contractconv.api.curvature import Curvature
    from contractconv.api.derivation import Derivation
    from contractconv.api.derivatives import Derived
    from contractconv.api.tensor import Tensor
    from contractconv.arrays.views import Array
    from contractconv.calculus.derived_strings import Recipe
    from contractconv.calculus.equation import Equation
    from contractconv.display.explanation import Explanation
    from contractconv.display.source_code import Given
    from contractconv.execution.compiled import Compiled
    from contractconv.planning.plan import Plan


class Contraction(Written):
    """A contraction of arrays, defined by a string; immutable, hashable, without arrays.

    Args:
        spec: the string, for example ``"b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o"``.
        reduce: how contributions to one element combine; see :func:`contract`.
        parameters: names in the string that are numbers, not indices: ``"s d p"``.
        names: what the operands are called in formulas, pictures, sources and errors: one name for
            each, ``"x A x"``; what the result is called may follow, ``"x A x -> y"``. Equal names
            are one array: the contraction is called with one array a name, in the order of first
            appearance, and its gradient by a name adds up those by all its places.

    Raises:
        SpecError: the string is not in the notation, or names do not fit; the message points at
            the place.
        ReductionError: the reduction is unknown.

    Example:
        >>> conv = Contraction("b (2*i+k-1) c, k c o -> b i o")
        >>> conv.output_shape((8, 28, 3), (3, 3, 16))
        (8, 14, 16)
        >>> print(conv.grad(0))
        b i o, k c o -> b (2*i+k-1) c
        >>> square = Contraction("i, i j, j ->", names="x A x")
        >>> print(square.grad("x").formula)
        dx[i] = G · Σ_{j} (A[i, j] + A[j, i]) · x[j]
    """

    __slots__ = ("__weakref__", "_named", "_spec")
    _named: Spec
    _spec: Spec  # without names, of which plans and caches know nothing

    def __init__(
        self,
        spec: str,
        reduce: Reduction = "sum",
        parameters: str | Iterable[str] = (),
        names: str | Iterable[str] | None = None,
    ):
        self._set(named_as(parse(spec, reduce, parameters), names))

    def _set(self, named: Spec) -> None:
        object.__setattr__(self, "_named", named)
        object.__setattr__(self, "_spec", named.unnamed)

    @classmethod
    def _of(cls, spec: Spec) -> Contraction:
        contraction = cls.__new__(cls)
        contraction._set(spec)
        return contraction

    # -- what it says --------------------------------------------------------------------------

    @property
    def reduce(self) -> Reduction:
        """How contributions to one element combine."""
        return self._spec.reduce

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters that are still unbound, sorted."""
        return self._spec.parameters

    @property
    def names(self) -> tuple[str, ...]:
        """What each operand is called: by its own name, or as it is in formulas without one.

        Example:
            >>> Contraction("b i, i o -> b o").names
            ('X', 'W')
        """
        return self._named.called

    @property
    def arrays(self) -> tuple[str, ...]:
        """The arrays that it is called with, by name: equal names are one array.

        Example:
            >>> Contraction("i, i j, j ->", names="x A x").arrays
            ('x', 'A')
        """
        return self._named.arrays

    @property
    def indices(self) -> tuple[str, ...]:
        """Every index: those of the output first, then the reduced ones."""
        return self._spec.indices

    @property
    def reduced(self) -> tuple[str, ...]:
        """The indices that are reduced, in row-major order."""
        return self._spec.reduced

    def bind(self, /, **values: int) -> Contraction:
        """Put integers in the place of parameters.

        Raises:
            ParameterError: a name is not a parameter, or a divisor would become zero.
        """
        return Contraction._of(bind(self._named, values))

    def block(self, name: str) -> Contraction:
        """Return the contraction of a block of an index: the same string with other offsets.

        Args:
            name: the index, ``i``. The block begins at the parameter ``i0``; along each axis on
                which the index does not stand alone, what is read or written begins at ``lo``, or
                at ``lo0``, ``lo1``, ... if there are several. Bound, it is called with those
                rows, and with the extent of the index.

        Raises:
            ParameterError: there is no such index, or it is a part of a composition.

        Example:
            >>> import numpy as np
            >>> conv = Contraction("b (2*i+k-1), k -> b i")
            >>> print(conv.block("i"))
            b (2*i+k+2*i0-lo-1), k -> b i
            >>> x, w = np.arange(10)[None], np.array([1, 10, 100])
            >>> conv(x, w)[:, 2:4], conv.block("i").bind(i0=2, lo=3)(x[:, 3:8], w, i=2)
            (array([[543, 765]]), array([[543, 765]]))
        """
        return Contraction._of(block_spec(self._named, name))

    def extents(
        self,
        /,
        *shapes: Sequence[int],
        output_shape: Sequence[int] | None = None,
        extents: Mapping[str, int] | None = None,
        **named: int,
    ) -> dict[str, int]:
        """Return the extent of every index for operands of these shapes."""
        options = self._options("extents", named, extents, output_shape=output_shape)
        return dict(self._problem(self._spread(shapes), options).sizes)

    # Any: a checker takes ``**named`` of integers for a candidate of every keyword.
    def output_shape(
        self,
        /,
        *shapes: Sequence[int],
        output_shape: Any = None,
        extents: Any = None,
        **named: int,
    ) -> tuple[int, ...]:
        """Return the shape of the result for operands of these shapes."""
        options = self._options("output_shape", named, extents, output_shape=output_shape)
        return self._problem(self._spread(shapes), options).result_shape

    # -- what it does --------------------------------------------------------------------------

    @overload
    def __call__(self, first: Tensor, /, *operands: Any, **options: Any) -> Tensor: ...

    @overload
    def __call__(
        self,
        /,
        *operands: Any,
        output_shape: Sequence[int] | None = None,
        memory_limit: float | None = None,
        optimize: Optimize | None = None,
        path: Optimize | None = None,
        minimize: Minimize | None = None,
        algorithm: Algorithm = "auto",
        out: Array | None = None,
        dtype: Any = None,
        casting: Casting = "safe",
        bias: Any = None,
        activation: str | None = None,
        progress: bool = False,
        extents: Mapping[str, int] | None = None,
        **named: int,
    ) -> Array: ...
    def __call__(
        self,
        /,
        *operands: Any,
        output_shape: Any = None,
        memory_limit: float | None = None,
        optimize: Optimize | None = None,
        path: Optimize | None = None,
        minimize: Minimize | None = None,
        algorithm: Algorithm = "auto",
        out: Array | None = None,
        dtype: Any = None,
        casting: Casting = "safe",
        bias: Any = None,
        activation: str | None = None,
        progress: bool = False,
        extents: Any = None,
        **named: Any,
    ) -> Any:
        """Contract arrays; see :func:`contract`."""
        unsaid = memory_limit, optimize, path, minimize, out, dtype
        if algorithm == "auto" and are_of_torch(operands, *unsaid):
            from contractconv.api.torch_calls import contracted

            said = {"output_shape": output_shape, "bias": bias, "activation": activation}
            return contracted(self, operands, "sum", None, extents, named, said)
        return called(
            self, "a contraction", operands, named, extents, output_shape=output_shape,
            memory_limit=memory_limit, optimize=optimize, path=path, minimize=minimize,
            algorithm=algorithm, out=out, dtype=dtype, casting=casting, bias=bias,
            activation=activation, progress=progress,
        )  # fmt: skip

    def grad(self, n: int | str) -> Derivation:
        """Derive the gradient with respect to an operand.

        Args:
            n: its position, or its name. An array that stands in several places, as operands of
                one name say, has the sum of the gradients by each of them.

        Raises:
            OperandError: there is no operand ``n``.

        Example:
            >>> print(Contraction("i, i ->", names="x x").grad("x").formula)
            dx[i] = 2 · G · x[i]
        """
        from contractconv.api.derivation import Derivation  # it is made of contractions itself
        from contractconv.api.summed import SummedDerivation

        n = operand_position(self._named, n)
        first, *others = (Derivation(self, n, place) for place in self._named.places_of(n))
        return SummedDerivation(self, n, (first, *others)) if others else first

    def grads(self) -> tuple[Derivation, ...]:
        """Derive the gradients with respect to all operands, in order.

        Compiled, they share what they have in common: ``run.vjps(cotangent, *operands)``.

        Example:
            >>> for gradient in Contraction("b i, i o -> b o").grads():
            ...     print(gradient)
            b o, i o -> b i
            b o, b i -> i o
        """
        return tuple(map(self.grad, range(len(self.arrays))))

    def jvp(self, n: int | str) -> Derived:
        """Derive the forward derivative with respect to an operand, by its position or its name.

        It is called with the tangent (of the operand's shape) and all forward operands, and
        returns how the result changes: the Jacobian times the tangent.

        Raises:
            OperandError: there is no operand ``n``.

        Example:
            >>> import numpy as np
            >>> pool = Contraction("(2*i+k) -> i", reduce="max")
            >>> print(pool.jvp(0))
            i k, (2*i+k) -> i
            >>> pool.jvp(0)(np.array([10, 20, 30, 40]), np.array([5, 1, 2, 7]), k=2)
            array([10, 40])
        """
        from contractconv.calculus.derived_strings import jvp

        return self._derived(n, "forward derivative", ("V",), jvp)

    def jacobian(self, n: int | str) -> Derived:
        """Derive the Jacobian by an operand, by its position or its name, as a contraction.

        Its axes are those of the result, then those of the operand. An index that both have
        stands twice in the output: that is a delta. Called with all forward operands it is
        materialised.

        Raises:
            OperandError: there is no operand ``n``.
            SpecError: the contraction has an ellipsis.

        Example:
            >>> import numpy as np
            >>> print(Contraction("b i, i o -> b o").jacobian(0))
            i o -> b o b i
            >>> Contraction("b i, i o -> b o").jacobian(0)(np.ones((8, 3)), np.ones((3, 2))).shape
            (8, 2, 8, 3)
        """
        from contractconv.calculus.derived_strings import jacobian

        return self._derived(n, "Jacobian", (), jacobian).checked()

    def _derived(
        self, n: int | str, name: str, takes: tuple[str, ...], derive: Callable[[Spec, int], Recipe]
    ) -> Derived:
        """What is derived by an operand, of each of its places, and added up."""
        from contractconv.api.derivatives import Derived
        from contractconv.api.summed import SummedDerived
        from contractconv.calculus.derived_strings import Subject

        n = operand_position(self._named, n)
        first, *others = (
            Derived(self, Subject(self._named, place, name, takes, derive))
            for place in self._named.places_of(n)
        )
        return SummedDerived(self, n, (first, *others)) if others else first

    def curvature(self, n: int | str, batch: str | Sequence[str] | None = None) -> Curvature:
        """Derive the curvature of a loss behind this layer, by the operand at position ``n``.

        Args:
            n: the operand, by its position or its name.
            batch: the indices of the result that number independent examples, ``"b"``; by
                default the result's first one.

        Raises:
            OperandError: there is no operand ``n``, or it stands in several places.
            SpecError: the contraction has an ellipsis.
            ContractionError: a batch index that the result does not have.
        """
        from contractconv.api.curvature import Curvature

        return Curvature(self, n, batch)

    def explain(
        self,
        /,
        *shapes: Sequence[int],
        wrt: int | str | None = None,
        proof: bool = True,
        output_shape: Any = None,
        extents: Any = None,
        **named: int,
    ) -> Explanation:
        """Explain the contraction and its gradients: formulas, derivations, proofs, and plans.

        Args:
            *shapes: the shapes of the operands, if plans and costs are wanted.
            wrt: the operand whose gradient is wanted, by its position or its name; all of them by
                default.
            proof: whether to verify the gradients, which takes most of the time.
            output_shape: the shape of the result, where the rules should not choose it.
            extents: extents of indices and values of parameters, by name.
            **named: the same by keyword.

        Returns:
            An explanation: ``print`` it, call ``.html()`` for a page, or let a notebook show it.
        """
        from contractconv.display.explanation import explain

        wanted = None if wrt is None else operand_position(self._named, wrt)
        sized = [as_shape(shape) for shape in (self._spread(shapes) if shapes else ())]
        options = self._options("explain", named, extents, output_shape=output_shape)
        return explain(self._named, sized, options.extents, wanted, options.output_shape, proof)

    def plan(
        self,
        /,
        *shapes: Sequence[int],
        dtype: Any = "float64",
        algorithm: Algorithm = "auto",
        memory_limit: float | None = None,
        optimize: Optimize | None = None,
        path: Optimize | None = None,
        minimize: Minimize | None = None,
        output_shape: Sequence[int] | None = None,
        extents: Mapping[str, int] | None = None,
        **named: int,
    ) -> Plan:
        """Plan the contraction of operands of these shapes; ``print`` it to read it.

        Args:
            *shapes: the shapes of the operands.
            dtype: the kind of numbers, which decides what is fast and what is exact enough.
            algorithm: see :func:`contract`.
            memory_limit: likewise; the plan says in how many parts that is done.
            optimize: likewise; the plan says where its order comes from.
            path: another name of ``optimize``.
            minimize: see :func:`contract`.
            output_shape: the shape of the result, where the rules should not choose it.
            extents: extents of indices and values of parameters, by name.
            **named: the same by keyword.
        """
        enter_execution()
        from contractconv.arrays.conversion import as_dtype
        from contractconv.arrays.precision import result_dtype
        from contractconv.execution.limited_plans import planned_within

        options = self._options(
            "plan", named, extents, output_shape=output_shape, memory_limit=memory_limit,
            algorithm=algorithm, optimize=optimize, path=path, minimize=minimize,
        )  # fmt: skip
        problem = self._problem(self._spread(shapes), options)
        numbers = result_dtype(self.reduce, as_dtype(dtype, self._spec.indices))
        return planned_within(problem, numbers, options)

    def compile(
        self,
        /,
        *shapes: Sequence[int],
        dtype: Any = "float64",
        algorithm: Algorithm = "auto",
        memory_limit: float | None = None,
        optimize: Optimize | None = None,
        path: Optimize | None = None,
        minimize: Minimize | None = None,
        output_shape: Sequence[int] | None = None,
        extents: Mapping[str, int] | None = None,
        **named: int,
    ) -> Compiled:
        """Prepare the contraction and its gradients for fixed shapes; the rest as in :meth:`plan`.

        What it is compiled for is settled: the dtype, the algorithm, the memory limit, and the
        order of the operands, for which ``optimize="auto-hq"`` searches longer by default.
        """
        if optimize is path is None:
            optimize = "auto-hq"
        enter_execution()
        from contractconv.execution.compiled import Compiled

        options = self._options(
            "compile", named, extents, output_shape=output_shape, memory_limit=memory_limit,
            algorithm=algorithm, optimize=optimize, path=path, minimize=minimize, dtype=dtype,
        )  # fmt: skip
        problem, sized, concrete = self._fitted(shapes, options)
        compiled = Compiled(concrete, problem, sized, options, self._named.names)
        if not self._named.is_tied:
            return compiled
        from contractconv.execution.tied import TiedCompiled

        return TiedCompiled(compiled, self._named)

    def _spoken(self, spec: Spec) -> Spec:
        """Another string of the same operands, which are called as here."""
        return replace(spec, names=self._named.names, result=self._named.result)

    def _spread(self, given: Sequence[Any]) -> Sequence[Any]:
        """One array, or shape, for each operand, of those that a call is given.

        Raises:
            OperandError: they are too few, or too many.
        """
        return spread(self._named, given) if self._named.is_tied else given

    def _options(
        self, call: str, named: Mapping[str, int], extents: object, **given: Any
    ) -> Options:
        return Options.of(self._spec, call, named, extents, **given)

    def _problem(
        self, shapes: Sequence[Sequence[int]], options: Options, cotangent: Shape | None = None
    ) -> Problem:
        sized = tuple(map(as_shape, shapes))
        return resolved(self._named, sized, options.extents, options.output_shape, cotangent)

    def _fitted(
        self, shapes: Sequence[Sequence[int]], options: Options
    ) -> tuple[Problem, tuple[Shape, ...], Spec]:
        """The problem of operands of these shapes, the shapes checked, and the concrete spec."""
        sized = tuple(map(as_shape, self._spread(shapes)))
        problem = self._problem(sized, options)
        return problem, sized, self._concrete(sized, options, problem.result_shape)

    def _concrete(self, shapes: Sequence[Shape], options: Options, result: Shape) -> Spec:
        """The spec with parameters bound and the ellipsis spelled out."""
        return expand_dots(split_values(self._spec, options.extents)[0], shapes, result)

    # -- showing itself ------------------------------------------------------------------------

    def _shown_equation(self) -> Equation:
        from contractconv.calculus.backward import forward_formula

        return forward_formula(self._named)

    def _shown_spec(self) -> Spec:
        return self._spec

    @property
    def _forward(self) -> Contraction:
        return self

    def _simplified(self, concrete: Spec, problem: Problem, shapes: tuple[Shape, ...]) -> Spec:
        from contractconv.calculus.compositions import composed

        return self._spoken(composed(concrete, problem, shapes))

    def _source(self, spec: Spec, library: str, given: Given) -> str:
        from contractconv.display.tied_source import contraction_source

        return contraction_source(spec, library, given)

    # -- being a value -------------------------------------------------------------------------

    def __setattr__(self, *given: object) -> NoReturn:
        raise AttributeError("a Contraction is immutable")

    __delattr__ = __setattr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Contraction) and self._named == other._named

    def __hash__(self) -> int:
        return hash(self._named)

    def __reduce__(self) -> tuple[Any, ...]:
        return Contraction._received, (self._named,)

    @classmethod
    def _received(cls, spec: Spec) -> Contraction:
        as_reduction(spec.reduce)  # another process may not know it
        return cls._of(spec)

    def __repr__(self) -> str:
        reduce = f", reduce={self.reduce!r}" * (self.reduce != "sum")
        parameters = f", parameters={' '.join(self.parameters)!r}" * bool(self.parameters)
        names = f", names={names_text(self._named)!r}" * bool(self._named.names)
        return f"Contraction({str(self)!r}{reduce}{parameters}{names})"
