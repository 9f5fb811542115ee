"""Groups of maps by kernels: the same as by numpy, wherever the arrays lie."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from edged import Edged
from hypothesis import given, settings
from hypothesis import strategies as st
from map_ways import Array, assert_alike, by_kernels, by_numpy

import contractconv as cc
from contractconv.api.tensor import applied
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.kernels.emitter import Emitter
from contractconv.engines.llvm.kernels.number_kinds import Number
from contractconv.engines.llvm.maps import compiled_groups, map_loops, vector_kinds
from contractconv.execution.programs.fused_maps import BLOCKS, COMPILED

Draw = Callable[[st.SearchStrategy[Any]], Any]
# Each new group is a new kernel.
GROUPS = settings(max_examples=settings().max_examples // 16)
AXES = "ijk"


def alike(outputs: list[cc.Tensor], most: float = 64, **arrays: Array) -> None:
    """See that both ways make the same."""
    pairs = zip(by_kernels(outputs, **arrays), by_numpy(outputs, **arrays), strict=True)
    for found, wanted in pairs:
        assert_alike(found, wanted, most)


# -- layouts --------------------------------------------------------------------------------------


@st.composite
def laid_out(draw: Draw, sizes: dict[str, int], dtype: str) -> tuple[str, Array]:
    """The axes of an array, and the array: a part of a larger one, turned, and backwards."""
    axes = "".join(draw(st.permutations(AXES)))[: draw(st.integers(0, 3))]
    steps = [draw(st.sampled_from([1, 1, 1, 2, 3])) for _ in axes]
    order = draw(st.permutations(range(len(axes))))
    whole = [sizes[axes[n]] * steps[n] + draw(st.integers(0, 2)) for n in order]
    random = np.random.default_rng(draw(st.integers(0, 99)))
    array = random.integers(-8, 8, whole).astype(dtype).transpose(np.argsort(order))
    for n, (name, step) in enumerate(zip(axes, steps, strict=True)):
        part = slice(None, sizes[name] * step, step)
        array = array[(slice(None),) * n + (part,)]
        if draw(st.booleans()):
            array = np.flip(array, n)
    return " ".join(axes), array


@GROUPS
@given(st.data())
def test_arrays_may_lie_anyhow(data: st.DataObject) -> None:
    sizes = {name: data.draw(st.sampled_from([0, 1, 1, 2, 3, 5, 16, 17, 40])) for name in AXES}
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    signatures = [data.draw(laid_out(sizes, kind)) for kind in (dtype, dtype, "int64", "bool")]
    names = ("x", "y", "n", "t")
    x, y, n, t = (
        cc.tensor(name, axes, kind)
        for name, (axes, _), kind in zip(
            names, signatures, (dtype, dtype, "int64", "bool"), strict=True
        )
    )
    # So that every size is known, and all maps meet.
    every = cc.tensor("e", " ".join(AXES), dtype)
    chosen = applied("where", t, x * y - every, n + cc.index("j"))
    arrays = {name: array for name, (_, array) in zip(names, signatures, strict=True)}
    arrays["e"] = np.arange(np.prod([*sizes.values()]), dtype=dtype).reshape(*sizes.values())
    alike([chosen, chosen * cc.index("k") > x, chosen - 2.5], 0, **arrays)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
def test_arrays_may_lie_between_the_places_of_their_numbers(dtype: str) -> None:
    raw = np.zeros(8 * 50 + 1, np.uint8)[1:]
    size = np.dtype(dtype).itemsize
    array = raw[: 50 * size].view(dtype)
    array[...] = np.arange(50) % 2
    x = cc.tensor("x", "i", dtype)
    program = cc.compile(applied("where", x > 0, x, x))
    assert np.array_equal(program(array), array)


# -- groups ---------------------------------------------------------------------------------------

EXACT = {
    1: ("negative", "abs", "sign", "floor", "square", "relu", "round", "ceil", "stop_gradient"),
    2: ("add", "subtract", "multiply", "max", "min"),
}
SMOOTH = {
    1: (
        "tanh", "sigmoid", "relu", "gelu", "softplus", "expm1", "erf", "silu", "elu",
        "log_sigmoid", "negative", "gelu_tanh", "exp", "arctan",
    ),
    2: ("add", "subtract", "multiply", "max", "min", "logaddexp"),
}  # fmt: skip
COMPARED = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
Known = dict[int, tuple[str, ...]]


@st.composite
def trees(draw: Draw, leaves: list[cc.Tensor], known: Known, depth: int) -> cc.Tensor:
    """Maps of maps of leaves, of indices and of numbers."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        found: cc.Tensor = draw(st.sampled_from(leaves))
        return found
    part = trees(leaves, known, depth - 1)
    which = draw(st.integers(0, 4))
    if which == 0:
        return applied(draw(st.sampled_from(known[1])), draw(part))
    if which == 1:
        number = draw(st.sampled_from([0, 1, 0.5, -2, 3, float("inf")]))
        return applied(draw(st.sampled_from(known[2])), draw(part), number)
    if which == 2 and known is EXACT:
        condition = applied(draw(st.sampled_from(COMPARED)), draw(part), draw(part))
        return applied("where", condition, draw(part), draw(part))
    return applied(draw(st.sampled_from(known[2])), draw(part), draw(part))


