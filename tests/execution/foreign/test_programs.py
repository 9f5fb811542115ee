"""Programs on the arrays of other libraries are what numpy's path makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from conformance.libraries import NAMES, Peer, peer
from hypothesis import HealthCheck, Phase, assume, settings
from hypothesis import given as drawn
from programs.checks import derived, directions, given
from programs.programs_strategy import Trial, programs

import contractconv as cc
from contractconv.api.compiling import compile as compiled
from contractconv.engines.portable.libraries import library_of
from contractconv.errors import OperandError, ShapeError
from contractconv.execution.foreign import programs as evaluators
from contractconv.execution.foreign.programs import evaluated
from contractconv.execution.programs.compiled import CompiledProgram
from contractconv.maps.table import MAPS
from contractconv.planning.programs.costs import cost_of
from contractconv.planning.programs.shared_products import sized_and_shared
from contractconv.programs.build import apply
from contractconv.programs.dtypes import Typed, typed
from contractconv.programs.nodes import Input
from contractconv.programs.program import Graph
from contractconv.programs.rewrites.driver import rewritten
from contractconv.programs.rewrites.table import passes

Arrays = dict[str, Any]
DEEP = settings.default.max_examples > 300  # type: ignore[union-attr]
EXAMPLES = {name: 1000 if DEEP else few for name, few in (("torch", 12), ("jax", 2), ("dask", 5))}

pytestmark = pytest.mark.usefixtures("double_precision")


@pytest.fixture(params=NAMES)
def library(request: pytest.FixtureRequest) -> Peer:
    """Each of the libraries that is installed."""
    return peer(request.param)


def prepared(graph: Graph, arrays: Mapping[str, Any], dtype: str = "float64") -> Typed:
    """A program for such arrays."""
    shapes = {name: tuple(np.shape(array)) for name, array in arrays.items()}
    return rewritten(typed(sized_and_shared(graph, shapes), dtype), passes(cost_of))


def on(library: Peer, graph: Graph, arrays: Mapping[str, Any], dtype: str = "float64") -> list[Any]:
    """What a program makes of arrays of a library, by that library's own operations."""
    entered = {name: library.enter(np.asarray(array)) for name, array in arrays.items()}
    made = evaluated(prepared(graph, arrays, dtype), entered)
    assert all(isinstance(one, library.kind) for one in made)
    return [library.leave(one) for one in made]


# --- any program ---------------------------------------------------------------------------------


def compare(library: Peer, trial: Trial) -> None:
    """A program, its gradients, and second derivatives, against numpy's path."""
    arrays = given(trial, directions(trial))
    values = {n: v.tensor for n, v in trial.program.named.items() if n[0] == "v"}
    try:
        outputs = derived(trial) | values
    except cc.ContractionError:
        assume(False)
    program = compiled(outputs, dtype="float64")
    needed = {node.name: arrays[node.name] for node in program.graph.inputs}
    assume(needed)
    with np.errstate(all="ignore"):
        wanted = program(**needed)
    for name, made, exact in zip(outputs, on(library, program.graph, needed), wanted, strict=True):
        assert made.dtype == exact.dtype, name
        assert made.shape == exact.shape, name
        scale = 1 + np.abs(exact[np.isfinite(exact)]).max(initial=0)
        np.testing.assert_allclose(made, exact, rtol=0, atol=1e-9 * scale, err_msg=name)


