"""Sums that are added up while maps run: the same as one by one, and as exact numbers say."""

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
from contractconv.engines.llvm.maps import compiled_groups, partial_sums
from contractconv.execution.programs import runner
from contractconv.execution.programs.summed_maps import SummedMaps
from contractconv.planning.programs import outer_sums, steps

Array = np.ndarray[Any, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]
# Each new group is a new kernel.
GROUPS = settings(max_examples=settings().max_examples // 4)
AXES = "bhc"


@pytest.fixture(autouse=True, scope="module")
def _everything_is_together() -> Iterator[None]:
    """Let sums of any size be added up on the way, in many pieces."""
    if not native.available():
        pytest.skip("there is no compiler")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled_groups, "WORTH_COMPILING", 0)
        patch.setattr(partial_sums, "_WORTH_PIECE", 16)
        patch.setattr(outer_sums, "_WORTH", 0)
        patch.setattr(outer_sums, "_ROWS", 0)
        yield


def one_by_one(whole: runner.Runner) -> runner.Runner:
    """The same program, each of whose sums is a step of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "outer_sums", lambda *_: {})
        return runner.Runner(whole.program)


def summed(whole: runner.Runner) -> int:
    """How many sums are added up on the way."""
    return sum(len(s.group.sums) for s in whole.steps if isinstance(s, steps.MapStep))


def assert_same(whole: runner.Runner, arrays: dict[str, Array], most: float) -> None:
    """See that sums are the same together with the maps, and one by one."""
    apart = one_by_one(whole)
    assert not summed(apart)
    with np.errstate(all="ignore"):
        pairs = zip(whole(arrays), apart(arrays), strict=True)
        for found, wanted in pairs:
            assert found.dtype == wanted.dtype
            np.testing.assert_allclose(found, wanted, most, most, equal_nan=True)


# -- random groups --------------------------------------------------------------------------------


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
    if array.size and draw(st.integers(0, 3)) == 0:
        array[tuple(draw(st.integers(0, size - 1)) for size in array.shape)] = draw(
            st.sampled_from([inf, -inf, nan])
        )
    return array


@GROUPS
@given(st.data())
def test_sums_are_the_same_as_one_by_one(data: st.DataObject) -> None:
    sizes = {name: data.draw(st.sampled_from([0, 1, 1, 2, 3, 5, 16, 17, 40])) for name in AXES}
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    arrays = {name: data.draw(laid_out(sizes, dtype)) for name in "xy"}
    arrays["w"] = np.arange(sizes["c"], dtype=dtype)
    x, y = (cc.tensor(name, "b h c", dtype) for name in "xy")
    w = cc.tensor("w", "c", dtype)
    values = [cc.relu(x * w), x * w - y, cc.relu(y) + w, x, y]
    outputs: dict[str, cc.Tensor] = {}
    for n in range(data.draw(st.integers(1, 4))):
        factors = [data.draw(st.sampled_from(values[:3]))]
        factors += [data.draw(st.sampled_from(values))] * data.draw(st.integers(0, 1))
        kept = data.draw(st.sampled_from(["", "c", "h c", "b", "b h c", "c h"]))
        reduce = data.draw(
            st.sampled_from(["sum", "mean", "max"] if all(sizes.values()) else ["sum"])
        )
        spec = f"{', '.join(['b h c'] * len(factors))} -> {kept}"
        outputs[f"s{n}"] = cc.contract(spec, *factors, reduce=reduce)
    if data.draw(st.booleans()):
        outputs["z"] = data.draw(st.sampled_from(values[:3]))
    whole = ready(outputs, **arrays)
    assert_same(whole, arrays, 1e-5 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_of_many_rows_are_rounded_little(dtype: str) -> None:
    random = np.random.default_rng(0)
    x = cc.tensor("x", "b h c", dtype)
    array = (random.random((300, 200, 9)) + 1).astype(dtype)
    same = cc.relu(x)
    sums = {"s": cc.contract("b h c -> c", same), "t": cc.contract("b h c -> ", same)}
    whole = ready(sums, x=array)
    assert summed(whole) == 2
    exact = array.astype(np.longdouble)
    for found, wanted in zip(whole({"x": array}), (exact.sum((0, 1)), exact.sum()), strict=True):
        assert np.all(np.abs(found - wanted) <= 20 * np.finfo(dtype).eps * wanted)


# -- what is together -----------------------------------------------------------------------------

X, Y = cc.tensor("x", "b c", "float32"), cc.tensor("y", "b c", "float32")
GIVEN = {n: np.random.default_rng(m).random((50, 7), np.float32) for m, n in enumerate("xy")}


def plan_of(**outputs: cc.Tensor) -> runner.Runner:
    return ready(outputs, **GIVEN)


def test_a_value_that_only_sums_read_is_never_there() -> None:
    whole = plan_of(s=cc.contract("b c -> c", cc.relu(X - Y)))
    (step,) = whole.steps
    assert isinstance(step, steps.MapStep)
    assert not step.group.outputs
    assert_same(whole, GIVEN, 1e-6)


def test_a_plan_tells_of_sums() -> None:
    whole = plan_of(s=cc.contract("b c -> c", X - Y), t=cc.contract("b c, b c -> ", X - Y, Y))
    text = str(whole.plan)
    assert "compiled maps with 2 sums" in text
    assert "subtract; b c -> c; b c, b c ->" in text
    assert whole.plan.operations >= 50 * 7 * 3


def test_the_variance_of_a_batch_is_found_on_the_way() -> None:
    centered = X - cc.contract("b c -> c", X, reduce="mean")
    whole = plan_of(v=cc.contract("b c, b c -> c", centered, centered, reduce="mean"))
    assert summed(whole) == 1
    np.testing.assert_allclose(whole(GIVEN)[0], GIVEN["x"].var(0), 1e-5)


def test_a_sum_waits_for_what_is_not_there_yet() -> None:
    """A factor that is made behind the group cannot be read in it."""
    first = X * 2.0
    late = Y - cc.contract("b c -> c", first * first)
    whole = plan_of(s=cc.contract("b c, b c -> c", first, late))
    assert_same(whole, GIVEN, 1e-4)


@pytest.mark.parametrize("kept", ["b", "b c"])
def test_other_sums_are_steps_of_their_own(kept: str) -> None:
    assert not summed(plan_of(s=cc.contract(f"b c -> {kept}", X - Y)))
    assert not summed(plan_of(s=cc.contract("b c -> c", X - Y, reduce="max")))
    assert not summed(plan_of(s=cc.contract("b c -> c", X)))


def test_without_kernels_maps_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRACTCONV_KERNELS", "numpy")
    whole = plan_of(s=cc.contract("b c -> c", cc.relu(X - Y)), z=cc.relu(X - Y))
    found, z = whole(GIVEN)
    wanted = np.maximum(GIVEN["x"] - GIVEN["y"], 0)
    assert np.array_equal(z, wanted)
    np.testing.assert_allclose(found, wanted.sum(0), 1e-6)


def test_arrays_between_the_places_of_their_numbers_are_for_numpy() -> None:
    raw = np.zeros(4 * 350 + 1, np.uint8)[1:].view(np.float32).reshape(50, 7)
    raw[...] = GIVEN["x"]
    whole = plan_of(s=cc.contract("b c -> c", cc.relu(X - Y)))
    assert any(isinstance(work, SummedMaps) for work in whole._works)
    wanted = np.maximum(raw - GIVEN["y"], 0).sum(0)
    np.testing.assert_allclose(whole({**GIVEN, "x": raw})[0], wanted, 1e-6)
