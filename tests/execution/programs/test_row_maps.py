"""Loops over rows: the same as their steps one by one, whatever the numbers and the layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program_parts import ready

import contractconv as cc
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.maps import compiled_rows, partial_sums
from contractconv.execution.programs import runner
from contractconv.functions import layer_norm, log_softmax, softmax
from contractconv.planning.programs import outer_sums
from contractconv.planning.programs import row_loops as planning
from contractconv.planning.programs.row_loops import RowLoop
from contractconv.planning.programs.steps import MapStep

Array = np.ndarray[Any, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]
# Each new loop is a new kernel.
LOOPS = settings(max_examples=settings().max_examples // 4, deadline=None)
AXES = "bhc"


@pytest.fixture(autouse=True, scope="module")
def _everything_is_together() -> Iterator[None]:
    """Let rows of any length run together."""
    if not native.available():
        pytest.skip("there is no compiler")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled_rows, "WORTH_COMPILING", 0)
        patch.setattr(partial_sums, "_WORTH_PIECE", 16)
        patch.setattr(outer_sums, "_WORTH", 0)
        patch.setattr(outer_sums, "_ROWS", 0)
        patch.setattr(planning, "_LEAST", 2)
        patch.setattr(planning, "_ROWS", 1)
        yield


def one_by_one(whole: runner.Runner) -> runner.Runner:
    """The same program, each of whose reductions is a step of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "row_loops", lambda _, steps: list(steps))
        return runner.Runner(whole.program)


def loops_of(whole: runner.Runner) -> list[RowLoop]:
    return [step for step in whole.steps if isinstance(step, RowLoop)]


def assert_same(whole: runner.Runner, arrays: dict[str, Array], most: float) -> None:
    """See that rows are the same together, and step by step."""
    apart = one_by_one(whole)
    assert not loops_of(apart)
    with np.errstate(all="ignore"):
        pairs = zip(whole(arrays), apart(arrays), strict=True)
        for found, wanted in pairs:
            assert found.dtype == wanted.dtype
            np.testing.assert_allclose(found, wanted, most, most, equal_nan=True)


# -- random loops ---------------------------------------------------------------------------------


@st.composite
def laid_out(draw: Draw, sizes: dict[str, int], dtype: str) -> Array:
    """Numbers of few digits, some of them none: a part of a larger array, turned, backwards."""
    order = draw(st.permutations(range(3)))
    steps = [draw(st.sampled_from([1, 1, 2])) for _ in AXES]
    whole = [sizes[AXES[n]] * steps[n] + draw(st.integers(0, 1)) for n in order]
    array = np.random.default_rng(draw(st.integers(0, 99))).integers(-4, 5, whole).astype(dtype)
    array = array.transpose(np.argsort(order))
    for n, name in enumerate(AXES):
        array = array[(slice(None),) * n + (slice(None, sizes[name] * steps[n], steps[n]),)]
        array = np.flip(array, n) if draw(st.booleans()) else array
    if array.size and draw(st.integers(0, 3)) == 0:
        place = tuple(draw(st.integers(0, size - 1)) for size in array.shape)
        array[place] = draw(st.sampled_from([inf, -inf, nan]))
    return array


@st.composite
def values(draw: Draw, leaves: list[cc.Tensor], count: int) -> list[cc.Tensor]:
    """Maps of rows, and reductions of them, each of some that were there before."""
    rows = list(leaves)
    for _ in range(count):
        one, other = draw(st.sampled_from(rows)), draw(st.sampled_from(rows))
        reduce = draw(st.sampled_from(["sum", "mean", "max", "min", "product"]))
        if reduce == "product":
            known = cc.contract("b h c, b h c -> b h", one, other, reduce="mean")
        else:
            known = cc.contract("b h c -> b h", one, reduce=reduce)
        known = draw(st.sampled_from([known, cc.relu(known) + 1.0]))
        made = [one - known, cc.relu(one - known) + other, cc.tanh(other) * known]
        rows.append(draw(st.sampled_from(made)))
        rows += [known * 0.5 + one] if draw(st.booleans()) else []
    return rows[len(leaves) :]


@LOOPS
@given(st.data())
def test_rows_are_the_same_as_step_by_step(data: st.DataObject) -> None:
    sizes = {name: data.draw(st.sampled_from([1, 2, 3, 5, 16, 17, 40])) for name in AXES}
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    arrays = {name: data.draw(laid_out(sizes, dtype)) for name in "xy"}
    arrays["w"] = np.arange(sizes["c"], dtype=dtype) / 8
    arrays["v"] = np.arange(sizes["b"], dtype=dtype)
    x, y = (cc.tensor(name, "b h c", dtype) for name in "xy")
    w, v = cc.tensor("w", "c", dtype), cc.tensor("v", "b", dtype)
    rows = data.draw(values([x, y, x * w - y, x + v], data.draw(st.integers(1, 4))))
    outputs = {f"r{n}": row for n, row in enumerate(rows) if n == 0 or data.draw(st.booleans())}
    if data.draw(st.booleans()):
        outputs["s"] = cc.contract("b h c -> c", rows[-1])
    if data.draw(st.booleans()):
        outputs["t"] = cc.contract("b h c, b h c -> ", rows[-1], rows[0])
    whole = ready(outputs, **arrays)
    assert_same(whole, arrays, 1e-3 if dtype == "float32" else 1e-11)


# -- what runs together ---------------------------------------------------------------------------

