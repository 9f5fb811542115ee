"""The witness is right where others say so too, and what is wrong does not pass it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from programs.checks import assert_exact, assert_near
from programs.dtypes import dtype_of
from programs.evaluator import Evaluation
from programs.functions import FUNCTIONS
from programs.jet_arrays import exact, gradient, tangent, values, variables
from programs.jets import Fragile, Jet, compare, rounded, value_of
from programs.sizing import Unresolved, extents_of, read, result_shape

import contractconv as cc
from contractconv.api.symbolic import concatenated, grad, hvp, jvp
from contractconv.api.tensor import Tensor, applied, index, size, tensor
from contractconv.maps.table import MAPS, register, unregister
from contractconv.notation.parser import parse
from contractconv.programs.nodes import Contract, Node, rebuilt

DRAW = np.random.default_rng(5)


def contract(*given: Any, **named: Any) -> Any:
    """A contraction of symbolic tensors."""
    return cc.contract(*given, **named)


def value(made: Tensor, **arrays: Any) -> Any:
    """What a tensor is, as floating-point numbers."""
    return Evaluation(arrays)(made._node).astype(float)


# -- numbers and functions -------------------------------------------------------------------------

FLAT = {"stop_gradient", "conj", "real", "where", "logical_not", "logical_and", "logical_or"}
SMOOTH = sorted(set(FUNCTIONS) - FLAT - {n for n, r in MAPS.items() if r.kind == "bool"})


def test_every_map_has_a_meaning() -> None:
    assert set(FUNCTIONS) == set(MAPS)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("at", [(0.7, 1.3), (1.9, 0.6), (-0.8, 1.4)])
def test_derivatives_of_functions_are_those_of_differences(
    name: str, at: tuple[float, float]
) -> None:
    arity, function = MAPS[name].arity, FUNCTIONS[name]
    if at[0] < 0 and name in ("log", "sqrt", "rsqrt", "power"):
        return
    places = [mp.mpf(x) for x in at[:arity]]
    along = [mp.mpf("0.5"), mp.mpf("-0.25")][:arity]
    moved = [
        Jet(x, v, {n: Fraction(1)}) for n, (x, v) in enumerate(zip(places, along, strict=True))
    ]
    made = function(*moved)

    def plain(*given: Any) -> Any:
        return rounded(value_of(function(*given)))

    for n in range(arity):
        unit = tuple(int(k == n) for k in range(arity))
        assert abs(_slope(made, "slopes", n) - mp.diff(plain, tuple(places), unit)) < 1e-12
        second = mp.mpf(0)
        for k, v in enumerate(along):
            both = tuple(int(i == n) + int(i == k) for i in range(arity))
            second += v * mp.diff(plain, tuple(places), both)
        assert abs(_slope(made, "mixed", n) - second) < 1e-8


def _slope(made: Any, which: str, n: int) -> Any:
    return rounded(getattr(made, which).get(n, 0)) if isinstance(made, Jet) else 0


@pytest.mark.parametrize("name", sorted(set(MAPS) - {"conj", "real"}))
def test_functions_are_those_of_numpy(name: str) -> None:
    record = MAPS[name]
    for numbers in ((0.75, 1.5, -2.0), (1.25, 0.5, 1.0), (-0.5, 2.0, 0.25), (1.5, 1.5, 0.0)):
        given: list[Any] = [np.float64(n) for n in numbers[: record.arity]]
        given[: record.conditions] = [n > 1 for n in numbers[: record.conditions]]
        with np.errstate(all="ignore"):
            expected = record.numpy(*given)
        if np.isnan(expected):
            continue
        found = FUNCTIONS[name](*(exact(n)[()] for n in given))
        assert float(value_of(found)) == pytest.approx(float(expected), rel=1e-14)


def test_what_hangs_on_a_rounding_is_told() -> None:
    with pytest.raises(Fragile):
        compare(mp.mpf(1) + mp.mpf("1e-20"), Fraction(1))
    assert compare(Fraction(1), Fraction(1)) == 0


# -- sizes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "shapes", "extents", "shape"),
    [
        ("(2*i+k-1), k -> i", [(8,), (3,)], {"i": 4, "k": 3}, (4,)),
        ("(i+k), k -> i", [(8,), (3,)], {"i": 6, "k": 3}, (6,)),
        ("(i-k), k -> i", [(8,), (3,)], {"i": 10, "k": 3}, (10,)),
        ("i, k -> (2*i+k-1)", [(4,), (2,)], {"i": 4, "k": 2}, (6,)),
    ],
)
def test_sizes_are_those_of_the_notation(
    spec: str, shapes: list[Any], extents: dict[str, int], shape: tuple[int, ...]
) -> None:
    found = extents_of(read(spec, {}), shapes, {}, None)
    assert found == extents
    assert result_shape(read(spec, {}), found) == shape


def test_sizes_that_do_not_follow_or_disagree() -> None:
    with pytest.raises(Unresolved):
        extents_of(read("(i+k) -> i", {}), [(8,)], {}, None)
    with pytest.raises(ValueError, match="i is 3, and 4"):
        extents_of(read("i, i ->", {}), [(3,), (4,)], {}, None)


# -- programs --------------------------------------------------------------------------------------


def test_a_layer_by_hand() -> None:
    x, w = DRAW.integers(-3, 4, (2, 5)), DRAW.integers(-3, 4, 3)
    made = contract("b (i+k-1), k -> b i", tensor("x", "b t"), tensor("w", "k"))
    rows = [np.correlate(row, w, "same") for row in x]
    np.testing.assert_array_equal(value(made, x=x, w=w), rows)


def test_names_positions_and_parts_by_hand() -> None:
    x = DRAW.integers(-3, 4, (2, 3))
    s = tensor("x", "q k")
    np.testing.assert_array_equal(
        value(applied("where", index("q") >= index("k"), s, 0), x=x), np.tril(x)
    )
    np.testing.assert_array_equal(value(s.at(k=-1), x=x), x[:, -1])
    np.testing.assert_array_equal(value(s.at(k=slice(1, None)), x=x), x[:, 1:])
    np.testing.assert_array_equal(value(concatenated([s, s], "k"), x=x), np.hstack([x, x]))
    np.testing.assert_array_equal(value(s * size(s, "k"), x=x), 3 * x)
    np.testing.assert_array_equal(
        value(s.named("a b") + s.named("b a").at(a=slice(1, 3)).at(b=0), x=x),
        x + np.array([x[0, 1:]]).T,
    )


def test_derivatives_are_those_of_torch() -> None:
    torch = pytest.importorskip("torch")
    x, w, d = DRAW.normal(size=(3, 4)), DRAW.normal(size=(4, 2)), DRAW.normal(size=(4, 2))
    z = contract("b i, i o -> b o", tensor("x", "b i"), tensor("w", "i o"))
    soft = contract("b o -> b", z, reduce="logsumexp")
    loss = contract("b ->", soft * soft)
    made = Evaluation(variables({"x": x, "w": w}, ["w"], {"w": d}))(loss._node)[()]

    def same(w: Any) -> Any:
        return (torch.logsumexp(torch.tensor(x) @ w, 1) ** 2).sum()

    given = torch.tensor(w, requires_grad=True)
    (slope,) = torch.autograd.grad(same(given), given)
    _, bent = torch.autograd.functional.hvp(same, torch.tensor(w), torch.tensor(d))
    np.testing.assert_allclose(gradient(made, "w", w.shape).astype(float), slope, rtol=1e-12)
    np.testing.assert_allclose(gradient(made, "w", w.shape, True).astype(float), bent, rtol=1e-9)


@pytest.mark.parametrize(
    ("made", "dtype"),
    [
        (tensor("x", "i") * 2.5, "float32"),
        (tensor("n", "i", "int64") * 2.5, "float32"),
        (tensor("n", "i", "int64") * 2, "int64"),
        (tensor("n", "i", "int8") + tensor("m", "i", "int32"), "int32"),
        (tensor("n", "i", "int64") + tensor("x", "i"), "float32"),
        (tensor("d", "i", "float64") + tensor("x", "i"), "float64"),
        (tensor("x", "i") < 1, "bool"),
        (tensor("n", "i", "int64") / 2, "float32"),
        (tensor("x", "i") * 1j, "complex64"),
        (applied("where", tensor("x", "i") < 1, tensor("n", "i", "int64"), 0), "int64"),
        (abs(tensor("z", "i", "complex128")), "float64"),
        (index("i") + 1, "int64"),
        (tensor("x", "i").cast("int32") + 1, "int32"),
    ],
)
def test_numbers_meet_as_promised(made: Tensor, dtype: str) -> None:
    assert dtype_of(made._node, "float32") == dtype


# -- what is wrong is found ------------------------------------------------------------------------


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A square whose derivative is a little wrong."""
    register(replace(MAPS["square"], name="planted", derivatives=("2.0001 * a * g",)))
    monkeypatch.setitem(FUNCTIONS, "planted", FUNCTIONS["square"])
    yield "planted"
    unregister("planted")