@pytest.mark.parametrize("name", NAMES)
def test_random_programs(name: str) -> None:
    library = peer(name)

    @settings(
        max_examples=EXAMPLES[name], phases=(Phase.explicit, Phase.reuse, Phase.generate),
        report_multiple_bugs=False, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @drawn(trial=programs(most=6 if name == "torch" or DEEP else 3))
    def draw(trial: Trial) -> None:
        compare(library, trial)

    draw()


# --- maps ----------------------------------------------------------------------------------------

BOUNDS = {"float64": 1e-12, "float32": 3e-6, "float16": 4e-3, "complex64": 1e-5}
DTYPES = ("float64", "float32", "float16", "int64", "int8", "uint8", "uint16", "bool", "complex64")


def arguments(function: str, dtype: str) -> list[Any]:
    """What a map is defined at, zeros and both signs among it."""
    kind = np.dtype(dtype).kind
    values = 2 * np.random.default_rng(0).normal(size=(MAPS[function].arity, 4, 5))
    values[:, 0, :3] = [0, 1, -1]
    values = np.round(values) if kind in "iub" else values
    values = np.abs(values) if kind in "ub" else values
    if function == "power":
        values[0] = values[0] + 0.5 if kind == "c" else values[0]
        values[1] = np.abs(values[1])
    if function in ("mod", "divide") and kind in "iub":
        values[1] = np.maximum(np.abs(values[1]), 1)
    return list(values.astype(dtype))


@pytest.mark.parametrize("function", MAPS)
def test_every_map_in_every_dtype(library: Peer, function: str) -> None:
    record = MAPS[function]
    tried = DTYPES if library.name == "torch" else ("float64", "int64")
    for dtype in tried:
        if (dtype == "complex64" and record.ordered) or (dtype, function) == ("bool", "sign"):
            continue  # numpy has none
        inputs = [Input(("a", "b"), name=f"x{n}", dtype=dtype) for n in range(record.arity)]
        graph = Graph.of({"y": apply(function, *inputs)}, inputs)
        arrays = {node.name: a for node, a in zip(inputs, arguments(function, dtype), strict=True)}
        with np.errstate(all="ignore"):
            wanted = CompiledProgram(graph)(**arrays)
            (made,) = on(library, graph, arrays)
        assert made.dtype == wanted.dtype, dtype
        bound = BOUNDS.get(wanted.dtype.name, 0)
        wide = np.complex128 if wanted.dtype.kind == "c" else np.float64
        np.testing.assert_allclose(
            made.astype(wide), wanted.astype(wide), rtol=bound, atol=bound, err_msg=dtype
        )


def test_maps_that_users_have_made(library: Peer) -> None:
    """What only has a formula is carried out in maps of the table."""
    x = cc.tensor("x", "i")
    y = cc.leaky_relu(x, 0.25) + cc.where(x > 0, x, cc.index("i") * 0.5)
    graph = Graph.of({"y": y._node})
    array = np.array([-2.0, 3, -4])
    np.testing.assert_allclose(on(library, graph, {"x": array})[0], [-0.5, 6, 0])


def test_numbers_take_the_dtype_of_what_they_meet(library: Peer) -> None:
    x, n = cc.tensor("x", "i"), cc.tensor("n", "i", "int64")
    program = cc.program(a=cc.max(x * 0.1, 0), b=n + 1, c=n * 0.5, d=n > 1.5, e=cc.exp(n))
    entered = [library.enter(a) for a in (np.ones(2, "float32"), np.array([1, 2]))]
    kinds = [str(made.dtype) for made in program(*entered)]
    for kind, wanted in zip(kinds, ("float32", "int64", "float32", "bool", "float32"), strict=True):
        assert wanted in kind


# --- rows ----------------------------------------------------------------------------------------


def rows_program() -> cc.Program:
    """A table read at labels, and its gradient: shared axes and free ones."""
    table = cc.tensor("table", "b v d")
    labels, words = cc.tensor("labels", "b t", "int64"), cc.tensor("words", "t", "int64")
    code = labels == cc.index("v")
    read = cc.contract("b t v, b v d -> b t d", code, table)
    free = cc.contract("t v, b v d -> t b d", words == cc.index("v"), table)
    loss = cc.contract("b t d, b t d ->", read, read) + cc.contract("t b d, t b d ->", free, free)
    return cc.program(read=read, free=free, loss=loss)


def test_rows_that_labels_choose(library: Peer) -> None:
    """Labels that are no rows give zeros, and nothing comes back to them."""
    program = rows_program()
    whole = cc.program(
        {**program.outputs, "back": cc.grad(program.loss, [program.tensor("table")])[0]}
    )
    rng = np.random.default_rng(0)
    labels, words = np.array([[0, 4, 2], [2, -1, 9]]), np.array([1, 1, 7])
    for shape in ((2, 5, 3), (2, 5, 0), (2, 0, 3)):
        given = dict(zip(("table", "labels", "words"), (rng.normal(size=shape), labels, words),
                         strict=True))  # fmt: skip
        wanted = whole(**given)
        graph = Graph.of(dict(whole._graph.outputs), whole._graph.inputs)
        for made, exact in zip(on(library, graph, given), wanted, strict=True):
            assert made.shape == exact.shape
            np.testing.assert_allclose(made, exact, rtol=1e-12, atol=1e-12)
    kinds = {type(node).__name__ for node in prepared(graph, given | {"table": np.ones((2, 5, 3))})
             .graph.nodes}  # fmt: skip
    assert {"TakenRows", "AddedRows"} <= kinds


# --- ties ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduce", ["max", "min"])
def test_of_equal_contributions_the_first_is_chosen(library: Peer, reduce: Any) -> None:
    x = np.array([[2.0, 2, 1, 2, np.nan, 1, np.nan]]) * np.ones((2, 1))
    x[1, 4:] = 2
    for spec, extents in (("b (i+k) -> b i", {"k": 3}), ("b k -> b", {}), ("b i -> b (i/3)", {})):
        pool = cc.Contraction(spec, reduce)
        made = pool(x, extents=extents)
        cotangent = np.arange(1.0, made.size + 1).reshape(made.shape)
        wanted = pool.grad(0)(cotangent, x, extents=extents)
        found = pool.grad(0)(library.enter(cotangent), library.enter(x), extents=extents)
        np.testing.assert_array_equal(library.leave(found), wanted)


# --- calls ---------------------------------------------------------------------------------------


def layer() -> cc.Program:
    """A dense layer with a loss, and its gradients."""
    x, w = cc.tensor("x", "b i"), cc.tensor("w", "i o")
    y = cc.relu(cc.contract("b i, i o -> b o", x, w))
    return cc.program(loss=cc.contract("b o, b o ->", y, y), name="layer").grad()


X, W = np.random.default_rng(0).normal(size=(2, 3, 3))


def test_programs_are_called_with_arrays_of_any_library(library: Peer) -> None:
    program, wanted = layer(), layer()(X, W)
    for made in (
        program(library.enter(X), library.enter(W)),
        program.compile(x=(3, 3), w=(3, 3), dtype="float64")(w=library.enter(W), x=X),
    ):
        assert made._fields == ("loss", "d_x", "d_w")
        for one, exact in zip(made, wanted, strict=True):
            assert isinstance(one, library.kind)
            np.testing.assert_allclose(library.leave(one), exact, rtol=1e-12)
    run = program.compile(x=(3, 3))
    with pytest.raises(ShapeError, match="compiled for"):
        run(library.enter(X[:2]), library.enter(W))
    with pytest.raises(OperandError, match="is called without w"):
        run(library.enter(X))
    with pytest.raises(OperandError, match=r"x is a \w+ array .*; pass numpy\.asarray"):
        run.profile(library.enter(X), W)
    with pytest.raises(OperandError, match="memory limit holds for numpy arrays"):
        program.compile(memory_limit=1e9)(library.enter(X), W)
    with pytest.raises(OperandError, match="x is complex128, compiled for float64"):
        program.compile(dtype="float64")(library.enter(X * 1j), W)


def test_two_libraries_are_refused() -> None:
    one, other = peer("torch").enter(X), peer("jax").enter(W)
    for pair, told in (
        ((one, other), "x is a torch array and w is one of jax"),
        ((other, one), "x is a jax array and w is one of torch"),
    ):
        with pytest.raises(OperandError, match=told):
            layer()(*pair)


def test_halves_are_summed_in_single_precision() -> None:
    torch = pytest.importorskip("torch")
    program = cc.program(y=cc.contract("i ->", cc.tensor("x", "i")))
    for dtype in (torch.float16, torch.bfloat16):
        made = program(torch.ones(5000, dtype=dtype))
        assert made.dtype == dtype
        assert made == torch.tensor(5000.0).to(dtype)


def test_what_is_prepared_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call of a program only calls the library."""
    jnp: Any = pytest.importorskip("jax.numpy")
    program = layer()
    first = program(jnp.asarray(X), jnp.asarray(W))
    monkeypatch.setattr(evaluators, "Evaluator", None)
    again = program(jnp.asarray(X), jnp.asarray(W))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    cc.clear_caches()
    with pytest.raises(TypeError):
        program(jnp.asarray(X), jnp.asarray(W))


def test_traced_arrays() -> None:
    jax: Any = pytest.importorskip("jax")
    program, wanted = layer(), layer()(X, W)
    for made in (jax.jit(program)(X, W), jax.jit(lambda x, w: program(x, w=w))(X, W)):
        for one, exact in zip(made, wanted, strict=True):
            np.testing.assert_allclose(one, exact, rtol=1e-12)
    found = jax.jit(jax.grad(lambda x: program(x, W)[0]))(X)
    np.testing.assert_allclose(found, wanted.d_x, rtol=1e-12)
    many = jax.vmap(lambda x: program(x, W)[0])(np.stack([X, 2 * X]))
    np.testing.assert_allclose(many, [program(x, W)[0] for x in (X, 2 * X)], rtol=1e-12)


def test_torch_differentiates_what_is_evaluated() -> None:
    torch = pytest.importorskip("torch")
    program, wanted = layer(), layer()(X, W)
    x, w = (torch.tensor(array, requires_grad=True) for array in (X, W))
    made = evaluated(prepared(program._graph, {"x": X, "w": W}), {"x": x, "w": w})
    back = torch.autograd.grad(made[0], [x, w], create_graph=True)
    for one, exact in zip((*made, *back), (*wanted, *wanted[1:]), strict=True):
        np.testing.assert_allclose(one.detach(), exact, rtol=1e-12)
    assert all(one is not None for one in torch.autograd.grad(back[0].sum(), [x, w]))


def test_numpys_own_arrays_go_the_same_way() -> None:
    """Without a plan, without a kernel: one map after the other."""
    library, _ = library_of([X])
    made = evaluated(prepared(layer()._graph, {"x": X, "w": W}), {"x": X, "w": W})
    assert library.name == "numpy"
    for one, exact in zip(made, layer()(X, W), strict=True):
        np.testing.assert_allclose(one, exact, rtol=1e-12)
