"""Contractions without windows agree with the naive oracle, however their arrays lie in memory.

Each is called twice: the second time by what the first one has left ready.
"""

from __future__ import annotations

import gc
import weakref
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import evaluate
from strategies import Array

import contractconv as cc
from contractconv.arrays.precision import widened
from contractconv.execution import ready
from contractconv.execution import run as execution
from contractconv.machine import work_sharing
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.planning.einsum import Way, way
from contractconv.planning.roles import fused, roles

DTYPES = ("float16", "float32", "float64", "complex64", "int8", "uint16", "int64", "bool", ">f8")


@st.composite
def einsums(draw: Any) -> tuple[str, dict[str, Any], tuple[Array, ...]]:
    """A string without windows, and operands of small integers that lie in memory in any way."""
    names = "abcdef"[: draw(st.integers(1, 6))]
    extents = {n: draw(st.sampled_from([2, 1, 3, 5, 2, 3])) for n in names}
    if draw(st.booleans()):
        extents[names[0]] = draw(st.sampled_from([0, 9, 70]))
    while np.prod([*extents.values(), 1]) > 3000:
        extents[max(extents, key=extents.__getitem__)] = 2
    terms = [_term(draw, names) for _ in range(draw(st.integers(1, 3)))]
    used = {n for term in terms for n in term}
    output = [n for n in draw(st.permutations(names)) if draw(st.booleans())]
    dtype = draw(st.sampled_from(DTYPES))
    arrays = tuple(_laid_out(draw, [extents[n] for n in term], dtype) for term in terms)
    spec = ", ".join(" ".join(term) for term in terms) + " -> " + " ".join(output)
    given = {n: extents[n] for n in output if n not in used}
    return spec, given | {n: extents[n] for n in used}, arrays


def _term(draw: Any, names: str) -> list[str]:
    term = [n for n in draw(st.permutations(names)) if draw(st.booleans())]
    if term and draw(st.integers(0, 5)) == 5:
        term.append(term[0])
    return term


def _laid_out(draw: Any, shape: list[int], dtype: str) -> Array:
    """Turned, in steps, backwards, repeated without a stride, and read-only."""
    order = draw(st.permutations(range(len(shape))))
    steps = [draw(st.sampled_from([1, 1, 2, -1])) for _ in shape]
    whole = np.arange(np.prod([shape[n] * abs(steps[n]) for n in order], dtype=int)) * 7 % 5 - 1
    whole = np.abs(whole) if "u" in dtype or dtype == "bool" else whole
    base = whole.astype(dtype).reshape([shape[n] * abs(steps[n]) for n in order])
    key: tuple[Any, ...] = (*(slice(None, None, step) for step in steps), ...)
    array: Array = base.transpose(np.argsort(order).astype(int))[key]
    if shape and draw(st.integers(0, 5)) == 5:
        array = np.broadcast_to(array[:1], shape) if shape[0] else array
    array.flags.writeable = draw(st.booleans()) and array.flags.writeable
    return array


@settings(max_examples=300)
@given(einsums())
def test_any_einsum(drawn: tuple[str, dict[str, Any], tuple[Array, ...]]) -> None:
    spec, extents, arrays = drawn
    before = [array.copy() for array in arrays]
    used = spec.partition("->")[0]
    given = {n: size for n, size in extents.items() if n not in used}
    shape = tuple(extents[n] for n in spec.partition("->")[2].split())
    native = [np.asarray(a, a.dtype.newbyteorder("=")) for a in arrays]
    wide = {"i": "int64", "u": "int64", "f": "float64", "c": "complex128", "b": "bool"}
    exact = evaluate(spec, [a.astype(wide[a.dtype.kind]) for a in arrays], extents, shape)
    with np.errstate(over="ignore"):
        wanted = exact.astype(native[0].dtype)
    run = cc.Contraction(spec).compile(*(a.shape for a in arrays), dtype=native[0].dtype, **given)
    for again in range(4):
        made = run(*arrays) if again % 2 else cc.contract(spec, *arrays, **given)
        assert (made.dtype, made.shape) == (native[0].dtype, shape)
        np.testing.assert_array_equal(made, wanted)
        assert made.flags.c_contiguous
        assert made.flags.writeable
        assert not any(np.shares_memory(made, array) for array in arrays)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))


