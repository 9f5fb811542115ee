"""Conditions in formulas of programs: whatever other lines know to hold is not said again."""

from __future__ import annotations

from typing import Any

import pytest

import contractconv as cc

FORWARD = [
    # a window, where it determines what it is, and where another array does
    ("(i+k), k -> i", {"dW": False}),
    ("(i+k), k, i -> i", {"dW": True, "dV": True}),
    ("b (2*i+k) (j+3*l) c, k l c o -> b i j o", {"dW": False}),
    ("b (2*i+k) (j+3*l) c, k l c o, j -> b i j o", {"dW": True, "dV": True}),
    ("(i+k) -> i", {"dX": True}),
    ("(i-k), k -> i", {"dW": True}),
    ("i, k -> (2*i+k)", {"dX": False, "dW": False}),
]
EXTENTS = {"(i+k) -> i": {"k": 3}}


@pytest.mark.parametrize(("spec", "says"), FORWARD, ids=[spec for spec, _ in FORWARD])
def test_a_gradient_says_what_the_contraction_does_not_see_to(
    spec: str, says: dict[str, bool]
) -> None:
    lines = gradients(spec)
    assert {name: "≤" in lines[name] for name in says} == says


def gradients(spec: str) -> dict[str, str]:
    """The formulas of gradients through a function of the result, with their conditions."""
    inputs, _, _ = spec.partition("->")
    terms = [[f"a{n}" for n in range(len(term.split()))] for term in inputs.split(",")]
    arrays = [cc.tensor(name, " ".join(axes)) for name, axes in zip("XWV", terms, strict=False)]
    result = cc.contract(spec, *arrays, **EXTENTS.get(spec, {}))
    loss = cc.contract(f"{' '.join(result.axes)} ->", cc.exp(result))
    made = cc.grad(loss, arrays)
    named: dict[str, Any] = {f"d{name}": d for name, d in zip("XWV", made, strict=False)}
    explained = cc.program(**named).explain()
    return {line.name: explained.formulas("text").equation(line) for line in explained.lines.all()}
