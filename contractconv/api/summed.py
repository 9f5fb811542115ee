"""What is derived by an array that stands in several places: the sum over these places.

``x`` in ``x A x`` is two operands of one contraction. Whatever is linear in a change of it, the
gradient, the forward derivative, the Jacobian, is the sum of those by each of them (the product
rule); each part is a contraction of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from contractconv.api.call_checks import Call, Called
from contractconv.api.contraction import Contraction
from contractconv.api.derivation import Derivation, Step, operand_key
from contractconv.api.derivatives import Derived
from contractconv.api.representations import Shown
from contractconv.api.sequences import Phases, Seconds, Steps
from contractconv.errors import ContractionError
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Spec

if TYPE_CHECKING:
    from contractconv.calculus.collected import Collected
    from contractconv.display.source_code import Given
    from contractconv.verification.certificate import Certificate

Part = TypeVar("Part", Derivation, Derived)


class _Summed(Called, Shown, Generic[Part]):
    """The sum of what is derived by each place of an array.

    Attributes:
        forward: the contraction.
        operand: the position of the array.
        parts: what is derived by each of its places, in order; they are called alike, and add up.
    """

    parts: tuple[Part, ...]

    def __init__(self, forward: Contraction, operand: int, parts: tuple[Part, ...]) -> None:
        self.forward, self.operand, self.parts = forward, operand, parts
        self.place, self.takes, self._title = parts[0].place, parts[0].takes, parts[0]._title

    @property
    def array(self) -> str:
        """The name of the array."""
        return self.forward.arrays[self.operand]

    @property
    def matrix_form(self) -> str | None:
        """The sum as products of matrices; ``None`` where it is none.

        Example:
            >>> Contraction("i, i j, j ->", names="x A x").grad("x").matrix_form
            'dx = G (A + Aᵀ) x'
        """
        from contractconv.display.matrix_form import matrix_form

        return matrix_form(self._shown_equation(), "text")

    def _made(self, call: Call) -> Any:
        made = [part._made(call) for part in self.parts]
        return sum(made[1:], start=made[0])

    def _by_blocks(self, call: Call) -> None:
        return None

    def _ready(self, call: Call, arrays: Sequence[Any]) -> None:
        return None

    @property
    def roles(self) -> NoReturn:
        """A sum has none: each of its parts has its own."""
        raise self._several("roles")

    def _identity(self) -> tuple[Any, ...]:
        return self.forward, self.parts

    def _shown_equation(self) -> Collected:
        raise NotImplementedError

    def _shown_spec(self) -> NoReturn:
        raise self._several("string")

    def _several(self, what: str) -> ContractionError:
        """The error for what only a single contraction has."""
        count = len(self.parts)
        return ContractionError(
            f"the {self.parts[0]._title.removeprefix('the ').removeprefix('a ')} of "
            f"'{self.forward}' by {self.array} is a sum of {count} contractions, and has no {what} "
            f"of its own: each of its parts has one, parts[0] to parts[{count - 1}]"
        )

    def svg(self) -> str:
        """The tensor-network diagrams of the parts, side by side, in one ``<svg>`` element."""
        from contractconv.display.diagram_sum import side_by_side

        return side_by_side([part.svg() for part in self.parts])

    def _repr_html_(self) -> str:
        from contractconv.display.html_summed import card

        return card(list(map(str, self.parts)), self._shown_equation(), self.svg())

    def __str__(self) -> str:
        return "  +  ".join(map(str, self.parts))


class SummedDerivation(_Summed[Derivation], Derivation):
    """The gradient of a contraction by an array that stands in several places, derived.

    It is called as a :class:`Derivation` is, with the cotangent and one array a name.

    Example:
        >>> import numpy as np
        >>> d = Contraction("i, i j, j ->", names="x A x").grad("x")
        >>> print(d)
        , i j, j -> i  +  , i, i j -> j
        >>> print(d.formula)
        dx[i] = G · Σ_{j} (A[i, j] + A[j, i]) · x[j]
        >>> d(np.array(1), np.array([1, 10]), np.array([[1, 2], [3, 4]]))
        array([52, 85])
    """

    @property
    def scatter(self) -> NoReturn:
        """A sum has none: each of its parts has one."""
        raise self._several("scatter form")

    @property
    def gather(self) -> NoReturn:
        """A sum has none: each of its parts has one."""
        raise self._several("gather form")

    @property
    def string(self) -> NoReturn:
        """A sum has none: each of its parts has one."""
        raise self._several("string")

    def solved_for(self, *names: str) -> NoReturn:
        """A sum is not solved: each of its parts can be."""
        raise self._several("form that is solved for an index")

    def phases(self, /, **parameters: int) -> Phases:
        """The phases of all parts, which add up to the gradient; see :meth:`Derivation.phases`."""
        return Phases(phase for part in self.parts for phase in part.phases(**parameters))

    @property
    def steps(self) -> Steps:
        """The derivation: the product rule, that by each place, and the sum.

        Example:
            >>> for step in Contraction("i, i ->", names="x x").grad("x").steps:
            ...     print(f"{step.name:14}{step.formula}")
            sum           L = Σ_{i} G · x[i]²
            differentiate dx[i′] = Σ_{i} G · x[i] · δ(i′, i)
            eliminate     dx[i] = G · x[i]
            read off      dx[i] = G · x[i]
            differentiate dx[i′] = Σ_{i} G · x[i] · δ(i′, i)
            eliminate     dx[i] = G · x[i]
            read off      dx[i] = G · x[i]
            add           dx[i] = 2 · G · x[i]
        """
        from contractconv.calculus.summed_steps import summed_steps

        return Steps(map(Step, summed_steps([part._formulas for part in self.parts])))

    @property
    def seconds(self) -> Seconds:
        """What comes out if this gradient is differentiated again; see :class:`Derivation`.

        Example:
            >>> for second in Contraction("i, i ->", names="x x").grad("x").seconds:
            ...     print(second.formula)
            ∂⟨V, dx⟩/∂G = 2 · Σ_{i} V[i] · x[i]
            ∂⟨V, dx⟩/∂x[i] = 2 · V[i] · G
        """
        from contractconv.api.second_derivative import seconds

        return seconds(self.forward, self.operand, tuple(part.place for part in self.parts))

    def verify(self, /, *, engines: bool = True, extents: Any = None, **named: int) -> Certificate:
        """Prove it on small arrays, in exact integers; see :meth:`Derivation.verify`.

        The collected formula and the gradient as it is computed are compared with brute force, and
        each part is certified by itself. Where the contraction is a polynomial in the array, the
        product rule is not taken on trust either: the derivative in a direction is read off values
        of the contraction itself.
        """
        from contractconv.verification.summed import certify_sum

        given = self.forward._options("verify", named, extents).extents
        return certify_sum([part._formulas for part in self.parts], given, engines=engines)

    @property
    def _forward(self) -> Contraction:
        return self.forward

    def _simplified(self, concrete: Spec, problem: Problem, shapes: tuple[Shape, ...]) -> NoReturn:
        raise self._several("simpler string")

    def _source(self, spec: Spec, library: str, given: Given) -> str:
        from contractconv.display.tied_source import derivation_source

        return derivation_source(spec, [part.place for part in self.parts], library, given)

    def _shown_equation(self) -> Collected:
        from contractconv.calculus.summed_steps import collected_gradient

        return collected_gradient([part._formulas for part in self.parts])

    def __repr__(self) -> str:
        return f"{self.forward!r}.grad({operand_key(self.forward, self.operand)!r})"


class SummedDerived(_Summed[Derived], Derived):
    """A forward derivative, or a Jacobian, by an array that stands in several places.

    Example:
        >>> c = Contraction("i, i j, j ->", names="x A x")
        >>> print(c.jvp("x").formula)
        JV = Σ_{i,j} V[i] · (A[i, j] + A[j, i]) · x[j]
    """

    def __init__(self, forward: Contraction, operand: int, parts: tuple[Derived, ...]) -> None:
        super().__init__(forward, operand, parts)
        self.name, self.real = parts[0].name, parts[0].real

    @property
    def contraction(self) -> NoReturn:
        """A sum has none: each of its parts has one."""
        raise self._several("contraction")

    def checked(self) -> SummedDerived:
        """Return the object itself, or refuse what cannot be derived before it is called."""
        for part in self.parts:
            part.checked()
        return self

    @property
    def steps(self) -> Steps:
        """How it came about: the steps of each part, and the sum."""
        from contractconv.calculus.summed_steps import added

        last = Step(added(self._shown_equation(), len(self.parts)))
        return Steps((*(step for part in self.parts for step in part.steps), last))

    def verify(self, /, *, extents: Any = None, **named: int) -> Certificate:
        """Prove each part on small arrays; see :meth:`Derived.verify`."""
        from contractconv.verification.summed import certify_derived_sum

        given = self.forward._options("verify", named, extents).extents
        return certify_derived_sum([part._subject for part in self.parts], given)

    def code(self, library: str) -> str:
        """Return runnable source, as :meth:`Derived.code` does."""
        from contractconv.display.tied_source import summed_recipe_source

        written = [part._in_source() for part in self.parts]
        spec, _, takes = written[0]
        recipes, places = [recipe for _, recipe, _ in written], [part.place for part in self.parts]
        return summed_recipe_source(recipes, spec, places, takes, self.parts[0].name, library)

    def _shown_equation(self) -> Collected:
        from contractconv.calculus.summed_steps import collected_recipes

        return collected_recipes([part._recipe for part in self.parts], self.forward._named)

    def __repr__(self) -> str:
        return f"<{self.parts[0].name} of {self.forward!r} by {self.array}>"
