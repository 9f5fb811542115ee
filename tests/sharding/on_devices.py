"""What holds on eight devices, all of which this processor pretends to be.

``test_sharded.py`` runs this file in a process of its own, before jax has counted devices.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from jax.sharding import Mesh
from strategies import Problem, problems, seeds, windows

import contractconv as cc
from contractconv import Reduction

jax.config.update("jax_enable_x64", True)
DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
REDUCTIONS: tuple[Reduction, ...] = ("sum", "sum", "max", "prod", "mean", "logsumexp", "min")


def mesh(**sizes: int) -> Mesh:
    """A mesh of some of the devices."""
    count = int(np.prod([*sizes.values()]))
    return Mesh(np.array(jax.devices()[:count]).reshape(*sizes.values()), tuple(sizes))


MESHES = [mesh(m=3, n=2), mesh(m=2, n=2, q=2), mesh(m=4), mesh(m=5), mesh(m=8)]


def counted(function: Callable[..., Any], *arrays: Any) -> dict[str, int]:
    """How many collectives of each kind what jax compiles has."""
    text = jax.jit(function).lower(*arrays).compile().as_text()
    kinds = ("all-gather", "all-reduce", "collective-permute", "reduce-scatter", "all-to-all")
    found = {kind: len(re.findall(rf" {kind}(?:-start)?\(", text)) for kind in kinds}
    return {kind: count for kind, count in found.items() if count}


def same(result: Any, expected: Any) -> None:
    """Integers are equal, others nearly."""
    result = np.asarray(result)
    assert result.shape == expected.shape
    assert result.dtype == expected.dtype
    if result.dtype.kind in "iu":
        np.testing.assert_array_equal(result, expected)
    else:
        np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9)


# --- equal to the whole ----------------------------------------------------------------------


@st.composite
def cases(draw: Any) -> tuple[Problem, Mesh, dict[str, str]]:
    """A contraction, a mesh, and which indices lie along its axes."""
    problem = draw(st.one_of(windows(), problems()))
    chosen = draw(st.sampled_from(MESHES))
    names = draw(st.permutations(sorted(problem.extents)))
    return problem, chosen, dict(zip(names, draw(st.permutations(chosen.axis_names)), strict=False))


# A smaller case is found by hand sooner than jax compiles a hundred of them.
@settings(max_examples=300 if DEEP else 20, phases=[Phase.generate])
@given(case=cases(), reduce=st.sampled_from(REDUCTIONS), seed=seeds())
def test_any_contraction_and_its_gradients(
    case: tuple[Problem, Mesh, dict[str, str]], reduce: Reduction, seed: int
) -> None:
    problem, devices, names = case
    contraction = cc.Contraction(problem.spec, reduce=reduce)
    dtype = "float64" if reduce in ("mean", "logsumexp") else "int64"
    operands = problem.operands(seed, problem.bound(reduce), dtype)
    cotangent = problem.cotangent(seed, dtype=dtype)
    told = {**problem.extents, "output_shape": problem.output_shape}
    gradients = [contraction.grad(n) for n in range(len(operands))]

    @jax.jit
    def all_of_it(cotangent: Any, *operands: Any) -> list[Any]:
        forward = cc.shard(contraction, devices, **names)(*operands, **told)
        back = [cc.shard(d, devices, **names)(cotangent, *operands, **told) for d in gradients]
        return [forward, *back]

    made = all_of_it(cotangent, *operands)
    with np.errstate(all="ignore"):
        same(made[0], contraction(*operands, **told))
        for gradient, found in zip(gradients, made[1:], strict=True):
            same(found, gradient(cotangent, *operands, **told))
