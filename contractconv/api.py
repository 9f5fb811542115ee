"""What a user holds: :func:`contract`, :class:`Contraction` and :class:`Derivation`.

These objects are thin. A :class:`~contractconv.notation.spec.Spec` says what is contracted; the
rooms for calculus, planning and execution do the work, and are entered only when they are
needed, so that importing the library costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import index as as_integer
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex

from contractconv.errors import (
    AlgorithmError,
    ContractionError,
    MemoryLimitError,
    OperandError,
    ShapeError,
    SpecError,
)
from contractconv.notation.ellipsis import expand_dots
from contractconv.notation.extents import bind, resolve, split_values
from contractconv.notation.parser import check_reduction, parameter_names, parse
from contractconv.notation.places import operand_position
from contractconv.notation.problem import Problem, Shape, as_shape
from contractconv.notation.spec import Spec
from contractconv.notation.sublists import from_sublists

if TYPE_CHECKING:
    from contractconv.calculus.derivation import Formulas
    from contractconv.execution.compiled import Compiled
    from contractconv.execution.views import Array
    from contractconv.planning.plan import Plan

ALGORITHMS = ("auto", "direct")


def contract(
    spec: str | Contraction,
    /,
    *operands: Any,
    reduce: str = "sum",
    parameters: str | Iterable[str] | None = None,
    output_shape: Sequence[int] | None = None,
    memory_limit: int | None = None,
    algorithm: str = "auto",
    **extents: int,
) -> Array:
    """Contract arrays as a string says.

    Args:
        spec: the contraction, for example ``"b (2*i+k-1) c, k c o -> b i o"``. numpy's other
            form, operands alternating with lists of indices, is understood too.
        *operands: one array of numbers for each term. They are never modified.
        reduce: how contributions to one element combine: ``"sum"``, ``"max"``, ``"min"``,
            ``"prod"``, ``"mean"`` or ``"logsumexp"``.
        parameters: names in the string that are numbers, not indices: ``"s d p"``.
        output_shape: the shape of the result, where the rules should not choose it.
        memory_limit: bytes that temporary arrays may take beyond operands and result.
        algorithm: ``"direct"`` sums in the order of the definition; ``"auto"`` may choose.
        **extents: extents of indices and values of parameters, by name.

    Returns:
        A new array.

    Raises:
        ContractionError: one of its kinds for each way in which the call can be wrong.

    Example:
        >>> import numpy as np
        >>> contract("(i+k), k -> i", np.array([1, 2, 3, 4]), np.array([1, 10]))
        array([21, 32, 43])
    """
    if not isinstance(spec, (str, Contraction)):
        if parameters is not None:
            raise SpecError("lists of indices have no parameters")
        read, operands = from_sublists((spec, *operands), reduce)
        contraction = Contraction._of(read)
    else:
        contraction = _contraction(spec, reduce, parameters)
    return contraction._run(operands, extents, output_shape, memory_limit, algorithm)


def _contraction(
    spec: str | Contraction, reduce: str, parameters: str | Iterable[str] | None
) -> Contraction:
    if isinstance(spec, Contraction):
        if reduce != "sum" or parameters is not None:
            raise ContractionError("a Contraction has its own reduce and parameters")
        return spec
    check_reduction(reduce)
    return Contraction._of(_parsed(spec, reduce, parameter_names(parameters)))


@lru_cache(maxsize=4096)
def _parsed(spec: str, reduce: str, parameters: tuple[str, ...]) -> Spec:
    return parse(spec, reduce, parameters)


@lru_cache(maxsize=4096)
def _resolved(
    spec: Spec,
    shapes: tuple[Shape, ...],
    values: tuple[tuple[str, int], ...],
    output_shape: Shape | None,
) -> Problem:
    return resolve(spec, shapes, dict(values), output_shape)


class Contraction:
    """A contraction of arrays, defined by a string; immutable, hashable, without arrays.

    Args:
        spec: the string, for example ``"b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o"``.
        reduce: how contributions to one element combine; see :func:`contract`.
        parameters: names in the string that are numbers, not indices: ``"s d p"``.

    Raises:
        SpecError: the string is not in the notation; the message points at the place.
        ReductionError: the reduction is unknown.

    Example:
        >>> conv = Contraction("b (2*i+k-1) c, k c o -> b i o")
        >>> conv.output_shape((8, 28, 3), (3, 3, 16))
        (8, 14, 16)
        >>> print(conv.grad(0))
        b i o, k c o -> b (2*i+k-1) c
    """

    __slots__ = ("_spec",)
    _spec: Spec

    def __init__(self, spec: str, reduce: str = "sum", parameters: str | Iterable[str] = ()):
        object.__setattr__(self, "_spec", parse(spec, reduce, parameters))

    @classmethod
    def _of(cls, spec: Spec) -> Contraction:
        contraction = cls.__new__(cls)
        object.__setattr__(contraction, "_spec", spec)
        return contraction

    # -- what it says --------------------------------------------------------------------------

    @property
    def reduce(self) -> str:
        """How contributions to one element combine."""
        return self._spec.reduce

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters that are still unbound, sorted."""
        return self._spec.parameters

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
        return Contraction._of(bind(self._spec, values))

    def extents(
        self, /, *shapes: Sequence[int], output_shape: Sequence[int] | None = None, **extents: int
    ) -> dict[str, int]:
        """Return the extent of every index for operands of these shapes."""
        return dict(self._problem(shapes, extents, output_shape).sizes)

    def output_shape(self, /, *shapes: Sequence[int], **extents: int) -> tuple[int, ...]:
        """Return the shape of the result for operands of these shapes."""
        return self._problem(shapes, extents, None).result_shape

    # -- what it does --------------------------------------------------------------------------

    def __call__(
        self, /, *operands: Any, output_shape: Sequence[int] | None = None, **extents: int
    ) -> Array:
        """Contract arrays; see :func:`contract`."""
        return self._run(operands, extents, output_shape)

    def grad(self, n: int) -> Derivation:
        """Derive the gradient with respect to the operand at position ``n``.

        One array passed in two positions has two gradients, and they add.

        Raises:
            OperandError: there is no operand ``n``.
        """
        return Derivation(self, n)

    def plan(
        self, /, *shapes: Sequence[int], output_shape: Sequence[int] | None = None, **extents: int
    ) -> Plan:
        """Plan the contraction of operands of these shapes; ``print`` it to read it."""
        from contractconv.planning.plan import plan

        return plan(self._problem(shapes, extents, output_shape))

    def compile(
        self,
        /,
        *shapes: Sequence[int],
        dtype: Any = "float64",
        output_shape: Sequence[int] | None = None,
        **extents: int,
    ) -> Compiled:
        """Prepare the contraction and its gradients for fixed shapes and one dtype."""
        import numpy as np

        from contractconv.execution.compiled import Compiled

        problem = self._problem(shapes, extents, output_shape)
        sized = tuple(tuple(shape) for shape in shapes)
        try:
            numbers = np.dtype(dtype)
        except TypeError as error:
            raise OperandError(str(error)) from None
        concrete = self._concrete(sized, extents, problem.result_shape)
        return Compiled(concrete, problem, sized, numbers)

    def _problem(
        self,
        shapes: Sequence[Sequence[int]],
        extents: dict[str, int],
        output_shape: Sequence[int] | None,
    ) -> Problem:
        sized = tuple(map(as_shape, shapes))
        wanted = None if output_shape is None else as_shape(output_shape)
        # Numbers that are equal are not all integers: 2.0 must not find what 2 left in the cache.
        if any(type(value) is not int for value in extents.values()):
            return resolve(self._spec, sized, extents, wanted)
        return _resolved(self._spec, sized, tuple(sorted(extents.items())), wanted)

    def _concrete(self, shapes: Sequence[Shape], extents: dict[str, int], result: Shape) -> Spec:
        """The spec with parameters bound and the ellipsis spelled out."""
        return expand_dots(split_values(self._spec, extents)[0], shapes, result)

    def _run(
        self,
        operands: Sequence[Any],
        extents: dict[str, int],
        output_shape: Sequence[int] | None,
        memory_limit: int | None = None,
        algorithm: str = "auto",
    ) -> Array:
        from contractconv.execution.run import as_operand, run
        from contractconv.planning.plan import plan

        if algorithm not in ALGORITHMS:
            known = ", ".join(ALGORITHMS)
            raise AlgorithmError(f"unknown algorithm {algorithm!r}: choose one of {known}")
        if memory_limit is not None:
            memory_limit = _as_bytes(memory_limit)
        arrays = [as_operand(operand, n) for n, operand in enumerate(operands)]
        problem = self._problem([_shape(a) for a in arrays], extents, output_shape)
        return run(plan(problem), arrays, memory_limit)

    # -- being a value -------------------------------------------------------------------------

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Contraction is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Contraction is immutable")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Contraction) and self._spec == other._spec

    def __hash__(self) -> int:
        return hash(self._spec)

    def __reduce__(self) -> tuple[Any, ...]:
        return Contraction._of, (self._spec,)

    def __str__(self) -> str:
        return str(self._spec)

    def __repr__(self) -> str:
        reduce = f", reduce={self.reduce!r}" * (self.reduce != "sum")
        parameters = f", parameters={' '.join(self.parameters)!r}" * bool(self.parameters)
        return f"Contraction({str(self)!r}{reduce}{parameters})"


