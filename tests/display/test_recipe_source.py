"""Forward derivatives, Jacobians and curvature as source: it runs alone, and says the same."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.api.derivatives import Derived

LAYERS: list[tuple[str, str, list[tuple[int, ...]], dict[str, int], int]] = [
    ("b i, i o -> b o", "sum", [(3, 4), (4, 2)], {}, 0),
    ("b i, i o -> b o", "sum", [(3, 4), (4, 2)], {}, 1),
    ("b i, i o -> b o", "mean", [(3, 4), (4, 2)], {}, 1),
    ("b (2*i+k-1) c, k c o -> b i o", "sum", [(2, 7, 2), (3, 2, 3)], {}, 0),
    ("b (2*i+k-1) c, k c o -> b i o", "sum", [(2, 7, 2), (3, 2, 3)], {}, 1),
    ("b (i+k) (2*j+l) g c, k l g c o -> b i j g o", "sum",
     [(2, 4, 5, 2, 2), (2, 2, 2, 2, 3)], {}, 1),
    ("b i c, k c o -> b (2*i+k) o", "sum", [(2, 3, 2), (3, 2, 3)], {}, 1),
    ("b h w, (w h) o -> b o", "sum", [(2, 2, 3), (6, 2)], {}, 1),
    ("i ->", "sum", [(3,)], {}, 0),
    ("i -> i r", "sum", [(3,)], {"r": 2}, 0),
]  # fmt: skip
REFUSED = {
    ("b (2*i+k-1) c, k c o -> b i o", 0, which)
    for which in ("Jacobian", "Gauss-Newton product", "Gauss-Newton product with a root")
}
PARTS = [
    "forward derivative", "Jacobian", "Gauss-Newton product", "Gauss-Newton product with a root",
    "Gauss-Newton diagonal", "Gauss-Newton diagonal with a root", "expand A", "expand B",
    "reduce A", "reduce B",
]  # fmt: skip


def part(contraction: cc.Contraction, n: int, which: str) -> Derived:
    """One of the things that are derived beside gradients."""
    root = which.endswith("with a root")
    if which == "forward derivative":
        return contraction.jvp(n)
    if which == "Jacobian":
        return contraction.jacobian(n)
    curvature = contraction.curvature(n)
    if "product" in which:
        return curvature.product(root)
    if "diagonal" in which:
        return curvature.diagonal(root)
    factors = curvature.kronecker(which.split(maxsplit=1)[0])
    return factors.input if which.endswith("A") else factors.output


@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("which", PARTS)
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: f"{layer[0]} {layer[1]} {layer[4]}")
def test_source_says_what_is_computed(layer: Any, which: str, library: str) -> None:
    spec, reduce, shapes, extents, n = layer
    contraction = cc.Contraction(spec, reduce)
    try:
        derived = part(contraction, n, which)
    except cc.ContractionError:
        return  # there are no Kronecker factors of what is no weight
    if (spec, n, which) in REFUSED:
        with pytest.raises(cc.ContractionError, match="size no other shape says"):
            derived.code(library)
        return
    source = derived.code(library)
    rng = np.random.default_rng(0)
    operands = [rng.normal(size=shape).astype("float32") for shape in shapes]
    result = contraction.output_shape(*shapes, **extents)
    roles = {"V": shapes[n], "G": result, "R": (2, *result)}
    given = [rng.normal(size=roles[role]).astype("float32") for role in derived.takes]
    made = run(source, library, derived, [*given, *operands], sizes(derived, shapes, extents))
    expected = derived(*given, *operands, **extents)
    assert made.shape == expected.shape
    np.testing.assert_allclose(made, expected, atol=1e-4, rtol=1e-4)


def sizes(derived: Derived, shapes: Any, extents: Any) -> dict[str, int]:
    """Every extent that a caller could be asked for."""
    forward = derived.forward
    result = forward.output_shape(*shapes, **extents)
    positions = {name: result[axis] for name, axis in derived._recipe.result_axes}
    return forward.extents(*shapes, **extents) | positions


def run(source: str, library: str, derived: Derived, arrays: Any, known: dict[str, int]) -> Any:
    """Execute a module and call its last function."""
    convert: Any = np.asarray
    if library == "torch":
        convert = pytest.importorskip("torch").tensor
    if library == "jax":
        convert = pytest.importorskip("jax.numpy").asarray
    names: dict[str, Any] = {}
    exec(source, names)
    function = names[derived.name.lower().replace(" ", "_").replace("-", "_")]
    asked = inspect.signature(function).parameters.values()
    keywords = {p.name: known[p.name] for p in asked if p.kind is p.KEYWORD_ONLY}
    return np.asarray(function(*map(convert, arrays), **keywords))


@pytest.mark.parametrize("reduce", ["max", "min", "prod", "logsumexp"])
def test_a_local_derivative_of_each_point_has_no_source(reduce: cc.Reduction) -> None:
    with pytest.raises(cc.ContractionError, match=r"local derivative.*grad\(n\).code"):
        cc.Contraction("i k -> i", reduce).jvp(0).code("numpy")


def test_an_unknown_library_is_refused() -> None:
    with pytest.raises(cc.ContractionError, match="fortran"):
        cc.Contraction("i k -> i").jvp(0).code("fortran")
