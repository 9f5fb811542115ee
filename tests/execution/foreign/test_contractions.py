"""Contractions of several operands on other libraries' arrays: in order, and prepared once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import problems, seeds, windows

import contractconv as cc
from contractconv.execution.foreign import contractions, ready, ways
from contractconv.execution.foreign.contractions import contracted
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.planning.options import Options
from contractconv.planning.plan import order_of, steps_of

torch = pytest.importorskip("torch")

FACTORS = "b (i+k-1) (j+l-1) c, k r, l r, c r, r o -> b i j o"
SHAPES = [(2, 6, 5, 3), (3, 2), (3, 2), (3, 2), (2, 4)]


def _whole(shapes: Sequence[Sequence[int]]) -> list[Any]:
    rng = np.random.default_rng(0)
    return [torch.tensor(rng.integers(-3, 4, shape).astype(float)) for shape in shapes]


def test_operands_meet_in_the_planned_order(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, steps = resolve(parse(FACTORS), SHAPES), []
    prepared = ways.prepared

    def listened(step: Any, arithmetic: Any) -> Any:
        steps.append(step)
        return prepared(step, arithmetic)

    monkeypatch.setattr(contractions, "prepared", listened)
    cc.clear_caches()
    operands = _whole(SHAPES)
    made = contracted(problem, operands)
    assert steps == [step for _, step in steps_of(problem, order_of(problem))]
    assert len(steps) == 4
    expected = cc.contract(FACTORS, *(operand.numpy() for operand in operands))
    np.testing.assert_array_equal(made.numpy(), expected)
    contracted(problem, operands)
    assert len(steps) == 4  # the second call finds everything prepared
    path = [(0, 1), (0, 3), (0, 2), (0, 1)]
    again = contracted(problem, operands, Options(optimize=tuple(path)))
    np.testing.assert_array_equal(again.numpy(), expected)
    assert len(steps) > 4


def test_a_search_for_an_order_is_called() -> None:
    problem, called = resolve(parse("i j, j k, k ->"), [(2, 3), (3, 4), (4,)]), []

    def search(inputs: Any, output: Any, sizes: Any, limit: Any = None) -> Any:
        called.append(len(inputs))
        return [(0, 1), (0, 1)]

    operands = _whole([(2, 3), (3, 4), (4,)])
    made = contracted(problem, operands, Options(optimize=search))
    assert float(made) == float(operands[0].sum(0) @ operands[1] @ operands[2])
    assert called


@settings(max_examples=settings().max_examples // 6)
@given(problem=problems() | windows(), seed=seeds())
def test_means_of_products(problem: Any, seed: int) -> None:
    operands = problem.operands(seed)
    contraction = cc.Contraction(problem.spec, "mean")
    given = {"output_shape": problem.output_shape, "extents": problem.extents}
    expected = contraction(*operands, **given)
    made: Any = contraction(*map(torch.tensor, operands), algorithm="direct", **given)
    np.testing.assert_allclose(made.numpy(), expected, rtol=1e-12, atol=0)


# --- what is remembered ----------------------------------------------------------------------


def _jax() -> Any:
    return pytest.importorskip("jax").numpy


def test_calls_are_remembered_by_shapes_dtypes_and_extents() -> None:
    xp = _jax()
    cc.clear_caches()
    pool = cc.Contraction("(i+k) -> i")
    for array, extents in (
        (xp.arange(5), {"k": 2}), (xp.arange(5), {"k": 3}), (xp.arange(6), {"k": 3}),
        (xp.arange(6.0), {"k": 3}), (xp.arange(6.0) + 1, {"k": 3}),
    ):  # fmt: skip
        made: Any = pool(array, **extents)
        np.testing.assert_array_equal(made, pool(np.asarray(array), extents=extents))
        assert made.dtype == array.dtype
    assert len(ready._calls) == 4


def test_gradients_are_remembered_where_nothing_is_converted() -> None:
    cc.clear_caches()
    layer = cc.Contraction("b (i+k-1) c, k c o -> b i o")
    x, w, g = _whole([(2, 5, 3), (3, 3, 4), (2, 5, 4)])
    for n in range(2):
        for factor in (1, 2):
            made: Any = layer.grad(n)(factor * g, x, w)
            expected = layer.grad(n)(factor * g.numpy(), x.numpy(), w.numpy())
            np.testing.assert_array_equal(made.numpy(), expected)
    assert len(ready._calls) == 2
    for arrays in ((g.float(), x, w), (g.half(), x.half(), w.half()), (g, x.numpy(), w)):
        layer.grad(0)(*arrays)
    with pytest.raises(cc.ShapeError):
        layer.grad(0)(g[:1], x, w)
    assert len(ready._calls) == 2


def test_options_and_numpys_arrays_are_not_remembered() -> None:
    x = torch.ones(4)
    assert ready.key_of("i -> i", {}, [x]) is not None
    assert ready.key_of("i, i -> i", {}, [x, np.ones(4)]) is None
    cc.clear_caches()
    cc.Contraction("i ->").grad(0)(torch.ones(()), x, casting="unsafe")
    assert not ready._calls


# --- ways ------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["i j -> i j", "i j -> j i", "(2*i) j -> i j", "(i+1) j -> j i"])
@pytest.mark.parametrize("reduce", ["sum", "max", "mean"])
def test_results_have_memory_of_their_own(spec: str, reduce: cc.Reduction) -> None:
    given = torch.arange(12.0).reshape(4, 3)
    made = contracted(cc.Contraction(spec, reduce)._problem([(4, 3)], Options()), [given])
    expected = made.clone()
    given.zero_()
    torch.testing.assert_close(made, expected)


def test_a_way_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    def negated(problem: Any, arithmetic: Any) -> Any:
        return lambda given, like: -given[0]

    monkeypatch.setattr(ways, "WAYS", (ways.Way("negation", negated), *ways.WAYS))
    cc.clear_caches()
    made = contracted(resolve(parse("i -> i"), [(2,)]), [torch.ones(2)])
    assert made.tolist() == [-1, -1]
    cc.clear_caches()


@pytest.mark.parametrize(
    ("spec", "shapes", "way"),
    [
        ("b (i+k) c, k c o -> b i o", [(2, 5, 3), (3, 3, 4)], "kernels"),
        ("b c (i+k), o c k -> b o i", [(2, 3, 5), (4, 3, 3)], "convolution"),
        ("b (2*i+k) -> b i", [(2, 6)], "pooling"),
        ("b i, i j -> b j", [(2, 6), (6, 2)], "product"),
        ("i (i+k), k -> i", [(3, 5), (3,)], "tables"),
    ],
)
def test_what_a_step_is(spec: str, shapes: list[tuple[int, ...]], way: str) -> None:
    from contractconv.engines.portable.interpreter import Arithmetic
    from contractconv.engines.portable.libraries import record_of

    arithmetic = Arithmetic.of(record_of("torch"), "float64", "sum")
    problem = resolve(parse(spec), shapes, {"k": 3} if "k" in spec else {})
    assert ways.prepared(problem, arithmetic)[0] == way
