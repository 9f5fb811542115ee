"""A program that is being written: what it says as code, as symbolic tensors, and its values."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import mpmath as mp
from programs.evaluator import Evaluation
from programs.jet_arrays import Array
from programs.jets import is_exact, rounded
from programs.sizing import TooLarge
from strategies import filled

import contractconv as cc
from contractconv.api import symbolic
from contractconv.api.tensor import Tensor, applied, index, size, tensor
from contractconv.maps.table import MAPS

LARGEST = 2000
"""No value may be greater: nothing overflows, and roundings stay small."""
MOST_ELEMENTS = 300

OPERATORS: dict[str, Callable[..., Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "**": operator.pow, "%": operator.mod, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
    "&": operator.and_, "|": operator.or_,
}  # fmt: skip
CALLS: dict[str, Callable[..., Any]] = {
    "contract": cc.contract,
    "index": index,
    "size": size,
    "concatenated": lambda *given: symbolic.concatenated(given[:-1], given[-1]),
    "at": lambda source, **places: source.at(**places),
    "named": Tensor.named,
    "cast": Tensor.cast,
    "grad": symbolic.grad,
    "jvp": symbolic.jvp,
}
# What is made of arrays of integers, and how it is written: labels, and truth values.
_MEANT: dict[str, tuple[Callable[[Array], Array], str]] = {
    "int64": (abs, "abs({})"),
    "bool": (lambda given: given > 0, "{} > 0"),
}


class Refused(Exception):
    """A step that is not taken: its values are too great, or hang on a rounding."""


@dataclass(frozen=True, eq=False)
class Written:
    """A symbolic tensor, and how it is written."""

    text: str
    tensor: Tensor

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of its axes."""
        return self.tensor.axes

    def __repr__(self) -> str:
        return self.text


def call(function: str, *given: Any, **named: Any) -> Written:
    """Call a function of the library, or one of Python's operators."""
    arguments = [_meant(value) for value in given]
    keywords = {name: _meant(value) for name, value in named.items()}
    if function in OPERATORS:
        return Written(f"({given[0]!r} {function} {given[1]!r})", OPERATORS[function](*arguments))
    parts = [*map(repr, given), *(f"{name}={value!r}" for name, value in named.items())]
    text = f"{function}({', '.join(parts)})"
    if function in CALLS:
        return Written(text, CALLS[function](*arguments, **keywords))
    assert function in MAPS
    return Written(text, applied(function, *arguments))


def _meant(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(map(_meant, value))
    return value.tensor if isinstance(value, Written) else value


@dataclass
class Program:
    """A program with arrays for its inputs; it prints as the code that makes it.

    Attributes:
        lines: the code.
        arrays: what it is given.
        named: every value that has a name.
    """

    lines: list[str] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)
    named: dict[str, Written] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.evaluation = Evaluation(self.arrays)

    def __repr__(self) -> str:
        return "\n" + "\n".join(self.lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def input(
        self,
        axes: Sequence[str],
        shape: Sequence[int],
        seed: int,
        dtype: str | None = None,
        bound: int = 2,
    ) -> Written:
        """A new input, with an array that follows from the seed."""
        name = f"x{len(self.arrays)}"
        text = " ".join(axes)
        kind = "int64" if dtype == "bool" else dtype or "float64"
        array = filled(tuple(shape), seed, bound, kind)
        meant, shown = _MEANT.get(dtype or "", (lambda given: given, "{}"))
        self.arrays[name] = meant(array)
        given = f"{name!r}, {text!r}" + ("" if dtype is None else f", {dtype!r}")
        filling = f"filled({tuple(shape)}, {seed}, {bound}, {kind!r})"
        self.lines.append(f"{name} = tensor({given})  # {shown.format(filling)}")
        self.named[name] = Written(name, tensor(name, text, dtype))
        return self.named[name]

    def keep(self, made: Written) -> Written:
        """Give a value a name, if it is small enough.

        Raises:
            Refused: it is not, or it hangs on a rounding.
        """
        try:
            array = self.evaluation(made.tensor._node)
        except (ArithmeticError, TooLarge) as error:
            raise Refused(str(error)) from None
        except ValueError as error:
            raise AssertionError(f"{self!r}\n{made!r} has no sizes: {error}") from error
        if array.size > MOST_ELEMENTS or not all(map(_is_small, array.ravel())):
            raise Refused(made.text)
        name = f"v{len(self.named)}"
        self.lines.append(f"{name} = {made.text}")
        self.named[name] = Written(name, made.tensor)
        return self.named[name]

    def array(self, value: Written) -> Array:
        """What a value is."""
        return self.evaluation(value.tensor._node)

    def sizes(self, value: Written) -> dict[str, int]:
        """The sizes of its axes."""
        return dict(zip(value.axes, self.array(value).shape, strict=True))


def _is_small(number: Any) -> bool:
    if isinstance(number, Fraction) and not is_exact(number):
        number = rounded(number)
    return bool(mp.isfinite(rounded(number)) and abs(rounded(number)) <= LARGEST)
