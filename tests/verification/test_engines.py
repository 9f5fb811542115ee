"""A certificate covers what runs: every way of every engine, and a fault in any is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.program import Prepared
from contractconv.engines.numpy import fft, matrix_product, shift_and_add, toom_cook

compiling = pytest.mark.skipif(not native.available(), reason="there is no compiler")

LAYER = "b (i+k-1) c, k c o -> b i o"
STRIDED = "b (2*i+k-1) (2*j+l) c, k l c o -> b i j o"
POOL = "b (2*i+k) c -> b i c"
WINDOWS = {"compiled kernel", "compiled tiles", "tiles by BLAS", "BLAS"}


def ways(spec: str, n: int = 0, reduce: Any = "sum", **extents: int) -> set[str]:
    """Every single way that a certificate has covered, in both precisions."""
    certificate = cc.Contraction(spec, reduce=reduce).grad(n).verify(extents=extents)
    found = {one.way for one in certificate.ran}
    assert {way.rsplit(", ", 1)[1] for way in found} == {"float32", "float64"}
    assert all(one.numbers > 0 for one in certificate.ran)
    names = (way.rsplit(", ", 1)[0] for way in found)
    return {part for name in names for part in name.split(" by ", 1)[-1].split(" and ")}


@compiling
@pytest.mark.parametrize("spec", [LAYER, STRIDED, "i, k -> (2*i+k)", "(i-k), k -> i"])
@pytest.mark.parametrize("n", [0, 1])
def test_windows_are_run_by_every_algorithm_of_both_engines(spec: str, n: int) -> None:
    assert ways(spec, n) >= {"compiled kernel", "compiled tiles", "tiles by BLAS"}


@compiling
@pytest.mark.parametrize("reduce", ["max", "min", "mean", "sum"])
def test_pooling_is_run_by_kernels_and_by_numpy(reduce: Any) -> None:
    found = ways(POOL, reduce=reduce)
    assert found >= {"compiled pooling", "compiled pooling gradient", "numpy"}


@compiling
def test_what_has_no_window_is_run_by_numpy() -> None:
    assert ways("i j, j k -> i k") == {"BLAS"}
    assert ways("b h w c, h w c o -> b o", 1) == {"BLAS"}
    assert ways("i, j -> i j") == {"ufunc", "BLAS"}


def test_extents_that_are_given_are_kept() -> None:
    certificate = cc.Contraction(LAYER).grad(1).verify(b=2, i=3, k=2, c=2, o=2)
    assert all(one.numbers in (2 * 3 * 2, 2 * 2 * 2) for one in certificate.ran)


def test_engines_may_be_left_out() -> None:
    certificate = cc.Contraction(LAYER).grad(0).verify(engines=False)
    assert certificate.ran == ()
    assert certificate.checks == cc.Contraction(LAYER).grad(0).verify().checks


@pytest.mark.parametrize("spec", ["i j, j k -> i k", POOL, "i -> i", "i, j -> i j", "(0), i -> i"])
@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "prod", "logsumexp"])
def test_a_certificate_says_what_was_run(spec: str, reduce: Any) -> None:
    certificate = cc.Contraction(spec, reduce=reduce).grad(0).verify()
    text = str(certificate)
    assert certificate.ran
    assert all(f"run by {one.way}" in text for one in certificate.ran)


# --- planted faults ---------------------------------------------------------------------------


@compiling
@pytest.mark.parametrize(
    ("spec", "reduce"),
    [(LAYER, "sum"), (STRIDED, "sum"), (POOL, "max"), (POOL, "mean"),
     ("b (i+k-1) c, k c -> b i c", "sum"), ("i, k -> (2*i+k)", "sum")],
)  # fmt: skip
def test_kernels_that_double_their_results_are_caught(
    spec: str, reduce: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Prepared.run

    def doubled(self: Prepared, regions: Any, out: Any) -> None:
        honest(self, regions, out)
        out *= 2

    gradient = cc.Contraction(spec, reduce=reduce).grad(0)
    gradient.verify()
    cc.clear_caches()
    monkeypatch.setattr(Prepared, "run", doubled)
    if reduce != "mean":
        gradient.verify(engines=False)  # proofs in integers do not reach them
    with pytest.raises(cc.CertificateError, match="scatter" if reduce == "mean" else "compiled"):
        gradient.verify()


def off_by_one(result: Any) -> None:
    result.flat[0] += 1


@pytest.mark.parametrize(
    ("module", "name", "spec", "said"),
    [
        (toom_cook, "product", LAYER, "tiles by BLAS"),
        (fft, "product", LAYER, "fft by numpy"),
        (shift_and_add, "add_shifted", "b (2*i+k-1) c, k c o -> b i o", "shift and add"),
        (matrix_product._Product, "run", LAYER, "BLAS"),
    ],
)
def test_a_way_of_numpy_that_is_off_by_one_is_caught(
    module: Any, name: str, spec: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = getattr(module, name)

    def wrong(*given: Any, **named: Any) -> Any:
        made = honest(*given, **named)
        views = [one for one in given if hasattr(one, "labels")]
        target = given[0].out if name == "run" else views[-1]
        if np.issubdtype(target.array.dtype, np.floating):
            off_by_one(target.array)
        return made

    monkeypatch.setattr(module, name, wrong)
    with pytest.raises(cc.CertificateError, match=said):
        cc.Contraction(spec).grad(0).verify()