# Large enough for every way, and for all threads.
LARGE = {
    "i k, k j -> i j": ((130, 70), (70, 90)),
    "k i, j k -> j i": ((70, 130), (90, 70)),
    "a b c d, e f c d -> a b e f": ((5, 6, 7, 8), (6, 5, 7, 8)),
    "a b c d, c e b f -> d f a e": ((5, 6, 7, 8), (7, 5, 6, 4)),
    "b i k, b k j -> b i j": ((40, 9, 11), (40, 11, 13)),
    "i k b, k j b -> i j b": ((3, 4, 900), (4, 5, 900)),
    "b i, b i -> b": ((300, 301), (300, 301)),
    "i b, i b -> b": ((300, 301), (300, 301)),
    "i j b, i b -> j b": ((30, 40, 50), (30, 50)),
    "i j, i j -> ": ((300, 301), (300, 301)),
    "i j, j i -> ": ((300, 301), (301, 300)),
    "i j k, k i j -> ": ((30, 40, 50), (50, 30, 40)),
    "b i j, j b i -> b": ((4, 60, 70), (70, 4, 60)),
    "a i j b, j a b i -> b a": ((3, 60, 70, 2), (70, 3, 2, 60)),
    "j i, i j -> ": ((3, 9000), (9000, 3)),
    "i, j -> j i": ((300,), (301,)),
    "i j, j -> i j": ((300, 301), (301,)),
    "i j, j i -> i j": ((300, 301), (301, 300)),
    "i j -> j i": ((1024, 1024),),
    "i j k -> k i": ((60, 61, 62),),
    "i j k -> i": ((60, 61, 62),),
    "i j -> j": ((500, 600),),
    "i i j -> j i": ((60, 60, 61),),
    "i j, j k, k l -> i l": ((30, 40), (40, 50), (50, 60)),
}


@pytest.fixture(params=["alone", "shared"])
def _sharing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "shared":
        monkeypatch.setattr(work_sharing, "WORTH", 1)
        monkeypatch.setattr(work_sharing, "get_num_threads", lambda: 3)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", "int32", "bool", "float16"])
@pytest.mark.parametrize("spec", LARGE)
@pytest.mark.usefixtures("_sharing")
def test_large_ones(spec: str, dtype: str, engine: str) -> None:
    del engine
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 3, shape) for shape in LARGE[spec]]
    letters = {n: number for number, n in enumerate(sorted(set(spec) & set("abcdefijkl")))}
    terms = [[letters[n] for n in term.split()] for term in spec.replace("->", ",").split(",")]
    wanted = np.einsum(*(x for pair in zip(arrays, terms, strict=False) for x in pair), terms[-1])
    made = cc.contract(spec, *(array.astype(dtype) for array in arrays))
    assert made.dtype == dtype
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(made, wanted.astype(dtype))


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint64"])
def test_sums_of_integers_wrap_around(dtype: str) -> None:
    largest = np.iinfo(dtype).max
    a = np.full((40, 50), largest, dtype)
    b = np.full((50, 30), largest - 1, dtype)
    wanted = (50 * int(largest) * (int(largest) - 1)) % (1 << a.itemsize * 8)
    for made in (cc.contract("i k, k j -> i j", a, b), cc.contract("k i, i -> i", b, a[0, :30])):
        assert len(set(made.ravel().tolist())) == 1
    made = cc.contract("i k, k j -> i j", a, b)
    assert int(made[3, 4]) % (1 << a.itemsize * 8) == wanted


@pytest.mark.parametrize(
    "spec", ["i k, k j -> i j", "i k, i k -> k", "i k, k i -> i k", "i k -> i"]
)
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_so(spec: str, value: float) -> None:
    arrays = [np.ones((80, 80)) for _ in spec.partition("->")[0].split(",")]
    arrays[0][3, 4] = value
    with np.errstate(invalid="ignore"):
        wanted = np.einsum(spec.replace(" ", ""), *arrays)
        np.testing.assert_array_equal(cc.contract(spec, *arrays), wanted)


