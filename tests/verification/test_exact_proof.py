"""Formulas and strings are proved without arrays, and planted faults are found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contractconv.calculus.backward import derive
from contractconv.errors import CertificateError
from contractconv.notation.parser import parse
from contractconv.notation.spec import REDUCTIONS
from contractconv.verification.exact_proof import prove

SPECS = (
    "b (2*i+k-1) c, k c o -> b i o",
    "b i c, k c o -> b (2*i+k-1) o",
    "b (h w), h w o -> b o",
    "... i, i i o -> ... o",
    "(i+k) (i-k) -> i i",
)


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("spec", SPECS)
def test_gradients_hold(spec: str, reduce: str) -> None:
    read = parse(spec, reduce, ())
    for n in range(len(read.inputs)):
        proof = prove(derive(read, n))
        assert {check.statement for check in proof.checks} == {
            "formula = brute force",
            "formula with deltas = brute force",
            "scatter string = brute force",
            "gather string = brute force",
        }
        assert all(check.numbers > 0 for check in proof.checks)


def test_symbols_are_tried_with_several_numbers() -> None:
    proof = prove(derive(parse("(s*i+d*k-p), k -> i", "sum", "s d p"), 0))
    assert proof.cases > 5
    assert "exact" in str(proof)


@pytest.mark.parametrize("form", ["scatter", "gather"])
def test_a_wrong_string_is_found(form: str) -> None:
    right, other = (derive(parse(f"(2*i+k-{p}), k -> i", "sum", ()), 0) for p in (1, 0))
    with pytest.raises(CertificateError, match=f"{form} string = brute force"):
        prove(replace(right, **{form: getattr(other, form)}))


def test_a_wrong_formula_is_found() -> None:
    right, other = (derive(parse(f"(2*i+k-{p}), k -> i", "sum", ()), 0) for p in (1, 0))
    with pytest.raises(CertificateError, match="formula = brute force"):
        prove(replace(right, eliminations=other.eliminations))
