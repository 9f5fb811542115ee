"""Fans are the means of what elements meet in the inner part of large arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contractconv.calculus.backward import derive
from contractconv.calculus.curvature_strings import Layer
from contractconv.errors import OperandError, ParameterError, ShapeError
from contractconv.layers.fans import Fans, columns, fans
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import Access, Accesses, Problem
from contractconv.notation.spec import Spec

Draw = Callable[[st.SearchStrategy[Any]], Any]


def exactly(fan_in: str, fan_out: str) -> Fans:
    return Fans(Fraction(fan_in), Fraction(fan_out))


SIZES = {"k": 3, "l": 5, "n": 2, "c": 4, "o": 6, "r": 7, "g": 2, "d": 3, "v": 50, "h": 8, "w": 9}


@pytest.mark.parametrize(
    ("text", "fan_in", "fan_out"),
    [
        ("b c, c o -> b o", "4", "6"),
        ("b h w c, h w c o -> b o", "288", "6"),
        ("b (h w c), h w c o -> b o", "288", "6"),
        ("b t c, c g d -> b t g d", "4", "6"),
        ("b i j c, c o -> b i j o", "4", "6"),
        ("b (i+k) (j+l) c, k l c o -> b i j o", "60", "90"),
        ("b (i+k-1) (j+l-2) (m+n) c, k l n c o -> b i j m o", "120", "180"),
        ("b (2*i+3*k-1) (2*j+l) c, k l c o -> b i j o", "60", "45/2"),
        ("b (2*i) (2*j) c, c o -> b i j o", "4", "3/2"),
        ("b (i-k) c, k c o -> b i o", "12", "18"),
        ("b (i+k) g c, k g c o -> b i g o", "12", "18"),
        ("b (i+k) (g c), k g c o -> b i (g o)", "12", "18"),
        ("b (i+k) (j+l) c, k l c -> b i j c", "15", "15"),
        ("b (i+k) (j+l) c, k l c d -> b i j (c d)", "15", "45"),
        ("b i j c, k l c o -> b (2*i+k) (2*j+l) o", "15", "90"),
        ("b i c, k c o -> b (3*i+2*k-1) o", "4", "18"),
        ("b ((h-k+1)/2) ((w-l+1)/2) o, k l c o -> b h w c", "45/2", "60"),
        ("b (i+k) c, i k c o -> b i o", "12", "18"),
        ("b i c, i k c o -> b (2*i+k) o", "6", "18"),
        ("b (i+k) c, i c o -> b i o", "12", "18"),
        ("b (i+k-1) (j+l) c, k r, l r, c r, o r -> b i j o", "420", "630"),
        ("b t v, v d -> b t d", "50", "3"),
        ("b c -> b c", "1", "1"),
        ("b c, c -> b c", "1", "1"),
        ("b c -> b c r", "1", "7"),
        ("... c, c o -> ... o", "4", "6"),
        # Windows that lie side by side: each element of the result is of one of them.
        ("b i c, k c o -> b (3*i+k) o", "4", "18"),
        # Both axes jump over what the kernel does not reach; only even k are whole.
        ("b ((2*h-k)/2) o, k c o -> b h c", "12", "8"),
    ],
)
def test_known_layers(text: str, fan_in: str, fan_out: str) -> None:
    spec = parse(text)
    sizes = {name: size for name, size in SIZES.items() if name in spec.indices}
    assert fans(spec, sizes) == exactly(fan_in, fan_out)


def test_several_inputs_and_parameters() -> None:
    bilinear = parse("b c, b d, c d o -> b o")
    sizes = {"c": 4, "d": 3, "o": 6}
    assert fans(bilinear, sizes, (0, 1)) == exactly("12", "18")
    assert fans(bilinear, sizes, (1, 0)) == exactly("12", "24")
    strided = parse("b (s*i+k) c, k c o -> b i o", parameters="s")
    assert fans(strided, {"s": 2, "k": 3, "c": 4, "o": 6}) == exactly("12", "9")
    assert fans(strided, {"s": 2, "k": 3, "c": 0, "o": 6}) == exactly("0", "9")


def test_what_is_missing_is_said() -> None:
    spec = parse("b (s*i+k) c, k c o -> b i o", parameters="s")
    with pytest.raises(ParameterError, match="unbound: the parameter s"):
        fans(spec, {"k": 3, "c": 4, "o": 6})
    with pytest.raises(ShapeError, match=r"the extent of c is missing for the fans of"):
        fans(spec, {"s": 1, "k": 3, "o": 6})
    with pytest.raises(ShapeError, match="no index or parameter called 'z'"):
        fans(spec, {"s": 1, "k": 3, "o": 6, "z": 1})
    with pytest.raises(OperandError, match=r"has no operands \(2,\)"):
        fans(spec, {"s": 1, "k": 3, "c": 4, "o": 6}, (2,))
    with pytest.raises(OperandError, match="has no operand -1"):
        columns(spec, -1)


# -- means over large arrays ---------------------------------------------------------------------

# Positions go so far, by the number of dimensions.
FAR = {1: 48, 2: 30, 3: 18}


@st.composite
def layers(draw: Draw) -> tuple[Spec, dict[str, int], int]:
    """A layer, the extents of its indices, and a period after which everything comes again."""
    dims = draw(st.integers(1, 3))
    kind = draw(st.sampled_from(["conv", "local", "depthwise", "cp", "transposed", "both"]))
    most = 3 if dims < 3 else 2
    positions, taps, others = "ijm"[:dims], "kln"[:dims], "pqs"[:dims]
    small = st.integers(1, most)
    strides = [draw(small) for _ in positions]
    dilations = [draw(small) for _ in positions]
    moved = [draw(st.integers(-2, 2)) for _ in positions]
    windows = [
        f"({s}*{i}+{d}*{k}{p:+d})"
        for s, i, d, k, p in zip(strides, positions, dilations, taps, moved, strict=True)
    ]
    group = draw(st.sampled_from(["", " g"])) * (kind != "cp")
    image, plain = f"b {' '.join(windows)}{group}", f"b {' '.join(positions)}{group}"
    kernel = [" ".join(taps) + group + (" c" if kind == "depthwise" else " c o")]
    if kind == "local":
        kernel = [f"{' '.join(positions)} {kernel[0]}"]
    if kind == "cp":
        kernel = [*(f"{tap} r" for tap in taps), "c r", "o r"]
    made = "c" if kind == "depthwise" else "o"
    if kind == "both":
        plain = f"b {' '.join(f'({x}+{i})' for x, i in zip(others, positions, strict=True))}{group}"
        kernel = [f"{' '.join(others)} {kernel[0]}"]
    terms = (plain, image) if kind == "transposed" else (image, plain)
    spec = parse(f"{terms[0]} c, {', '.join(kernel)} -> {terms[1]} {made}")
    extents = {n: draw(st.integers(1, 2)) for n in sorted(spec.indices) if n not in taps}
    extents |= {n: draw(small) for n in taps} | dict.fromkeys(positions, FAR[dims])
    return spec, extents, 6 if most == 3 else 2


def large(spec: Spec, extents: Mapping[str, int]) -> Problem:
    """The contraction in arrays that hold all that is met, and nothing more."""
    shapes = [tuple(_reach(axis, extents) for axis in term) for term in spec.terms]
    *inputs, output = shapes
    return resolve(spec, inputs, extents, output)


def _reach(axis: Any, extents: Mapping[str, int]) -> int:
    access = Access.by(axis, 0)
    return max(access.reach(extents)[1] // access.divisor + 1, 1)


def met(problem: Problem, term: Accesses) -> NDArray[np.int64]:
    """How many points meet each element of a term."""
    grid = np.indices([size for _, size in problem.sizes], sparse=True)
    where = dict(zip(problem.indices, grid, strict=True))
    valid: Any = np.ones([size for _, size in problem.sizes], bool)
    for access in {a for t in (*problem.operands, problem.output) for a in t}:
        place = _numerator(access, where)
        valid &= (place % access.divisor == 0) & (place >= 0)
        valid &= place // access.divisor < access.size
    shape = tuple(access.size for access in term)
    places = [np.broadcast_to(_numerator(a, where) // a.divisor, valid.shape)[valid] for a in term]
    flat = np.ravel_multi_index(tuple(places), shape)
    return np.bincount(flat, minlength=prod(shape)).reshape(shape)


def _numerator(access: Access, where: Mapping[str, Any]) -> Any:
    return access.offset + sum(c * where[name] for name, c in access.terms)


def inner_mean(counts: NDArray[np.int64], term: Accesses, period: int) -> Fraction:
    """The mean over the middle of each axis with a window, a multiple of the period long."""
    for n, access in enumerate(term):
        if not set("ijm").isdisjoint(access.names):
            assert access.size > 2 * period
            start = access.size // 2 - period // 2
            counts = counts.take(range(start, start + period), axis=n)
    return Fraction(int(counts.sum()), counts.size)


@settings(max_examples=120)
@given(layer=layers())
def test_means_over_the_middle_of_large_arrays(layer: tuple[Spec, dict[str, int], int]) -> None:
    spec, extents, period = layer
    problem = large(spec, extents)
    found = fans(spec, {n: size for n, size in extents.items() if n not in "ijmb"})
    assert found.fan_in == inner_mean(met(problem, problem.output), problem.output, period)
    data = problem.operands[0]
    assert found.fan_out == inner_mean(met(problem, data), data, period)


@settings(max_examples=60)
@given(layer=layers())
def test_a_layer_backward_has_the_fans_exchanged(layer: tuple[Spec, dict[str, int], int]) -> None:
    """The gradient by the input adds up what an element of the input reaches, in both forms."""
    spec, extents, _ = layer
    forward = fans(spec, extents)
    formulas = derive(spec, 0)
    for form in (formulas.scatter, formulas.gather):
        if not all(axis.plain for weight in form.inputs[1:] for axis in weight):
            continue  # a gather may have solved for a tap
        sizes = {name: size for name, size in extents.items() if name in form.indices}
        assert fans(form, sizes) == (forward.fan_out, forward.fan_in)


# -- columns -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "weight", "made", "summed", "groups"),
    [
        ("b c, c o -> b o", 1, "o", "c", ""),
        ("b h w c, h w c o d -> b o d", 1, "o d", "h w c", ""),
        ("b (2*i+k) (j+l) c, o c k l -> b i j o", 1, "o", "c k l", ""),
        ("b (i+k) (g c), k g c o -> b i (g o)", 1, "o", "k c", "g"),
        ("b (i+k) c, k c -> b i c", 1, "", "k", "c"),
        ("b (i+k) c, i k c o -> b i o", 1, "o", "k c", "i"),
        ("b i c, k c o -> b (2*i+k) o", 1, "k o", "c", ""),
        ("b (i+k) c, k r, c r, o r -> b i o", 3, "o", "r", ""),
        ("k c o, b (i+k) c -> b i o", 0, "o", "k c", ""),
    ],
)
def test_columns_of_weights(text: str, weight: int, made: str, summed: str, groups: str) -> None:
    found = columns(parse(text), weight)
    assert found == tuple(tuple(names.split()) for names in (made, summed, groups))


@pytest.mark.parametrize(
    "text",
    ["b c, c o -> b o", "b (i+k) (g c), k g c o -> b i (g o)", "b (i+k) c, i k c o -> b i o"],
)
def test_columns_are_those_of_curvature(text: str) -> None:
    spec = parse(text)
    summed, made, groups = Layer(spec, 1).weight_indices
    assert columns(spec, 1) == (tuple(made), tuple(summed), tuple(groups))