def test_operands_may_be_the_same_memory() -> None:
    x = np.arange(10000.0).reshape(100, 100)
    np.testing.assert_allclose(cc.contract("i k, j k -> i j", x, x), x @ x.T)
    np.testing.assert_allclose(cc.contract("k i, k j -> i j", x, x), x.T @ x)
    np.testing.assert_allclose(
        cc.contract("i k, k j -> i j", x[1:], x[:, ::-1]), x[1:] @ x[:, ::-1]
    )


def test_results_go_into_their_own_operand() -> None:
    x = np.arange(9.0).reshape(3, 3)
    wanted = x.T.copy()
    assert cc.contract("i j -> j i", x, out=x) is x
    np.testing.assert_array_equal(x, wanted)


# --- networks --------------------------------------------------------------------------------


def _applied(state: Array, gates: list[tuple[int, Array]]) -> Array:
    """Gates on neighbours, one after the other, by sums that are written out."""
    for n, gate in gates:
        before = np.moveaxis(state, (n, n + 1), (0, 1))
        after = sum(
            np.multiply.outer(gate[..., k, m], before[k, m]) for k in range(2) for m in range(2)
        )
        state = np.moveaxis(after, (0, 1), (n, n + 1))
    return state


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", "int64", "float16"])
@pytest.mark.parametrize("qubits", [3, 7, 16])
def test_gates_on_qubits(qubits: int, dtype: str, engine: str) -> None:
    """Steps by BLAS and by kernels, on axes of two values, as they lie and turned."""
    del engine
    rng = np.random.default_rng(qubits)
    wires = [f"q{n}" for n in range(qubits)]
    terms, arrays, gates = [" ".join(wires)], [rng.integers(-1, 2, (2,) * qubits)], []
    for number, n in enumerate(rng.integers(0, qubits - 1, 5).tolist()):
        before, wires[n : n + 2] = wires[n : n + 2], [f"a{number}", f"b{number}"]
        terms.append(" ".join((*wires[n : n + 2], *before)))
        arrays.append(rng.integers(-1, 2, (2,) * 4))
        gates.append((n, arrays[-1]))
    wanted = _applied(arrays[0], gates)
    for output, made in ((wires, wanted), (wires[::-1], wanted.transpose())):
        spec = f"{', '.join(terms)} -> {' '.join(output)}"
        run = cc.Contraction(spec).compile(*(a.shape for a in arrays), dtype=dtype)
        for turned in (False, True):
            given = [a.astype(dtype, order="F" if turned else "C") for a in arrays]
            np.testing.assert_array_equal(run(*given), made.astype(dtype))
            np.testing.assert_array_equal(cc.contract(spec, *given), made.astype(dtype))


# Products of a batch, of matrices and of both, whose indices lie apart.
APART = {
    "n s, a s p -> a n p": ((2, 4), (64, 4, 128)),
    "n s, a s p -> n a p": ((2, 2), (64, 2, 512)),
    "n s, a s p -> p n a": ((3, 4), (30, 4, 50)),
    "a s p, s n -> a p n": ((500, 4, 2), (4, 5)),
    "b n s, b a s p -> b a n p": ((3, 4, 5), (3, 20, 5, 70)),
    "n s t, t a s p -> a n p": ((6, 2, 3), (3, 40, 2, 60)),
    "n s t, a s q t p -> q a n p": ((6, 2, 3), (40, 2, 3, 3, 20)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "int32", "bool"])
@pytest.mark.parametrize("spec", APART)
def test_outer_indices_become_a_batch(spec: str, dtype: str, engine: str) -> None:
    del engine
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 2, shape) for shape in APART[spec]]
    wanted = np.einsum(spec.replace(" ", ""), *arrays).astype(dtype)
    for order in ("C", "F"):
        given = [array.astype(dtype, order=order) for array in arrays]
        np.testing.assert_array_equal(cc.contract(spec, *given), wanted)
        backwards = [array[::-1][::-1] for array in given]
        np.testing.assert_array_equal(cc.contract(spec, *backwards), wanted)


