"""What the table's texts have in common: their numbers, and maps that mean something together.

The normal distribution is no map of the table, but what the error function and the exponential are
mostly used for: a kernel that knows what is meant needs one exponential for both, and rounds no
argument on the way. Of a root's reciprocal, processors know the first digits; and a logarithm of a
number between one and two needs no exponent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import TYPE_CHECKING

from contractconv.cache_register import kept
from contractconv.maps.expression import Call, Expression, parts
from contractconv.maps.reading import read
from contractconv.maps.table import MAPS

if TYPE_CHECKING:
    from contractconv.engines.llvm.maps.straight_code import Instruction

COMMUTATIVE = ("add", "multiply")
IDIOMS: dict[str, Expression] = {
    "normal_probability": read("0.5 * erfc(a * -0.7071067811865476)"),
    "normal_density": read("0.3989422804014327 * exp(-0.5 * a * a)"),
    "inverse_root": read("1 / sqrt(a)"),
    "softplus_excess": read("log1p(exp(-abs(a)))"),
}


@kept(most=1)
def table_numbers() -> frozenset[float]:
    """The numbers in the texts of the table, of which a kernel need not be told.

    Example:
        >>> 1.5957691216057308 in table_numbers(), 0.123 in table_numbers()
        (True, False)
    """
    given = (text for r in MAPS.values() for text in (r.unfolded, *r.derivatives) if text)
    expressions = (read(text) if isinstance(text, str) else text for text in given)
    found = (part for expression in expressions for part in parts(expression))
    return frozenset(float(n) for n in found if isinstance(n, int | float))


def meant(listed: Sequence[Instruction], does: str, given: Sequence[int]) -> tuple[str, int] | None:
    """What a map of values means, if that has a name.

    Args:
        listed: the instructions that make the values.
        does: the map.
        given: the numbers of the values.

    Returns:
        The name, and the number of the value that it is applied to.
    """
    for name, idiom in IDIOMS.items():
        assert isinstance(idiom, Call)
        found = _matched(listed, idiom, does, given, {})
        if found is not None:
            return name, found["a"]
    return None


def _matched(
    listed: Sequence[Instruction],
    call: Call,
    does: str,
    given: Sequence[int],
    known: Mapping[str, int],
) -> dict[str, int] | None:
    """The values that variables stand for, if a call of a map is meant."""
    if does != call.function or len(given) != len(call.arguments):
        return None
    for order in permutations(given) if does in COMMUTATIVE else [given]:
        found: dict[str, int] | None = dict(known)
        for argument, value in zip(call.arguments, order, strict=True):
            found = None if found is None else _fitted(listed, argument, value, found)
        if found is not None:
            return found
    return None


def _fitted(
    listed: Sequence[Instruction], wanted: Expression, value: int, known: dict[str, int]
) -> dict[str, int] | None:
    made = listed[value]
    if isinstance(wanted, Call):
        return _matched(listed, wanted, made.does, made.given, known)
    if isinstance(wanted, str):
        return {**known, wanted: value} if known.get(wanted, value) == value else None
    return known if made.does == "constant" and float(made.value) == wanted else None
