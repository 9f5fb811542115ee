"""Curvature of a layer: Gauss-Newton products and diagonals, and Kronecker factors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contractconv.api.call_checks import shape_of
from contractconv.api.contraction import Contraction
from contractconv.api.derivation import Derivation, operand_key
from contractconv.api.derivatives import Derived
from contractconv.errors import ContractionError, OperandError, with_carets
from contractconv.markup.parts import article, code
from contractconv.markup.shown import Printed
from contractconv.notation.carets import marks, operand_position
from contractconv.notation.keywords import merged
from contractconv.notation.spec import Spec
from contractconv.planning.options import refuse

if TYPE_CHECKING:
    from contractconv.arrays.views import Array
    from contractconv.calculus.curvature_strings import Layer
    from contractconv.calculus.derived_strings import Recipe


class _Parts(Printed, ABC):
    """Shows the contractions that it consists of."""

    @abstractmethod
    def _parts(self) -> Iterator[tuple[str, Derived]]:
        """The contractions, each with what it is called."""

    def __str__(self) -> str:
        return "\n".join(f"{name}: {part}" for name, part in self._parts())

    def _pretty(self) -> str:
        return f"{self!r}\n{self}"

    def _repr_html_(self) -> str:
        from contractconv.display.html_sequences import named_parts

        parts = [(n, p._shown_spec(), p._shown_equation()) for n, p in self._parts()]
        return article([f"<p>{code(repr(self))}</p>", *named_parts(parts)])


class Curvature(_Parts):
    """The curvature of a loss behind a contraction layer, by one operand.

    With ``J`` the Jacobian of the layer and ``H`` the Hessian of the loss by the layer's result,
    it is the generalised Gauss-Newton matrix ``Jᵀ H J``. ``H`` is the identity (half the squared
    error) or given by a root ``R``: ``H = Σ_r R_r R_rᵀ``, where an example has nothing to do with
    the others.
    Nothing is materialised but what is asked for; every part is a contraction with a string.
    Arrays are real. (The strings have no conjugate, which ``Jᴴ H J`` needs.)

    Sources: Schraudolph 2002 (products); Grosse and Martens 2016 (KFC); Eschenhagen et al. 2023
    (expand and reduce).

    Attributes:
        forward: the layer.
        operand: the position of the array.
        place: the position of the operand that this array is.
        batch: the indices that number independent examples.

    Example:
        >>> conv = Contraction("b (i+k) c, k c o -> b i o")
        >>> print(conv.curvature(1).product())
        b (i+k) c, b (i+k_) c_, k_ c_ o -> k c o
        >>> print(conv.curvature(1).kronecker("expand").input)
        b (i+k) c, b (i+k_) c_ -> (k c) (k_ c_)
    """

    def __init__(
        self, forward: Contraction, operand: int | str, batch: str | Sequence[str] | None = None
    ) -> None:
        self.forward = forward
        self.operand = operand_position(forward._named, operand)
        self.place = _only_place(forward, self.operand)
        self._batch = None if batch is None else _names(batch)
        self.batch = _layer(forward._spec, self.place, self._batch).batch

    @property
    def jvp(self) -> Derived:
        """The Jacobian times a tangent."""
        return self.forward.jvp(self.operand)

    @property
    def vjp(self) -> Derivation:
        """A cotangent times the Jacobian: the gradient."""
        return self.forward.grad(self.operand)

    def product(self, root: bool = False) -> Derived:
        """The Gauss-Newton matrix times a vector, called with ``(V, *operands)``.

        Args:
            root: with a root of the Hessian, called with ``(V, R, *operands)``.
        """
        takes = ("V", "R")[: 1 + root]
        return self._derived("Gauss-Newton product", takes, "product", root=root)

    def diagonal(self, root: bool = False) -> Derived:
        """The diagonal of the Gauss-Newton matrix, called with ``(*operands)``.

        Args:
            root: with a root of the Hessian, called with ``(R, *operands)``.
        """
        return self._derived("Gauss-Newton diagonal", ("R",) * root, "diagonal", root=root)

    def kronecker(self, kind: str = "expand") -> KroneckerFactors:
        """The factors of ``input ⊗ output``, which approximates a weight's curvature.

        Args:
            kind: ``"expand"`` (KFC, KFAC-expand) or ``"reduce"`` (KFAC-reduce).

        Raises:
            ContractionError: an unknown kind, or the operand is not a weight.
        """
        return KroneckerFactors(
            kind,
            self._derived("input factor", (), "input_factor", kind=kind),
            self._derived("output factor", ("G",), "output_factor", kind=kind),
        )

    def _derived(self, name: str, takes: tuple[str, ...], part: str, **how: Any) -> Derived:
        from contractconv.calculus.derived_strings import Subject

        derive = _Part(part, tuple(how.items()), self._batch)
        subject = Subject(
            self.forward._named, self.place, name, takes, derive, self._batch, how.get("kind", "")
        )
        return Derived(self.forward, subject, real=True).checked()

    def _parts(self) -> Iterator[tuple[str, Derived]]:
        yield "product", self.product()
        yield "diagonal", self.diagonal()
        with suppress(ContractionError):  # only a weight has factors
            yield from self.kronecker()._parts()

    def __repr__(self) -> str:
        key = operand_key(self.forward, self.operand)
        return f"{self.forward!r}.curvature({key!r}, batch={' '.join(self.batch)!r})"


def _only_place(forward: Contraction, operand: int) -> int:
    """The operand that an array is, which must not be several.

    Raises:
        OperandError: it stands in several places.
    """
    place, *others = forward._named.places_of(operand)
    if others:
        name = forward.arrays[operand]
        text, spans = marks(forward._named, [(n, None) for n in (place, *others)])
        raise OperandError(with_carets(
            f"{name} stands in {1 + len(others)} places, so its curvature is no single contraction",
            text, spans,
            f"put the product together: c.grad({name!r})(c.jvp({name!r})(V, ...), ...) is that of "
            f"half the squared error; with a loss, cc.gauss_newton of a program",
        ))  # fmt: skip
    return place


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of a layer's curvature, by the name of the method that derives it."""

    method: str
    how: tuple[tuple[str, Any], ...]
    batch: tuple[str, ...] | None

    def __call__(self, spec: Spec, n: int) -> Recipe:
        recipe: Recipe = getattr(_layer(spec, n, self.batch), self.method)(**dict(self.how))
        return recipe


