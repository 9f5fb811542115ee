"""Convolutions by the libraries' own operations: against exact sums; their gradients by ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from convolution_strategies import convolutions, whole_numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import evaluate
from strategies import Array, Problem, seeds

import contractconv as cc
from contractconv.engines.portable.convolutions import convolution
from contractconv.engines.portable.divisions import divided
from contractconv.execution.foreign import ways
from contractconv.execution.foreign.contractions import contracted
from contractconv.notation import problem as notation
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse


def fewer(part: int) -> settings:
    """A part of the usual number of examples."""
    return settings(max_examples=max(1, settings().max_examples // part))


def numeric(problem: Problem) -> notation.Problem:
    """What execution works on."""
    return resolve(parse(problem.spec), problem.shapes, problem.extents, problem.output_shape)


def module_of(library: str) -> Any:
    """The functions of a library."""
    module = pytest.importorskip(library)
    return module.numpy if library == "jax" else module


def exact(problem: Problem, operands: Sequence[Array]) -> Array:
    """What brute force says."""
    return evaluate(problem.spec, operands, problem.extents, problem.output_shape)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The ways that are taken, while the test runs."""
    found: list[str] = []

    def listened(way: ways.Way) -> ways.Way:
        def prepare(problem: Any, arithmetic: Any) -> Any:
            work = way.prepare(problem, arithmetic)
            found.extend([way.name] * (work is not None))
            return work

        return ways.Way(way.name, prepare)

    cc.clear_caches()
    monkeypatch.setattr(ways, "WAYS", tuple(map(listened, ways.WAYS)))
    yield found
    cc.clear_caches()


# --- results ---------------------------------------------------------------------------------


@fewer(3)
@given(problem=convolutions(), seed=seeds())
def test_torch_agrees_with_exact_sums(problem: Problem, seed: int) -> None:
    torch = pytest.importorskip("torch")
    operands = whole_numbers(problem, seed)
    made = contracted(numeric(problem), [torch.tensor(o) for o in operands])
    np.testing.assert_array_equal(made.numpy(), exact(problem, operands))


@fewer(25)
@given(problem=convolutions(most=2), seed=seeds())
def test_jax_agrees_with_exact_sums(problem: Problem, seed: int) -> None:
    jax = pytest.importorskip("jax")
    operands = whole_numbers(problem, seed)
    known = numeric(problem)
    made = jax.jit(lambda *arrays: contracted(known, arrays))(*operands)
    np.testing.assert_array_equal(made, exact(problem, operands))


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_windows_of_four_axes(library: str, used: list[str]) -> None:
    module = module_of(library)
    axes = "(i+k) (2*j+l) (m-p+1) (n+q-1)"
    problem = resolve(parse(f"{axes} c, k l p q c -> i j m n"), [(3, 4, 2, 3, 2), (2, 2, 2, 2, 2)])
    rng = np.random.default_rng(0)
    operands = [rng.integers(-4, 5, s).astype(float) for s in ((3, 4, 2, 3, 2), (2, 2, 2, 2, 2))]
    made = contracted(problem, [module.asarray(o) for o in operands])
    expected = evaluate(
        f"{axes} c, k l p q c -> i j m n", operands, problem.extents, problem.result_shape
    )
    np.testing.assert_array_equal(np.asarray(made), expected)
    assert "convolution" in used


LAYERS = [
    ("b (2*i+k-1) (j+2*l-2) c, k l c o -> b i j o", {}),
    ("b (2*i+k-1) (j+l) (g c), k l c (g o) -> b i j (g o)", {"g": 2}),
    ("b i j o, k l c o -> b (2*i+k-1) (2*j+l) c", {}),
    ("b ((h-k+1)/2) o, k c o -> b h c", {"h": 7}),
    ("b (2*i+k-1) c, b i o -> k c o", {"k": 3}),
    ("(i-k), k -> i", {}),
    ("b c (i-2*k+4), k -> c b i", {"i": 5}),
    ("(i+k) (j+l) b, k l -> b i j", {}),
    ("x y (i+k) c d, k c o p d -> p x o i y", {}),
]
SIZES = {"b": 2, "c": 3, "o": 4, "i": 4, "j": 3, "k": 3, "l": 2, "g": 2, "x": 2, "y": 3, "d": 2}


def _sizes(spec: str, extents: dict[str, int]) -> list[list[int]]:
    terms = spec.partition(" -> ")[0].split(", ")
    axes = [re.findall(r"\((?:[^()]|\([^()]*\))*\)|\w+", term) for term in terms]
    known = {**SIZES, "p": 2, **extents}
    return [[_size(axis, known) for axis in term] for term in axes]


def _size(axis: str, known: dict[str, int]) -> int:
    if re.fullmatch(r"\(\w \w\)", axis):
        return known[axis[1]] * known[axis[3]]
    return known.get(axis, 6)


