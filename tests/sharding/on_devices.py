"""What holds on eight devices, all of which this processor pretends to be.

``test_sharded.py`` runs this file in a process of its own, before jax has counted devices.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from jax.sharding import Mesh
from programs.checks import derived, run
from programs.choices import NAMES
from programs.programs_strategy import Trial, programs
from strategies import Problem, problems, seeds, windows

import contractconv as cc
from contractconv import Reduction

jax.config.update("jax_enable_x64", True)
# Eight devices that wait for each other take all threads of a small machine, and compiling needs
# one: nothing is begun before the last call has ended.
jax.config.update("jax_cpu_enable_async_dispatch", False)
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
@settings(max_examples=300 if DEEP else 10, phases=[Phase.generate])
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

    def all_of_it(cotangent: Any, *operands: Any) -> list[Any]:
        forward = cc.shard(contraction, devices, **names)(*operands, **told)
        back = [cc.shard(d, devices, **names)(cotangent, *operands, **told) for d in gradients]
        return [forward, *back]

    made = jax.jit(all_of_it)(cotangent, *operands)
    with np.errstate(all="ignore"):
        same(made[0], contraction(*operands, **told))
        for gradient, found in zip(gradients, made[1:], strict=True):
            same(found, gradient(cotangent, *operands, **told))


# --- what jax derives -------------------------------------------------------------------------


@settings(max_examples=60 if DEEP else 2, phases=[Phase.generate])
@given(case=cases(), reduce=st.sampled_from(["sum", "max", "logsumexp"]), seed=seeds())
def test_gradients_that_jax_derives(
    case: tuple[Problem, Mesh, dict[str, str]], reduce: Reduction, seed: int
) -> None:
    problem, devices, names = case
    contraction = cc.Contraction(problem.spec, reduce=reduce)
    # No two products are equal: where several are greatest, others may choose another one.
    rng = np.random.default_rng(seed)
    operands = [rng.standard_normal(shape) for shape in problem.shapes]
    cotangent = rng.standard_normal(problem.output_shape)
    told = {**problem.extents, "output_shape": problem.output_shape}
    sharded = cc.shard(contraction, devices, **names)

    def pulled_back(cotangent: Any, *operands: Any) -> Any:
        _, back = jax.vjp(lambda *given: sharded(*given, **told), *operands)
        return back(cotangent)

    # An element on which nothing lands is minus infinity, whose derivative is none.
    if np.isfinite(contraction(*operands, **told)).all():
        for n, found in enumerate(jax.jit(pulled_back)(cotangent, *operands)):
            same(found, contraction.grad(n)(cotangent, *operands, **told))


def test_both_modes_and_many_examples() -> None:
    contraction = cc.Contraction("b (i+k-1), k -> b", reduce="max")
    sharded = cc.shard(contraction, mesh(m=3), i="m")
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((2, 7)), rng.standard_normal(3)

    def all_of_it(function: Any) -> Any:
        def told(x: Any, w: Any) -> Any:
            return function(x, w, i=7)

        change = jax.jvp(told, (x, w), (2 * x, w))[1]
        return change, jax.vmap(told, (0, None))(jnp.stack([x, -x]), w)

    made, expected = (jax.jit(lambda f=f: all_of_it(f))() for f in (sharded, contraction))
    jax.tree.map(lambda found, wanted: same(found, np.asarray(wanted)), made, expected)


def test_padding_is_never_differentiated() -> None:
    x, bias = cc.tensor("x", "b i"), cc.tensor("bias", "c")
    total = cc.contract("b i -> b", x)
    program = cc.program(y=cc.contract("b c -> c", cc.log(total) * bias / cc.sqrt(total)))
    sharded = cc.shard(program, mesh(m=4), b="m")
    given = np.arange(1.0, 11).reshape(5, 2), np.ones(3)
    found = jax.grad(lambda *arrays: sharded(*arrays).sum(), (0, 1))(*given)
    total_of = jnp.sum
    expected = jax.grad(
        lambda x, bias: (jnp.log(total_of(x, 1)) / jnp.sqrt(total_of(x, 1))).sum() * bias.sum(),
        (0, 1),
    )(*given)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


# --- what is moved ----------------------------------------------------------------------------


def step(function: Callable[..., Any]) -> Callable[..., Any]:
    """A forward pass and both gradients."""

    def carried_out(x: Any, w: Any, cotangent: Any) -> Any:
        made, back = jax.vjp(function, x, w)
        return made, back(cotangent)

    return carried_out


def placed(sharded: Any, x: Any, w: Any) -> tuple[Any, Any, Any]:
    """Arrays of ones on the devices: operands, and a cotangent."""
    given = map(jax.device_put, map(jnp.ones, (x, w)), sharded.in_shardings(x, w))
    made = jax.eval_shape(sharded, *map(jnp.ones, (x, w)))
    cotangent = jax.device_put(jnp.ones(made.shape), sharded.out_shardings(x, w)[0])
    return (*given, cotangent)


X = np.ones(4)
CONVOLUTION = cc.Contraction("b (i+k-1) (j+l-1) c, k l c o -> b i j o")


def by_xla(x: Any, w: Any, groups: int = 1) -> Any:
    """The same by jax alone, divided among devices by its own rules."""
    return jax.lax.conv_general_dilated(
        x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )  # fmt: skip


def test_a_convolution_in_space_has_four_halos() -> None:
    sharded = cc.shard(CONVOLUTION, mesh(space=8), i="space")
    arrays = placed(sharded, (2, 16, 8, 3), (3, 3, 3, 4))
    assert counted(sharded, *arrays[:2]) == {"collective-permute": 2}
    assert counted(step(sharded), *arrays) == {"collective-permute": 4, "all-reduce": 1}
    assert counted(step(by_xla), *arrays) == {"collective-permute": 6, "all-reduce": 1}


def test_a_program_of_the_same_has_four_halos_as_its_plan_says() -> None:
    x, w, g = (cc.tensor(*told) for told in (("x", "b h w c"), ("w", "k l c o"), ("g", "b i j o")))
    y = cc.contract(str(CONVOLUTION), x, w)
    loss = cc.contract("b i j o, b i j o ->", y, g)
    dx, dw = cc.grad(loss, [x, w])
    sharded = cc.shard(cc.program(y=y, dx=dx, dw=dw), mesh(space=8), i="space")
    shapes = (2, 16, 8, 3), (3, 3, 3, 4), (2, 16, 8, 4)
    arrays = [jax.device_put(jnp.ones(s), p)
              for s, p in zip(shapes, sharded.in_shardings(*shapes), strict=True)]  # fmt: skip
    assert counted(sharded, *arrays) == {"collective-permute": 4, "all-reduce": 1}
    plan = sharded.plan(*shapes, dtype="float64")
    assert plan.calls == {"ppermute": 4, "psum": 1}
    row, weights = 2 * 8 * 3 * 8, 3 * 3 * 3 * 4 * 8  # bytes
    assert plan.moved == {"space": 2 * row + 2 * row + 2 * 7 * weights // 8}


def test_a_grouped_convolution_of_many_examples_moves_nothing() -> None:
    grouped = cc.Contraction("b (i+k-1) (j+l-1) g c, k l g c o -> b i j g o")
    sharded = cc.shard(grouped, mesh(data=8), b="data")
    arrays = placed(sharded, (8, 5, 5, 2, 3), (3, 3, 2, 3, 2))
    assert counted(sharded, *arrays[:2]) == {}
    assert counted(step(sharded), *arrays) == {"all-reduce": 1}  # of the weights' gradient

    def joined(x: Any, w: Any) -> Any:
        b, i, j, g, c = x.shape
        kernel = w.transpose(0, 1, 3, 2, 4).reshape(3, 3, c, -1)
        return by_xla(x.reshape(b, i, j, g * c), kernel, g).reshape(b, i, j, g, -1)

    assert counted(joined, *arrays[:2])["all-gather"] == 1
    assert counted(step(joined), *arrays)["all-gather"] == 2


def test_each_device_has_a_convolution() -> None:
    conv = cc.Contraction("b (2*i+3*k-1) (2*j+l-1) g c, k l g c o -> b i j g o")
    sharded = cc.shard(conv, mesh(space=4, data=2), i="space", b="data")
    arrays = placed(sharded, (3, 29, 17, 2, 3), (3, 3, 2, 3, 4))
    text = jax.jit(step(sharded)).lower(*arrays).as_text()
    assert text.count("stablehlo.convolution") == 3
    assert "gather" not in text


def test_partial_sums_are_scattered_where_the_result_is_divided() -> None:
    product = cc.Contraction("b k, k o -> b o")
    x, w = np.arange(24).reshape(3, 8), np.arange(64).reshape(8, 8) % 7
    sharded = cc.shard(product, mesh(m=4), k="m", o="m")
    assert sharded.plan(x.shape, w.shape).calls == {"psum_scatter": 1}
    same(sharded(x, w), x @ w)
    assert cc.shard(product, mesh(m=4), k="m").plan(x.shape, w.shape).calls == {"psum": 1}
    assert cc.shard(product, mesh(m=4), o="m").plan(x.shape, w.shape).calls == {}


def test_the_narrower_halo_is_moved() -> None:
    conv = cc.Contraction("b (i+k-1) c, k c o -> b i o")
    for channels, features in ((9, 2), (2, 9)):
        x, w, g = (2, 16, channels), (3, channels, features), (2, 16, features)
        plan = cc.shard(conv.grad(0), mesh(m=4), i="m").plan(g, x, w, dtype="float64")
        assert plan.moved == {"m": 2 * 2 * 2 * 8}


# --- programs ---------------------------------------------------------------------------------


def test_a_network_in_blocks_of_examples_and_of_space() -> None:
    layers = cc.layers
    net = cc.Network([
        layers.Conv(3, 3, map="relu"), layers.MaxPool(2), layers.BatchNorm(),
        layers.Dense(4, over="h w c"),
    ])  # fmt: skip
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((3, 11, 8, 2)), rng.integers(0, 4, 3)
    program = net.program(x.shape, labels.shape, loss="cross_entropy", gradients=True)
    params = net.init(0, x.shape, dtype="float64")
    arrays = {"x": x, "target": labels} | {
        f"{part}_{name}": array for part, held in params.items() for name, array in held.items()
    }
    arrays = {name: arrays[name] for name in program.inputs}
    sharded = cc.shard(program, mesh(data=2, space=3), b="data", h="space")
    expected = program.compile()(**arrays)
    for found, wanted in zip(sharded(**arrays), expected, strict=True):
        np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-9, atol=1e-12)
    moved = sharded.plan(**{name: array.shape for name, array in arrays.items()}).moved
    assert moved["data"] > 0 < moved["space"]


def test_attention_along_a_sequence() -> None:
    q, k, v = cc.tensor("q", "b t d"), cc.tensor("k", "b s d"), cc.tensor("v", "b s d")
    scores = cc.functions.softmax(cc.contract("b t d, b s d -> b t s", q, k), "s")
    program = cc.program(y=cc.contract("b t s, b s d -> b t d", scores, v))
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal((2, n, 3)) for n in (7, 5, 5)]
    expected = program.compile()(*arrays)
    for names in ({"t": "m"}, {"s": "m", "t": "n"}):
        sharded = cc.shard(program, mesh(m=3, n=2), **names)
        np.testing.assert_allclose(np.asarray(sharded(*arrays)), expected, rtol=1e-9)


@st.composite
def divided(draw: Any) -> tuple[Trial, Mesh, dict[str, str]]:
    """A program, a mesh, and which axes lie along its axes."""
    trial = draw(programs())
    chosen = draw(st.sampled_from(MESHES))
    names = draw(st.permutations(NAMES))
    return trial, chosen, dict(zip(names, draw(st.permutations(chosen.axis_names)), strict=False))


@settings(max_examples=100 if DEEP else 2, phases=[Phase.generate])
@given(case=divided())
def test_any_program_and_its_gradients(case: tuple[Trial, Mesh, dict[str, str]]) -> None:
    trial, devices, names = case
    outputs = {n: t for n, t in derived(trial).items() if n == "loss" or n.startswith("grad")}
    outputs |= {n: v.tensor for n, v in trial.program.named.items() if n.startswith("v")}
    expected = run(outputs, trial.program.arrays)
    program = cc.program(outputs)
    arrays = {name: trial.program.arrays[name] for name in program.inputs}
    if not arrays:
        return
    known = {axis for tensor in outputs.values() for axis in tensor.axes}
    sharded = cc.shard(program, devices, **{n: m for n, m in names.items() if n in known})
    made = sharded(**arrays)
    for (name, wanted), found in zip(expected.items(), made if len(expected) > 1 else [made],
                                     strict=True):  # fmt: skip
        np.testing.assert_allclose(
            np.asarray(found, wanted.dtype), wanted, rtol=1e-8, atol=1e-8, err_msg=name
        )


@pytest.mark.parametrize("along", ["i", "c"])
@pytest.mark.parametrize("rows", [0, 1])
def test_inputs_without_elements(along: str, rows: int) -> None:
    x, w, unread = cc.tensor("x", "i c"), cc.tensor("w", "i c"), cc.tensor("unread", "i")
    loss = cc.contract("i c, i c ->", x.at(c=slice(1, 3)), w)
    dx, dw, nothing = cc.grad(loss, [x, w, unread])
    program = cc.program(loss=loss, dx=dx, dw=dw, nothing=nothing)
    shapes = {"x": (rows, 3), "w": (rows, 2), "unread": (rows,)}
    arrays = [np.ones(shapes[name]) for name in program.inputs]
    expected = program.compile()(*arrays)
    for found, wanted in zip(
        cc.shard(program, mesh(m=4), **{along: "m"})(*arrays), expected, strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("names", [{"v": "m"}, {"b": "m", "v": "n"}], ids=str)
def test_rows_that_labels_choose(names: dict[str, str]) -> None:
    table, labels = cc.tensor("table", "v d"), cc.tensor("labels", "b t", "int64")
    code = cc.where(labels == cc.index("v", cc.size(table, "v")), 1, 0)
    rows = cc.contract("b t v, v d -> b t d", code, table)
    loss = cc.contract("b t d, b t d ->", rows, rows)
    program = cc.program(rows=rows, slopes=cc.grad(loss, [table])[0])
    given = np.arange(14.0).reshape(7, 2), np.array([[0, 6, 3], [3, -1, 9], [5, 5, 5]])
    sharded = cc.shard(program, mesh(m=4, n=2), **names)
    expected = program.compile()(table=given[0], labels=given[1])
    by_name = dict(zip(("table", "labels"), given, strict=True))
    for found, wanted in zip(sharded(**by_name), expected, strict=True):
        same(found, wanted)
    plan = sharded.plan(table=given[0].shape, labels=given[1].shape)
    assert {line.collective for line in plan.lines} == {"psum"}


def test_a_composition_lies_as_its_first_index() -> None:
    dense = cc.Contraction("b (h w c), h w c o -> b o")
    rng = np.random.default_rng(2)
    x, w = rng.integers(-4, 5, (2, 24)), rng.integers(-4, 5, (4, 3, 2, 5))
    sharded = cc.shard(dense, mesh(m=2), h="m")
    same(sharded(x, w), dense(x, w))
    assert sharded.plan(x.shape, w.shape).calls == {"psum": 1}


# --- calls ------------------------------------------------------------------------------------


def test_numbers_of_every_kind() -> None:
    total = cc.shard(cc.Contraction("i j -> j"), mesh(m=4), i="m")
    for dtype in ("bool", "bfloat16", "complex64"):
        made = total(jnp.ones((6, 2), dtype))
        assert made.dtype == dtype
        np.testing.assert_array_equal(np.asarray(made, complex), 1 if dtype == "bool" else 6)


def test_meshes_of_arrays_with_types() -> None:
    devices = jax.make_mesh((8,), ("m",), axis_types=(jax.sharding.AxisType.Explicit,))
    x = jax.device_put(jnp.arange(16.0), jax.NamedSharding(devices, jax.P("m")))
    same(cc.shard(cc.Contraction("(i+k), k -> i"), devices, i="m")(x, jnp.ones(3)),
         np.convolve(np.arange(16.0), np.ones(3), "valid"))  # fmt: skip


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cc.shard(CONVOLUTION, mesh(m=2), i="n"), "i='n': the mesh has the axes m"),
        (lambda: cc.shard(CONVOLUTION, mesh(m=2), z="m"), "nothing is called 'z' in 'b (i+k-1)"),
        (lambda: cc.shard(CONVOLUTION, "m", i="m"), "a mesh is a jax.sharding.Mesh, and no str"),
        (lambda: cc.shard(cast(Any, "i"), mesh(m=2), i="m"), "is sharded, and no str"),
        (lambda: cc.shard(CONVOLUTION, mesh(m=2), i="m")(np.ones(3)), "2 arrays, not with 1"),
        (
            lambda: cc.shard(cc.Contraction("i ->"), jax.sharding.AbstractMesh((2,), ("m",)))(X),
            "an abstract mesh has no devices",
        ),
    ],
)
def test_what_is_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(cc.ContractionError, match=re.escape(message)):
        call()
