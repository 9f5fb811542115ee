"""How an object that stands for an equation shows itself, wherever people look."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from operator import index as as_integer
from typing import TYPE_CHECKING, Any, cast

from contractconv.markup.shown import Printed
from contractconv.notation.extents import bind, check_values

if TYPE_CHECKING:
    import sympy
    from sympy import Symbol

    from contractconv.api.contraction import Contraction
    from contractconv.calculus.collected import Collected
    from contractconv.calculus.equation import Equation
    from contractconv.display.source_code import Given
    from contractconv.notation.problem import Problem, Shape
    from contractconv.notation.spec import Spec
    from contractconv.planning.options import Options


class Shown(Printed, ABC):
    """Renderings of one equation: text, LaTeX, MathML and a diagram.

    In a notebook an object shows its string, its formula and its diagram; in a terminal its
    ``repr``.
    """

    __slots__ = ()

    @abstractmethod
    def _shown_equation(self) -> Equation | Collected:
        """The equation that stands for the object."""

    @abstractmethod
    def _shown_spec(self) -> Spec:
        """The string that stands for the object."""

    @property
    def formula(self) -> str:
        """The index notation, ``Y[b, i, o] = Σ_{k,c} X[b, i+k, c] · W[k, c, o]``.

        ``N_i`` is the extent of the index ``i``; ``N_h`` the size of the axis with position ``h``.
        Outside of an array every element is zero; where that is said by a condition instead, it
        stands behind *where*.
        """
        from contractconv.display.equations import write

        return write(self._shown_equation(), "text")

    @property
    def sympy(self) -> sympy.Expr:
        """The right-hand side as a sympy expression: a ``Sum`` of products of ``Indexed``.

        Conditions are in a ``Piecewise``. Every array has as many indices as axes: a composed axis
        is met at ``N_w*h + w``. Its symbols are in :attr:`symbols`.
        """
        return self._shown_equation().sympy

    @property
    def symbols(self) -> dict[str, Symbol]:
        """The symbols of :attr:`sympy` by name: indices, sizes, parameters, scalars.

        They know that they are integers, so another symbol of the same name, as a string makes
        one, is not equal. (An index that is called like a size is left out.)

        Example:
            >>> from contractconv import Contraction
            >>> d = Contraction("(2*i), i -> i").grad(0)
            >>> d.sympy.subs({d.symbols["h"]: 4, d.symbols["N_i"]: 5})
            G[2]*W[2]
        """
        return self._shown_equation().symbols

    def latex(self) -> str:
        """The formula in LaTeX, without dollar signs, for KaTeX, MathJax, TeX or mathtext."""
        from contractconv.display.equations import write

        return write(self._shown_equation(), "latex")

    def mathml(self) -> str:
        """The formula in presentation MathML, a ``<math>`` element that browsers show."""
        from contractconv.display.equations import write

        return write(self._shown_equation(), "mathml")

    def svg(self) -> str:
        """The tensor-network diagram, an ``<svg>`` element: operands, windows, indices, result."""
        from contractconv.calculus.letters import said
        from contractconv.display.diagram import diagram

        equation = cast("Equation", self._shown_equation())  # a sum draws its parts
        names = [said(factor.name) for factor in equation.factors]
        return diagram(self._shown_spec(), names, said(equation.left.name))

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def _repr_html_(self) -> str:
        from contractconv.display.html_page import card

        return card(self._shown_spec(), cast("Equation", self._shown_equation()))

    def _pretty(self) -> str:
        return f"{self!r}\n{self.formula}"

    def __str__(self) -> str:
        return str(self._shown_spec())


class Written(Shown):
    """What can be written for shapes of forward operands: simplified, or as source code."""

    __slots__ = ()

    @property
    @abstractmethod
    def _forward(self) -> Contraction:
        """The contraction whose operands have the shapes."""

    @abstractmethod
    def _simplified(self, concrete: Spec, problem: Problem, shapes: tuple[Shape, ...]) -> Spec:
        """The string for a forward contraction with parameters bound and the ellipsis spelled."""

    @abstractmethod
    def _source(self, spec: Spec, library: str, given: Given) -> str:
        """The source for a forward contraction."""

    # Any: a checker takes ``**named`` of integers for a candidate of every keyword.
    def simplify(
        self,
        /,
        *shapes: Sequence[int],
        output_shape: Any = None,
        extents: Any = None,
        **named: int,
    ) -> Contraction:
        """Return the string for forward operands of these shapes, with fewer index expressions.

        A window whose stride is its extent neither overlaps nor leaves a gap: it is a
        composition. Parameters are bound and the ellipsis is spelled out. Of a gradient it is the
        scatter form; without a condition left, that is a plain composition.

        Example:
            >>> from contractconv import Contraction
            >>> pool = Contraction("b (2*i+k) c, k c -> b i c")
            >>> print(pool.simplify((8, 6, 3), (2, 3)))
            b (i k) c, k c -> b i c
            >>> print(pool.grad(0).simplify((8, 6, 3), (2, 3)))
            b i c, k c -> b (i k) c
        """
        forward = self._forward
        options = forward._options("simplify", named, extents, output_shape=output_shape)
        problem, sized, concrete = forward._fitted(shapes, options)
        return forward._of(self._simplified(concrete, problem, sized))

    def code(
        self,
        library: str,
        /,
        *shapes: Sequence[int],
        output_shape: Sequence[int] | None = None,
        extents: Mapping[str, int] | None = None,
        **named: int,
    ) -> str:
        """Return runnable source for ``"numpy"``, ``"torch"`` or ``"jax"``.

        The source of a contraction is a function of the operands, that of a gradient one of the
        cotangent and all operands. By keyword it takes the extents that no shape determines, and
        all that is given here; unbound parameters stay symbols that the function takes as well.
        Sizes that do not agree raise a ``ValueError``.

        Args:
            library: what it is written for.
            *shapes: the shapes of the forward operands, which spell an ellipsis out; other shapes
                of the same ranks fit as well.
            output_shape: the shape of the forward result, where the rules should not choose it.
            extents: extents of indices and values of parameters, by name.
            **named: the same by keyword.

        Raises:
            ContractionError: the library is unknown, or the contraction has no such source.
            ShapeError: the shapes and extents do not fit.

        Example:
            >>> from contractconv import Contraction
            >>> same = Contraction("(i+k-1), k -> i").code("numpy", i=8)  # one more at the end
            >>> "def forward(X, W, *, i=8):" in same
            True
        """
        forward = self._forward
        options = forward._options("code", named, extents, output_shape=output_shape)
        spec, given = self._given(shapes, options)
        return self._source(spec, library, given)

    def _given(self, shapes: Sequence[Sequence[int]], options: Options) -> tuple[Spec, Given]:
        """What source is written for, and what it is given beyond the operands."""
        from contractconv.display.source_code import Given

        spec = self._forward._named
        check_values(spec, options.extents)
        numbers = {name: as_integer(value) for name, value in options.extents.items()}
        values = {name: numbers.pop(name) for name in spec.parameters if name in numbers}
        given = Given(numbers, options.output_shape)
        if shapes:
            concrete = self._forward._fitted(shapes, options)[2]
            return self._forward._spoken(concrete), given
        return bind(spec, values), given
