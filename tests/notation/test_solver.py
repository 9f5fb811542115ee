"""One law of extents: what is true may be said or left out, and a cotangent is compared.

Operands and keywords determine extents; the shape of the result determines what is still free. A
gradient finds them as the forward call does, and fails as it does.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import Problem, problems, windows

import contractconv as cc
from contractconv.notation.affine import Affine
from contractconv.notation.spec import Axis

Shape = tuple[int, ...]
FLIPPED = "(2*i+k), (2-k) -> i"


def _ones(*shapes: Shape) -> list[np.ndarray[Any, Any]]:
    return [np.ones(shape) for shape in shapes]


def _same(spec: str, shapes: tuple[Shape, ...], **said: Any) -> None:
    """Whatever is added to what must be said changes nothing."""
    contraction = cc.Contraction(spec)
    extents = contraction.extents(*shapes, **said)
    result = contraction.output_shape(*shapes, **said)
    free = [name for name in extents if name not in said]
    for count in {0, 1, 2, len(free)}:
        for chosen in itertools.combinations(free, count):
            true = said | {name: extents[name] for name in chosen}
            assert contraction.extents(*shapes, **true) == extents
            assert contraction.extents(*shapes, **true, output_shape=result) == extents
            assert contraction.output_shape(*shapes, extents=true) == result


# --- what is true changes nothing ------------------------------------------------------------


@settings(max_examples=40)
@given(problem=problems() | windows(), data=st.data())
def test_true_statements_change_nothing(problem: Problem, data: st.DataObject) -> None:
    said = data.draw(st.sets(st.sampled_from(sorted(problem.extents) or [""])))
    extents = {name: problem.extents[name] for name in said & set(problem.extents)}
    try:
        cc.Contraction(problem.spec).extents(*problem.shapes, **extents)
    except cc.ShapeError:
        assume(False)
    _same(problem.spec, problem.shapes, **extents)


@settings(max_examples=40)
@given(
    sizes=st.tuples(st.integers(3, 12), st.integers(1, 3), st.integers(3, 9), st.integers(2, 5)),
    steps=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2)),
)
def test_chains_of_windows(sizes: Shape, steps: Shape) -> None:
    # Each window leads to the next one, whichever end is told first.
    s, d, e = steps
    spec = f"({s}*i+k), ({e}-k+m), ({d}*m+n), (2-n) -> i"
    shapes = tuple((size,) for size in (sizes[0] + 6, sizes[2], sizes[2], sizes[1]))
    try:
        cc.Contraction(spec).extents(*shapes)
    except cc.ShapeError:
        assume(False)
    _same(spec, shapes)


@pytest.mark.parametrize(("spec", "shapes", "said"), [
    (FLIPPED, ((8,), (3,)), {}),
    ("b (3*i-k) c, (k-1) -> b i", ((2, 11, 3), (4,)), {}),
    ("(2*i+k) (2*j+l), (2-k) (1-l) -> i j", ((8, 9), (3, 2)), {}),
    ("(i+m), (m+k), (2*j+k) -> j", ((6,), (5,), (9,)), {"i": 3}),
    ("(2*i+3*k) -> i", ((11,),), {"k": 3}),
    ("(h w), (h+k), (2-k) -> w", ((12,), (5,), (3,)), {}),
    ("... (2*i+k), (2-k) ... -> ... i", ((4, 5, 8), (3, 5)), {}),
    ("(h w), (w+k), (2-k) -> h", ((0,), (5,), (3,)), {"h": 0}),
])  # fmt: skip
def test_what_follows_may_be_said(
    spec: str, shapes: tuple[Shape, ...], said: dict[str, int]
) -> None:
    _same(spec, shapes, **said)


def test_what_is_said_may_be_more_than_what_fits() -> None:
    # A place more, at the right, as in every other window.
    x, w = np.arange(8.0), np.array([1.0, 2, 3])
    padded = np.pad(x, (0, 2))
    expected = [padded[2 * i : 2 * i + 3] @ w[::-1] for i in range(4)]
    flipped = cc.Contraction(FLIPPED)
    for more in ({"i": 4}, {"output_shape": (4,)}, {"i": 4, "k": 3, "output_shape": (4,)}):
        assert np.array_equal(flipped(x, w, **more), expected)
        assert flipped.grad(0)(np.ones(4), x, w, **more).sum() == 3 * 6 + 3 + 2


def test_windows_determined_together_must_fit_everywhere() -> None:
    # k follows from the first operand, l from the second, and the third one has no room for both.
    spec = "(i+k), (i+l), (k+l) ->"
    assert cc.Contraction(spec).extents((6,), (6,), (9,), i=3) == {"i": 3, "k": 4, "l": 4}
    with pytest.raises(cc.ShapeError, match=r"^window larger than its axis: \(k\+l\) spans 4 "):
        cc.Contraction(spec).extents((6,), (6,), (3,), i=3)
    meant = {"i": 3, "k": 4, "l": 4}
    assert cc.Contraction(spec).extents((6,), (6,), (3,), **meant) == meant


# --- gradients find what the forward call finds ----------------------------------------------


def _scattered(axis: Axis) -> bool:
    return isinstance(axis, Affine) and axis.plain is None


def _wrong_shapes(contraction: cc.Contraction, right: Shape, free: bool) -> Iterator[Shape]:
    """Shapes that no cotangent has; with ``free``, scattered axes may have any size."""
    axes = range(len(right))
    found: list[Shape] = [
        (*right[:n], right[n] + step, *right[n + 1 :]) for n in axes for step in (-1, 1)
    ]
    found += [(*right[:n], *right[n + 1 :]) for n in axes]
    found += [(1, *right), (*right, 1), (*right, 2), right[::-1]]
    fixed = [not (free and _scattered(axis)) for axis in contraction._spec.output]
    for shape in found:
        pairs = zip(shape, right, fixed, strict=False)
        differs = len(shape) != len(right) or any(a != b for a, b, known in pairs if known)
        if differs and min(shape, default=0) >= 0:
            yield shape


def _refused(call: Callable[[], object], *shapes: Shape) -> None:
    with pytest.raises(cc.ShapeError) as caught:
        call()
    for shape in shapes:
        assert str(shape) in str(caught.value)


@settings(max_examples=40)
@given(problem=problems() | windows(), data=st.data())
def test_every_wrong_cotangent_is_refused(problem: Problem, data: st.DataObject) -> None:
    assume(problem.shapes)
    contraction = cc.Contraction(problem.spec)
    operands, n = problem.operands(1), data.draw(st.integers(0, len(problem.shapes) - 1))
    right, said = problem.output_shape, {"extents": problem.extents}
    told = said | {"output_shape": right}
    compiled = contraction.compile(*problem.shapes, dtype="int64", **told)
    natural = contraction.output_shape(*problem.shapes, **said)
    for wrong in _wrong_shapes(contraction, natural, free=True):
        cotangent = np.ones(wrong, int)
        _refused(lambda g=cotangent: contraction.grad(n)(g, *operands, **said), wrong)
    for wrong in _wrong_shapes(contraction, right, free=False):
        cotangent = np.ones(wrong, int)
        _refused(lambda g=cotangent: contraction.grad(n)(g, *operands, **told), wrong, right)
        _refused(lambda g=cotangent: compiled.vjp(n, g, *operands), wrong, right)


LAYERS: list[tuple[str, tuple[Shape, ...], dict[str, Any]]] = [
    ("b (2*i+k-1) c, k c o -> b i o", ((2, 9, 3), (3, 3, 4)), {}),
    (FLIPPED, ((8,), (3,)), {}),
    ("b (2*i+k) c -> b i c", ((1, 8, 2), ), {"k": 3}),
    ("b i c, k c o -> b (2*i+k-1) o", ((2, 5, 3), (3, 3, 4)), {}),
    ("... (2*i+k), k ... -> ... i", ((4, 5, 8), (3, 5)), {}),
    ("i -> r i", ((3,),), {"r": 4}),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "shapes", "said"), LAYERS)
def test_phases_and_curvature_refuse_them_too(
    spec: str, shapes: tuple[Shape, ...], said: dict[str, int]
) -> None:
    contraction, operands = cc.Contraction(spec), _ones(*shapes)
    right = contraction.output_shape(*shapes, **said)
    calls: list[Any] = list(contraction.grad(0).phases())
    if len(shapes) == 2 and "..." not in spec and contraction.indices[0] == "b":
        calls.append(contraction.curvature(1).kronecker())
    for call in calls:
        for wrong in _wrong_shapes(contraction, right, free=True):
            _refused(lambda c=call, s=wrong: c(np.ones(s), *operands, **said), wrong, right)
        told = {**said, "output_shape": right}
        for wrong in _wrong_shapes(contraction, right, free=False):
            _refused(
                lambda c=call, s=wrong, told=told: c(np.ones(s), *operands, **told), wrong, right
            )


@pytest.mark.parametrize(("spec", "shapes", "said"), LAYERS)
@pytest.mark.parametrize("reduce", ["sum", "max", "mean"])
def test_the_true_shape_of_the_result_may_be_said_everywhere(
    spec: str, shapes: tuple[Shape, ...], said: dict[str, int], reduce: cc.Reduction
) -> None:
    contraction, operands = cc.Contraction(spec, reduce), _ones(*shapes)
    right = contraction.output_shape(*shapes, **said)
    told, cotangent = said | {"output_shape": right}, np.ones(right)
    assert contraction(*operands, **told).shape == right
    assert contraction.plan(*shapes, **told).problem.result_shape == right
    assert contraction.simplify(*shapes, **told) == contraction.simplify(*shapes, **said)
    for n, operand in enumerate(operands):
        expected = contraction.grad(n)(cotangent, *operands, **said)
        assert np.array_equal(contraction.grad(n)(cotangent, *operands, **told), expected)
        compiled = contraction.compile(*shapes, **told)
        assert np.array_equal(compiled.vjp(n, cotangent, *operands), expected)
        tangent = contraction.jvp(n)(operand, *operands, **told)
        assert np.isclose((tangent * cotangent).sum(), (expected * operand).sum())


@pytest.mark.parametrize(("spec", "shapes", "result"), [
    ("b (2*i+k) c -> b i c", ((1, 8, 1),), (1, 3, 1)),
    ("(2*i+k) (2*j+l) -> i j", ((8, 8),), (3, 3)),
    ("(i+k), (k+l) -> i", ((6,), (5,)), (4,)),
    ("(h w) -> w", ((12,),), (4,)),
    ("((h-k)/2), k -> h", ((4,), (2,)), (8,)),
    ("(h/2) -> (h r)", ((4,),), (8,)),
])  # fmt: skip
@pytest.mark.parametrize("reduce", ["sum", "max", "logsumexp"])
def test_a_gradient_without_an_extent_fails_as_the_forward_call_does(
    spec: str, shapes: tuple[Shape, ...], result: Shape, reduce: cc.Reduction
) -> None:
    contraction, operands = cc.Contraction(spec, reduce), _ones(*shapes)
    with pytest.raises(cc.ShapeError) as forward:
        contraction(*operands)
    cotangent = np.ones(result)
    calls: list[Callable[[], object]] = [
        lambda: contraction.grad(0)(cotangent, *operands),
        lambda: contraction.jvp(0)(operands[0], *operands),
        lambda: contraction.compile(*shapes),
    ]
    for call in calls:
        with pytest.raises(cc.ShapeError) as caught:
            call()
        assert str(caught.value) == str(forward.value)


def test_a_cotangent_tells_of_what_no_operand_has() -> None:
    x = np.array([1.0, 2, 3])
    for spec, shape in (("i -> r i", (4, 3)), ("i -> (r i)", (12,)), ("i -> i r r", (3, 4, 4))):
        cotangent = np.ones(shape)
        expected = cc.Contraction(spec).grad(0)(cotangent, x, r=4)
        assert np.array_equal(cc.Contraction(spec).grad(0)(cotangent, x), expected)
    for wrong in ((4, 2), (4, 3, 1), (3,)):
        _refused(lambda s=wrong: cc.Contraction("i -> r i").grad(0)(np.ones(s), x), wrong)
    _refused(lambda: cc.Contraction("i -> (r i)").grad(0)(np.ones(13), x), (13,), (3,))
    _refused(lambda: cc.Contraction("i -> i r r").grad(0)(np.ones((3, 4, 5)), x), (3, 4, 5))


def test_a_cotangent_tells_how_far_a_scatter_goes() -> None:
    up, x, w = cc.Contraction("i, k -> (2*i+k-1)"), np.ones(5), np.ones(3)
    for size in (4, 9, 10, 12):
        cotangent = np.arange(float(size))
        expected = up.grad(0)(cotangent, x, w, output_shape=(size,))
        assert np.array_equal(up.grad(0)(cotangent, x, w), expected)
        _refused(lambda s=size: up.grad(0)(np.ones(s), x, w, output_shape=(11,)), (size,), (11,))


def test_an_axis_of_the_ellipsis_is_not_summed_by_a_short_cotangent() -> None:
    bias = cc.Contraction("... i, i -> ... i")
    x, b = _ones((5, 3), (3,))
    _refused(lambda: bias.grad(1)(np.ones((1, 3)), x, b), (1, 3), (5, 3))
    # Unless the forward call was asked for that.
    summed = bias.grad(1)(np.ones((1, 3)), x, b, output_shape=(1, 3))
    assert np.array_equal(summed, [5, 5, 5])
    assert np.array_equal(bias(x, b, output_shape=(1, 3)), [[5, 5, 5]])


def test_a_known_product_of_a_composition_says_nothing_where_it_is_zero() -> None:
    assert cc.Contraction("(h w), (w+k), k -> h").extents((0,), (5,), (2,), h=0)["w"] == 4
    with pytest.raises(cc.ShapeError, match=r"^\(h w\) has size 0 whatever w is"):
        cc.Contraction("(h w) -> w").extents((0,), h=0)


@pytest.mark.parametrize(("root", "times"), [(10**8 + 7, 2), (99_991, 3), (3, 30)])
def test_roots_are_exact(root: int, times: int) -> None:
    spec = f"({' '.join(['h'] * times)}) j -> h"
    assert cc.Contraction(spec).extents((root**times, 1))["h"] == root
    with pytest.raises(cc.ShapeError, match="does not come out"):
        cc.Contraction(spec).extents((root**times - 1, 1))
