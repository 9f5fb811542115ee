"""Natural gradients by strings against the inverse of the whole Kronecker product."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kfac_layers import CASES, Case, drawn
from numpy.typing import NDArray

import contractconv as cc
from contractconv.training.kfac.curvature_state import Block
from contractconv.training.kfac.directions import Direction, Inverses
from contractconv.training.kfac.sites import Site

Array = NDArray[Any]


@pytest.mark.parametrize("name", CASES)
def test_a_direction_solves_with_the_kronecker_product(name: str) -> None:
    case, site = CASES[name], drawn(CASES[name]).site
    rng = np.random.default_rng(2)
    slopes = [rng.standard_normal(shape) for shape in shapes_of(case, site)]
    block = Block.of("W", site, slopes[0].shape)
    state = block.begin(np.dtype(float))
    for factor, size in zip(("input", "output"), block.sizes, strict=True):
        roots = rng.standard_normal((case.size(case.groups), size, size + 2))
        state[f"W_{factor}_factor"] = roots @ roots.mT
    state |= block.inverted(state, 1.0, 1e-6, "eigenvectors")

    made = directions(site, slopes, state)
    wanted = solved(case, slopes, state)
    for direction, expected in zip(made, wanted, strict=True):
        np.testing.assert_allclose(direction, expected, rtol=1e-7, atol=1e-9)


def directions(site: Site, slopes: list[Array], state: dict[str, Array]) -> list[Array]:
    inverses = Inverses.of(site, "W")
    gradients = [cc.tensor(f"d{n}", p.axes) for n, p in enumerate(site.parameters)]
    made = Direction(site)(gradients, inverses)
    run = cc.program({f"r{n}": t for n, t in enumerate(made)})
    given = state | {f"d{n}": slope for n, slope in enumerate(slopes)}
    given |= {str(p.label): slope for p, slope in zip(site.parameters, slopes, strict=True)}
    found = run(**{name: given[name] for name in run.inputs})
    return list(found) if len(made) > 1 else [found]


def solved(case: Case, slopes: list[Array], state: dict[str, Array]) -> list[Array]:
    """The same by numpy: rows and columns of each group as one vector."""
    term = case.terms[case.position].split()
    order = [term.index(n) for n in f"{case.groups} {case.rows} {case.columns}".split()]
    sizes = [case.size(part) for part in (case.groups, case.rows, case.columns)]
    matrix = slopes[0].transpose(order).reshape(sizes)
    whole = matrix
    if case.bias:
        whole = np.concatenate([matrix, bias_rows(case, slopes[1])], 1)
    for g, (a, b) in enumerate(zip(state["W_input_factor"], state["W_output_factor"], strict=True)):
        pi = np.sqrt((np.trace(a) / len(a)) / (np.trace(b) / len(b)))
        damped = np.kron(a + pi * 1e-3 * np.eye(len(a)), b + 1e-3 / pi * np.eye(len(b)))
        whole = whole.copy() if g == 0 else whole
        whole[g] = np.linalg.solve(damped, whole[g].ravel()).reshape(whole[g].shape)
    ordered = whole[:, : sizes[1]].reshape([slopes[0].shape[n] for n in order])
    weight = ordered.transpose(np.argsort(order))
    return [weight, whole[:, sizes[1]].reshape(slopes[1].shape)] if case.bias else [weight]


def bias_rows(case: Case, slope: Array) -> Array:
    return slope.reshape(case.size(case.groups), 1, case.size(case.columns))


def shapes_of(case: Case, site: Site) -> list[tuple[int, ...]]:
    sizes = {
        axis: case.size(" ".join(names)) for axis, names in zip(site.z.axes, case.axes, strict=True)
    }
    bias = [] if site.bias is None else [tuple(sizes[axis] for axis in site.bias.axes)]
    return [case.shapes[case.position], *bias]


def test_the_string_is_printed() -> None:
    site = drawn(CASES["grouped"]).site
    assert str(Direction(site)).splitlines() == [
        "g (k c) (k_ c_), k_ g c_ o_, g o_ o -> k g c o",
        "g (k c), g o_, g o_ o -> k g c o",
        "g (k c), k g c o_, g o_ o -> g o",
        "g, g o_, g o_ o -> g o",
    ]
