"""Certificates of forward derivatives, Jacobians, curvature: they hold, and faults are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Problem, problems, windows

import contractconv as cc
from contractconv.api.derivatives import Derived
from contractconv.calculus.derived_strings import Recipe, Subject
from contractconv.errors import CertificateError, ContractionError
from contractconv.notation.parser import parse
from contractconv.notation.spec import REDUCTIONS, Spec
from contractconv.verification.derived_forms import certify_derived

KINDS = ("expand", "reduce")
STATEMENTS = ["formula = brute force", "string = brute force"]


def parts(contraction: cc.Contraction, n: int) -> Iterator[Derived]:
    """Everything derived beside the gradient that there is."""
    makers: list[Callable[[], Derived]] = [
        lambda: contraction.jvp(n),
        lambda: contraction.jacobian(n),
        *(lambda root=root: contraction.curvature(n).product(root) for root in (False, True)),
        *(lambda root=root: contraction.curvature(n).diagonal(root) for root in (False, True)),
        *(lambda kind=kind: contraction.curvature(n).kronecker(kind).input for kind in KINDS),
        *(lambda kind=kind: contraction.curvature(n).kronecker(kind).output for kind in KINDS),
    ]
    for maker in makers:
        try:
            yield maker()
        except ContractionError:
            continue


@pytest.mark.parametrize(
    ("spec", "reduce", "parameters", "least"),
    [
        ("(2*i+k-1) c, k c o -> i o", "sum", "", 16),
        ("b i, k -> b (2*i+k)", "sum", "", 12),
        ("b h w, (w h) o -> b o", "sum", "", 16),
        ("(s*i+d*k-p), k -> i", "sum", "s d p", 12),
        ("i j, j k, k l -> i l", "sum", "", 24),
        ("i g c, g c o -> i g o", "sum", "", 16),
        ("... i, i o -> ... o", "sum", "", 2),
        ("i i -> i", "sum", "", 4),
        ("i -> i r", "sum", "", 8),
        ("->", "sum", "", 4),
        *[("b (2*i+k-1) -> b i", reduce, "", 4) for reduce in REDUCTIONS],
        *[("i k, k -> i", reduce, "", 8) for reduce in REDUCTIONS],
        *[("i, k -> (i+k)", reduce, "", 4) for reduce in REDUCTIONS],
    ],
)
def test_what_is_derived_is_certified(
    spec: str, reduce: cc.Reduction, parameters: str, least: int
) -> None:
    contraction = cc.Contraction(spec, reduce, parameters)
    operands = range(spec.partition("->")[0].count(",") + 1)
    found = [derived for n in operands for derived in parts(contraction, n)]
    assert len(found) >= least
    for derived in found:
        certificate = derived.verify()
        assert [check.statement for check in certificate.checks] == STATEMENTS
        assert all(check.numbers > 0 for check in certificate.checks)
        assert str(certificate).startswith(f"verified: the {derived.name} of '{contraction}'")
        scaled = bool(derived._recipe.scale)
        exact = reduce in ("sum", "max", "min", "prod") and not scaled
        assert all(check.exact == exact for check in certificate.checks)


few = settings(max_examples=max(3, settings().max_examples // 10))


@few
@given(problem=st.one_of(problems(), windows()), which=st.integers(0, 2), data=st.data())
def test_random_contractions_are_certified(
    problem: Problem, which: int, data: st.DataObject
) -> None:
    found = list(parts(cc.Contraction(problem.spec), which % len(problem.shapes)))
    data.draw(st.sampled_from(found)).verify()


def test_numbers_of_ones_own_are_used() -> None:
    found = cc.Contraction("(s*i+k), k -> i", parameters="s").jvp(0).verify(s=2, i=4, k=1)
    assert all(dict(case) == {"s": 2, "i": 4, "k": 1} for case in found.cases)


def test_every_step_is_an_equation_with_a_sentence() -> None:
    contraction = cc.Contraction("b (2*i+k-1) c, k c o -> b i o")
    for derived in parts(contraction, 1):
        steps = derived.steps
        assert steps[0].formula == contraction.formula
        assert steps[-1].formula == derived.formula
        assert str(steps[-1].string) == str(derived)
        assert all(step.sentence.endswith(".") and step.sympy is not None for step in steps)


# --- planted faults ----------------------------------------------------------------------------

CONV = "b (2*i+k-1) c, k c o -> b i o"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: replace(r, spec=parse(str(r.spec).replace("-1", "-2"))), "formula"),
        (lambda r: replace(r, scale=("b",)), "formula"),
        (lambda r: replace(r, roles=(r.roles[1], r.roles[0], *r.roles[2:])), r"."),
    ],
)
def test_a_wrong_recipe_is_found(change: Callable[[Recipe], Recipe], message: str) -> None:
    from contractconv.calculus.derived_strings import jvp

    def wrong(forward: Spec, n: int) -> Recipe:
        return change(jvp(forward, n))

    subject = Subject(parse(CONV), 0, "forward derivative", ("V",), wrong)
    with pytest.raises((CertificateError, ContractionError), match=message):
        certify_derived(subject)


def test_a_wrong_scale_of_a_factor_is_found() -> None:
    from contractconv.api.curvature import _Part

    part = _Part("input_factor", (("kind", "reduce"),), None)

    def wrong(forward: Spec, n: int) -> Recipe:
        recipe = part(forward, n)
        return replace(recipe, scale=("b", *recipe.scale))

    subject = Subject(parse(CONV), 1, "input factor", (), wrong, kind="reduce")
    with pytest.raises(CertificateError, match=r"the input factor of .* does not hold: formula"):
        certify_derived(subject)
    assert certify_derived(replace(subject, derive=part)).checks


def test_what_runs_is_what_is_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    from contractconv.execution.gradient import run_recipe

    run: Any = run_recipe
    path = "contractconv.verification.derived_forms.run_recipe"
    monkeypatch.setattr(path, lambda *a: np.asarray(run(*a)) + 1)
    with pytest.raises(CertificateError, match="string = brute force"):
        cc.Contraction(CONV).jacobian(1).verify()
