"""Long sums, along any axis, are as good as pairwise ones, and the same for any number of threads.

Equal terms are the worst: every addition of them to a long sum errs to the same side.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided
from strategies import Array, Shape

import contractconv as cc
from contractconv.arrays.summation import added, multiplied, summed
from contractconv.machine import work_sharing

EPSILON = {"float32": 2.0**-24, "float64": 2.0**-53, "complex64": 2.0**-24}
N = 300_007  # a prime number: no run divides it


# --- sums of arrays --------------------------------------------------------------------------


@st.composite
def arrays(draw: Any) -> tuple[Array, tuple[int, ...]]:
    """An array that lies in memory in any way, some of whose axes are long, and what is summed."""
    shape = draw(st.lists(st.sampled_from([1, 2, 3, 7, 64, 65, 300, 1031]), min_size=1, max_size=4))
    while np.prod(shape) > 1 << 18:
        shape[int(np.argmax(shape))] = 3
    order = draw(st.permutations(range(len(shape))))
    whole = np.empty([shape[n] * 2 for n in order], draw(st.sampled_from(sorted(EPSILON))))
    array = whole.transpose(np.argsort(order))
    array = array[tuple(slice(None, None, draw(st.sampled_from([2, -2]))) for _ in shape)]
    if draw(st.booleans()):
        array = np.empty(shape, whole.dtype)
    array[...] = 0.1
    axes = draw(st.sets(st.sampled_from(range(len(shape))), min_size=1))
    return array, tuple(sorted(axes))


@settings(max_examples=200)
@given(arrays())
def test_sums_of_arrays(drawn: tuple[Array, tuple[int, ...]]) -> None:
    array, axes = drawn
    terms = int(np.prod([array.shape[n] for n in axes]))
    made = summed(array, axes)
    assert made.dtype == array.dtype
    assert made.shape == np.add.reduce(array, axis=axes).shape
    exact = terms * complex(array.flat[0])
    assert (np.abs(made - exact) <= 130 * EPSILON[array.dtype.name] * abs(exact)).all()


def test_sums_of_integers_wrap_around() -> None:
    x = np.full((1000, 3), 100, np.int8)
    assert (summed(x, (0,)) == np.add.reduce(x, axis=0, dtype=np.int8)).all()


@pytest.mark.parametrize("shape", [(3, 100_000), (40, 3, 5000), (1 << 22, 3), (1 << 23,)])
@pytest.mark.parametrize("repeated", [False, True])
def test_sums_of_large_arrays(shape: Shape, repeated: bool) -> None:
    x = np.full((), 0.1, np.float32)
    x = np.broadcast_to(x, shape) if repeated else np.full(shape, x)
    for axes in {(0,), (len(shape) - 1,), tuple(range(len(shape)))}:
        exact = float(x.flat[0]) * np.prod([shape[n] for n in axes])
        assert np.abs(summed(x, axes) / exact - 1).max() < 3e-6


@pytest.mark.parametrize("sides", [(1, 1), (1, 5), (5, 1), (5, 6)])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_products_of_deep_matrices(sides: tuple[int, int], batch: Shape) -> None:
    left = np.full((*batch, sides[0], N), 0.1, np.float32)
    right = np.full((*batch, N, sides[1]), 0.7, np.float32)
    exact = float(left.flat[0]) * float(right.flat[0]) * N
    for one in (left, np.ascontiguousarray(left.swapaxes(-1, -2)).swapaxes(-1, -2)):
        made = multiplied(one, right)
        assert made.shape == (*batch, *sides)
        assert np.abs(made / exact - 1).max() < 5e-6


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 100])
def test_arrays_are_added_pairwise(count: int) -> None:
    assert added(np.full(2, 2**n % 97) for n in range(count))[0] == sum(
        2**n % 97 for n in range(count)
    )


# --- contractions ----------------------------------------------------------------------------

LONG: dict[str, tuple[tuple[Shape, ...], dict[str, Any]]] = {
    "i j -> j": (((N, 3),), {}),
    "i j k -> j": (((300, 3, 401),), {}),
    "b i j o -> o": (((8, 100, 100, 5),), {}),
    "i, i ->": (((N,), (N,)), {}),
    "i j, i j -> j": (((N, 3), (N, 3)), {}),
    "i, i j -> j": (((N,), (N, 3)), {}),
    "i j, i -> j": (((N, 40), (N,)), {}),
    "i a, i b -> a b": (((N, 2), (N, 3)), {}),
    "a i, b i -> a b": (((2, N), (3, N)), {}),
    "i, j, i j ->": (((601,), (503,), (601, 503)), {}),
    "b (i+k) c, b i o -> k c o": (((4, 50_002, 2), (4, 50_000, 3)), {}),
    "b (i+k-1) c, b i c -> k c": (((4, 50_000, 5), (4, 50_000, 5)), {"k": 3}),
    "(2*i+k) -> k": (((2 * N,),), {"k": 2, "i": N}),
    "i (j+k), i j -> k": (((501, 602), (501, 600)), {}),
    "i c, k c -> (i+k)": (((3, N), (4, N)), {}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("spec", LONG)
def test_long_sums_keep_their_digits(spec: str, dtype: str, engine: str) -> None:
    del engine
    shapes, extents = LONG[spec]
    given = [np.full(s, value, dtype) for s, value in zip(shapes, (0.1, 0.7, 0.3), strict=False)]
    count = cc.contract(spec, *(np.ones(s, np.int64) for s in shapes), **extents)
    exact = np.prod([np.longdouble(x.flat[0]) for x in given]) * count
    for algorithm in ("direct", "auto"):
        made = cc.contract(spec, *given, algorithm=algorithm, **extents)
        error = np.abs(made - exact).max() / np.abs(exact).max()
        assert error < 160 * EPSILON[dtype], algorithm


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_of_long_layers_keep_their_digits(dtype: str, engine: str) -> None:
    del engine
    x, w = np.full((8, 20_000, 2), 0.1, dtype), np.full((3, 2, 3), 0.3, dtype)
    conv = cc.Contraction("b (i+k-1) c, k c o -> b i o")
    g = np.full((8, 20_000, 3), 0.7, dtype)
    made = conv.grad(1)(g, x, w)
    count = np.array([19_999, 20_000, 19_999])[:, None, None] * 8
    exact = np.longdouble(x.flat[0]) * np.longdouble(g.flat[0]) * count
    assert np.abs(made / exact - 1).max() < 160 * EPSILON[dtype]
    bias = cc.contract("b i o -> o", g)
    assert np.abs(bias / (np.longdouble(g.flat[0]) * 160_000) - 1).max() < 160 * EPSILON[dtype]


# --- threads ---------------------------------------------------------------------------------

SHARED: dict[str, tuple[Shape, ...]] = {
    "i k, k j -> i j": ((150, 200), (200, 90)),
    "i k, j k -> i j": ((9, 200_000), (7, 200_000)),
    "b (i+k-1) (j+l-1) c, k l c o -> b i j o": ((3, 13, 19, 16), (3, 3, 16, 24)),
    "b (i+k-1) (j+l-1) c, b i j o -> k l c o": ((3, 13, 19, 16), (3, 13, 19, 24)),
    "b (2*i+k) c, k c o -> b i o": ((5, 201, 16), (3, 16, 40)),
    "b i c, k c o -> b (2*i+k) o": ((5, 101, 16), (3, 16, 40)),
    "b (i+k) (j+l) c, k l c -> b i j c": ((5, 30, 30, 33), (3, 3, 33)),
    "b (i+k) (j+l) c, b i j c -> k l c": ((5, 32, 32, 33), (5, 30, 30, 33)),
    "b (i+k) c, k c -> b i": ((40, 200, 100), (3, 100)),
    "i a, i b -> a b": ((100_003, 4), (100_003, 8)),
    "i j, i j -> j": ((100_003, 12), (100_003, 12)),
    "i j -> j": ((100_003, 7),),
    "(i+k) (j+l) c -> i j c": ((200, 210, 16),),
}


@pytest.fixture
def _eager(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads that share the smallest work."""
    monkeypatch.setattr(work_sharing, "WORTH", 1 << 14)
    yield
    cc.set_num_threads(None)


