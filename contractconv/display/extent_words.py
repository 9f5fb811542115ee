"""What indices run through, and how far: the notation's rule of extents, with letters for sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from contractconv.calculus.derivation_steps import listed
from contractconv.calculus.equation import size
from contractconv.calculus.read_conditions import axis_sizes
from contractconv.calculus.symbols import in_words
from contractconv.display.source_code.solving import RESULT, solve
from contractconv.notation.affine import ONE, ZERO, Affine, Polynomial
from contractconv.notation.spec import Composition, Place, Spec


class _Window(NamedTuple):
    """An axis that determines the extent of one of its indices."""

    name: str
    axis: Affine
    size: str


def extents_said(spec: Spec) -> Iterator[str]:
    """Say which extents shapes do not tell, and what the others are that no axis has for its size.

    Example:
        >>> from contractconv.notation.parser import parse
        >>> print(*extents_said(parse("b (2*i+k-1) c, k c o -> b i o")))
        If nothing else is given, N_i = ⌊(N_h−N_k+2)/2⌋+1.
        >>> print(*extents_said(parse("b (2*i+k) c -> b i c")))
        The extent of k has to be given; then N_i = ⌊(N_h−N_k)/2⌋+1.
    """
    solution = solve(spec, (), shaped=False, cotangent=False)
    asked = list(solution.arguments)
    windows = (_window(spec, name, places) for name, places in solution.found.items())
    found = sorted((w for w in windows if w), key=lambda window: spec.indices.index(window.name))
    counted = [text for window in found if (text := _counted(window))]
    formulas = listed(counted) if counted else ""
    if asked:
        extents = "extents" if len(asked) > 1 else "extent"
        have = "have" if len(asked) > 1 else "has"
        given = f"The {extents} of {listed(asked)} {have} to be given"
        yield f"{given}; then {formulas}." if formulas else f"{given}."
    elif formulas:
        yield f"If nothing else is given, {formulas}."


_ONE = Affine((), ONE)


def _window(spec: Spec, index: str, places: tuple[Place, ...]) -> _Window | None:
    """The first axis that tells of an index, if more than the index stands on it."""
    (term, number), *_ = places
    if term == RESULT or number is None:
        return None
    axis = spec.inputs[term][number]
    if not isinstance(axis, Affine) or axis.plain is not None:
        return None
    before = spec.inputs[term][:number]
    place = sum(len(a.names) if isinstance(a, Composition) else 1 for a in before)
    return _Window(index, axis, axis_sizes(spec)[spec.called[term], place].name)


def _counted(window: _Window) -> str:
    """How many values an index has with which the window stays inside, as an equation.

    As much as reaches below zero may reach past the end; of what runs backwards, the reverse.
    Nothing, if that depends on signs that symbols do not have.
    """
    step = dict(window.axis.terms)[window.name]
    others = [(name, number) for name, number in window.axis.terms if name != window.name]
    if not all(_sign(number) for number in (step, *(number for _, number in others))):
        return ""
    low = high = Affine((), window.axis.offset)
    for name, number in others:
        reach = Affine(((size(name).name, number),), -number)  # times the last value
        low, high = (low, high + reach) if _sign(number) > 0 else (low + reach, high)
    last = Affine(((window.size, ONE),), -ONE)
    if _sign(step) < 0:
        low, high = last - high, last - low
    places = _places(last - high, low.scaled(-ONE), step if _sign(step) > 0 else -step)
    return f"{size(window.name).name} = {places}"


def _places(room: Affine, below: Affine, step: Polynomial) -> str:
    """``⌊(room + max(0, below))/step⌋ + 1``, without what is known."""
    if _never_below(below) or _never_below(below.scaled(-ONE)):
        room = room + below if _never_below(below) else room
        steps = room.over(step)
        return f"⌊{in_words(steps)}⌋+1" if steps.fractional else in_words(steps + _ONE)
    more = f"max(0, {in_words(below)})"
    if step == ONE:
        return f"{in_words(room + _ONE)}+{more}"
    return f"⌊({in_words(room)}+{more})/{in_words(Affine((), step))}⌋+1"


def _sign(number: Polynomial) -> int:
    """1 or -1; 0 if nobody knows, or if it is zero."""
    values = {value > 0 for _, value in number.terms}
    return 0 if len(values) != 1 else 1 if values == {True} else -1


def _never_below(axis: Affine) -> bool:
    """Whether an expression of sizes, each of which is at least one, is never negative."""
    least = axis.offset
    for _, coefficient in axis.terms:
        if _sign(coefficient) < 0:
            return False
        least += coefficient
    return least == ZERO or _sign(least) > 0
