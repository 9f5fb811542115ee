"""Random contractions with arrays, small enough to be worked out by hand, of every kind there is.

What one can draw:

- ``cases()``: any form of the notation, layers, any reduction; some with long names, with symbols
  for strides, dilations and paddings, or with an ellipsis;
- ``settled_cases()``: likewise, with the sizes that follow from extents by the notation's rule.

What one can know: ``layers()`` and ``reductions()``, contractions that people write.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from convolution_strategies import convolutions
from hypothesis import assume
from hypothesis import strategies as st
from oracle import Affine, Axis, Spec, read_spec
from printed_claims import Case
from printed_curvature import plain_name
from printed_oracle import Elements, Place, Witness, places
from strategies import Draw, Problem, Shape, filled, problems, windows

import contractconv as cc
from contractconv import Reduction

REDUCTIONS: tuple[Reduction, ...] = ("sum", "sum", "mean", "max", "min", "prod", "logsumexp")
# Names that are letters of something else, Greek, long, or that TeX would not like.
NAMES = [
    "row", "alpha", "in_channels", "lambda", "pi", "h", "w", "d", "y", "x", "S", "G",
    "V", "X", "W", "P", "Q", "M", "R", "L", "J", "dX", "T0", "_",
    "i1", "Sigma", "max", "exp", "log", "delta", "b", "r", "c", "o", "theta2", "x_1_2",
    "N", "n", "e", "u", "v", "z", "t", "where", "sum_", "hbar",
]  # fmt: skip
_NAME = re.compile(r"[A-Za-z_]\w*")


def small(problem: Problem) -> bool:
    """Whether a problem can be worked out by hand."""
    sizes = [math.prod(shape) for shape in (*problem.shapes, problem.output_shape)]
    return problem.points <= 48 and min(sizes) > 0 and max(sizes) <= 32


_ANY = st.one_of(windows(), problems(), convolutions(most=2)).filter(small)


def case(
    text: str,
    problem: Problem,
    reduce: Reduction,
    seed: int,
    numbers: Mapping[str, int] | None = None,
    shapes: Sequence[Shape] | None = None,
) -> Case:
    """A case of arrays that follow from a seed.

    Args:
        text: the contraction as it is written.
        problem: the same with numbers for parameters, and without an ellipsis.
        reduce: how contributions combine.
        seed: of the arrays.
        numbers: the parameters.
        shapes: of the operands.
    """
    operands = tuple(_elements(shape, 4 * seed + n) for n, shape in enumerate(problem.shapes))
    witness = Witness(
        problem.spec, problem.shapes, problem.extents, problem.output_shape, reduce, operands
    )
    contraction = cc.Contraction(text, reduce=reduce, parameters=tuple(numbers or ()))
    count = len(operands)
    names = ("X", "W")[:count] if count < 3 else tuple(f"T{n}" for n in range(count))
    return Case(contraction, witness, dict(numbers or {}), seed, names)


def _elements(shape: Place, seed: int) -> Elements:
    return dict(zip(places(shape), map(int, filled(shape, seed, 3, "int64").flat), strict=True))


@st.composite
def _usual(draw: Draw, seed: int, reduce: Reduction) -> Case:
    problem = draw(_ANY)
    return case(problem.spec, problem, reduce, seed)


@st.composite
def _renamed(draw: Draw, seed: int, reduce: Reduction) -> Case:
    """Indices with other names; with a blank somewhere, as they are words."""
    problem = draw(_ANY)
    names = dict(zip(problem.extents, draw(st.permutations(NAMES)), strict=False))
    spec = re.sub(r"(\d)([A-Za-z_])", r"\1*\2", problem.spec)
    spec = _NAME.sub(lambda found: names[found.group()], spec)
    if not any(" " in term.strip() for term in re.split(",|->", spec)):
        return case(problem.spec, problem, reduce, seed)
    extents = {names[name]: size for name, size in problem.extents.items()}
    renamed = Problem(spec, problem.shapes, extents, problem.output_shape)
    return case(spec, renamed, reduce, seed)


_SYMBOLIC = [
    "b (s*i+d*k-p), k o -> b i o",
    "(s*i-p), i -> i",
    "i b, k b -> b (s*i+d*k-p)",
    "(s*i+d*k-p) (t*j+l), k l -> i j",
    "((h-d*k+p)/s), k h -> h",
    "b (d*k-s*i+p), k -> b i",
    "(s*(i-p)+d*k) k -> i",
    "(i k), (s*k+i-p) -> k",
]


@st.composite
def _symbolic(draw: Draw, seed: int, reduce: Reduction) -> Case:
    """Symbols for strides, dilations and paddings; axes end before, at or after their reach."""
    text = draw(st.sampled_from(_SYMBOLIC))
    numbers = {name: draw(st.integers(1, 3)) for name in "std" if re.search(rf"\b{name}\b", text)}
    numbers |= {"p": draw(st.integers(0, 2))} if re.search(r"\bp\b", text) else {}
    spec = re.sub(r"\b[stdp]\b", lambda found: str(numbers[found.group()]), text)
    extents = {name: draw(st.integers(1, 3)) for name in dict.fromkeys(_NAME.findall(spec))}
    terms = [re.findall(r"\((?:[^()]|\([^()]*\))*\)|\w+", t) for t in re.split(",|->", spec)]
    shapes = [tuple(draw(_size(axis, extents)) for axis in term) for term in terms]
    problem = Problem(spec, tuple(shapes[:-1]), extents, shapes[-1])
    return case(text, problem, reduce, seed, numbers)


def _size(axis: str, extents: Mapping[str, int]) -> st.SearchStrategy[int]:
    if axis in extents:
        return st.just(extents[axis])
    if " " in axis:
        return st.just(math.prod(extents[name] for name in _NAME.findall(axis)))
    return st.integers(1, 6)


_DOTTED = [
    "... i j, ... j -> ... i",
    "... i -> ...",
    "... (2*i+k-1), k ... -> i ...",
    "i ... -> ... i",
    "..., i -> ... (i+1)",
    "... ->",
    "... c, ... c -> c",
]


@st.composite
def _dotted(draw: Draw, seed: int, reduce: Reduction) -> Case:
    """An ellipsis: of the second operand its axes may be fewer, or of size 1."""
    text = draw(st.sampled_from(_DOTTED))
    whole = {name: draw(st.integers(1, 2)) for name in "uv"[: draw(st.integers(0, 2))]}
    fewer = ["(0)" if draw(st.booleans()) else name for name in [*whole][draw(st.integers(0, 2)) :]]
    terms = [term.strip() for term in re.split(",|->", text)]
    spelled = [
        " ".join([*whole] if n != 1 or n == len(terms) - 1 else fewer).join(term.split("..."))
        if "..." in term
        else term
        for n, term in enumerate(terms)
    ]
    spec = f"{', '.join(spelled[:-1])} -> {spelled[-1]}"
    names = [name for name in dict.fromkeys(_NAME.findall(spec)) if name not in whole]
    extents = {name: draw(st.integers(1, 3)) for name in names}
    extents |= {name: size for name, size in whole.items() if name in spec}
    shapes = [
        tuple(
            1 if axis == "(0)" else draw(_size(axis, extents))
            for axis in re.findall(r"\([^()]*\)|\w+", term)
        )
        for term in spelled
    ]
    problem = Problem(spec, tuple(shapes[:-1]), extents, shapes[-1])
    return case(text, problem, reduce, seed)


@dataclass(frozen=True)
class Sizes:
    """Sizes of axes by the notation's rule of extents.

    An axis that determines an index is as long as that index needs; where other axes determine all
    of its indices, it may have any size, and conditions have to say where it ends.
    """

    spec: Spec
    extents: Mapping[str, int]
    draw: Draw
    drawn: dict[Affine, int] = field(default_factory=dict)

    def of(self, axis: Axis, is_output: bool = False) -> int:
        """The size of an axis; a result is as long as what lands on it reaches."""
        if not isinstance(axis, Affine):
            return math.prod(self.extents[name] for name in axis.names)
        reach = self._reach(axis) if is_output or self._determines(axis) else None
        if reach is None:
            return self.drawn.setdefault(axis, self.draw(st.integers(1, 6)))
        return reach

    def is_plain(self, axis: Axis) -> bool:
        """Whether an axis consists of indices."""
        return not isinstance(axis, Affine) or plain_name(axis) is not None

    def _determines(self, axis: Affine) -> bool:
        held = {name for other in {*chain(*self.spec.inputs)} - {axis} for name in other.names}
        return self.is_plain(axis) or not held.issuperset(axis.names)

    def _reach(self, axis: Affine) -> int | None:
        """How long an axis is that its indices run through; a fraction determines nothing."""
        ends = [c * (self.extents[name] - 1) for name, c in axis.coefficients]
        low = math.floor(sum([end for end in ends if end < 0], axis.offset))
        high = math.floor(sum([end for end in ends if end > 0], axis.offset))
        whole = all(c.denominator == 1 for c in (axis.offset, *dict(axis.coefficients).values()))
        return max(0, high + 1 + min(0, low)) if whole else None


@st.composite
def settled_cases(draw: Draw) -> Case:
    """A contraction with arrays whose sizes the rule of extents makes."""
    problem = draw(_ANY)
    read = read_spec(problem.spec)
    sizes = Sizes(read, problem.extents, draw)
    shapes = tuple(tuple(map(sizes.of, term)) for term in read.inputs)
    made = tuple(sizes.of(axis, is_output=True) for axis in read.output)
    settled = Problem(problem.spec, shapes, problem.extents, made)
    assume(small(settled))
    return case(settled.spec, settled, draw(st.sampled_from(REDUCTIONS)), draw(st.integers(1, 99)))


@st.composite
def cases(draw: Draw) -> Case:
    """Any contraction with arrays."""
    kind = draw(st.sampled_from([_usual, _usual, _renamed, _symbolic, _dotted]))
    drawn: Case = draw(kind(draw(st.integers(1, 99)), draw(st.sampled_from(REDUCTIONS))))
    return drawn


# --- what people write -----------------------------------------------------------------------

# Its text, shapes, what is given, and how its ellipsis is spelled.
_LAYERS: list[tuple[str, list[Shape], dict[str, int], str]] = [
    ("i j, j k -> i k", [(2, 3), (3, 4)], {}, ""),
    ("b (2*i+k-1) (j+2*l) c, k l c o -> b i j o", [(1, 3, 4, 1), (3, 2, 1, 2)], {}, ""),
    ("b (i+k) g c, k g c o -> b i g o", [(1, 4, 2, 1), (2, 2, 1, 2)], {}, ""),
    ("b i c, k c o -> b (2*i+k-1) o", [(2, 3, 2), (3, 2, 2)], {}, ""),
    ("b h w c, (h w c) o -> b o", [(2, 2, 1, 2), (4, 2)], {}, ""),
    ("b h q d, b h k d, b h k v -> b h q v", [(1, 2, 2, 1), (1, 2, 3, 1), (1, 2, 3, 2)], {}, ""),
    ("b (s*i+d*k-p) c, k c o -> b i o", [(2, 9, 2), (3, 2, 2)], {"s": 2, "d": 2, "p": 1}, ""),
    ("b (s*i+d*k-p) c, k c o -> b i o", [(1, 12, 2), (2, 2, 2)], {"s": 3, "d": 1, "p": 2}, ""),
    ("(i-k), k -> i", [(4,), (3,)], {}, ""),
    ("(4-i) -> i", [(5,)], {}, ""),
    ("((h-k)/2), k -> h", [(4,), (3,)], {"h": 6}, ""),
    ("(3) i -> i", [(5, 2)], {}, ""),
    ("(h w) c -> c (w h)", [(6, 2)], {"h": 2}, ""),
    ("i i -> i", [(3, 3)], {}, ""),
    ("i -> i i", [(3,)], {}, ""),
    ("i -> i r", [(3,)], {"r": 2}, ""),
    (", i -> i", [(), (3,)], {}, ""),
    ("i -> (2*i+1)", [(3,)], {}, ""),
    ("(i+k), (i+k), k -> i", [(6,), (6,), (2,)], {}, ""),
    ("batch (2*row-tap+1), tap channel -> batch row channel", [(2, 7), (3, 2)], {}, ""),
    ("X W, W Y -> X Y", [(2, 3), (3, 4)], {}, ""),
    ("... i, ... j -> ... i j", [(3, 2), (3, 4)], {}, "u"),
    ("... i, i j -> ... j", [(3, 2), (2, 4)], {}, "u"),
    ("... i, i j -> j", [(3, 2), (2, 4)], {}, "u"),
]
_REDUCED: list[tuple[str, list[Shape], dict[str, int], str]] = [
    ("b (2*i+k) c -> b i c", [(2, 6, 2)], {"k": 2}, ""),
    ("b (2*i+k-1) -> b i", [(2, 7)], {"k": 3}, ""),
    ("i, i j -> j", [(3,), (3, 2)], {}, ""),
    ("b i j ->", [(2, 2, 2)], {}, ""),
    ("i -> i", [(3,)], {}, ""),
    ("... i -> i", [(3, 2)], {}, "u"),
    ("i, k -> (i+k)", [(3,), (2,)], {}, ""),
    ("i -> (2*i+1)", [(3,)], {}, ""),
    ("i -> i i", [(3,)], {}, ""),
]


def layers() -> list[Case]:
    """Sums with the shapes that determine their extents."""
    return [_known(*row, "sum") for row in _LAYERS]


def reductions() -> list[Case]:
    """The same of every reduction."""
    return [_known(*row, reduce) for row in _REDUCED for reduce in dict.fromkeys(REDUCTIONS)]


def _known(
    text: str, shapes: list[Shape], given: dict[str, int], dots: str, reduce: Reduction
) -> Case:
    numbers = {name: given[name] for name in "sdp" if f"{name}*" in text or f"-{name})" in text}
    spec = re.sub(r"\b[sdp]\b", lambda found: str(numbers.get(found[0], found[0])), text)
    contraction = cc.Contraction(spec.replace("...", dots), reduce)
    extents = contraction.extents(
        *shapes, extents={n: e for n, e in given.items() if n not in numbers}
    )
    made = contraction.output_shape(*shapes, extents=extents)
    problem = Problem(spec.replace("...", dots), tuple(shapes), extents, made)
    return case(text, problem, reduce, 7, numbers)
