"""What there is to know of a map: everything that anybody asks stands in one record.

Like the records of reductions, it imports neither numpy nor sympy: what needs them is a function
that is imported when it is first called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from contractconv.lazy import late
from contractconv.maps.expression import Expression

ARGUMENTS = ("a", "b", "c")
"""What the arguments of a map are called in the expressions of its record."""
RESULT, COTANGENT = "y", "g"

Kind = Literal["same", "float", "bool", "real"]


@dataclass(frozen=True, slots=True)
class MapRecord:
    """One map.

    Attributes:
        name: what programs call it.
        arity: how many arguments it has.
        sympy: its formula, a function of sympy's expressions.
        numpy: the same of numpy's arrays; a ufunc if :attr:`is_ufunc`. It keeps float16, float32
            and float64; integers that it makes floating-point numbers of (see ``kind``) are
            converted before, by whoever calls it, who also silences what numpy says of overflows.
        kind: which numbers it makes: those that its arguments meet in (``"same"``; a condition
            does not count), floating-point numbers of them (``"float"``), truth values, or real
            numbers of complex ones too.
        torch, jax: dotted names in ``torch`` and in ``jax`` (``"nn.functional.gelu"``); where there
            is none, it is carried out in other maps, as ``unfolded`` says.
        text, latex, mathml: how it is written; ``%s`` are the arguments.
        operator: how programs write it between (or before) its arguments, ``"+"``.
        derivatives: for each argument what comes back to it, as a text in maps: ``"g * y"`` for
            exp. Where there is none (``None``), it is derived from the formula; ``"0"`` says that
            nothing comes back.
        note: which value the derivative has at a kink, as a phrase, for the docs.
        is_ufunc: whether ``numpy`` takes ``out=``.
        unfolded: the same in simpler maps, as a text or an expression, written such that nothing
            overflows; empty if there are none.
        conditions: how many arguments, from the first, are truth values.
        ordered: whether it needs numbers that can be compared, which complex ones cannot.
    """

    name: str
    arity: int
    sympy: Callable[..., Any]
    numpy: Callable[..., Any]
    kind: Kind = "same"
    torch: str = ""
    jax: str = ""
    text: str = ""
    latex: str = ""
    mathml: str = ""
    operator: str = ""
    derivatives: tuple[str | None, ...] = ()
    note: str = ""
    is_ufunc: bool = True
    unfolded: Expression = ""
    conditions: int = 0
    ordered: bool = False

    @property
    def variables(self) -> tuple[str, ...]:
        """What its arguments are called in its expressions."""
        return ARGUMENTS[: self.arity]

    @property
    def ufunc(self) -> Any:
        """Numpy's own function, where ``numpy`` only leads to it."""
        return self.numpy.function if isinstance(self.numpy, late) else self.numpy
