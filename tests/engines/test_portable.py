"""The portable engine: against brute force in exact integers, and its gradients by autodiff."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from conformance.cases import ALIKE, CONVS, LAYERS, POOLS, TRANSPOSED, UNEVEN, Case, Pullback, check
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import evaluate
from strategies import Array, Problem, empties, problems, seeds, windows

import contractconv as cc
from contractconv import Reduction
from contractconv.engines.portable.libraries import (
    LIBRARIES,
    Library,
    numpy_like,
    summed_products,
)
from contractconv.engines.portable.lowering import lowered
from contractconv.engines.portable.nodes import Einsum, Operand
from contractconv.engines.portable.run import run
from contractconv.execution.precision import common_dtype
from contractconv.notation import problem as notation
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.verification.reference import reference

REDUCTIONS: tuple[Reduction, ...] = ("sum", "max", "min", "prod", "mean", "logsumexp")
DTYPES = (
    "int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64",
    "complex128", "bool", "uint16", "uint32",
)  # fmt: skip
NAMES = ("numpy", "torch", "jax", "dask")

anything = st.one_of(problems(), windows(), problems(empty=True), empties())


# --- the libraries ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Peer:
    """An array library: how arrays get into it and out of it again."""

    enter: Callable[[Array], Any]
    leave: Callable[[Any], Array]
    ask: Callable[[notation.Problem, Sequence[Any]], Any] = reference


def _peer(name: str) -> Peer:
    if name == "numpy":
        return Peer(np.asarray, np.asarray)
    if name == "torch":
        torch = pytest.importorskip("torch")
        return Peer(torch.tensor, lambda tensor: np.asarray(tensor.numpy()))
    if name == "jax":
        jax = pytest.importorskip("jax")
        return Peer(jax.numpy.asarray, np.asarray, jax.jit(reference, static_argnums=0))
    dask = pytest.importorskip("dask.array")
    return Peer(lambda array: dask.from_array(array, chunks=2), lambda made: made.compute())


@pytest.fixture(scope="module", params=NAMES)
def peer(request: pytest.FixtureRequest) -> Peer:
    """Each of the libraries that is installed."""
    return _peer(request.param)


def problem_of(
    spec: str,
    shapes: Sequence[Sequence[int]],
    extents: Mapping[str, int],
    reduce: str = "sum",
    output_shape: Sequence[int] | None = None,
) -> notation.Problem:
    """The numeric problem of a string and shapes."""
    known = resolve(parse(spec), [tuple(shape) for shape in shapes], extents, output_shape)
    return replace(known, reduce=reduce)


def _numeric(problem: Problem, reduce: str) -> notation.Problem:
    shapes, extents = problem.shapes, problem.extents
    return problem_of(problem.spec, shapes, extents, reduce, problem.output_shape)


def _asked(peer: Peer, problem: Problem, operands: Sequence[Array], reduce: str) -> Array:
    entered = [peer.enter(operand) for operand in operands]
    made = peer.ask(_numeric(problem, reduce), entered)
    assert type(made) is type(entered[0])
    return peer.leave(made)


def _close(result: Array, expected: Array, tolerance: float) -> None:
    assert result.shape == expected.shape
    finite = np.abs(expected[np.isfinite(expected)]).max(initial=1.0)
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance * float(finite))


# --- results ---------------------------------------------------------------------------------


@given(problem=anything, reduce=st.sampled_from(REDUCTIONS), seed=seeds())
def test_results_are_those_of_brute_force(
    peer: Peer, problem: Problem, reduce: Reduction, seed: int
) -> None:
    operands = problem.operands(seed, problem.bound(reduce))
    expected = evaluate(
        problem.spec, operands, problem.extents, problem.output_shape, reduce
    )  # fmt: skip
    result = _asked(peer, problem, operands, reduce)
    assert result.dtype == expected.dtype
    _close(result, expected, 1e-10 if reduce in ("mean", "logsumexp") else 0)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=20)
@given(problem=windows(), reduce=st.sampled_from(REDUCTIONS), seed=seeds())
def test_every_dtype(
    peer: Peer, dtype: str, problem: Problem, reduce: Reduction, seed: int
) -> None:
    kind = np.dtype(dtype).kind
    if kind == "c" and reduce in ("max", "min", "logsumexp"):
        return
    operands = [(operand % 2).astype(dtype) for operand in problem.operands(seed)]
    # To the oracle truth values are small integers; they hold the identities, too.
    known = [operand.astype(np.uint8) if kind == "b" else operand for operand in operands]
    expected = evaluate(problem.spec, known, problem.extents, problem.output_shape, reduce)
    result = _asked(peer, problem, operands, reduce)
    assert result.dtype == common_dtype([np.empty(0, dtype)], reduce)
    tolerance = {"float16": 1e-3, "float32": 1e-5, "complex64": 1e-5}.get(dtype, 1e-10)
    _close(result, expected.astype(result.dtype), 0 if kind in "iub" else tolerance)