def by_threads(call: Any) -> list[Array]:
    """The results with one, two and three threads."""
    found = []
    for threads in (1, 2, 3):
        cc.set_num_threads(threads)
        found.append(np.asarray(call()))
    return found


def ways() -> list[tuple[str, str]]:
    """Every contraction with all the algorithms that there are for it."""
    windows = {spec for spec in SHARED if "(" in spec and "," in spec}
    plain = [(spec, algorithm) for spec in SHARED for algorithm in ("direct", "auto")]
    return plain + [(spec, algorithm) for spec in windows for algorithm in ("toom-cook", "fft")]


@pytest.mark.usefixtures("_eager")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("spec", "algorithm"), sorted(ways()))
def test_threads_do_not_change_a_bit(spec: str, algorithm: Any, dtype: str, engine: str) -> None:
    del engine
    rng = np.random.default_rng(0)
    given = [rng.standard_normal(shape).astype(dtype) for shape in SHARED[spec]]
    extents: dict[str, Any] = {"k": 3, "l": 3} if spec.startswith("(") else {}
    contraction = cc.Contraction(spec)
    one, *others = by_threads(lambda: contraction(*given, algorithm=algorithm, **extents))
    assert all(one.tobytes() == other.tobytes() for other in others)


@pytest.mark.usefixtures("_eager")
@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "logsumexp"])
def test_threads_do_not_change_a_bit_of_a_gradient(reduce: Any, engine: str) -> None:
    del engine
    rng = np.random.default_rng(0)
    pool = cc.Contraction("b (2*i+k-1) (2*j+l-1) c -> b i j c", reduce=reduce)
    x = rng.standard_normal((3, 60, 60, 17)).astype(np.float32)
    g = rng.standard_normal((3, 30, 30, 17)).astype(np.float32)
    call: dict[str, Any] = {"k": 3, "l": 3, "i": 30, "j": 30}
    one, *others = by_threads(lambda: pool.grad(0)(g, x, **call))
    assert all(one.tobytes() == other.tobytes() for other in others)
    one, *others = by_threads(lambda: pool(x, **call))
    assert all(one.tobytes() == other.tobytes() for other in others)


def test_an_axis_of_one_value_may_have_any_stride() -> None:
    lines = np.arange(300, dtype=np.float32)
    for stride in (0, 4, -8, 10**6):
        array = as_strided(lines, (1, 300), (stride, 4))
        assert summed(array, (0, 1)) == lines.sum()
        np.testing.assert_array_equal(summed(array, (0,)), lines)