SIZES = {"b": 6, "h": 3, "c": 37}
X = cc.tensor("x", "b h c", "float32")
GIVEN = {"x": np.random.default_rng(0).normal(size=(6, 3, 37)).astype(np.float32)}


def test_a_softmax_is_one_loop() -> None:
    whole = ready({"y": softmax(X, "c")}, **GIVEN)
    (loop,) = whole.steps
    assert isinstance(loop, RowLoop)
    assert [node.axes for node in loop.makes] == [("b", "h", "c")]
    x = GIVEN["x"].astype(np.longdouble)
    powers = np.exp(x - x.max(-1, keepdims=True))
    wanted = powers / powers.sum(-1, keepdims=True)
    np.testing.assert_allclose(whole(GIVEN)[0], wanted, 1e-6)


@pytest.mark.parametrize(("rows", "together"), [(64, True), (3276, True), (3277, False)])
def test_short_rows_are_a_loop_unless_there_are_many(rows: int, *, together: bool) -> None:
    x = cc.tensor("x", "b o", "float32")
    array = np.random.default_rng(0).normal(size=(rows, 10)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "_LEAST", 16)
        whole = ready({"y": softmax(x, "o")}, x=array)
    assert bool(loops_of(whole)) is together
    powers = np.exp(array.astype(np.longdouble))
    np.testing.assert_allclose(whole({"x": array})[0], powers / powers.sum(1, keepdims=True), 1e-6)


@pytest.mark.parametrize("function", [softmax, log_softmax, layer_norm])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_are_the_same(function: Callable[..., cc.Tensor], dtype: str) -> None:
    x, g = (cc.tensor(name, "b h c", dtype) for name in "xg")
    made = function(x, "c")
    gradient = cc.grad(cc.contract("b h c, b h c -> ", made, g), x)
    random = np.random.default_rng(1)
    arrays = {name: random.normal(size=(6, 3, 37)).astype(dtype) for name in "xg"}
    whole = ready({"d": gradient, "y": made}, **arrays)
    assert loops_of(whole)
    assert_same(whole, arrays, 1e-5 if dtype == "float32" else 1e-12)


def test_a_plan_tells_what_runs_row_by_row() -> None:
    text = str(ready({"y": softmax(X, "c")}, **GIVEN).plan)
    assert "3 maps, 2 reductions row by row (compiled)" in text
    assert "max b h c -> b h; subtract exp; b h c -> b h; divide" in text


def test_a_loop_does_not_wait_for_itself() -> None:
    """What a reduction of other axes makes of a part of a loop comes before what reads it."""
    centered = X - cc.contract("b h c -> b h", X, reduce="mean")
    turned = cc.contract("b h c, b k c -> b h k", centered, centered)
    back = cc.contract("b h k, b k c -> b h c", turned, centered)
    after = cc.tanh(back + centered)
    made = after - cc.contract("b h c -> b h", after, reduce="max")
    assert_same(ready({"y": made}, **GIVEN), GIVEN, 1e-5)


@pytest.mark.parametrize("spec", ["b h c -> b c", "b h c -> h b"])
def test_other_reductions_are_steps_of_their_own(spec: str) -> None:
    maps = cc.tanh(X)
    known = cc.contract(spec, maps, reduce="max")
    assert not loops_of(ready({"y": known, "z": maps}, **GIVEN))


def test_without_kernels_steps_come_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRACTCONV_KERNELS", "numpy")
    whole = ready({"y": softmax(X, "c")}, **GIVEN)
    assert "one by one" in str(whole.plan)
    np.testing.assert_allclose(whole(GIVEN)[0].sum(-1), np.ones((6, 3)), 1e-6)


def test_arrays_between_the_places_of_their_numbers_are_for_numpy() -> None:
    raw = np.zeros(4 * 6 * 3 * 37 + 1, np.uint8)[1:].view(np.float32).reshape(6, 3, 37)
    raw[...] = GIVEN["x"]
    whole = ready({"y": softmax(X, "c")}, **GIVEN)
    np.testing.assert_allclose(whole({"x": raw})[0], whole(GIVEN)[0], 1e-6)


def test_empty_arrays() -> None:
    for shape in [(0, 3, 37), (6, 0, 37)]:
        arrays = {"x": np.zeros(shape, np.float32)}
        assert ready({"y": softmax(X, "c")}, **arrays)(arrays)[0].shape == shape


def test_groups_with_sums_over_rows_take_part() -> None:
    centered = X - cc.contract("b h c -> b h", X, reduce="mean")
    rows = cc.tanh(centered)
    whole = ready({"s": cc.contract("b h c -> c", rows)}, **GIVEN)
    (loop,) = loops_of(whole)
    assert any(isinstance(step, MapStep) and step.group.sums for step in loop.parts)
    x = GIVEN["x"].astype(float)
    wanted = np.tanh(x - x.mean(-1, keepdims=True)).sum((0, 1))
    np.testing.assert_allclose(whole(GIVEN)[0], wanted, 1e-5, 1e-6)


def test_many_layers_are_several_loops() -> None:
    """Every step of this could join; but long loops would compile long."""
    made = X
    for _ in range(12):
        made = layer_norm(softmax(made, "c") + X, "c")
    whole = ready({"y": made}, **GIVEN)
    loops = loops_of(whole)
    assert 1 < len(loops) == len(whole.steps)
    assert max(len(loop.nodes) for loop in loops) <= planning._MOST_NODES
    assert_same(whole, GIVEN, 1e-4)
