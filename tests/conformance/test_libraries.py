"""All cases on the arrays of other libraries: values and every gradient are those of numpy's path.

JAX compiles each case, and dask makes tasks of it, so they see a few of them; with
HYPOTHESIS_PROFILE=deep all see all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import pytest
from conformance.cases import (
    ALIKE,
    CONVS,
    LAYERS,
    POOLS,
    TOLERANCE,
    TRANSPOSED,
    UNEVEN,
    Array,
    Case,
    called,
    numbers,
)
from conformance.libraries import NAMES, Peer, asked, peer
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Problem, empties, problems, seeds, windows

from contractconv import Reduction

DEEP = settings.default.max_examples > 300  # type: ignore[union-attr]
CASES = [
    *(windowed.case() for table in (CONVS, TRANSPOSED, UNEVEN, ALIKE) for windowed in table),
    *(pool.case() for pool in POOLS),
    *LAYERS.values(),
]
# How many cases there are for one that is tried; and how many problems are drawn.
SHARE = {"torch": 1 if DEEP else 3, "jax": 1 if DEEP else 80, "dask": 1 if DEEP else 20}
EXAMPLES = {name: 2000 if DEEP else few for name, few in (("torch", 30), ("jax", 2), ("dask", 10))}
# What numbers of half precision are off by, of themselves, however exactly they were computed.
ROUNDING = {"float16": 2.0**-11, "bfloat16": 2.0**-8}

pytestmark = pytest.mark.usefixtures("double_precision")


def chosen(share: int = 1) -> list[Any]:
    """A library with a case each."""
    return [
        pytest.param(name, case, id=f"{name}: {case}")
        for name in NAMES
        for case in CASES[:: share * SHARE[name]]
    ]


def expected(case: Case, operands: Sequence[Array]) -> tuple[Array, list[Array]]:
    """A cotangent, and what numpy's path makes: the result, and every gradient."""
    result, pullback = called(case, operands)
    cotangent = numbers(np.random.default_rng(result.size), result.shape, operands[0].dtype.name)
    return cotangent, [result, *pullback(cotangent)]


def assert_alike(found: Sequence[Array], wanted: Sequence[Array], tolerance: float) -> None:
    """As many arrays, of the same dtypes, integers exactly."""
    for made, exact in zip(found, wanted, strict=True):
        assert made.shape == exact.shape
        assert made.dtype == exact.dtype
        scale = np.abs(exact[np.isfinite(exact)]).max(initial=1)
        bound = 0 if exact.dtype.kind in "iub" else tolerance * float(scale)
        np.testing.assert_allclose(made, exact, rtol=0, atol=bound)


@pytest.mark.parametrize(("name", "case"), chosen())
def test_cases(name: str, case: Case) -> None:
    library = peer(name)
    for dtype in case.dtypes:
        if dtype != "float32":
            operands = case.arrays(dtype)
            cotangent, wanted = expected(case, operands)
            found = asked(library, case, operands, cotangent)
            assert_alike(found, wanted, TOLERANCE.get(dtype, 0))


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize(("name", "case"), chosen(7))
def test_cases_in_half_precision(name: str, case: Case, dtype: str) -> None:
    """Sums are made in single precision, and rounded once."""
    if name == "dask" and dtype == "bfloat16":
        pytest.skip("numpy's own numbers are what dask has")
    operands = [_rounded(array, dtype) for array in case.arrays("float32")]
    cotangent, wanted = expected(case, [operand.astype(np.float64) for operand in operands])
    cotangent = _rounded(cotangent, dtype)
    _, pullback = called(case, [operand.astype(np.float64) for operand in operands])
    wanted = [wanted[0], *pullback(cotangent.astype(np.float64))]
    library = peer(name)
    for made, exact in zip(asked(library, case, operands, cotangent, dtype), wanted, strict=True):
        scale = np.abs(exact[np.isfinite(exact)]).max(initial=1)
        np.testing.assert_allclose(
            made.astype(np.float64), exact, rtol=ROUNDING[dtype], atol=1e-5 * float(scale)
        )


def _rounded(array: Array, dtype: str) -> Array:
    """Single precision numbers with no more digits than half precision has."""
    digits = {"float16": 11, "bfloat16": 8}[dtype]
    mantissa, exponent = np.frexp(array.astype(np.float64))
    made = np.ldexp(np.round(mantissa * 2**digits), exponent - digits)
    return np.asarray(made, np.float32)


# --- random problems -------------------------------------------------------------------------

anything = st.one_of(problems(), windows(), problems(empty=True), empties())


def agrees(library: Peer, problem: Problem, reduce: Reduction, seed: int) -> None:
    """A problem and all its gradients on the arrays of a library."""
    rounds = reduce in ("mean", "logsumexp")
    bound, dtype = problem.bound(reduce), "float64" if rounds else "int64"
    case = Case(
        problem.spec, problem.shapes, problem.extents, reduce, output_shape=problem.output_shape
    )
    operands = problem.operands(seed, bound, dtype)
    cotangent = problem.cotangent(seed, 2, dtype)
    result, pullback = called(case, operands)
    found = asked(library, case, operands, cotangent)
    assert_alike(found, [result, *pullback(cotangent)], 1e-10)


def _drawn(name: str) -> Any:
    @settings(max_examples=EXAMPLES[name])
    @given(problem=anything, reduce=st.sampled_from(get_args(Reduction)), seed=seeds())
    def draw(problem: Problem, reduce: Reduction, seed: int) -> None:
        agrees(peer(name), problem, reduce, seed)

    return draw


@pytest.mark.parametrize("name", NAMES)
def test_random_problems(name: str) -> None:
    _drawn(name)()
