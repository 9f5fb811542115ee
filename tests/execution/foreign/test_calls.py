"""Calls of contractions with arrays of other libraries: options, dtypes, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conformance.libraries import NAMES, Peer, peer

import contractconv as cc
from contractconv.errors import AlgorithmError, OperandError, ReductionError, ShapeError

SPEC = "i j, j -> i"
X = np.arange(6.0).reshape(2, 3)
W = np.array([1.0, -2.0, 0.5])


@pytest.fixture(params=NAMES)
def library(request: pytest.FixtureRequest) -> Peer:
    """Each of the libraries that is installed."""
    return peer(request.param)


def single(peer: Peer) -> tuple[Any, Any]:
    """Operands in single precision."""
    return peer.enter(X.astype("float32")), peer.enter(W.astype("float32"))


def check(peer: Peer, made: Any, wanted: Any, dtype: str = "float32") -> None:
    """An array of the library with these numbers."""
    assert isinstance(made, peer.kind)
    assert dtype in str(made.dtype)
    np.testing.assert_allclose(peer.leave(made), wanted, rtol=1e-6)


# --- options -----------------------------------------------------------------------------------


def test_options_are_those_of_numpys_calls(library: Peer) -> None:
    x, w = single(library)
    check(library, cc.contract(SPEC, x, w, algorithm="direct", optimize="greedy"), X @ W)
    check(library, cc.contract("i j -> i", x, reduce="max"), X.max(1))
    made = cc.contract("i (s*j+k) -> i j", x, parameters="s", s=2, k=1)
    check(library, made, X[:, ::2])
    check(library, cc.contract("j -> (2*j)", w, output_shape=(6,)), [1, 0, -2, 0, 0.5, 0])
    check(library, cc.contract("(j+k) -> j", w, extents={"k": 2}), W[:-1] + W[1:])
    check(library, cc.contract(x, [0, 1], w, [1], [0]), X @ W)
    check(library, cc.Contraction("... j, j -> ...")(x, w), X @ W)


def test_a_bias_and_an_activation(library: Peer) -> None:
    x, w = single(library)
    wanted = np.maximum(X @ W + [100, 0], 0)
    for bias in (library.enter(np.array([100.0, 0], "float32")), np.array([100.0, 0]), [100, 0]):
        check(library, cc.contract(SPEC, x, w, bias=bias, activation="relu"), wanted)
    run = cc.Contraction(SPEC).compile((2, 3), (3,), dtype="float32")
    check(library, run(x, w, bias=np.array([100, 0]), activation="relu"), wanted)
    bias = library.enter(np.array([100.0, 0], "float32"))
    check(library, cc.contract(SPEC, X.astype("float32"), w, bias=bias), X @ W + [100, 0])
    with pytest.raises(ShapeError):
        cc.contract(SPEC, x, w, bias=np.ones(3))
    with pytest.raises(OperandError):
        cc.contract(SPEC, x, w, bias=1j * np.ones(2))


def test_a_dtype(library: Peer) -> None:
    x, w = single(library)
    wide = "float64"
    if library.name == "jax" and not pytest.importorskip("jax").config.jax_enable_x64:
        wide = "float32"  # it narrows what it is not told
    check(library, cc.contract(SPEC, x, w, dtype="float64"), X @ W, wide)
    check(library, cc.contract(SPEC, x, w, dtype="int32", casting="unsafe")[:1], [-2], "int32")
    with pytest.raises(OperandError, match="operand 0 is float32, which casting='safe'"):
        cc.contract(SPEC, x, w, dtype="int32")
    with pytest.raises(OperandError, match="reduce='mean' makes float64 of int32"):
        cc.contract("i j -> i", x, reduce="mean", dtype="int32", casting="unsafe")
    gradient = cc.Contraction(SPEC).grad(1)
    check(library, gradient(x[:, 0], x, w, dtype="float64"), X.T @ X[:, 0], wide)


def test_what_only_our_engines_know_is_refused(library: Peer) -> None:
    x, w = single(library)
    for call in (cc.contract, lambda spec, *given, **told: cc.Contraction(spec)(*given, **told)):
        if library.name == "dask":  # whose blocks are numpy's
            check(library, call(SPEC, x, w, memory_limit=1e9), X @ W)
            continue
        for told in ({"algorithm": "fft"}, {"memory_limit": 1e9}):
            with pytest.raises(AlgorithmError, match="is for numpy arrays"):
                call(SPEC, x, w, **told)
        with pytest.raises(OperandError, match="numpy"):
            call(SPEC, x, w, out=np.empty(2))


def test_an_array_that_is_filled() -> None:
    torch = pytest.importorskip("torch")
    x, w, out = torch.tensor(X), torch.tensor(W), torch.empty(2, dtype=torch.float64)
    assert cc.contract(SPEC, x, w, out=out) is out
    np.testing.assert_array_equal(out, X @ W)
    back = torch.empty(2, 3, dtype=torch.float64)
    assert cc.Contraction(SPEC).grad(0)(x[:, 0], x, w, out=back) is back
    with pytest.raises(ShapeError, match="out has shape"):
        cc.contract(SPEC, x, w, out=torch.empty(3))
    with pytest.raises(OperandError, match="casting='safe' does not convert"):
        cc.contract(SPEC, x, w, out=torch.empty(2))
    with pytest.raises(OperandError, match="out is a numpy array"):
        cc.contract(SPEC, X, W, out=out)


def test_arrays_of_jax_never_change() -> None:
    jnp = pytest.importorskip("jax.numpy")
    with pytest.raises(OperandError, match="jax arrays never change: take what is returned"):
        cc.contract(SPEC, jnp.asarray(X), jnp.asarray(W), out=jnp.ones(2))


# --- what joins, and what is refused -------------------------------------------------------------


def test_numpys_arrays_lists_and_numbers_join(library: Peer) -> None:
    x, w = single(library)
    check(library, cc.contract(SPEC, x, W.astype("float32")), X @ W)
    check(library, cc.contract(SPEC, X.astype("float32"), w), X @ W)
    check(library, cc.contract(SPEC, x, W.astype("float32").tolist()), X @ W, "float")
    check(library, cc.contract("i j, -> i", x, 2.5), X.sum(1) * 2.5)
    check(library, cc.contract("i j, -> i", x, 2), X.sum(1) * 2)
    whole = library.enter(X.astype("int32"))
    check(library, cc.contract("i j, -> i", whole, 2), X.sum(1) * 2, "int32")
    check(library, cc.contract("i j, -> i", whole, 2.5), X.sum(1) * 2.5, "float")
    check(library, cc.contract("i j, -> i", x, 1j), X.sum(1) * 1j, "complex64")


CALLS: list[Callable[[Any, Any], Any]] = [
    lambda x, w: cc.contract(SPEC, x, w),
    lambda x, w: cc.Contraction(SPEC)(x, w, dtype="float64", casting="unsafe"),
    cc.Contraction(SPEC).compile((2, 3), (3,)),
    lambda x, w: cc.Contraction(SPEC).grad(1)(np.ones(2), x, w),
    lambda x, w: cc.Contraction(SPEC).jvp(0)(np.ones((2, 3)), x, w),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("one", "other"), [("torch", "jax"), ("jax", "dask"), ("dask", "torch")])
def test_two_libraries_are_refused(one: str, other: str, call: Callable[[Any, Any], Any]) -> None:
    x, w = single(peer(one))[0], single(peer(other))[1]
    told = f"operand 0 is a {one} array and operand 1 is one of {other}: convert them"
    with pytest.raises(OperandError, match=told):
        call(x, w)


@pytest.mark.parametrize("call", CALLS)
def test_two_devices_are_refused(call: Callable[[Any, Any], Any]) -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(OperandError, match="0 is on cpu and operand 1 is on meta: move them"):
        call(torch.tensor(X), torch.tensor(W).to("meta"))


@pytest.mark.parametrize("call", CALLS)
def test_tensors_that_are_none(call: Callable[[Any, Any], Any]) -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(X)
    for wrong, told in (
        (np.array(["a", "b", "c"]), "not an array of numbers"),
        (np.ma.masked_array(W, [False, False, True]), "masked array"),
        ([[1, 2], [3]], "rows differ"),
        (torch.tensor(W).to_sparse(), "sparse or nested tensor: pass a dense one"),
    ):
        with pytest.raises(OperandError, match=told):
            call(x, wrong)


def test_what_has_no_order(library: Peer) -> None:
    with pytest.raises(ReductionError, match="needs numbers with an order"):
        cc.contract("i ->", library.enter(W * 1j), reduce="max")


def test_only_numpys_arrays_are_profiled(library: Peer) -> None:
    x, w = single(library)
    run = cc.Contraction(SPEC).compile((2, 3), (3,), dtype="float32")
    with pytest.raises(OperandError, match=r"pass numpy\.asarray"):
        run.profile(x, w)


# --- tensors of all kinds ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype",
    ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32",
     "float64", "complex64", "complex128"],
)  # fmt: skip
def test_every_dtype_of_torch(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    kind = getattr(torch, dtype)
    x, w = torch.tensor(X % 3).to(kind), torch.tensor([1.0, 0, 1]).to(kind)
    made = cc.contract(SPEC, x, w)
    assert made.dtype == kind
    wanted = x.to(torch.complex128) @ w.to(torch.complex128)
    assert torch.equal(made, wanted.real.to(kind) if not kind.is_complex else wanted.to(kind))


def test_tensors_are_read_as_they_lie() -> None:
    torch = pytest.importorskip("torch")
    z = torch.complex(torch.tensor(X), torch.tensor(X[::-1].copy()))
    w = torch.tensor(W)
    for x in (z.conj(), z.conj().imag, z.T.contiguous().T, z[:, ::1].expand(2, 3), z.imag[:1]):
        made = cc.contract(SPEC, x, w.to(x.dtype))
        wanted = np.asarray(x.resolve_conj().resolve_neg()) @ W
        np.testing.assert_allclose(made.numpy(), wanted)
    assert cc.contract(SPEC, z[:0], w.to(z.dtype)).shape == (0,)
    assert cc.contract(", ->", torch.tensor(2.0), torch.tensor(3.0)) == 6


def test_parameters_and_gradients_of_torch() -> None:
    torch = pytest.importorskip("torch")
    x: Any = torch.nn.Parameter(torch.tensor(X))
    w = torch.tensor(W, requires_grad=True)
    run: Any = cc.Contraction(SPEC)
    run(x, w, algorithm="direct", bias=torch.ones(2)).sum().backward()
    np.testing.assert_allclose(x.grad, np.broadcast_to(W, (2, 3)))
    np.testing.assert_allclose(w.grad, X.sum(0))


def test_arrays_that_are_traced() -> None:
    jax = pytest.importorskip("jax")
    run = cc.Contraction("(i+k), k -> i")
    x, w = np.arange(5, dtype="float32"), np.array([1, 2], "float32")
    for call in (run, lambda *given: cc.contract("(i+k), k -> i", *given)):
        np.testing.assert_allclose(jax.jit(call)(x, w), run(x, w))
    found = jax.jit(jax.grad(lambda a: jax.numpy.sum(run(a, w))))(x)
    np.testing.assert_allclose(found, run.grad(0)(np.ones(4, "float32"), x, w))


# --- compiled ------------------------------------------------------------------------------------


def test_compiled_contractions(library: Peer) -> None:
    run = cc.Contraction(SPEC).compile((2, 3), (3,), dtype="float32")
    x, w = single(library)
    g = library.enter(np.array([1.0, 2], "float32"))
    for _ in range(2):
        check(library, run(x, w), X @ W)
        check(library, run.vjp(1, g, x, w), X.T @ [1, 2])
    for made, wanted in zip(run.vjps(g, x, w), (np.outer([1, 2], W), X.T @ [1, 2]), strict=True):
        check(library, made, wanted)
    check(library, run(library.enter(X), w), X @ W)
    whole = cc.Contraction(SPEC).compile((2, 3), (3,), dtype="int64")
    given = [library.enter(a.astype("int64")) for a in (np.ones(2), X, W)]
    assert [made.shape for made in whole.vjps(*given)] == [(2, 3), (3,)]
    with pytest.raises(ShapeError, match=r"operand 1 has shape \(2,\), compiled for \(3,\)"):
        run(x, g)
    with pytest.raises(OperandError, match="operand 0 is complex64, compiled for float32"):
        run(library.enter(X.astype("complex64")), w)
    with pytest.raises(OperandError, match="called with 1"):
        run(x)


# --- what is derived -----------------------------------------------------------------------------


def test_second_derivatives_and_curvature(library: Peer) -> None:
    rng = np.random.default_rng(0)
    for spec, shapes, reduce in (
        ("b (i+k) c, k c -> b i c", ((2, 5, 2), (2, 2)), "prod"),
        ("b (i+k) c -> b i c", ((2, 5, 2),), "logsumexp"),
        ("b i c -> b (i+k) c", ((2, 3, 2),), "prod"),
        ("b (i+k) c, k c -> b i c", ((2, 5, 2), (2, 2)), "sum"),
    ):
        layer = cc.Contraction(spec, reduce)  # type: ignore[arg-type]
        given = [rng.normal(size=shape) for shape in shapes]
        told: Any = {"k": 2}
        g, v = rng.normal(size=layer(*given, **told).shape), rng.normal(size=shapes[0])
        for second in layer.grad(0).seconds:
            made = second(*map(library.enter, (v, g, *given)), **told)
            np.testing.assert_allclose(library.leave(made), second(v, g, *given, **told), atol=1e-5)
    dense = cc.Contraction("b i, i o -> b o").curvature(1)
    given = [rng.normal(size=shape) for shape in ((3, 2), (3, 4), (4, 2))]
    factors = dense.kronecker()(*map(library.enter, given))
    for found, wanted in zip(factors, dense.kronecker()(*given), strict=True):
        np.testing.assert_allclose(library.leave(found), wanted, rtol=1e-5)
    with pytest.raises(OperandError, match="is complex"):
        dense.diagonal()(*(library.enter(array * 1j) for array in given[1:]))
