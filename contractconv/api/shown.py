"""How an object that stands for an equation shows itself, wherever people look."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sympy
    from sympy import Symbol

    from contractconv.calculus.equation import Equation
    from contractconv.notation.spec import Spec


class Shown(ABC):
    """Renderings of one equation: text, LaTeX, MathML and a diagram.

    In a notebook an object shows its string, its formula and its diagram; in a terminal its
    ``repr``.
    """

    __slots__ = ()

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        # IPython asks the first class that has either method: a ``__repr__`` would hide this one.
        if "__repr__" in vars(cls) and "_repr_pretty_" not in vars(cls):
            cls._repr_pretty_ = cls._repr_pretty_  # type: ignore[method-assign]

    @abstractmethod
    def _shown_equation(self) -> Equation:
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
        from contractconv.display.diagram import diagram

        equation = self._shown_equation()
        names = [factor.name for factor in equation.factors]
        return diagram(self._shown_spec(), names, equation.left.name)

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def _repr_html_(self) -> str:
        from contractconv.display.page import card

        return card(self._shown_spec(), self._shown_equation())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        # Inside a list, a formula on a line of its own would stand between two items.
        alone = not cycle and len(printer.stack) < 2
        printer.text(f"{self!r}\n{self.formula}" if alone else repr(self))
