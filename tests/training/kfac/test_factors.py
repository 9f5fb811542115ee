"""Kronecker factors against Fisher matrices from Jacobians, where they have to be exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kfac_layers import CASES, Case, drawn
from numpy.typing import NDArray

import contractconv as cc
from contractconv.training.kfac.curvature_state import Block
from contractconv.training.kfac.factors import input_factor, output_factor

TERMS = 7


@pytest.mark.parametrize("kind", ["expand", "reduce"])
@pytest.mark.parametrize("name", CASES)
def test_factors_are_exact_for_one_cotangent(name: str, kind: str) -> None:
    made, case = drawn(CASES[name]), CASES[name]
    slopes = np.random.default_rng(1).standard_normal(
        (case.size(case.groups), case.size(case.columns))
    )
    g = cc.tensor("g", made.site.z.axes)
    terms = cc.tensor("terms")
    parts = dict(
        zip(
            ("W_windows", "W_window_sum", "W_places"),
            input_factor(made.site, kind).parts,
            strict=False,
        )
    )
    run = cc.program({**parts, "W_cotangents": output_factor(made.site, [g], kind, terms)})
    given = made.inputs | {"g": _everywhere(case, slopes), "terms": np.array(float(TERMS))}
    found = run(**{name: given[name] for name in run.inputs})._asdict()
    block = Block.of("W", made.site, case.shapes[case.position])
    a, b = block.averaged(block.begin(np.dtype(float)), found, 0.0).values()
    for left, right, wanted in zip(a, b, made.fisher(slopes, kind), strict=True):
        np.testing.assert_allclose(np.kron(left, right), TERMS * wanted, rtol=1e-10, atol=1e-10)


def _everywhere(case: Case, slopes: NDArray[Any]) -> NDArray[Any]:
    """A cotangent that is the same at all examples and places, with the axes of the result."""
    kept = f"{case.groups} {case.columns}".split()
    array = slopes.reshape(case.shape(" ".join(kept)))
    order = sorted(kept, key=case.names.index)
    array = array.transpose([kept.index(name) for name in order])
    shape = [case.extents[n] if n in kept else 1 for n in case.names]
    whole = np.broadcast_to(array.reshape(shape), [case.extents[n] for n in case.names])
    return whole.reshape([case.size(" ".join(axis)) for axis in case.axes])
