"""The derivatives of maps, proved: by sympy, or at points, with many digits."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import sympy

from contractconv.cache_register import kept
from contractconv.errors import CertificateError
from contractconv.maps.derivatives import derivatives
from contractconv.maps.expression import Call, Expression, evaluate
from contractconv.maps.record import COTANGENT, RESULT, MapRecord
from contractconv.maps.table import record_of
from contractconv.verification.programs.many_digits import DECIMAL_DIGITS, EXACT_DIGITS, MP, STEP
from contractconv.verification.programs.map_values import (
    formula_of,
    map_value,
    symbols_of,
)

_POINTS = 24
_PRIMES = (997, 991, 983)
# What sympy takes too long for is tried at points.
_LARGEST = 60


@dataclass(frozen=True, slots=True)
class MapProof:
    """How the derivatives of a map were proved.

    Attributes:
        function: the map.
        how: for each argument how: by what, or that it is so by definition.
    """

    function: str
    how: tuple[str, ...]

    def __str__(self) -> str:
        ways = list(dict.fromkeys(self.how))
        return f"{self.function:<14} {'; '.join(ways)}"


@kept(most=1024)
def proved(name: str) -> MapProof:
    """Prove the derivatives of a map.

    Raises:
        CertificateError: one of them is wrong; the message says which, and where.
    """
    record = record_of(name)
    return MapProof(name, tuple(_proof(record, n) for n in range(record.arity)))


def _proof(record: MapRecord, n: int) -> str:
    expression = derivatives(record.name)[n]
    if record.kind == "bool" or n < record.conditions:
        return _constant(record, n, expression)
    if _is_zero(record, n, expression):
        return "by sympy"
    try:
        return _at_points(record, n, expression)
    except CertificateError:
        if expression == 0 and record.note:
            return f"by definition: {record.note}"
        raise


def _constant(record: MapRecord, n: int, expression: Expression) -> str:
    if expression != 0:
        raise _wrong(record, n, "a truth value does not change a little, so nothing comes back")
    return "a truth value does not change a little"


def _is_zero(record: MapRecord, n: int, expression: Expression) -> bool:
    """Whether sympy knows that the derivative is that of the formula."""
    symbols, g = symbols_of(record), sympy.Symbol(COTANGENT)
    formula = formula_of(record.name)
    known = dict(zip(record.variables, symbols, strict=True)) | {RESULT: formula, COTANGENT: g}
    try:
        said = evaluate(expression, known, sympy.sympify, _called)
        difference = sympy.expand(g * sympy.diff(formula, symbols[n]) - said)
        if difference.has(sympy.Float, sympy.Piecewise, sympy.Heaviside, sympy.Derivative):
            return False
        return bool(difference == 0 or (_is_small(difference) and sympy.simplify(difference) == 0))
    except (TypeError, ValueError, AttributeError, NotImplementedError):
        return False  # what sympy cannot say, points can


def _is_small(formula: Any) -> bool:
    return sum(1 for _ in sympy.preorder_traversal(formula)) <= _LARGEST


def _called(function: str, arguments: tuple[Any, ...]) -> Any:
    return record_of(function).sympy(*arguments)


def _at_points(record: MapRecord, n: int, expression: Expression) -> str:
    """Compare it with differences of the formula, at rational points off the kinks."""
    random = Random(f"{record.name} {n}")
    digits = DECIMAL_DIGITS if _has_decimals(expression) else EXACT_DIGITS
    points = (_point(record, random) for _ in range(_POINTS))
    seen = sum(_holds(record, n, expression, point, digits) for point in points)
    if seen:
        return f"at {seen} rational points, to {digits} digits"
    raise _wrong(record, n, "its formula is a number nowhere between -4 and 4")


def _point(record: MapRecord, random: Random) -> list[Any]:
    numbers = [_between(random, prime) for prime in _PRIMES[: record.arity]]
    return [number > 0 if n < record.conditions else number for n, number in enumerate(numbers)]


def _between(random: Random, prime: int) -> Any:
    """A number that is neither whole, nor half, nor one over another prime."""
    return MP.mpf(random.randrange(-4, 4) * prime + random.randrange(1, prime)) / prime


def _holds(
    record: MapRecord, n: int, expression: Expression, point: list[Any], digits: int
) -> bool:
    """Compare at one point; it says nothing where the formula is no real number."""
    ends = [
        map_value(record.name, [*point[:n], point[n] + step, *point[n + 1 :]])
        for step in (STEP, -STEP)
    ]
    result = map_value(record.name, point)
    if not all(map(_is_real, (*ends, result))):
        return False
    known = dict(zip(record.variables, point, strict=False)) | {
        RESULT: result,
        COTANGENT: MP.mpf(1),
    }
    said = evaluate(expression, known, lambda number: number, map_value)
    slope = (ends[0] - ends[1]) / (2 * STEP)
    if abs(said - slope) > MP.mpf(10) ** -digits * max(1, abs(slope), abs(said)):
        at = ", ".join(f"{v}={MP.nstr(known[v], 8)}" for v in record.variables)
        found, wanted = MP.nstr(said, 12), MP.nstr(slope, 12)
        raise _wrong(record, n, f"at {at} the derivative is {wanted}, its text makes {found}")
    return True


def _is_real(number: Any) -> bool:
    return not isinstance(number, MP.mpc) and bool(MP.isfinite(number))


def _has_decimals(expression: Expression) -> bool:
    if isinstance(expression, Call):
        return any(map(_has_decimals, expression.arguments))
    return isinstance(expression, float)


def _wrong(record: MapRecord, n: int, reason: str) -> CertificateError:
    text = record.derivatives[n] if record.derivatives else None
    said = f" ({text!r})" if text else ""
    return CertificateError(
        f"what comes back to argument {record.variables[n]} of the map {record.name!r}{said} does "
        f"not hold: {reason}"
    )
