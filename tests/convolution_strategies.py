"""Two operands that meet along windows: any role of each term, steps of any sign, any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from strategies import Array, Draw, Problem

# The terms that have an index: what images, places and taps share, and what all of them have.
_PLAIN = {"b": (0, 1), "d": (0, 1), "c": (0, 2), "e": (0, 2), "o": (1, 2), "g": (0, 1, 2)}
_STEPS = st.sampled_from([1, 1, 1, 2, 3, -1, -2])


@dataclass(frozen=True)
class _Axis:
    text: str
    size: int


def _signed(step: int, name: str) -> str:
    return f"{'-' if step < 0 else '+'}{'' if abs(step) == 1 else f'{abs(step)}*'}{name}"


@st.composite
def _window(draw: Draw, number: int, extents: dict[str, int], divided: bool) -> list[_Axis]:
    """The axes of an image, of places and of taps; the image ends before, at or after its reach."""
    place, tap = "ijm"[number], "kln"[number]
    extents[place], extents[tap] = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    steps = [(draw(_STEPS), place), (draw(_STEPS), tap)]
    ends = [step * (extents[name] - 1) for step, name in steps]
    low, high = (sum(limit(0, end) for end in ends) for limit in (min, max))
    offset = draw(st.sampled_from([0, 0, -1, 1, -2])) - low
    divisor = draw(st.sampled_from([1, 1, 2])) if divided else 1
    size = max(1, (high + offset) // divisor + 1 + draw(st.sampled_from([0, 0, -1, 1, 2, -2])))
    body = "".join(_signed(*step) for step in steps).removeprefix("+")
    body += f"{offset:+d}" if offset else ""
    text = f"({body})" if divisor == 1 else f"(({body})/{divisor})"
    return [_Axis(text, size), _Axis(place, extents[place]), _Axis(tap, extents[tap])]


@st.composite
def convolutions(draw: Draw, most: int = 3, divided: bool = True) -> Problem:
    """A convolution, or one of its gradients.

    Args:
        most: how many windows there may be.
        divided: whether axes may be fractions.
    """
    extents: dict[str, int] = {}
    terms: list[list[_Axis]] = [[], [], []]
    for number in range(draw(st.integers(1, most))):
        for term, axis in zip(terms, draw(_window(number, extents, divided)), strict=True):
            term.append(axis)
    for name in draw(st.lists(st.sampled_from([*_PLAIN]), max_size=4, unique=True)):
        extents[name] = draw(st.integers(1, 3))
        for number in _PLAIN[name]:
            terms[number].append(_Axis(name, extents[name]))
    first, second, result = draw(st.permutations([draw(st.permutations(t)) for t in terms]))
    texts = [" ".join(axis.text for axis in term) for term in (first, second, result)]
    shapes = [tuple(axis.size for axis in term) for term in (first, second, result)]
    spec = f"{texts[0]}, {texts[1]} -> {texts[2]}"
    return Problem(spec, (shapes[0], shapes[1]), extents, shapes[2])


def whole_numbers(problem: Problem, seed: int) -> list[Array]:
    """Operands of small whole numbers, so that every sum is exact."""
    rng: Any = np.random.default_rng(seed)
    return [rng.integers(-4, 5, shape).astype(float) for shape in problem.shapes]