@pytest.mark.parametrize("library", ["torch", "jax"])
@pytest.mark.parametrize(("spec", "extents"), LAYERS)
def test_layers_and_their_gradients_are_convolutions(
    library: str, spec: str, extents: dict[str, int], used: list[str]
) -> None:
    module = module_of(library)
    contraction = cc.Contraction(spec)
    rng = np.random.default_rng(1)
    x, w = (rng.integers(-4, 5, shape).astype(float) for shape in _sizes(spec, extents))
    expected = contraction(x, w, extents=extents)
    entered = [module.asarray(x), module.asarray(w)]
    known = resolve(parse(spec), [x.shape, w.shape], extents)
    np.testing.assert_array_equal(np.asarray(contracted(known, entered)), expected)
    assert used.count("convolution") == 1
    cotangent = rng.integers(-4, 5, expected.shape).astype(float)
    for n in range(2):
        derived = contraction.grad(n)
        made = derived(module.asarray(cotangent), *entered, extents=extents)
        np.testing.assert_array_equal(np.asarray(made), derived(cotangent, x, w, extents=extents))
    assert used.count("convolution") == 3


# --- what libraries do with it ---------------------------------------------------------------


@fewer(20)
@given(problem=convolutions(most=2), seed=seeds())
def test_torch_differentiates_it(problem: Problem, seed: int) -> None:
    torch = pytest.importorskip("torch")
    known, operands = numeric(problem), whole_numbers(problem, seed)
    tensors = [torch.tensor(o, requires_grad=True) for o in operands]
    result = contracted(known, tensors) + 0 * sum(tensor.sum() for tensor in tensors)
    rng = np.random.default_rng(seed)
    cotangent = rng.integers(-3, 4, problem.output_shape).astype(float)
    gradients = torch.autograd.grad(result, tensors, torch.tensor(cotangent))
    for n, gradient in enumerate(gradients):
        derived = cc.Contraction(problem.spec).grad(n)
        expected = derived(
            cotangent, *operands, output_shape=problem.output_shape, extents=problem.extents
        )
        np.testing.assert_array_equal(gradient.numpy(), expected)