def _layer(spec: Spec, n: int, batch: tuple[str, ...] | None) -> Layer:
    from contractconv.calculus.curvature_strings import Layer

    return Layer(spec, n, batch)


def _names(batch: str | Sequence[str]) -> tuple[str, ...]:
    if isinstance(batch, str):
        return tuple(batch.replace(",", " ").split())
    if isinstance(batch, (tuple, list)):
        return tuple(batch)
    raise ContractionError(f"batch names indices of the result, as in 'b'; {batch!r} is no name")


class KroneckerFactors(_Parts):
    """The Kronecker factors of a weight's curvature.

    For a weight ``k c o`` that is used at ``T`` places of each of ``N`` examples, with ``a`` the
    window of ``k c`` at a place and ``g`` the cotangent there:

    - *expand*: ``A = Σ a aᵀ`` and ``B = 1/(N T) Σ g gᵀ``, over examples and places;
    - *reduce*: ``A = 1/T² Σ ā āᵀ`` and ``B = 1/N Σ ḡ ḡᵀ``, over examples, with ``ā`` and
      ``ḡ`` summed over the places.

    ``A ⊗ B`` has the scale of :meth:`Curvature.product`, which adds up examples: where one ``g gᵀ``
    serves all of them, *expand* is exact for the root ``g`` at each place by itself, *reduce* for
    the same ``g`` at all places of an example. For a mean over examples divide ``A`` by ``N``.

    A composition ``(k c)`` numbers the rows of ``A``; groups have one pair of factors each.

    Attributes:
        kind: ``"expand"`` or ``"reduce"``.
        input: the factor ``A``, called with all forward operands.
        output: the factor ``B``, called with the cotangent and all forward operands.
    """

    def __init__(self, kind: str, input: Derived, output: Derived) -> None:
        self.kind = kind
        self.input = input
        self.output = output

    # Any: a checker takes ``**named`` of integers for a candidate of every keyword.
    def __call__(
        self,
        cotangent: Any,
        /,
        *operands: Any,
        output_shape: Any = None,
        algorithm: Any = "auto",
        memory_limit: Any = None,
        dtype: Any = None,
        casting: Any = "safe",
        extents: Any = None,
        **named: int,
    ) -> tuple[Array, Array]:
        """Return both factors, ``A`` and ``B``.

        Args:
            cotangent: array of the result's shape: a gradient by the result for each example.
            *operands: all forward operands.
            output_shape: the shape of the result, if the forward call was given one.
            algorithm: see :func:`contractconv.contract`, as for the next ones.
            memory_limit: bytes that temporary arrays may take beyond operands and result.
            dtype: what all arrays are converted to.
            casting: which conversions to that are allowed.
            extents: what the forward call was given.
            **named: the same by keyword.
        """
        from contractconv.arrays.operands import as_operand

        refuse("Kronecker factors", named, self.input.forward._spec)
        how: Any = {
            "algorithm": algorithm, "memory_limit": memory_limit, "dtype": dtype,
            "casting": casting, "extents": merged(extents, named),
        }  # fmt: skip
        right = self.output(cotangent, *operands, output_shape=output_shape, **how)
        # It fits, and tells of what is still free.
        has_shape = hasattr(cotangent, "shape")
        result = shape_of(cotangent if has_shape else as_operand(cotangent, "G"))
        return self.input(*operands, output_shape=result, **how), right

    def _parts(self) -> Iterator[tuple[str, Derived]]:
        yield "A", self.input
        yield "B", self.output

    def __repr__(self) -> str:
        return f"<Kronecker factors ({self.kind}) of {self.input.forward!r}>"