def test_a_second_call_decides_nothing(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del engine
    spec, shapes = "i j, j k, (k+l-1), l -> i k", [(70, 90), (90, 80), (80,), (3,)]
    arrays = [np.ones(shape) for shape in shapes]
    run = cc.Contraction(spec).compile(*shapes)
    wanted = run(*arrays), run(*arrays, bias=np.ones(80)), cc.contract(spec, *arrays)

    def refuse(*_: object) -> None:
        raise AssertionError("decided twice")

    monkeypatch.setattr(execution, "_made_ready", refuse)
    again = run(*arrays), run(*arrays, bias=np.ones(80)), cc.contract(spec, *arrays)
    for one, two in zip(wanted, again, strict=True):
        np.testing.assert_array_equal(one, two)
    with pytest.raises(AssertionError, match="decided twice"):
        run(*(array.astype(array.dtype, order="F") for array in arrays[:2]), *arrays[2:])


def test_half_precision_is_widened_exactly() -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    for some in (halves, halves[::-3], halves.reshape(256, 256).T):
        np.testing.assert_array_equal(widened(some), some.astype(np.float32))


# --- what is ready for the next call ---------------------------------------------------------


def test_equal_numbers_are_not_all_extents() -> None:
    x = np.ones(3)
    assert cc.contract("i -> i j", x, j=2).shape == (3, 2)
    with pytest.raises(cc.ParameterError):
        cc.contract("i -> i j", x, j=2.0)  # type: ignore[call-overload]
    assert cc.contract("i -> i j", x, j=4).shape == (3, 4)


def test_an_array_of_another_kind_finds_nothing() -> None:
    x, spec = np.arange(6.0).reshape(2, 3), "i j, j -> i"
    w = np.arange(3.0)
    assert cc.contract(spec, x, w).tolist() == [5, 14]
    masked = np.ma.MaskedArray(x, x > 3)
    with pytest.raises(cc.OperandError, match="masked"):
        cc.contract(spec, masked, w)
    assert cc.contract(spec, x.astype(">f8"), w).tolist() == [5, 14]
    assert cc.contract(spec, x.astype(np.float32), w).dtype == np.float64
    assert cc.contract(spec, np.asfortranarray(x), w).tolist() == [5, 14]
    assert cc.contract(spec, x.tolist(), [0, 1, 2]).tolist() == [5, 14]
    with pytest.raises(cc.ShapeError):
        cc.contract(spec, x, np.ones(4))


def test_what_is_compiled_takes_its_own_dtype() -> None:
    x = np.full((3, 3), 0.1)
    run = cc.Contraction("i j, j k -> i k").compile(x.shape, x.shape, dtype="float32")
    for _ in range(2):
        assert run(x, x).dtype == np.float32
        assert cc.contract("i j, j k -> i k", x, x).dtype == np.float64


def test_what_is_ready_is_forgotten() -> None:
    spec, x = parse("i j, j k -> i k"), np.ones((11, 11))
    cc.contract("i j, j k -> i k", x, x)
    assert ready.known_call(spec, (x, x)) is not None
    assert ready.known_call(spec, (x, x.T)) is None
    cc.clear_caches()
    assert ready.known_call(spec, (x, x)) is None


@pytest.mark.parametrize("spec", [spec for spec in LARGE if LARGE[spec][0][0] < 1000])
def test_operands_are_let_go(spec: str) -> None:
    arrays = [np.ones(shape) for shape in LARGE[spec]]
    left = [weakref.ref(array) for array in [*arrays, cc.contract(spec, *arrays)]]
    arrays.clear()
    gc.collect()
    assert [one() for one in left] == [None] * len(left)


# --- roles and ways --------------------------------------------------------------------------


def test_roles_of_all_indices() -> None:
    for first, second, kept in product(("", "x"), repeat=3):
        found = roles(first, second, kept, "x")
        role = [name for name, names in found._asdict().items() if names]
        wanted = {"xxx": "batch", "x-x": "rows", "-xx": "columns"}
        have = "".join(side or "-" for side in (first, second, kept))
        assert role == ([] if have[:2] == "--" else [wanted.get(have, "summed")])


def test_indices_are_fused_where_they_are_neighbours_everywhere() -> None:
    assert fused([("a", "b"), ("b", "a")]) == (("a",), ("b",))
    assert fused([("a", "b", "c"), ("b", "c", "d"), ("a", "d")]) == (("a",), ("b", "c"), ("d",))
    assert fused([("a", "b")], lambda outer, inner: False) == (("a",), ("b",))


WAYS = {
    "i j -> j i": Way.COPY,
    "i i -> i": Way.COPY,
    "i j -> i": Way.SUM,
    "i, j -> i j": Way.MULTIPLY,
    "i j, j k -> i k": Way.MATRIX,
    "i j, j -> i": Way.MATRIX,
    "b i j, b j k -> b i k": Way.MATRIX,
    "i b, i b -> b": Way.ELEMENTWISE,
    "(i+k), k -> i": None,
}


@pytest.mark.parametrize("spec", WAYS)
def test_ways(spec: str) -> None:
    contraction = parse(spec)
    shapes = [(9,) * len(term) for term in contraction.inputs]
    shapes = [(9,), (3,)] if "+" in spec else shapes
    assert way(resolve(contraction, shapes, {}), compiled=False) is WAYS[spec]


def test_kernels_are_for_batches() -> None:
    def chosen(spec: str, *shapes: tuple[int, ...]) -> Way | None:
        return way(resolve(parse(spec), shapes, {}), compiled=True)

    assert chosen("b i k, b k j -> b i j", (999, 8, 8), (999, 8, 8)) is Way.KERNEL
    assert chosen("b i k, b k j -> b i j", (9, 8, 8), (9, 8, 8)) is Way.MATRIX
    assert chosen("b i k, b k j -> b i j", (9, 99, 99), (9, 99, 99)) is Way.MATRIX
    assert chosen("i b, i b -> b", (999, 99), (999, 99)) is Way.ELEMENTWISE
    assert chosen("i j b, i b -> j b", (40, 99, 64), (40, 64)) is Way.KERNEL
    assert chosen("i k, k j -> i j", (999, 99), (99, 999)) is Way.KERNEL
    assert chosen("i k, k j -> i j", (999, 999), (999, 24)) is Way.MATRIX
    assert chosen("i k, k j -> i j", (999, 999), (999, 512)) is Way.KERNEL
    assert chosen("i k, k j -> i j", (999, 999), (999, 1024)) is Way.MATRIX
    assert chosen("i k, k j -> i j", (64, 64), (64, 64)) is Way.MATRIX
    assert chosen("i k, k j -> i j", (65, 64), (64, 64)) is Way.KERNEL
    assert chosen("b i k, b k j -> b i j", (9, 32, 32), (9, 32, 32)) is Way.MATRIX
    assert chosen("n s, a s p -> a n p", (4, 4), (4, 4, 2048)) is Way.MATRIX
    assert chosen("n s, a s p -> a n p", (4, 4), (2048, 4, 4)) is Way.KERNEL


def test_options_are_looked_at_when_everything_is_ready_too() -> None:
    a = np.ones((8, 8))
    run = cc.Contraction("i j, j k -> i k").compile((8, 8), (8, 8))
    for _ in range(2):
        assert np.array_equal(run(a, a), a @ a)
        cc.contract("i j, j k -> i k", a, a)
    wrong: Any
    for wrong in ({"casting": "nonsense"}, {"activation": "nonsense"}, {"out": 3}, {"l": 3}):
        with pytest.raises(cc.ContractionError):
            run(a, a, **wrong)
        with pytest.raises(cc.ContractionError):
            cc.contract("i j, j k -> i k", a, a, **wrong)
