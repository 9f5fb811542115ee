"""Contractions in which one array stands in several places, and what is printed of them.

What they should be worth is said by the contraction of as many arrays: what comes of each place is
added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from oracle import read_spec
from printed_cases import REDUCTIONS, Sizes, case
from printed_claims import Case, Claim, nested
from printed_formulas import read
from printed_oracle import Elements, Place
from strategies import Draw, Problem

import contractconv as cc

# A spec, names, and the indices that must have one extent.
_TIED = [
    ("(i+k), k -> i", "x x", ""),
    ("k, (i+k) -> i", "x x", ""),
    ("i, (i+k) -> k", "x x", ""),
    ("(i-k), k -> i", "x x", ""),
    ("(2*i+k-1), k -> i", "x x", ""),
    ("(i+k) c, (2*i+k) c -> i c", "x x", ""),
    ("(i+k), (i+k), k -> i", "x x w", ""),
    ("(i+k), i, k -> i k", "x w w", "ik"),
    ("(i+2*k), k, i -> i", "x x w", ""),
    ("i, k -> (i+k)", "x x", "ik"),
    ("i, (2*k) -> (i-k)", "x x", ""),
    ("i, i j, j ->", "x A x", "ij"),
    ("i k, j k -> i j", "x x", "ij"),
    ("i j, j k -> i k", "x x", "ijk"),
    ("i, i, i ->", "x x x", ""),
    ("((h-k)/2), k -> h", "x x", ""),
]


@dataclass(frozen=True)
class Tied:
    """A contraction of which an array stands in several places.

    Attributes:
        case: its arrays, one for each place.
        names: what each of them is called.
    """

    case: Case
    names: tuple[str, ...]

    def places(self, name: str) -> list[int]:
        """The operands that an array is."""
        return [n for n, other in enumerate(self.names) if other == name]

    def shape(self, name: str) -> Place:
        """The shape of an array."""
        return self.case.witness.shapes[self.places(name)[0]]

    def added(self, name: str, of_place: Any) -> dict[Any, Any]:
        """What comes of each place, added up."""
        return _added(item for n in self.places(name) for item in of_place(n).items())


def _added(parts: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in parts:
        found[key] = found.get(key, 0) + value
    return found


@st.composite
def tied(draw: Draw) -> Tied:
    """A contraction with arrays whose sizes the rule of extents makes."""
    spec, called, same = draw(st.sampled_from(_TIED))
    names, read = tuple(called.split()), read_spec(spec)
    extents = {name: draw(st.integers(1, 3)) for name in read.indices}
    extents |= dict.fromkeys(same, extents.get(same[:1], 0))
    sizes, lengths = Sizes(read, extents, draw), dict[tuple[str, int], int]()
    for plain in (True, False):  # an index says how long the axis is in all places
        for name, term in zip(names, read.inputs, strict=True):
            for number, axis in enumerate(term):
                if plain == sizes.is_plain(axis):
                    lengths.setdefault((name, number), sizes.of(axis))
    shapes = tuple(
        tuple(lengths[name, number] for number in range(len(term)))
        for name, term in zip(names, read.inputs, strict=True)
    )
    made = tuple(sizes.of(axis, is_output=True) for axis in read.output)
    assume(all(chain(*shapes, made)))
    seed, reduce = draw(st.integers(1, 99)), draw(st.sampled_from(REDUCTIONS))
    apart = case(spec, Problem(spec, shapes, extents, made), reduce, seed)
    array = dict(zip(names, apart.witness.operands, strict=True))
    witness = replace(apart.witness, operands=tuple(map(array.__getitem__, names)))
    contraction = cc.Contraction(spec, reduce=reduce, names=called)
    return Tied(replace(apart, contraction=contraction, witness=witness, names=names), names)


def claims(tied: Tied, name: str) -> Iterator[Claim]:
    """What is printed of it, and of its derivatives by an array."""
    case, contraction, shape = tied.case, tied.case.contraction, tied.shape(name)
    w = case.witness
    yield case.claim("result", contraction.formula, w.output_shape, w.result)
    total = tied.added(name, case.gradient)
    derivation = contraction.grad(name)
    yield case.claim("gradient", derivation.formula, shape, total)
    yield case.claim("last step", derivation.steps[-1].formula, shape, total)
    slopes = tied.added(name, w.jacobian)
    whole = {(*y, *x): slope for (y, x), slope in slopes.items()}
    text = contraction.jacobian(name).formula
    yield case.claim("jacobian", text, (*w.output_shape, *shape), whole)
    v = _tangent(tied, name)
    along = _added((y, slope * v[x]) for (y, x), slope in slopes.items())
    arrays = {"V": nested(shape, v.__getitem__)}
    yield case.claim("jvp", contraction.jvp(name).formula, w.output_shape, along, arrays=arrays)
    for second in derivation.seconds:
        yield _second(tied, name, second, along)


def _second(tied: Tied, name: str, second: Any, along: Elements) -> Claim:
    """A derivative of the gradient: in each place of one array, and of the other."""
    case = tied.case
    text, _, _ = second.formula.partition(", Q being")
    arrays = {"V": nested(tied.shape(name), _tangent(tied, name).__getitem__)}
    if text != second.formula:
        arrays["Q"] = case.nested_at_points(tied.added(name, partial(_bends, tied, name)))
    assert read(text).name == f"∂⟨V,d{name}⟩/∂{second.by}"
    if second.by == "G":
        shape, expected = case.witness.output_shape, along
    else:
        shape = tied.shape(second.by)
        expected = tied.added(second.by, partial(_moved, tied, name))
    return case.claim(f"second by {second.by}", text, shape, expected, arrays=arrays)


def _moved(tied: Tied, name: str, by: int) -> Elements:
    """The derivative by one place of ``Σ G·∂Y``, ``∂`` along ``V`` in all places of an array."""
    case, v = tied.case, _tangent(tied, name)
    return tied.added(name, lambda n: case.witness.second(n, v, case.cotangent, by))


def _bends(tied: Tied, name: str, n: int) -> Elements:
    return tied.case.witness.bends(n, _tangent(tied, name))


def _tangent(tied: Tied, name: str) -> Elements:
    """``V``, one for all places of an array."""
    return tied.case.tangent(tied.places(name)[0])