class Derivation:
    """The gradient of a contraction with respect to one operand, derived.

    It is called with the cotangent (the gradient of a loss with respect to the result) and all
    forward operands. The formula is derived with sympy when it is first looked at.

    Attributes:
        forward: the contraction that was differentiated.
        operand: the position of the operand it was differentiated by.

    Example:
        >>> d = Contraction("b (2*i+k-1) c, k c o -> b i o").grad(0)
        >>> print(d.scatter)
        b i o, k c o -> b (2*i+k-1) c
        >>> print(d.gather)
        b ((h-k+1)/2) o, k c o -> b h c
    """

    def __init__(self, forward: Contraction, operand: int) -> None:
        self.forward = forward
        self.operand = operand_position(forward._spec, operand)

    @property
    def _formulas(self) -> Formulas:
        from contractconv.calculus.derivation import derive

        return derive(self.forward._spec, self.operand)

    @property
    def scatter(self) -> Contraction:
        """The gradient as a scatter: contributions are placed where the operand was read.

        Its operands are the cotangent, the local derivative if the reduction has one (the
        selection of a maximum, the softmax of a logsumexp, ...), and the other operands.
        """
        return Contraction._of(self._formulas.scatter)

    @property
    def gather(self) -> Contraction:
        """The gradient as a gather: each element of the operand collects its contributions.

        It takes the same operands as :attr:`scatter`. Where no operand could carry the condition
        that an index is a whole number in its range, the axis stays a scatter.
        """
        return Contraction._of(self._formulas.gather)

    def __call__(self, cotangent: Any, /, *operands: Any, **extents: int) -> Array:
        """Contract a cotangent back to the operand.

        Args:
            cotangent: array of the result's shape.
            *operands: all forward operands, the differentiated one too.
            **extents: what the forward call was given.

        Returns:
            An array of the operand's shape. For complex operands this is the derivative of
            ``Σ cotangent * result`` itself; nothing is conjugated.
        """
        from contractconv.execution.gradient import gradient
        from contractconv.execution.run import as_operand

        if len(operands) != len(self.forward._spec.inputs):
            count = len(self.forward._spec.inputs)
            raise OperandError(
                f"a gradient of '{self.forward}' is called with the cotangent and {count} "
                f"operand{'s' * (count != 1)}, not with the cotangent and {len(operands)}"
            )
        arrays = [as_operand(operand, n) for n, operand in enumerate(operands)]
        given = as_operand(cotangent, "the cotangent")
        shapes = [_shape(array) for array in arrays]
        problem = self._forward_problem(shapes, extents, _shape(given))
        concrete = self.forward._concrete(shapes, extents, problem.result_shape)
        return gradient(concrete, self.operand, problem, given, arrays)

    def _forward_problem(
        self, shapes: Sequence[Shape], extents: dict[str, int], cotangent: Shape
    ) -> Problem:
        """The forward problem, whose result has the cotangent's shape."""
        try:
            return self.forward._problem(shapes, extents, cotangent)
        except ShapeError:
            # Say what is wrong with the cotangent, unless the operands are wrong already.
            expected = self.forward._problem(shapes, extents, None).result_shape
            raise ShapeError(
                f"the cotangent has shape {cotangent}, the result of '{self.forward}' has "
                f"{expected}"
            ) from None

    def __str__(self) -> str:
        return str(self.scatter)

    def __repr__(self) -> str:
        return f"{self.forward!r}.grad({self.operand})"


def _shape(operand: Any) -> Shape:
    return getattr(operand, "shape", ())


def _as_bytes(limit: Any) -> int:
    if isinstance(limit, bool) or not isinstance(limit, SupportsIndex):
        raise MemoryLimitError(f"memory_limit is a number of bytes, not {limit!r}")
    return as_integer(limit)
