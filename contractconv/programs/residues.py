"""Numbers modulo a prime, in which programs are evaluated exactly.

Sums, products and quotients are those of the field. Numbers are compared in an order that is the
usual one of small integers, and drawn by chance of all others. Every other function is drawn by
chance too: of equal arguments it has equal values, and nothing else is known of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from hashlib import blake2b
from math import isfinite
from random import Random
from typing import Any

from contractconv.maps.expression import evaluate
from contractconv.maps.record import ARGUMENTS
from contractconv.maps.table import MAPS
from contractconv.maps.unfolding import unfolded
from contractconv.programs.kinds import kind

PRIME = 2**61 - 31
"""Of this prime, minus one has a square root."""
_IMAGINARY = 583529827753931384
# Integers up to here are in their usual order, and rounded they are themselves.
_SMALL = 1 << 20
_GREATEST_POWER = 64


class Residues:
    """A field, with functions drawn by chance.

    Args:
        seed: what chance depends on.
        near: integers near which inputs are drawn; they are drawn from the whole field if there
            are none.

    Attributes:
        is_near: whether inputs are drawn near some integers.
        has_divided_by_zero: whether a number was divided by zero.
    """

    def __init__(self, seed: int, near: Sequence[int] = ()) -> None:
        self._chance, self._near = Random(seed), near
        self.is_near, self.has_divided_by_zero = bool(near), False
        self._key = seed.to_bytes(8, "little")
        self._middle = self.function("middle")

    def drawn(self, dtype: str, count: int) -> list[int]:
        """Inputs of a dtype, by chance."""
        if dtype == "bool":
            return [self._chance.randrange(2) for _ in range(count)]
        if self._near:
            return [self._chance.choice(self._near) % PRIME for _ in range(count)]
        return [self._chance.randrange(PRIME) for _ in range(count)]

    def number(self, value: Any) -> int:
        """A number of a program; an infinity is one that nobody knows."""
        if isinstance(value, complex):
            return (self.number(value.real) + self.number(value.imag) * _IMAGINARY) % PRIME
        if not isfinite(value):
            return -self.function("inf") % PRIME if value < 0 else self.function(str(value))
        fraction = Fraction(value)
        return fraction.numerator * pow(fraction.denominator, -1, PRIME) % PRIME

    def function(self, name: str, *arguments: int) -> int:
        """A function that nobody knows."""
        text = repr((name, arguments)).encode()
        return int.from_bytes(blake2b(text, digest_size=12, key=self._key).digest()) % PRIME

    def rank(self, a: int) -> tuple[int, int, int]:
        """Where a number stands in the order of all of them, which negation turns round."""
        near = _signed(a)
        size, sign = abs(near), (near > 0) - (near < 0)
        if size <= _SMALL:
            return sign, sign * self._middle, near
        if self.function("sign", size) % 2:
            sign = -sign
        return sign, sign * self.function("rank", size), sign * size

    def inverse(self, a: int) -> int:
        """One over a number; of zero it is a number that nobody knows."""
        if a:
            return pow(a, -1, PRIME)
        self.has_divided_by_zero = True
        return self.function("one over zero")

    def converted(self, a: int, source: str, dtype: str) -> int:
        """A number in another dtype; what does not fit becomes one that nobody knows.

        Floating-point numbers are not rounded: what is exact has digits enough. Of those that
        become integers only small ones are integers; all others may be fractions.
        """
        if dtype == "bool":
            return int(a != 0)
        if kind(dtype) >= kind("float32"):
            as_it_is = kind(dtype) >= kind(source)
        else:
            whole = kind(source) < kind("float32") or abs(_signed(a)) <= _SMALL
            as_it_is = whole and _holds(dtype, _signed(a))
        return a if as_it_is else self.function(dtype, a)

    def applied(self, name: str, given: tuple[int, ...]) -> int:
        """A map of numbers."""
        rule = _MAPS.get(name)
        if rule is not None:
            return rule(self, *given)
        if name in MAPS and MAPS[name].unfolded != "":
            variables = dict(zip(ARGUMENTS, given, strict=False))
            return evaluate(unfolded(name), variables, self.number, self.applied)
        return self.function(name, *given)

    def reduced(self, name: str, values: Sequence[int]) -> int:
        """What becomes of contributions; ``"sum"`` and ``"mean"`` are carried out elsewhere."""
        rule = _REDUCTIONS.get(name)
        return self.function(name, *sorted(values)) if rule is None else rule(self, values)

    def local(self, name: str, values: Sequence[int]) -> list[int]:
        """How a reduction changes with each contribution."""
        rule = _LOCAL.get(name)
        if rule is not None:
            return rule(self, values)
        return [self.function(f"local {name}", value, *sorted(values)) for value in values]


def _holds(dtype: str, number: int) -> bool:
    """Whether an integer is one of a dtype."""
    unsigned = dtype.startswith("u")
    most = 1 << int(dtype.strip("uint")) - (not unsigned)
    return (0 if unsigned else -most) <= number < most


def _signed(a: int) -> int:
    return a - PRIME if 2 * a > PRIME else a


def _power(field: Residues, a: int, b: int) -> int:
    exponent = _signed(b)
    if abs(exponent) > _GREATEST_POWER:
        return field.function("power", a, b)
    return pow(a if exponent >= 0 else field.inverse(a), abs(exponent), PRIME)


def _mod(field: Residues, a: int, b: int) -> int:
    if b and max(abs(_signed(a)), abs(_signed(b))) <= _SMALL:
        return _signed(a) % _signed(b) % PRIME
    return field.function("mod", a, b)


def _whole(name: str) -> Callable[..., int]:
    return lambda field, a: a if abs(_signed(a)) <= _SMALL else field.function(name, a)


def _sign(field: Residues, a: int) -> int:
    return field.rank(a)[0] % PRIME


_MAPS: dict[str, Callable[..., int]] = {
    "add": lambda field, a, b: (a + b) % PRIME,
    "subtract": lambda field, a, b: (a - b) % PRIME,
    "multiply": lambda field, a, b: a * b % PRIME,
    "divide": lambda field, a, b: a * field.inverse(b) % PRIME,
    "negative": lambda field, a: -a % PRIME,
    "power": _power,
    "mod": _mod,
    "max": lambda field, a, b: max(a, b, key=field.rank),
    "min": lambda field, a, b: min(a, b, key=field.rank),
    "abs": lambda field, a: a * _sign(field, a) % PRIME,
    "sign": _sign,
    "floor": _whole("floor"),
    "ceil": _whole("ceil"),
    "round": _whole("round"),
    "exp": lambda field, a: field.function("exp", a) if a else 1,
    "expm1": lambda field, a: field.applied("exp", (a,)) - 1,
    "less": lambda field, a, b: int(field.rank(a) < field.rank(b)),
    "less_equal": lambda field, a, b: int(field.rank(a) <= field.rank(b)),
    "greater": lambda field, a, b: int(field.rank(a) > field.rank(b)),
    "greater_equal": lambda field, a, b: int(field.rank(a) >= field.rank(b)),
    "equal": lambda field, a, b: int(a == b),
    "not_equal": lambda field, a, b: int(a != b),
    "logical_and": lambda field, a, b: int(a != 0 and b != 0),
    "logical_or": lambda field, a, b: int(a != 0 or b != 0),
    "logical_not": lambda field, a: int(a == 0),
    "where": lambda field, a, b, c: b if a else c,
}


def _product(values: Sequence[int]) -> int:
    whole = 1
    for value in values:
        whole = whole * value % PRIME
    return whole


def _exponentials(field: Residues, values: Sequence[int]) -> list[int]:
    return [field.applied("exp", (value,)) for value in values]


def _softmax(field: Residues, values: Sequence[int]) -> list[int]:
    parts = _exponentials(field, values)
    share = field.inverse(sum(parts) % PRIME)
    return [part * share % PRIME for part in parts]


def _first(best: Callable[..., int]) -> Callable[[Residues, Sequence[int]], list[int]]:
    def chosen(field: Residues, values: Sequence[int]) -> list[int]:
        at = values.index(best(values, key=field.rank))
        return [int(n == at) for n in range(len(values))]

    return chosen


_REDUCTIONS: dict[str, Callable[[Residues, Sequence[int]], int]] = {
    "prod": lambda field, values: _product(values),
    "max": lambda field, values: max(values, key=field.rank),
    "min": lambda field, values: min(values, key=field.rank),
    "logsumexp": lambda field, values: field.function(
        "log", sum(_exponentials(field, values)) % PRIME
    ),
}
_LOCAL: dict[str, Callable[[Residues, Sequence[int]], list[int]]] = {
    "prod": lambda field, values: [
        _product([*values[:n], *values[n + 1 :]]) for n in range(len(values))
    ],
    "max": _first(max),
    "min": _first(min),
    "logsumexp": _softmax,
}
