"""Extents and sizes: which values an index takes, and how long the axes of the result are.

The witness counts: an index takes 0, 1, 2, ... for as long as the whole window stays between as
far below zero and as far past the end as the window itself reaches below zero.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import evaluate

import contractconv as cc

Shape = tuple[int, ...]
CONV = "b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o"
POOL = "b (2*i+k) (2*j+l) c -> b i j c"


def _extents(spec: str, *shapes: Shape, **values: Any) -> dict[str, int]:
    return cc.Contraction(spec).extents(*shapes, **values)


def _shape(spec: str, *shapes: Shape, **values: int) -> Shape:
    return cc.Contraction(spec).output_shape(*shapes, **values)


# --- the witness -----------------------------------------------------------------------------


def _inside(size: int, beyond: int, values: list[int]) -> bool:
    return all(-beyond <= value <= size - 1 + beyond for value in values)


def _counted(size: int, step: int, window: list[int]) -> int:
    """How many values an index with coefficient ``step`` takes.

    Args:
        size: of the axis.
        step: the coefficient of the index.
        window: where the rest of the expression reaches.
    """
    if step < 0:  # seen from the other end, the same
        return _counted(size, -step, [size - 1 - value for value in window])
    beyond = max(0, -min(window))
    values = itertools.count()
    inside = (_inside(size, beyond, [step * n + value for value in window]) for n in values)
    return sum(1 for _ in itertools.takewhile(bool, inside))


def _spec(step: int, tap: int, offset: int) -> str:
    # The second axis keeps an expression that shrinks to an index from being read as letters.
    return f"({step}*i+{tap}*k+{offset}) j, k -> i j"


STEPS = (-3, -2, -1, 1, 2, 3)
TAPS = (-2, -1, 1, 2, 3)
OFFSETS = range(-4, 5)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("tap", TAPS)
def test_an_index_takes_every_value_that_stays_inside(step: int, tap: int) -> None:
    for offset, size, taps in itertools.product(OFFSETS, range(1, 9), range(1, 5)):
        window = [tap * k + offset for k in range(taps)]
        expected = _counted(size, step, window)
        contraction = cc.Contraction(_spec(step, tap, offset))
        if expected:
            assert contraction.extents((size, 2), (taps,)) == {"i": expected, "j": 2, "k": taps}
        else:
            with pytest.raises(cc.ShapeError):
                contraction.extents((size, 2), (taps,))


def test_the_witness_can_disagree() -> None:
    assert _counted(28, 2, [-1, 0, 1]) == 14
    assert _counted(28, 2, [0, 1, 2]) == 13
    assert _counted(4, -1, [3]) == 4
    assert _counted(4, -1, [5]) == 8
    assert _counted(2, 1, [0, 1, 2]) == 0


@given(
    size=st.integers(1, 200),
    step=st.sampled_from([*STEPS, 7, -11]),
    taps=st.lists(st.tuples(st.integers(-5, 5).filter(bool), st.integers(1, 6)), max_size=3),
    offset=st.integers(-20, 20),
)
def test_any_number_of_taps(size: int, step: int, taps: list[tuple[int, int]], offset: int) -> None:
    names = "klm"[: len(taps)]
    terms = "".join(f"+{tap}*{name}" for name, (tap, _) in zip(names, taps, strict=True))
    spec = f"({step}*i{terms}+{offset}) j, {' '.join(names)} -> i j"
    ranges = [[tap * n for n in range(extent)] for tap, extent in taps]
    window = [offset + sum(point) for point in itertools.product(*ranges)]
    expected = _counted(size, step, window)
    shapes = ((size, 1), tuple(extent for _, extent in taps))
    if expected and not (step == 1 and not taps and not offset):
        assert _extents(spec, *shapes)["i"] == expected


# --- what follows from the rule --------------------------------------------------------------


@pytest.mark.parametrize(("spec", "size", "taps", "extent"), [
    # Valid: no reading outside.
    ("(i+k), k -> i", 10, 3, 8),
    ("(i+2*k), k -> i", 10, 3, 6),
    ("(2*i+k), k -> i", 10, 3, 4),
    ("(3*i+k), k -> i", 10, 1, 4),
    # Padding, as frameworks count it.
    ("(i+k-1), k -> i", 10, 3, 10),
    ("(i+2*k-2), k -> i", 10, 3, 10),
    ("(2*i+k-1), k -> i", 28, 3, 14),
    ("(2*i+k-3), k -> i", 224, 7, 112),
    ("(4*i+k-2), k -> i", 227, 11, 56),
    # Full: of a convolution, where the kernel runs backwards, and of a correlation.
    ("(i-k), k -> i", 10, 3, 12),
    ("(i+k-2), k -> i", 10, 3, 12),
    ("(2*i-k), k -> i", 10, 3, 6),
    # An offset at the start takes nothing away at the end.
    ("(i+3) k, k -> i", 10, 1, 7),
    ("(2*i+1) k, k -> i", 10, 1, 5),
    # Backwards: as far below zero as the start is past the end.
    ("(9-i) k, k -> i", 10, 1, 10),
    ("(9-2*i) k, k -> i", 10, 1, 5),
    ("(8-i) k, k -> i", 10, 1, 9),
    ("(10-i) k, k -> i", 10, 1, 12),
])  # fmt: skip
def test_windows(spec: str, size: int, taps: int, extent: int) -> None:
    term = spec.partition(",")[0]
    shapes = [(size, taps), (taps,)] if " k" in term else [(size,), (taps,)]
    assert _extents(spec, *shapes) == {"i": extent, "k": taps}
    assert _shape(spec, *shapes) == (extent,)


@pytest.mark.parametrize("mode", ["valid", "full"])
def test_what_numpy_calls_convolution(mode: Any) -> None:
    x, w = np.array([1.0, 2, 3, 4, 5]), np.array([1.0, 10, 100])
    spec = {"valid": "(i-k+2), k -> i", "full": "(i-k), k -> i"}[mode]
    extents = {"i": 3} if mode == "valid" else {}
    assert np.array_equal(cc.contract(spec, x, w, **extents), np.convolve(x, w, mode))
    spec = {"valid": "(i+k), k -> i", "full": "(i+k-2), k -> i"}[mode]
    assert np.array_equal(cc.contract(spec, x, w), np.correlate(x, w, mode))


@pytest.mark.parametrize(("size", "taps", "stride", "padding", "dilation"), [
    *itertools.product((9, 10, 28), (1, 2, 3, 5), (1, 2, 3), (0, 1, 2), (1, 2)),
])  # fmt: skip
def test_what_every_framework_computes(
    size: int, taps: int, stride: int, padding: int, dilation: int
) -> None:
    window = cc.Contraction("b (s*i+d*k-p), k -> b i", parameters="s d p")
    values = {"s": stride, "d": dilation, "p": padding}
    reach = dilation * (taps - 1) + 1
    expected = (size + 2 * padding - reach) // stride + 1
    assert window.output_shape((2, size), (taps,), **values) == (2, expected)
    # And back: a transposed convolution.
    transposed = cc.Contraction("b i, k -> b (s*i+d*k-p)", parameters="s d p")
    longer = (size - 1) * stride - 2 * padding + reach
    assert transposed.output_shape((2, size), (taps,), **values) == (2, longer)


def test_two_dimensions_at_once() -> None:
    extents = _extents(CONV, (8, 28, 32, 3), (3, 5, 3, 16))
    assert extents == {"b": 8, "i": 14, "j": 15, "o": 16, "k": 3, "l": 5, "c": 3}
    assert _shape(CONV, (8, 28, 32, 3), (3, 5, 3, 16)) == (8, 14, 15, 16)


def test_a_window_may_be_given_or_its_positions() -> None:
    assert _shape(POOL, (8, 28, 28, 3), k=2, l=2) == (8, 14, 14, 3)
    assert _shape(POOL, (8, 28, 28, 3), k=3, l=3) == (8, 13, 13, 3)
    assert _extents(POOL, (8, 28, 28, 3), i=14, j=13) == {
        "b": 8, "i": 14, "j": 13, "c": 3, "k": 2, "l": 4,
    }  # fmt: skip


def test_asymmetric_padding_by_giving_the_extent() -> None:
    x, w = np.array([1.0, 2, 3, 4]), np.array([1.0, 10, 100])
    padded = np.pad(x, (1, 2))
    for extent in range(1, 7):
        result = cc.contract("(i+k-1), k -> i", x, w, i=extent)
        full = np.correlate(np.pad(padded, (0, 10)), w, "valid")
        assert np.array_equal(result, full[:extent])


def test_a_window_larger_than_its_axis_may_be_meant() -> None:
    x, w = np.array([1.0, 2]), np.array([1.0, 10, 100])
    assert np.array_equal(cc.contract("(i+k), k -> i", x, w, i=2), [21, 2])
    with pytest.raises(cc.ShapeError):
        cc.contract("(i+k), k -> i", x, w)


def test_an_axis_of_its_own_counts_more_than_a_window() -> None:
    # The window would take 3 values; reading beyond the axis gives zeros.
    x, w, y = np.ones(5), np.ones(3), np.ones(4)
    assert _extents("(i+k), k, i -> i", (5,), (3,), (4,))["i"] == 4
    assert np.array_equal(cc.contract("(i+k), k, i -> i", x, w, y), [3, 3, 3, 2])


def test_windows_that_agree_and_windows_that_do_not() -> None:
    assert _extents("(i+k), (2*i+k), k -> i", (6,), (10,), (3,))["i"] == 4
    assert _extents("(i+k) (i+k-1), k -> i", (6, 4), (3,))["i"] == 4
    for shapes in [((6,), (8,), (3,)), ((6,), (12,), (3,))]:
        with pytest.raises(cc.ShapeError, match="extents disagree: i is"):
            _extents("(i+k), (2*i+k), k -> i", *shapes)
    # The keyword settles it.
    assert _extents("(i+k), (2*i+k), k -> i", (6,), (12,), (3,), i=5)["i"] == 5


def test_one_extent_leads_to_another() -> None:
    # m is known, then k from the second operand, then i from the first.
    assert _extents("(i+k), (k+m), m -> i", (9,), (5,), (3,)) == {"i": 7, "k": 3, "m": 3}
    assert _extents("(i k), (k+m), m -> i", (9,), (5,), (3,)) == {"i": 3, "k": 3, "m": 3}
    assert _extents("(a+b), (b c), c -> a", (9,), (6,), (2,)) == {"a": 7, "b": 3, "c": 2}


def test_the_order_of_operands_does_not_matter() -> None:
    terms, shapes = ["(i+k)", "(k+m)", "m", "(m n)"], [(9,), (5,), (3,), (6,)]
    found = [
        _extents(f"{', '.join(terms[n] for n in order)} -> i", *(shapes[n] for n in order))
        for order in itertools.permutations(range(4))
    ]
    assert all(extents == {"i": 7, "k": 3, "m": 3, "n": 2} for extents in found)


@pytest.mark.parametrize("spec", ["(i+k), k -> i", "(2*i+k-1), k -> i"])
def test_no_taps_at_all(spec: str) -> None:
    result = cc.contract(spec, np.ones(6), np.ones(0), i=4)
    assert np.array_equal(result, np.zeros(4))


def test_extents_of_zero() -> None:
    assert _shape("(i+k), k -> i", (5,), (3,), i=0) == (0,)
    assert _shape("i j, j k -> i k", (0, 4), (4, 5)) == (0, 5)
    assert _shape("i, k -> (i+k)", (0,), (3,)) == (0,)
    assert cc.contract("i ->", np.ones(0)) == 0


@pytest.mark.parametrize(("spec", "size", "extent"), [
    ("(2*i) j -> i j", 0, 0),
    ("(3*i) j -> i j", 0, 0),
    ("(2*i+1) j -> i j", 0, 0),
    ("(i+2) j -> i j", 2, 0),
    ("(2*i+2) j -> i j", 2, 0),
    ("(2*i+2) j -> i j", 1, 0),
    ("(i+2) j -> i j", 3, 1),
    ("(-i-1) j -> i j", 0, 0),
])  # fmt: skip
def test_nothing_may_be_left_of_an_axis(spec: str, size: int, extent: int) -> None:
    assert _extents(spec, (size, 3)) == {"i": extent, "j": 3}
    x = np.ones((size, 3))
    assert np.array_equal(cc.contract(spec, x), np.ones((extent, 3)))
    gradient = cc.Contraction(spec).grad(0)(np.ones((extent, 3)), x)
    assert gradient.shape == x.shape
    assert gradient.sum() == 3 * extent


def test_slices_of_every_length() -> None:
    for size, start, step in itertools.product(range(5), range(5), (1, 2, 3)):
        if start <= size and (start, step) != (0, 1):
            x = np.arange(float(size))
            assert np.array_equal(cc.contract(f"({step}*i+{start}) -> i", x), x[start::step])


@pytest.mark.parametrize(("spec", "size"), [("(i+5) j -> i", 4), ("(i+2) j -> i", 1)])
def test_an_axis_begins_where_there_is_one(spec: str, size: int) -> None:
    with pytest.raises(cc.ShapeError, match=r"^\(i\+\d\) begins beyond its axis of size \d"):
        _extents(spec, (size, 2))
    assert _extents(spec, (size, 2), i=3)["i"] == 3  # unless that is meant
    assert np.array_equal(cc.contract(spec, np.ones((size, 2)), i=3), np.zeros(3))


# --- output sizes ----------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("tap", TAPS)
def test_an_output_axis_reaches_as_far_as_it_is_written(step: int, tap: int) -> None:
    for offset, extent, taps in itertools.product(OFFSETS, range(1, 5), range(1, 4)):
        reached = [step * i + tap * k + offset for i in range(extent) for k in range(taps)]
        beyond = max(0, -min(reached))  # cut off at the start, and as much at the end
        expected = max(0, max(reached) + 1 - beyond)
        assert _shape(f"i, k -> ({step}*i+{tap}*k+{offset})", (extent,), (taps,)) == (expected,)


@pytest.mark.parametrize(("spec", "shapes", "values", "expected"), [
    ("i -> (2*i)", [(3,)], {}, (5,)),
    ("i -> (2*i+1)", [(3,)], {}, (6,)),
    ("i -> (i-1)", [(3,)], {}, (1,)),
    ("i -> (2-i)", [(3,)], {}, (3,)),
    ("i -> (3) i", [(2,)], {}, (4, 2)),
    ("b i c, k c o -> b (2*i+k-1) o", [(8, 14, 16), (3, 16, 3)], {}, (8, 27, 3)),
    ("h w c -> (h w c)", [(2, 3, 4)], {}, (24,)),
    ("h w -> w (h c)", [(2, 3)], {"c": 5}, (3, 10)),
    ("i -> (i/2)", [(5,)], {}, (3,)),
    ("i -> ((i+1)/2)", [(5,)], {}, (3,)),
    ("i -> ((3*i)/2)", [(4,)], {}, (5,)),
    ("i -> i (2*j)", [(3,)], {"j": 4}, (3, 7)),
])  # fmt: skip
def test_output_sizes(
    spec: str, shapes: list[Shape], values: dict[str, int], expected: Shape
) -> None:
    assert _shape(spec, *shapes, **values) == expected
    assert cc.contract(spec, *map(np.ones, shapes), **values).shape == expected


def test_the_output_shape_may_be_given() -> None:
    x = np.array([1.0, 2, 3])
    for size in (1, 4, 5, 6, 9):
        result = cc.contract("i -> (2*i)", x, output_shape=(size,))
        assert np.array_equal(result, np.array([1.0, 0, 2, 0, 3, 0, 0, 0, 0])[:size])
    # It also tells the extents of what the operands do not have.
    assert _extents("i -> i j", (3,), output_shape=[3, 5]) == {"i": 3, "j": 5}
    assert _extents("h -> (h w)", (2,), output_shape=(6,)) == {"h": 2, "w": 3}
    assert cc.contract("->", 1.0, output_shape=()).shape == ()


# --- compositions and fractions --------------------------------------------------------------


@pytest.mark.parametrize(("spec", "shapes", "values", "expected"), [
    ("(h w) -> h w", [(12,)], {"h": 3}, {"h": 3, "w": 4}),
    ("(h w) -> h w", [(12,)], {"w": 12}, {"h": 1, "w": 12}),
    ("(h w), h -> h w", [(12,), (3,)], {}, {"h": 3, "w": 4}),
    ("(h w c) -> h w c", [(24,)], {"h": 2, "c": 4}, {"h": 2, "w": 3, "c": 4}),
    ("(h w) (w c), h -> h w c", [(6, 12), (2,)], {}, {"h": 2, "w": 3, "c": 4}),
    ("(h w) -> h w", [(0,)], {"h": 3}, {"h": 3, "w": 0}),
    ("(h h) j -> h", [(49, 2)], {}, {"h": 7, "j": 2}),
    ("(h h w) j -> h", [(18, 2)], {"w": 2}, {"h": 3, "w": 2, "j": 2}),
    ("(h h) j -> h", [(0, 2)], {}, {"h": 0, "j": 2}),
])  # fmt: skip
def test_compositions(
    spec: str, shapes: list[Shape], values: dict[str, int], expected: dict[str, int]
) -> None:
    assert _extents(spec, *shapes, **values) == expected


@given(h=st.integers(1, 30), w=st.integers(1, 30), off=st.integers(1, 29))
def test_a_composition_divides_exactly(h: int, w: int, off: int) -> None:
    assert _extents("(h w) -> w", (h * w,), h=h)["w"] == w
    if off % h:
        with pytest.raises(cc.ShapeError, match="does not come out"):
            _extents("(h w) -> w", (h * w + off,), h=h)


def test_a_fractional_axis_determines_nothing() -> None:
    with pytest.raises(cc.ShapeError, match=r"give h=\.\.\."):
        _extents("((h-k+1)/2), k -> h", (14,), (3,))
    assert _shape("((h-k+1)/2), k -> h", (14,), (3,), h=28) == (28,)
    # Another axis may determine it.
    assert _extents("((h-k+1)/2), k, (h+k) -> h", (14,), (3,), (30,))["h"] == 28


# --- the ellipsis ----------------------------------------------------------------------------


@pytest.mark.parametrize(("spec", "shapes", "expected"), [
    # Aligned at the right, as numpy broadcasts.
    ("...i,...i->...i", [(3,), (4, 5, 3)], (4, 5, 3)),
    ("...i,...i->...i", [(5, 3), (4, 5, 3)], (4, 5, 3)),
    ("i..., j... -> i j ...", [(2, 5), (3, 4, 5)], (2, 3, 4, 5)),
    # An axis of size one meets any size.
    ("...i,...i->...i", [(1, 3), (4, 3)], (4, 3)),
    ("...i,...i->...i", [(4, 1, 3), (1, 5, 3)], (4, 5, 3)),
    ("...,...->...", [(1,), (0,)], (0,)),
    ("...,...->...", [(1, 1), (1,)], (1, 1)),
    # No axes at all.
    ("...i->...", [(3,)], ()),
    ("i -> ... i", [(3,)], (3,)),
    # Where the result has it, and where not: then it is reduced.
    ("...i->i...", [(4, 5, 3)], (3, 4, 5)),
    ("...i->i", [(4, 5, 3)], (3,)),
    ("...ij->...", [(4, 5, 3)], (4,)),
    # With windows around it.
    ("... (2*i+k-1) c, k c o -> ... i o", [(7, 8, 28, 3), (3, 3, 16)], (7, 8, 14, 16)),
    ("(i+k) ..., k ... -> i ...", [(6, 4), (3, 1)], (4, 4)),
])  # fmt: skip
def test_the_ellipsis(spec: str, shapes: list[Shape], expected: Shape) -> None:
    assert _shape(spec, *shapes) == expected


@pytest.mark.parametrize(("spec", "shapes"), [
    ("...i,...i->...i", [(4, 1, 3), (1, 5, 3)]),
    ("...ij,...jk->...ik", [(2, 1, 3, 4), (5, 4, 2)]),
    ("i...,...->...", [(2, 3, 4), (4,)]),
])  # fmt: skip
def test_the_ellipsis_is_numpys(spec: str, shapes: list[Shape]) -> None:
    operands = [np.arange(1.0, 1 + np.prod(shape)).reshape(shape) for shape in shapes]
    assert np.array_equal(cc.contract(spec, *operands), np.einsum(spec, *operands))


def test_an_ellipsis_that_the_result_lacks_is_summed() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    assert np.array_equal(cc.contract("... i -> i", x), x.sum((0, 1)))
    assert np.array_equal(cc.contract("... i -> i", x, reduce="max"), x.max((0, 1)))
    w = np.array([[1.0], [10.0], [100.0]])
    assert np.array_equal(cc.contract("... i, ... -> i", x, w[:, 0]), (x * w).sum((0, 1)))


# --- the extents are those that the values have ----------------------------------------------

READING = [
    ("(2*i+k-1), k -> i", [(7,), (3,)], {}),
    ("(i-k), k -> i", [(5,), (3,)], {}),
    ("(4-i+k) k -> i", [(5, 2)], {}),
    ("(2*i+k-1), k -> i", [(7,), (3,)], {"i": 6}),
    ("i, k -> (2*i-k+1)", [(4,), (3,)], {}),
    ("((h-k+1)/2), k -> h", [(4,), (3,)], {"h": 8}),
    ("(h w), h -> w", [(6,), (2,)], {}),
    ("(i+k) (i+l), k, l -> i", [(5, 6), (2,), (3,)], {}),
]


@pytest.mark.parametrize(("spec", "shapes", "values"), READING)
def test_point_by_point(spec: str, shapes: list[Shape], values: dict[str, int]) -> None:
    contraction = cc.Contraction(spec)
    operands = [np.arange(1, 1 + np.prod(shape)).reshape(shape) for shape in shapes]
    extents = contraction.extents(*shapes, **values)
    expected = evaluate(spec, operands, extents, contraction.output_shape(*shapes, **values), "sum")
    assert np.array_equal(contraction(*operands, **values), expected)
