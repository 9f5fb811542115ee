"""Results that are made together: the same numbers, wherever arrays lie, and whatever they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.arrays.run_trace import traced
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.maps import compiled_groups, joined_groups
from contractconv.execution.programs.fused_maps import BLOCKS, COMPILED
from contractconv.planning.programs.joined_results import JoinedResults

Array = np.ndarray[Any, Any]
SIZES = {"i": 7, "j": 9, "k": 300}
AXES = ("i j", "j", "j k", "", "k i")


def numbers(axes: str, dtype: str, seed: int) -> Array:
    """Small integers, so that nothing is rounded."""
    shape = [SIZES[name] for name in axes.split()]
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def updates(dtypes: list[str]) -> tuple[dict[str, cc.Tensor], dict[str, Array]]:
    """Steps along gradients, each with its own axes and numbers."""
    outputs: dict[str, cc.Tensor] = {}
    given: dict[str, Array] = {}
    for n, (axes, dtype) in enumerate(zip(AXES, dtypes, strict=True)):
        p, g = cc.tensor(f"p{n}", axes, dtype), cc.tensor(f"g{n}", axes, dtype)
        outputs[f"n{n}"] = p - 2 * g
        given |= {f"p{n}": numbers(axes, dtype, n), f"g{n}": numbers(axes, dtype, n + 50)}
    return outputs, given


def wanted(given: dict[str, Array]) -> list[Array]:
    return [given[f"p{n}"] - 2 * given[f"g{n}"] for n in range(len(AXES))]


def assert_made(outputs: dict[str, cc.Tensor], given: dict[str, Array], exact: list[Array]) -> None:
    compiled = cc.compile(outputs)
    runner = compiled.runner(**{name: array.shape for name, array in given.items()})
    assert any(isinstance(step, JoinedResults) for step in runner.steps)
    for _ in range(2):
        for found, one in zip(compiled(**given), exact, strict=True):
            np.testing.assert_array_equal(found, one, strict=True)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "int64", "complex64"])
def test_updates_of_one_dtype(dtype: str) -> None:
    outputs, given = updates([dtype] * len(AXES))
    assert_made(outputs, given, wanted(given))


def test_updates_of_many_dtypes() -> None:
    """Complex numbers are for numpy, the others for kernels."""
    outputs, given = updates(["float32", "complex128", "int64", "float64", "complex64"])
    assert_made(outputs, given, wanted(given))


def test_several_results_of_a_group() -> None:
    """As an optimiser with momentum makes them."""
    outputs: dict[str, cc.Tensor] = {}
    given: dict[str, Array] = {}
    exact: list[Array] = []
    for n, axes in enumerate(("i j", "j")):
        p, g, m = (cc.tensor(f"{letter}{n}", axes, "float32") for letter in "pgm")
        outputs[f"m_{n}"] = m * 0.5 + g
        outputs[f"p_{n}"] = p - outputs[f"m_{n}"]
        given |= {f"{letter}{n}": numbers(axes, "float32", n) for letter in "pgm"}
        moment = given[f"m{n}"] * np.float32(0.5) + given[f"g{n}"]
        exact += [moment, given[f"p{n}"] - moment]
    assert_made(outputs, given, exact)


@pytest.mark.parametrize("lies", ["turned", "apart", "backwards", "between", "read only"])
def test_arrays_that_lie_anyhow(lies: str) -> None:
    outputs, given = updates(["float32"] * len(AXES))
    ways = {
        "turned": lambda array: array.T.copy().T,
        "apart": lambda array: np.repeat(array, 2, -1)[..., ::2] if array.ndim else array,
        "backwards": lambda array: np.flip(np.flip(array).copy()),
        "between": _between,
        "read only": _read_only,
    }
    assert_made(outputs, {name: ways[lies](array) for name, array in given.items()}, wanted(given))


def _between(array: Array) -> Array:
    """The same, at a place where no number begins."""
    raw = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    raw[...] = array
    return raw


def _read_only(array: Array) -> Array:
    array.flags.writeable = False
    return array


def test_a_short_row_that_is_repeated() -> None:
    x, w, y = (cc.tensor(n, axes, "float32") for n, axes in (("x", "r c"), ("w", "c"), ("y", "c")))
    given: dict[str, Array] = {"x": np.arange(9000, dtype=np.float32).reshape(1500, 6)}
    given |= {"w": np.arange(6, dtype=np.float32), "y": np.ones(6, np.float32)}
    assert_made({"a": x + w, "b": y * 3}, given, [given["x"] + given["w"], given["y"] * 3])


def test_arrays_without_elements() -> None:
    x, y, z = (cc.tensor(name, "i j", "float32") for name in "xyz")
    given = {"x": np.zeros((0, 3), np.float32), "y": np.ones((2, 3), np.float32)}
    given["z"] = np.ones((2, 5), np.float32)
    outputs = {"a": x * 2.0, "b": y.named("k j") * 2.0, "c": z.named("m n") * 2.0}
    assert_made(outputs, given, [array * 2 for array in given.values()])


def test_threads_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joined_groups, "WORTH_SHARING", 1)
    outputs, given = updates(["float32"] * len(AXES))
    before = cc.get_num_threads()
    try:
        for threads in (1, 3):
            cc.set_num_threads(threads)
            assert_made(outputs, given, wanted(given))
    finally:
        cc.set_num_threads(before)


# -- what runs is what is planned ------------------------------------------------------------------


def ways(compiled: Any, given: dict[str, Array]) -> tuple[str, list[str]]:
    runner = compiled.runner(**{name: array.shape for name, array in given.items()})
    with traced() as ran:
        compiled(**given)
    (line,) = runner.plan.lines
    return line.way, [one.way for one in ran]


def test_kernels_are_one_call() -> None:
    if not native.available():
        pytest.skip("there is no compiler")
    outputs, given = updates(["float32"] * len(AXES))
    del outputs["n3"], given["p3"], given["g3"]  # too small for a kernel
    assert ways(cc.compile(outputs), given) == (f"8 {COMPILED}", [COMPILED])


def test_others_are_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    if not native.available():
        pytest.skip("there is no compiler")
    monkeypatch.setattr(compiled_groups, "WORTH_COMPILING", 0)
    outputs, given = updates(["float32", "complex64", "float32", "float32", "float32"])
    way, ran = ways(cc.compile(outputs), given)
    assert way == f"8 {COMPILED}, 2 {BLOCKS}"
    assert sorted(ran) == [COMPILED, BLOCKS]


def test_without_kernels_numpy_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRACTCONV_KERNELS", "numpy")
    outputs, given = updates(["float32"] * len(AXES))
    assert ways(cc.compile(outputs), given) == (f"10 {BLOCKS}", [BLOCKS] * 5)
    assert_made(outputs, given, wanted(given))


def test_where_no_kernel_can_be_made_after_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def unfit(*_: Any) -> Any:
        raise native.UnfitError("none")

    monkeypatch.setattr(compiled_groups, "kernel", unfit)
    outputs, given = updates(["float32"] * len(AXES))
    assert_made(outputs, given, wanted(given))
