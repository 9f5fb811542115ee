"""Python text: sums, products, index brackets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from contractconv.notation.affine import Polynomial

Part = tuple[int, str]
"""A summand: a coefficient and what it multiplies; the constant multiplies nothing, ``""``."""

Rename = Callable[[str], str]

# How much deeper each bracket leads.
BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}

# Operators as they stand between operands, those that bind least first.
_LEVELS = (
    [" if ", " else "],
    [" == ", " < ", " > "],
    [" & "],
    [" + ", " - "],
    [" * ", " / ", " // "],
)
_OPERATORS = tuple(operator for level in _LEVELS for operator in level)


def total(parts: Iterable[Part]) -> str:
    """Write a sum as a person would: equal summands merged, a positive one first.

    Example:
        >>> total([(-1, "K"), (1, "H"), (2, "p"), (-1, "")])
        'H - K + 2 * p - 1'
    """
    merged: dict[str, int] = {}
    for coefficient, factor in parts:
        merged[factor] = merged.get(factor, 0) + coefficient
    kept = [(value, factor) for factor, value in merged.items() if value]
    kept.sort(key=lambda part: part[1] == "")
    lead = next((n for n, (value, _) in enumerate(kept) if value > 0), 0)
    return _signed([*kept[lead : lead + 1], *kept[:lead], *kept[lead + 1 :]])


def _signed(parts: Sequence[Part]) -> str:
    text = ""
    for value, factor in parts:
        sign = (" - " if value < 0 else " + ") if text else "-" * (value < 0)
        text += sign + _times(abs(value), factor)
    return text or "0"


def _times(size: int, factor: str) -> str:
    if not factor:
        return str(size)
    return factor if size == 1 else f"{size} * {factor}"


def multiples(polynomial: Polynomial, rename: Rename, factor: str = "") -> list[Part]:
    """The summands of a polynomial in parameters, times a factor."""
    parts = [(value, product([*map(rename, names)])) for names, value in polynomial.terms]
    if factor and len(parts) > 1:
        return [(1, f"({total(parts)}) * {factor}")]
    return [(value, product([text, factor])) for value, text in parts]


def product(factors: Sequence[str]) -> str:
    """Factors with a multiplication sign between them; empty ones do not count."""
    return " * ".join(filter(None, factors))


def grouped(text: str, operators: Sequence[str] = (" + ", " - ")) -> str:
    """Put parentheses around a text that holds one of the operators."""
    return f"({text})" if any(op in text for op in operators) or text[0] == "-" else text


def simple(text: str) -> str:
    """A text to which an attribute or an index can be appended."""
    return f"({text})" if operators(text) else text


def tupled(items: Sequence[str]) -> str:
    """Items as the display of a tuple."""
    return f"({', '.join(items)}{',' * (len(items) == 1)})"


def indexed(array: str, entries: Sequence[str]) -> str:
    """Index an array; whole axes at the end need not be mentioned."""
    kept = list(entries)
    while kept and kept[-1] == ":":
        kept.pop()
    return f"{array}[{', '.join(kept)}]" if kept else array


def operators(text: str) -> list[str]:
    """The operators outside all brackets that bind least."""
    found = {text[n : n + width] for n, width in outside(text)}
    return next((level for level in _LEVELS if found.intersection(level)), [])


def outside(text: str) -> Iterator[tuple[int, int]]:
    """Where the operators outside all brackets are, and how long they are."""
    depth = 0
    for n, sign in enumerate(text):
        depth += BRACKETS.get(sign, 0)
        for operator in _OPERATORS if not depth and sign == " " else ():
            if text.startswith(operator, n):
                yield n, len(operator)