def _wanted(loss: Tensor, arrays: dict[str, Any]) -> tuple[Any, Any, Any]:
    along = {"x": np.ones_like(arrays["x"])}
    made = Evaluation(variables(arrays, ["x"], along))(loss._node)
    shape = arrays["x"].shape
    slopes, mixed = (gradient(made[()], "x", shape, bent) for bent in (False, True))
    return slopes, tangent(made), mixed


def test_a_wrong_derivative_of_a_map_is_found(planted: str) -> None:
    x, v = tensor("x", "i"), tensor("v", "i")
    loss = contract("i ->", applied(planted, x) * x)
    arrays = {"x": DRAW.integers(1, 4, 3), "v": np.ones(3, int)}
    evaluation = Evaluation(arrays)
    derived = (grad(loss, x), jvp(loss, x, v), hvp(loss, x, v))
    for found, wanted in zip(derived, _wanted(loss, arrays), strict=True):
        with pytest.raises(AssertionError):
            assert_exact(evaluation(found._node), wanted, "planted")


@pytest.mark.parametrize("wrong", ["i, k -> (i+k)", "i, k -> (2*i+k)", "i, k -> (2*i-k+1)"])
def test_a_wrong_string_is_found(wrong: str) -> None:
    x, w = tensor("x", "t"), tensor("w", "k")
    loss = contract("i, i ->", contract("(2*i+k-1), k -> i", x, w), tensor("c", "i"))
    arrays = {"x": DRAW.integers(1, 4, 6), "w": DRAW.integers(1, 4, 3), "c": np.arange(1, 4)}
    spec = parse(wrong)

    def change(node: Node) -> Node:
        if isinstance(node, Contract) and "2*i+k-1" in str(node.spec).partition("->")[2]:
            return replace(node, spec=spec)
        return node

    made = grad(loss, x)
    (planted,) = rebuilt([made._node], change)
    assert planted != made._node, "nothing was planted"
    wanted, *_ = _wanted(loss, arrays)
    assert_exact(Evaluation(arrays)(made._node), wanted, "right")
    with pytest.raises(AssertionError):
        assert_exact(Evaluation(arrays)(planted), wanted, "planted")


def test_what_is_near_is_not_equal() -> None:
    wanted = exact(np.array([1.0, 100.0]))
    assert_near(np.array([1.0, 100.0 + 1e-10]), wanted, "near", 1e-9)
    with pytest.raises(AssertionError):
        assert_near(np.array([1.0, 100.001]), wanted, "far", 1e-9)
    with pytest.raises(AssertionError):
        assert_near(np.array([1.0]), wanted, "another shape", 1e-9)
    with pytest.raises(AssertionError):
        assert_exact(
            exact([Fraction(1, 3)]), exact([Fraction(1, 3) + Fraction(1, 10**30)]), "exact"
        )
    np.testing.assert_array_equal(values(wanted).astype(float), [1, 100])