@pytest.mark.parametrize(("spec", "extents"), LAYERS[:8])
def test_torch_transforms_it(spec: str, extents: dict[str, int]) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    shapes = _sizes(spec, extents)
    x, w = (torch.tensor(rng.normal(size=shape), requires_grad=True) for shape in shapes)
    known = resolve(parse(spec), [tuple(x.shape), tuple(w.shape)], extents)

    def run(*given: Any) -> Any:
        return contracted(known, given)

    assert torch.autograd.gradcheck(run, (x, w), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(run, (x, w))
    batch = torch.tensor(rng.normal(size=(3, *shapes[0])))
    each = torch.stack([run(one, w) for one in batch])
    torch.testing.assert_close(torch.func.vmap(run, (0, None))(batch, w), each)


@pytest.mark.parametrize(("spec", "extents"), LAYERS[1:4:2])
def test_jax_transforms_it(spec: str, extents: dict[str, int]) -> None:
    jax = pytest.importorskip("jax")
    from jax.test_util import check_grads

    rng = np.random.default_rng(2)
    shapes = _sizes(spec, extents)
    x, w = (jax.numpy.asarray(rng.normal(size=shape)) for shape in shapes)
    known = resolve(parse(spec), [tuple(x.shape), tuple(w.shape)], extents)
    run = jax.jit(lambda *given: contracted(known, given))
    check_grads(run, (x, w), order=1, modes=["fwd", "rev"])
    batch = jax.numpy.stack([x, 2 * x])
    made = jax.vmap(run, (0, None))(batch, w)
    np.testing.assert_allclose(made, [run(x, w), run(2 * x, w)], rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("spec", "operations"),
    [
        ("b (2*i+2*k-1) (2*j+l-1) (g c), k l c (g o) -> b i j (g o)", "convolution"),
        ("b (2*i) (2*j) (g c), c (g o) -> b i j (g o)", "dot_general"),
    ],
)
def test_xla_sees_no_gather(spec: str, operations: str) -> None:
    jax = pytest.importorskip("jax")
    contraction = cc.Contraction(spec)
    x, w = np.ones((2, 9, 8, 4)), np.ones((3, 3, 2, 6) if "k" in spec else (2, 6))
    cotangent = contraction(x, w, g=2)
    calls: list[tuple[Callable[..., Any], tuple[Array, ...]]] = [(contraction, (x, w))]
    calls += [(contraction.grad(n), (cotangent, x, w)) for n in range(2)]
    for call, arrays in calls:
        given = [jax.numpy.asarray(array) for array in arrays]
        lowered = jax.jit(lambda *a, call=call: call(*a, g=2)).lower(*given)
        assert operations in lowered.as_text()
        for text in (lowered.as_text(), lowered.compile().as_text()):
            assert not re.search(r"\b(gather|scatter)\b[(\"]", text)


# --- numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8", "bool", "complex128", "float16"])
@pytest.mark.parametrize("library", ["torch", "jax"])
def test_numbers_of_every_kind(library: str, dtype: str) -> None:
    module = module_of(library)
    rng = np.random.default_rng(0)
    spec, shapes = "b (2*i+k-1) c, k c o -> b i o", [(2, 7, 3), (3, 3, 2)]
    operands = [rng.integers(0, 3, shape).astype(dtype) for shape in shapes]
    if dtype == "complex128":
        operands = [operand * (1 - 2j) for operand in operands]
    contraction = cc.Contraction(spec)
    made = contracted(resolve(parse(spec), shapes), [module.asarray(o) for o in operands])
    expected = contraction(*operands)
    assert str(made.dtype).removeprefix("torch.") == expected.dtype.name
    np.testing.assert_array_equal(np.asarray(made), expected)


def test_torch_differentiates_complex_numbers() -> None:
    torch = pytest.importorskip("torch")
    spec, shapes = "b (2*i+k-1) c, k c o -> b i o", [(1, 5, 2), (3, 2, 2)]
    rng = np.random.default_rng(0)
    operands = [
        torch.tensor(rng.normal(size=shape) + 1j * rng.normal(size=shape), requires_grad=True)
        for shape in shapes
    ]
    problem = resolve(parse(spec), shapes)
    assert torch.autograd.gradcheck(lambda *given: contracted(problem, given), operands)


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_long_sums_of_short_floats(library: str) -> None:
    module = module_of(library)
    problem = resolve(parse("(i+k) c, k c -> i"), [(3, 3000), (2, 3000)])
    for dtype in (module.float16, module.bfloat16):
        ones = [module.ones(shape, dtype=dtype) for shape in ((3, 3000), (2, 3000))]
        made = contracted(problem, ones)
        assert made.dtype == dtype
        assert float(made[0]) == float(module.asarray(6000.0, dtype=dtype))


@pytest.mark.parametrize("library", ["torch", "jax"])
@pytest.mark.parametrize("empty", "bikco")
def test_empty_convolutions(library: str, empty: str) -> None:
    module = module_of(library)
    sizes = {"b": 2, "i": 3, "k": 2, "c": 2, "o": 2, empty: 0}
    shapes = [(sizes["b"], 4, sizes["c"]), (sizes["k"], sizes["c"], sizes["o"])]
    spec = "b (i+k) c, k c o -> b i o"
    problem = resolve(parse(spec), shapes, {"i": sizes["i"]})
    made = contracted(problem, [module.ones(shape) for shape in shapes])
    np.testing.assert_array_equal(np.asarray(made), np.zeros((sizes["b"], sizes["i"], sizes["o"])))


# --- forms -----------------------------------------------------------------------------------


def test_the_roles_of_a_grouped_layer_and_of_its_gradient() -> None:
    spec = "b (2*i+k-1) g c, k g c o -> b i g o"
    found = divided(resolve(parse(spec), [(2, 8, 2, 3), (3, 2, 3, 4)]), 3)
    assert found is not None
    form = convolution(found)
    assert form.roles == (("g",), ("b",), ("o",), ("c",))
    assert (form.groups, form.span(0), form.volume(1)) == (2, 8, 72)
    spec = "b i g o, k g c o -> b (2*i+k-1) g c"
    backward = divided(resolve(parse(spec), [(2, 4, 2, 4), (3, 2, 3, 4)]), 3)
    assert backward is not None
    assert convolution(backward).windows[0].steps == (-2, -1, 1)


def test_windows_that_are_none() -> None:
    for spec, shapes in (
        ("i (i+k), k -> i", [(3, 4), (2,)]),  # i is on two axes
        ("(i+k), i k -> ", [(4,), (3, 2)]),  # one operand has both
        ("(i+k+l), k l -> i", [(6,), (2, 2)]),  # three indices
        ("i c, c o -> i o", [(3, 2), (2, 4)]),
    ):
        assert divided(resolve(parse(spec), shapes, {}), 3) is None


@fewer(3)
@given(problem=convolutions(), image=st.sampled_from([0, 1, 2]))
def test_turned_windows_read_forwards_and_meet_the_same_points(
    problem: Problem, image: int
) -> None:
    found = divided(numeric(problem), 3)
    if found is None:
        return
    form = convolution(found)
    turned = form.turned(image)
    for before, after in zip(form.windows, turned.windows, strict=True):
        flips = [before.name in names for names in turned.flips]
        assert [step > 0 for step in after.steps] == [n == image for n in range(3)]
        assert _points(before, [False] * 3) == _points(after, flips)


def _points(window: Any, flips: Sequence[bool]) -> set[tuple[int, ...]]:
    """Where the three axes meet, positions counted from the beginning."""
    places = np.indices(window.sizes).reshape(3, -1).T
    met = places[places @ np.array(window.steps) == window.offset]
    last = np.array(window.sizes) - 1
    return {tuple(np.where(flips, last - one, one).tolist()) for one in met}