def drawn(data: st.DataObject, known: Known) -> tuple[cc.Tensor, dict[str, Array]]:
    """Any maps of a group, and what they are made of."""
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    sizes = {"i": data.draw(st.integers(1, 6)), "j": data.draw(st.sampled_from([1, 3, 16, 37]))}
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    leaves = {"x": "ij", "y": "ji", "z": "j"}
    arrays = {
        name: (random.standard_normal([sizes[a] for a in axes]) * 2).astype(dtype)
        for name, axes in leaves.items()
    }
    if known is EXACT:
        arrays = {name: np.round(array) for name, array in arrays.items()}
    x, y, z = (cc.tensor(name, " ".join(axes)) for name, axes in leaves.items())
    made = data.draw(trees([x, y, z, cc.index("i"), cc.index("j")], known, 4))
    return applied("where", x > 3, y * z, made), arrays


@GROUPS
@given(st.data())
def test_exact_maps_of_each_other(data: st.DataObject) -> None:
    made, arrays = drawn(data, EXACT)
    alike([made], 0, **arrays)


@GROUPS
@given(st.data())
def test_smooth_maps_of_each_other(data: st.DataObject) -> None:
    made, arrays = drawn(data, SMOOTH)
    found, wanted = by_kernels([made], **arrays)[0], by_numpy([made], **arrays)[0]
    known = wanted[np.isfinite(wanted)]
    scale = np.abs(known).max(initial=1)
    near = 1e3 * np.finfo(wanted.dtype).eps
    np.testing.assert_allclose(found, wanted, rtol=near, atol=near * scale)


def test_special_values_flow() -> None:
    special = np.array([0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 1e-320, 3e38, 1e308])
    x, y = cc.tensor("x", "i"), cc.tensor("y", "j")
    outputs = [
        x + y, x * y, x / y, applied("max", x, y), applied("min", x, y), x < y, x >= y, x == y,
        x != y, applied("where", x < y, x, y), ~(x > y), (x < y) & (y < x), (x < 1) | (y < 1),
    ]  # fmt: skip
    alike(outputs, 0, x=special, y=special)
    with np.errstate(over="ignore"):
        alike(outputs, 0, x=special.astype("float32"), y=special.astype("float32"))


NARROW = (
    "exp", "expm1", "tanh", "erfc", "log", "sigmoid", "gelu", "rsqrt", "sin", "cos", "tan",
    "arctan", "sinh", "cosh",
)  # fmt: skip


