"""Parts of arrays: slices are read where they lie, what is placed is copied once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from program_parts import ready

import contractconv as cc
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.planning.programs.boxes import are_apart, place_of, slice_of
from contractconv.planning.programs.steps import PlacedStep, ViewStep

DTYPES = ["float32", "float64", "float16", "complex64", "int64", "bool"]


def steps(outputs: dict[str, cc.Tensor], **arrays: Any) -> list[type]:
    return [type(step) for step in ready(outputs, **arrays).steps]


def numbers(shape: tuple[int, ...], dtype: str = "float64") -> Any:
    return np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)


# -- which contractions are parts ------------------------------------------------------------------


@st.composite
def strided(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """A size, and the start, the step and the number of what is taken of it."""
    count, step, start = (draw(st.integers(*one)) for one in ((1, 4), (1, 3), (0, 3)))
    after = draw(st.integers(0, 3)) if start or step > 1 else 0  # a plain index takes all
    return start + step * (count - 1) + 1 + after, start, step, count


@given(st.lists(strided(), min_size=1, max_size=3))
def test_a_slice_is_what_numpy_takes(axes: list[tuple[int, int, int, int]]) -> None:
    names = "ijk"[: len(axes)]
    read = " ".join(f"({s}*{n}+{a})" for n, (_, a, s, _) in zip(names, axes, strict=True))
    extents = {n: count for n, (*_, count) in zip(names, axes, strict=True)}
    sizes = tuple(size for size, *_ in axes)
    spec = parse(f"{read} -> {' '.join(names)}")
    box = slice_of(resolve(spec, [sizes], extents))
    assert box is not None
    x = numbers(sizes)
    taken = x[tuple(slice(r.start, r.stop, r.step) for r in box)]
    assert np.array_equal(taken, np.asarray(cc.Contraction(str(spec))(x, **extents)))


@given(st.lists(strided(), min_size=1, max_size=3))
def test_a_place_is_where_numpy_puts(axes: list[tuple[int, int, int, int]]) -> None:
    names = "ijk"[: len(axes)]
    made = " ".join(f"({s}*{n}+{a})" for n, (_, a, s, _) in zip(names, axes, strict=True))
    sizes, counts = tuple(size for size, *_ in axes), tuple(count for *_, count in axes)
    spec = parse(f"{' '.join(names)} -> {made}")
    box = place_of(resolve(spec, [counts], {}, output_shape=sizes))
    assert box is not None
    x, wanted = numbers(counts) + 1, np.zeros(sizes)
    wanted[tuple(slice(r.start, r.stop, r.step) for r in box)] = x
    assert np.array_equal(wanted, cc.Contraction(str(spec))(x, output_shape=sizes))


@pytest.mark.parametrize(
    ("string", "shape", "extents"),
    [
        ("(i+k) -> i", (5,), {"k": 2}),  # two places are added
        ("(i-1) -> i", (4,), {"i": 4}),  # one lies outside
        ("(i+2) -> i", (4,), {"i": 4}),
        ("(3-i) -> i", (4,), {"i": 4}),  # backwards
        ("((i+1)/2) -> i", (3,), {"i": 5}),  # between places there are none
        ("i j -> j i", (2, 3), {}),  # turned
        ("i i -> i", (3, 3), {}),
        ("i j -> i", (2, 3), {}),
        ("i (j) -> i j", (2, 0), {}),
    ],
)
def test_other_contractions_are_no_slices(string: str, shape: Any, extents: Any) -> None:
    assert slice_of(resolve(parse(string), [shape], extents)) is None


@given(st.lists(strided(), min_size=1, max_size=2), st.lists(strided(), min_size=1, max_size=2))
def test_parts_that_are_apart_have_nothing_in_common(
    one: list[tuple[int, int, int, int]], two: list[tuple[int, int, int, int]]
) -> None:
    boxes = [
        tuple(range(a, a + s * (n - 1) + 1, s) for _, a, s, n in axes)[: min(len(one), len(two))]
        for axes in (one, two)
    ]
    share = all(set(a) & set(b) for a, b in zip(*boxes, strict=True))
    if are_apart(boxes[0], boxes[1]):
        assert not share


# -- what programs make of them --------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", ["i", "j"])
def test_what_is_concatenated_is_copied_once(dtype: str, axis: str) -> None:
    sizes = {"i": (2, 3, 4), "j": (5, 1, 2)}
    shapes = [(n, 3) if axis == "i" else (3, n) for n in sizes[axis]]
    given = {name: numbers(shape, dtype) for name, shape in zip("xyz", shapes, strict=True)}
    parts = [cc.tensor(name, "i j", dtype=dtype) for name in given]
    outputs = {"whole": cc.concat(parts, axis)}
    made = cc.compile(outputs)(**given)[0]
    wanted = np.concatenate(list(given.values()), axis="ij".index(axis))
    assert made.dtype == wanted.dtype
    assert np.array_equal(made, wanted)
    if dtype != "bool":
        assert steps(outputs, **given) == [PlacedStep]


def test_the_gradient_of_slices_is_copied_once() -> None:
    x = cc.tensor("x", "i j")
    loss = sum(
        (cc.contract("i j ->", x.at(j=slice(n, n + 2)) * (n + 1.0)) for n in (0, 2, 4)),
        start=cc.contract("i j ->", x * 0.0),
    )
    run = cc.compile({"d_x": cc.grad(loss, x)})
    made = run(x=numbers((3, 6)))[0]
    assert np.array_equal(made, np.broadcast_to([1, 1, 3, 3, 5, 5], (3, 6)))


def test_a_slice_is_read_where_it_lies() -> None:
    x = cc.tensor("x", "i j")
    y = cc.contract("(i+1) (j+2) -> i j", x, i=2, j=3)
    outputs = {"loss": cc.contract("i j, i j ->", y, y)}
    given = numbers((5, 7))
    assert ViewStep in steps(outputs, x=given)
    (made,) = cc.compile(outputs)(x=given)
    assert made == (given[1:3, 2:5] ** 2).sum()


def test_a_slice_that_is_returned_is_an_array_of_its_own() -> None:
    x = cc.tensor("x", "i j")
    y = cc.contract("(i+1) (j+p) -> i j", x, i=2, j=3, p=1)
    given = numbers((5, 7))
    made, twice = cc.compile({"y": y, "twice": y * 2.0})(x=given)
    assert not np.shares_memory(made, given)
    assert np.array_equal(made, given[1:3, :3])
    assert np.array_equal(twice, 2 * made)


def test_parts_on_top_of_each_other_are_added() -> None:
    x, y = cc.tensor("x", "i"), cc.tensor("y", "i")
    one = cc.contract("i -> (i+1)", x, output_shape=(5,))
    two = cc.contract("i -> (2*i)", y, output_shape=(5,))
    outputs = {"sum": one + two.named("i")}
    (made,) = cc.compile(outputs)(x=numbers((3,)) + 1, y=numbers((3,)) + 10)
    assert np.array_equal(made, [10, 1, 11 + 2, 3, 12])


def test_parts_that_interleave_are_copied() -> None:
    x, y = cc.tensor("x", "i j"), cc.tensor("y", "i j")
    one = cc.contract("i j -> (2*i) j", x, output_shape=(6, 4))
    two = cc.contract("i j -> (2*i+1) j", y, output_shape=(6, 4))
    outputs = {"both": one + two}
    given = {"x": numbers((3, 4)), "y": -numbers((3, 4))}
    assert steps(outputs, **given) == [PlacedStep]
    (made,) = cc.compile(outputs)(**given)
    assert np.array_equal(made[::2], given["x"])
    assert np.array_equal(made[1::2], given["y"])


def test_a_part_that_is_wanted_too_stays() -> None:
    x, y = cc.tensor("x", "i"), cc.tensor("y", "i")
    one = cc.contract("i -> (i+1)", x, output_shape=(6,))
    two = cc.contract("i -> (i+4)", y, output_shape=(6,))
    given = {"x": numbers((3,)) + 1, "y": numbers((2,)) + 7}
    whole, first = cc.compile({"whole": one + two, "one": one})(**given)
    assert np.array_equal(first, [0, 1, 2, 3, 0, 0])
    assert np.array_equal(whole, [0, 1, 2, 3, 7, 8])


def test_the_same_array_in_several_places() -> None:
    x = cc.tensor("x", "i j")
    outputs = {"thrice": cc.concat([x, x, x], "i")}
    given = numbers((2, 3))
    (made,) = cc.compile(outputs)(x=given)
    assert np.array_equal(made, np.concatenate([given] * 3))


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
def test_empty_parts(shape: tuple[int, int]) -> None:
    x, y = cc.tensor("x", "i j"), cc.tensor("y", "i j")
    given = {"x": numbers(shape), "y": numbers((2, shape[1]))}
    (made,) = cc.compile({"both": cc.concat([x, y], "i")})(**given)
    assert np.array_equal(made, np.concatenate(list(given.values())))


def test_many_parts_take_no_longer_than_they_should() -> None:
    parts = [cc.tensor(f"x{n}", "i j") for n in range(400)]
    given = {f"x{n}": numbers((1, 2)) + n for n in range(400)}
    (made,) = cc.compile({"whole": cc.concat(parts, "i")})(**given)
    assert np.array_equal(made, np.concatenate(list(given.values())))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_renamed_contractions_end_with_bias_and_activation(dtype: str) -> None:
    x, w, b = cc.tensor("x", "b i"), cc.tensor("w", "i o"), cc.tensor("c", "p")
    outputs = {"y": cc.relu(cc.contract("b i, i o -> b o", x, w).named("b p") + b)}
    given = {
        "x": numbers((4, 3), dtype) - 5,
        "w": numbers((3, 2), dtype),
        "c": numbers((2,), dtype),
    }
    assert len(steps(outputs, **given)) == 1
    (made,) = cc.compile(outputs)(**given)
    assert made.dtype == dtype
    assert np.array_equal(made, np.maximum(given["x"] @ given["w"] + given["c"], 0))