@pytest.mark.parametrize("registers", [(16, 32), (16, 16)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_narrower_registers(
    monkeypatch: pytest.MonkeyPatch, dtype: str, registers: tuple[int, int]
) -> None:
    """There, scaling by powers of two is another code, and so are the ends of rows."""
    for module in (native, map_loops, vector_kinds):
        monkeypatch.setattr(module, "registers", lambda: registers)
    cc.clear_caches()
    x, n = cc.tensor("x", "i j"), cc.tensor("n", "j", "int64")
    random = np.random.default_rng(0)
    outputs = [applied(name, x) for name in NARROW]
    outputs += [applied("where", n > 0, x * n, cc.index("i")), x**0.3, x % 0.75]
    huge, size = cc.tensor("h", "i j"), {"float16": 1e4, "float32": 1e9, "float64": 1e20}[dtype]
    outputs += [applied("sin", huge), applied("cos", huge)]
    for columns in (1, 15, 40):
        given = 1.5 * random.standard_normal((3, columns))
        arrays = {"x": given.astype(dtype), "h": (given * size).astype(dtype)}
        alike(outputs, 200, n=np.arange(columns) % 2, **arrays)
    cc.clear_caches()


def test_wide_instructions_are_for_wide_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doubles beside singles take two registers for a vector, which are no wide one."""
    monkeypatch.setattr(vector_kinds, "registers", lambda: (16, 32))
    e = Emitter("trial", Number("float32", 8))
    f = vector_kinds.Floats(e, "float64")
    f.powered(f.constant(1.0), f.constant(2.0))
    assert "avx512" not in e.finish()


# -- what is compiled, and when ------------------------------------------------------------------


def test_one_kernel_does_for_all_sizes_strides_and_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, y = cc.tensor("x", "i j"), cc.tensor("y", "j")

    def carry(rows: int, columns: int, number: float) -> None:
        given = np.ones((rows, 2 * columns))[:, :columns], np.ones(columns)
        made = by_kernels([x * number + y], x=given[0], y=given[1])[0]
        assert (made == number + 1).all()

    carry(3, 5, 0.25)
    monkeypatch.setattr(map_loops, "build", None)
    carry(4, 40, 0.75)
    carry(1, 40, 7.5)
    with pytest.raises(TypeError):
        by_kernels([x * x + y], x=np.ones((2, 2)), y=np.ones(2))


def test_small_groups_are_left_to_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_groups, "WORTH_COMPILING", 20)
    x = cc.tensor("x", "i")
    with pytest.raises(AssertionError):
        by_kernels([x + 1], x=np.ones(19))
    by_kernels([x + 1], x=np.ones(20))


@pytest.mark.parametrize(
    ("made", "dtype"),
    [
        (lambda x: applied("arctan", x), "float64"),
        (lambda x: x + 1, "complex64"),
        (lambda x: x % 3.5, "float32"),
        (lambda x: x + 1, "uint8"),
    ],
)
def test_numpy_does_what_kernels_cannot(made: Any, dtype: str) -> None:
    given = np.arange(50).astype(dtype)
    program = cc.compile(made(cc.tensor("x", "i", dtype)))
    assert program(given).shape == (50,)


def test_where_no_kernel_can_be_made_numpy_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise native.UnfitError("not here")

    monkeypatch.setattr(compiled_groups, "kernel", refuse)
    x = cc.tensor("x", "i")
    assert cc.compile(x * 2 + 1)(np.arange(9.0)).tolist() == list(range(1, 19, 2))


# -- memory and threads ------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(mmap, "MAP_PRIVATE"), reason="needs protected pages")
@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_nothing_outside_is_read_or_written(dtype: str, at_end: bool) -> None:
    for count in (1, 7, 16, 33):
        x, y = cc.tensor("x", "i", dtype), cc.tensor("y", "i", dtype)
        given = [Edged(count, dtype, at_end=at_end) for _ in range(2)]
        given[0].array[...] = np.arange(count) % 2
        given[1].array[...] = 1
        output = [applied("where", x == y, x, y)]
        arrays = {"x": given[0].array, "y": given[1].array}
        assert (by_kernels(output, **arrays)[0] == 1).all()
        backwards = {name: array[::-1] for name, array in arrays.items()}
        assert (by_kernels(output, **backwards)[0] == 1).all()
        apart = {name: array[::3] for name, array in arrays.items()}
        assert (by_kernels(output, **apart)[0] == 1).all()


@pytest.mark.parametrize("shape", [(300_001,), (7, 50_001), (900, 333), (2, 3, 50_001)])
def test_threads_share_a_group(shape: tuple[int, ...]) -> None:
    axes = " ".join("abc"[: len(shape)])
    x, y = cc.tensor("x", axes), cc.tensor("y", axes[-1])
    random = np.random.default_rng(0)
    given = {"x": random.standard_normal(shape), "y": random.standard_normal(shape[-1])}
    output = [applied("tanh", x * y) + cc.index(axes[-1]) - 3 * cc.index("a")]
    before = cc.get_num_threads()
    try:
        made = []
        for threads in (1, 3):
            cc.set_num_threads(threads)
            made.append(by_kernels(output, **given)[0])
    finally:
        cc.set_num_threads(before)
    assert np.array_equal(made[0], made[1])
    assert_alike(made[0], by_numpy(output, **given)[0], 64)


def test_the_plan_says_which_way_maps_take(monkeypatch: pytest.MonkeyPatch) -> None:
    x = cc.tensor("x", "i")
    program = cc.compile(applied("tanh", x) * 2, x=(9,))
    assert [line.way for line in program.plan.lines] == [f"2 {COMPILED}"]
    monkeypatch.setenv("CONTRACTCONV_KERNELS", "numpy")
    program = cc.compile(applied("tanh", x) * 2, x=(9,))
    assert [line.way for line in program.plan.lines] == [f"2 {BLOCKS}"]


@pytest.mark.parametrize("threads", [1, 3])
def test_a_group_is_the_same_every_time(threads: int) -> None:
    """Threads that share its rows leave nothing behind that the next run would begin with."""
    rng, before = np.random.default_rng(0), cc.get_num_threads()
    x, bias = cc.tensor("x", "i j k"), cc.tensor("bias", "j")
    run = cc.program(y=cc.tanh(x + bias) * x).compile()
    given, along = rng.random((61, 67, 259)), rng.random(67)
    expected = np.tanh(given + along[:, None]) * given
    cc.set_num_threads(threads)
    try:
        for _ in range(4):
            np.testing.assert_allclose(run(given, along), expected, rtol=1e-12)
    finally:
        cc.set_num_threads(before)
