"""Source code for contractions and gradients: it runs, it is right, and it reads well.

The code is run as a user would run it, without the library, and compared with the library itself.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import math
import re
import string
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from program_parts import contractions_of
from strategies import Problem, problems, seeds, windows

import contractconv as cc
from contractconv import Reduction
from contractconv.display.source_code import forward_source, gradient_source
from contractconv.errors import ContractionError, OperandError
from contractconv.notation.parser import parse
from contractconv.notation.spec import REDUCTIONS, Spec

pytestmark = pytest.mark.usefixtures("double_precision")

Array = NDArray[Any]
Function = Callable[..., Any]

NAMES = ("X", "W", "V", "U")
MODULES = {"numpy": {"numpy"}, "torch": {"torch"}, "jax": {"jax"}}
EXAMPLES = Path(__file__).parents[2] / "examples"


# --- running generated code ------------------------------------------------------------------


@dataclass(frozen=True)
class Library:
    """An array library: how its arrays come from numpy's and go back."""

    name: str
    of_numpy: Callable[[Array], Any]
    to_numpy: Callable[[Any], Array]


def installed(name: str) -> Library:
    """The library, or a skipped test."""
    if name == "torch":
        torch = pytest.importorskip("torch")
        return Library(name, torch.as_tensor, lambda tensor: np.asarray(tensor.detach()))
    if name == "jax":
        pytest.importorskip("jax")
        return Library(name, importlib.import_module("jax.numpy").asarray, np.asarray)
    return Library(name, np.asarray, np.asarray)


@pytest.fixture(params=list(MODULES))
def library(request: pytest.FixtureRequest) -> Library:
    """Each library in turn; jax compiles every operation for each shape, so it gets few cases."""
    return installed(request.param)


def imported(source: str, folder: Path, function: str) -> Function:
    """Save a source as a user would, and import it."""
    path = folder / f"source_{len(list(folder.iterdir()))}.py"
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, function)  # type: ignore[no-any-return]


def executed(source: str, function: str) -> Function:
    """Run a source without a file."""
    namespace: dict[str, Any] = {}
    exec(compile(source, "<source>", "exec"), namespace)
    return namespace[function]  # type: ignore[no-any-return]


def keywords(function: Function) -> list[str]:
    """What a function takes by keyword only."""
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind == p.KEYWORD_ONLY]


def assert_close(result: Array, expected: Array) -> None:
    assert result.shape == expected.shape
    finite = np.abs(expected[np.isfinite(expected)])
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-9 * finite.max(initial=1.0))


# --- cases -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A contraction with the shapes of its operands, its parameters, and extents to be given."""

    spec: str
    shapes: tuple[tuple[int, ...], ...]
    reduce: Reduction = "sum"
    values: Mapping[str, int] = field(default_factory=dict)
    extents: Mapping[str, int] = field(default_factory=dict)

    @property
    def parsed(self) -> Spec:
        """What the sources are written for, parameters unbound."""
        return parse(self.spec, self.reduce, tuple(self.values))

    @property
    def contraction(self) -> cc.Contraction:
        """The library's own."""
        return cc.Contraction(self.spec, self.reduce, tuple(self.values))

    @property
    def given(self) -> dict[str, Any]:
        """All that is given by keyword."""
        return {**self.values, **self.extents}

    @property
    def names(self) -> tuple[str, ...]:
        """What the operands are called."""
        return NAMES[: len(self.shapes)]

    def arrays(self) -> list[Array]:
        """Operands: normal numbers, so that no two products are equal."""
        rng = np.random.default_rng(len(self.spec))
        return [rng.normal(size=shape) for shape in self.shapes]

    def cotangent(self) -> Array:
        """A cotangent of the natural shape of the result."""
        shape = self.contraction.output_shape(*self.shapes, **self.given)
        return np.asarray(np.random.default_rng(1).normal(size=shape))

    def gradient(self, n: int, cotangent: Array, operands: Sequence[Array]) -> Array:
        """What the library says of a gradient."""
        extents = self.contraction.extents(*self.shapes, **self.given)
        given: dict[str, Any] = {**self.values, **extents}
        return self.contraction.grad(n)(cotangent, *operands, **given)

    def __str__(self) -> str:
        return f"{self.spec} {self.reduce}"


SYMBOLS = {"s": 2, "d": 2, "p": 1}
POOL = {"k": 2, "l": 2}

CASES = [
    # Convolutions in one, two and three dimensions.
    Case("b (i+k) c, k c o -> b i o", ((2, 7, 3), (3, 3, 2))),
    Case("b (2*i+k-1) c, k c o -> b i o", ((2, 8, 3), (3, 3, 2))),
    Case("b (3*i+2*k-2) c, k c o -> b i o", ((2, 11, 2), (3, 2, 2))),
    Case("b c (2*i+k-1), o c k -> b o i", ((2, 3, 8), (2, 3, 3))),
    Case("b (2*i+k-1) (j+2*l-2) c, k l c o -> b i j o", ((1, 7, 6, 2), (3, 2, 2, 3))),
    Case("b (i+k-1) (2*j+l) (m+n-1) c, k l n c o -> b i j m o", ((1, 3, 4, 3, 2), (3, 2, 3, 2, 2))),
    Case("b (2*i+k-1) g c, k g c o -> b i g o", ((2, 8, 2, 3), (3, 2, 3, 2))),
    Case("b (2*i+k-1) c, k c -> b i c", ((2, 8, 3), (3, 3))),
    Case("(i-k), k -> i", ((6,), (3,))),
    Case("(i+k+1), k -> i", ((7,), (2,))),
    Case("(2*i-k), k -> i", ((7,), (4,))),
    Case("(k-2*i+4), k -> i", ((6,), (3,))),
    # Parameters that are symbols.
    Case("b (s*i+d*k-p) c, k c o -> b i o", ((2, 9, 3), (3, 3, 2)), values=SYMBOLS),
    Case("b (s*i+d*k-p) (s*j+d*l-p) c, k l c o -> b i j o", ((1, 7, 6, 2), (2, 3, 2, 3)),
         values={"s": 3, "d": 1, "p": 2}),
    Case("b i c, k c o -> b (s*i+d*k-p) o", ((2, 4, 2), (3, 2, 3)), values=SYMBOLS),
    Case("(s*i+k-p) c -> i c", ((8, 2), ), "max", {"s": 2, "p": 1}, {"k": 3}),
    Case("((s-1)*i+k-2*p-1), k -> i", ((9,), (3,)), values={"s": 3, "p": 1}),
    Case("((t*i+k-p)/s), k -> i", ((5,), (3,)), values={"s": 2, "t": 1, "p": 1}, extents={"i": 7}),
    Case("(p) i -> i", ((3, 4),), values={"p": 2}),
    Case("(p-q) i -> i", ((3, 4),), values={"p": 1, "q": 2}),
    # Transposed convolutions and other scatters.
    Case("b i c, k c o -> b (2*i+k-1) o", ((2, 4, 3), (3, 3, 2))),
    Case("b i j c, k l c o -> b (2*i+k-1) (3*j+l) o", ((1, 3, 2, 2), (3, 2, 2, 2))),
    Case("i, k -> (i-k+1)", ((4,), (3,))),
    Case("i -> (2*i+1)", ((3,),)),
    Case("i k -> (2*i+k)", ((3, 4),)),
    Case("b i k c -> b (2*i+k-1) c", ((2, 3, 3, 2),)),
    Case("i -> (3) i", ((3,),)),
    Case("i -> (0) i (0)", ((3,),)),
    Case("(i+k) -> ((i+2*k+1)/2)", ((5,),), extents={"k": 2}),
    # Compositions: flatten to dense, heads, depth to space.
    Case("b h w c, h w c o -> b o", ((2, 3, 2, 2), (3, 2, 2, 4))),
    Case("b h w c, (h w c) o -> b o", ((2, 3, 2, 2), (12, 4))),
    Case("b (h w c), h w c o -> b o", ((2, 12), (3, 2, 2, 4))),
    Case("b h w c -> b (h w c)", ((2, 3, 2, 2),)),
    Case("b (h p) (w q) c -> b h w (p q c)", ((1, 4, 6, 2),), extents={"h": 2, "w": 3}),
    Case("(i i) -> i", ((9,),)),
    Case("(i j i) -> i j", ((18,),), extents={"i": 3}),
    Case("b (i k) (2*i+l), l -> (k b)", ((2, 6, 6), (2,))),
    Case("i (0) -> (0) (i j)", ((3, 2),), extents={"j": 2}),
    # Attention.
    Case("b t (n d), b u (n d) -> b n t u", ((2, 3, 4), (2, 5, 4)), extents={"n": 2}),
    Case("b n t u, b u (n d) -> b t (n d)", ((2, 2, 3, 5), (2, 5, 4))),
    Case("b t d, b (t+u-2) d -> b t u", ((2, 6, 3), (2, 5, 3))),
    # Poolings.
    *(Case("b (2*i+k) (2*j+l) c -> b i j c", ((2, 4, 5, 2),), r, extents=POOL) for r in REDUCTIONS),
    *(Case("b (2*i+k-1) c -> b i c", ((2, 6, 2),), r, extents={"k": 3}) for r in REDUCTIONS),
    *(Case("(i+k-4) -> i", ((3,),), r, extents={"k": 3}) for r in REDUCTIONS),
    *(Case("c b (i+k) -> b i c", ((2, 2, 5),), r, extents={"k": 2}) for r in REDUCTIONS),
    *(Case("b h w c -> b c", ((2, 3, 2, 2),), r) for r in REDUCTIONS),
    # Reductions of products, and of what lands together.
    *(Case("i j, j k -> i k", ((2, 3), (3, 4)), r) for r in REDUCTIONS),
    *(Case("b (2*i+k-1) c, k c o -> b i o", ((2, 4, 2), (3, 2, 2)), r) for r in REDUCTIONS),
    *(Case("i, k -> (2*i+k)", ((3,), (3,)), r) for r in REDUCTIONS),
    *(Case("b i k -> b (2*i+2*k)", ((2, 3, 2),), r) for r in REDUCTIONS),
    *(Case("i j -> i i (0)", ((3, 2),), r) for r in REDUCTIONS),
    *(Case("i j, (2) j -> (0) (2*i-1) (j r)", ((2, 3), (4, 3)), r, extents={"r": 2})
      for r in REDUCTIONS),
    # The classics of einsum.
    Case("i j, j k -> i k", ((2, 3), (3, 4))),
    Case("i j, j k, k l -> l i", ((2, 3), (3, 4), (4, 2))),
    Case("b t n d -> b n d t", ((2, 3, 2, 2),)),
    Case("i i -> i", ((3, 3),)),
    Case("i i ->", ((3, 3),)),
    Case("i -> i i", ((3,),)),
    Case("i -> i i i", ((2,),)),
    Case("i, j -> j i", ((3,), (2,))),
    Case(", i -> i", ((), (3,))),
    Case(", ->", ((), ())),
    Case("i j ->", ((3, 2),)),
    Case("i -> i", ((3,),)),
    Case("i -> r i t", ((3,),), extents={"r": 2, "t": 3}),
    Case("x y, x y, x y -> y", ((2, 3), (2, 3), (2, 3))),
    # Odd ones.
    Case("(4-i) -> i", ((5,),)),
    Case("(2*i) ->", ((5,),)),
    Case("(i+k) -> i k", ((5,),), extents={"k": 2}),
    Case("i (i+k), k -> i", ((4, 5), (2,))),
    Case("(h/2) -> h", ((3,),), extents={"h": 6}),
    Case("((i+k-1)/2) c, k -> i c", ((4, 2), (3,)), extents={"i": 7}),
    Case("i (3) (0) -> i", ((2, 5, 1),)),
    Case("i (3) -> i", ((2, 3),)),
    Case("(-1) i -> i", ((2, 3),)),
    Case("(1/2) i -> i", ((2, 3),)),
    Case("i (3), j -> i j", ((2, 3), (2,)), "max"),
    Case("(i+k), (i+l), k, l ->", ((5,), (4,), (3,), (2,))),
    Case("(i+k), i, k -> i", ((3,), (3,), (2,))),
    Case("row (2*column+tap), tap -> column row", ((3, 7), (2,))),
]  # fmt: skip


def check(case: Case, library: Library, folder: Path) -> None:
    """Compare the forward source and every gradient's with the library itself."""
    operands = case.arrays()
    arrays = [library.of_numpy(operand) for operand in operands]
    source = forward_source(case.parsed, library.name, case.names)
    forward = imported(source, folder, "forward")
    assert set(keywords(forward)) == set(case.given)
    expected = case.contraction(*operands, **case.given)
    assert_close(library.to_numpy(forward(*arrays, **case.given)), expected)
    cotangent = case.cotangent()
    for n in range(len(operands)):
        source = gradient_source(case.parsed, n, library.name, case.names)
        gradient = imported(source, folder, "gradient")
        given = {name: case.given[name] for name in keywords(gradient)}
        result = gradient(library.of_numpy(cotangent), *arrays, **given)
        assert_close(library.to_numpy(result), case.gradient(n, cotangent, operands))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_numpy(case: Case, tmp_path: Path) -> None:
    check(case, installed("numpy"), tmp_path)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_torch(case: Case, tmp_path: Path) -> None:
    check(case, installed("torch"), tmp_path)


@pytest.mark.parametrize("case", CASES[::8], ids=str)
def test_jax(case: Case, tmp_path: Path) -> None:
    check(case, installed("jax"), tmp_path)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_gradient_is_what_autograd_finds(case: Case) -> None:
    torch = pytest.importorskip("torch")
    operands = [torch.tensor(array, requires_grad=True) for array in case.arrays()]
    forward = executed(forward_source(case.parsed, "torch", case.names), "forward")
    cotangent = torch.tensor(case.cotangent())
    result = forward(*operands, **case.given)
    torch.sum(cotangent.where(result.isfinite(), 0) * result.where(result.isfinite(), 0)).backward()
    for n, operand in enumerate(operands):
        gradient = executed(gradient_source(case.parsed, n, "torch", case.names), "gradient")
        given = {name: case.given[name] for name in keywords(gradient)}
        result = gradient(cotangent, *(o.detach() for o in operands), **given)
        expected = torch.zeros_like(operand) if operand.grad is None else operand.grad
        assert_close(np.asarray(result), np.asarray(expected))


def lenet_layers() -> list[cc.Contraction]:
    """Every contraction of the example."""
    for needed in ("mlxtend", "matplotlib", "tqdm"):
        pytest.importorskip(needed)
    spec = importlib.util.spec_from_file_location("lenet_example", EXAMPLES / "lenet.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return contractions_of(module.lenet().program((1, 28, 28, 1), (1,), loss="cross_entropy"))


SIZES = dict(zip("bijklchwo", (2, 3, 4, 2, 3, 2, 3, 2, 3), strict=True))


def test_every_layer_of_lenet(library: Library, tmp_path: Path) -> None:
    layers = list(dict.fromkeys(lenet_layers()))
    assert len(layers) >= 8
    for layer in layers[: 2 if library.name == "jax" else None]:  # jax compiles for a second each
        parsed = parse(str(layer), layer.reduce)
        shapes = tuple(
            tuple(SIZES[axis.names[0]] if len(axis.names) == 1 else 8 for axis in term)
            for term in parsed.inputs
        )
        forward = executed(forward_source(parsed, "numpy", NAMES[: len(shapes)]), "forward")
        extents = {name: SIZES[name] for name in keywords(forward)}
        check(Case(str(layer), shapes, layer.reduce, extents=extents), library, tmp_path)


# --- random contractions ---------------------------------------------------------------------


def check_random(problem: Problem, reduce: Reduction, seed: int, library: Library) -> None:
    """Compare a random contraction, with the natural extents, with the library itself."""
    case = Case(problem.spec, problem.shapes, reduce)
    source = forward_source(case.parsed, library.name, case.names)
    forward = executed(source, "forward")
    given: dict[str, Any] = {name: problem.extents[name] for name in keywords(forward)}
    try:
        extents: dict[str, Any] = case.contraction.extents(*problem.shapes, **given)
    except cc.ShapeError:
        assume(False)  # the extents that follow from the shapes alone are others
    shape = case.contraction.output_shape(*problem.shapes, **given)
    assume(0 not in (*shape, *extents.values()))
    assume(math.prod(extents.values()) <= 3000)
    operands = [np.asarray(array) for array in problem.operands(seed, dtype="float64")]
    arrays = [library.of_numpy(operand) for operand in operands]
    result = library.to_numpy(forward(*arrays, **given))
    assert_close(result, case.contraction(*operands, **given))
    cotangent = np.asarray(np.random.default_rng(seed).normal(size=shape))
    for n in range(len(operands)):
        gradient = executed(gradient_source(case.parsed, n, library.name, case.names), "gradient")
        known = {name: given[name] for name in keywords(gradient)}
        result = library.to_numpy(gradient(library.of_numpy(cotangent), *arrays, **known))
        assert_close(result, case.contraction.grad(n)(cotangent, *operands, **extents))


anything = st.one_of(problems(), windows())
reductions = st.sampled_from(REDUCTIONS)


@settings(max_examples=200)
@given(problem=anything, reduce=reductions, seed=seeds())
def test_random_contractions_in_numpy(problem: Problem, reduce: Reduction, seed: int) -> None:
    check_random(problem, reduce, seed, installed("numpy"))


@settings(max_examples=120)
@given(problem=anything, reduce=reductions, seed=seeds())
def test_random_contractions_in_torch(problem: Problem, reduce: Reduction, seed: int) -> None:
    check_random(problem, reduce, seed, installed("torch"))


@settings(max_examples=3)
@given(problem=anything, reduce=reductions, seed=seeds())
def test_random_contractions_in_jax(problem: Problem, reduce: Reduction, seed: int) -> None:
    check_random(problem, reduce, seed, installed("jax"))


# --- other numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize("reduce", ["sum", "max", "min", "prod"])
@pytest.mark.parametrize(
    ("spec", "shapes", "extents"),
    [
        ("b (2*i+k-1) c -> b i c", ((2, 5, 2),), {"k": 3}),
        ("(i+k-4) -> i", ((3,),), {"k": 3}),
        ("(2*i+k) (2*j+l) -> i j", ((5, 4),), POOL),
        ("(i+k-1), k -> i", ((5,), (3,)), {}),
        ("i, k -> (3*i+k)", ((3,), (2,)), {}),
        ("i -> r i i", ((3,),), {"r": 2}),
    ],
)
def test_integers_stay_integers_in_numpy(
    reduce: Reduction, spec: str, shapes: tuple[tuple[int, ...], ...], extents: dict[str, Any]
) -> None:
    case = Case(spec, shapes, reduce, extents=extents)
    rng = np.random.default_rng(0)
    operands = [rng.integers(-1, 2, shape) for shape in shapes]  # so few values that many tie
    forward = executed(forward_source(case.parsed, "numpy", case.names), "forward")
    result = forward(*operands, **extents)
    assert result.dtype == np.int64
    np.testing.assert_array_equal(result, case.contraction(*operands, **extents))
    cotangent = rng.integers(-4, 5, result.shape)
    for n in range(len(operands)):
        gradient = executed(gradient_source(case.parsed, n, "numpy", case.names), "gradient")
        known = {name: extents[name] for name in keywords(gradient)}
        expected = case.gradient(n, cotangent, operands)
        np.testing.assert_array_equal(gradient(cotangent, *operands, **known), expected)


@pytest.mark.parametrize("reduce", ["mean", "logsumexp"])
def test_integers_become_floats_where_they_must(reduce: Reduction) -> None:
    case = Case("(2*i+k-1) -> i", ((6,),), reduce, extents={"k": 3})
    operand = np.array([3, 1, 2, 2, -1, 0])
    forward = executed(forward_source(case.parsed, "numpy", ["X"]), "forward")
    assert_close(forward(operand, k=3), case.contraction(operand, **case.given))
    gradient = executed(gradient_source(case.parsed, 0, "numpy", ["X"]), "gradient")
    cotangent = np.array([1, 2, 3])
    assert_close(gradient(cotangent, operand, k=3), case.gradient(0, cotangent, [operand]))


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_single_precision_stays_single(reduce: Reduction, library: Library) -> None:
    specs = ["(2*i+k-1) c -> c i", "i k -> (2*i+k)", "i k -> i i"]
    for spec in specs[: reduce in ("sum", "max") if library.name == "jax" else None]:
        parsed = parse(spec, reduce)
        operand = library.of_numpy(np.ones((4, 3), np.float32))
        forward = executed(forward_source(parsed, library.name, ["X"]), "forward")
        result = forward(operand, **dict.fromkeys(keywords(forward), 2))
        assert library.to_numpy(result).dtype == np.float32
        gradient = executed(gradient_source(parsed, 0, library.name, ["X"]), "gradient")
        ones = library.of_numpy(np.ones(result.shape, np.float32))
        result = gradient(ones, operand, **dict.fromkeys(keywords(gradient), 2))
        assert library.to_numpy(result).dtype == np.float32


def test_an_empty_batch(library: Library) -> None:
    for reduce in REDUCTIONS[: 2 if library.name == "jax" else None]:
        case = Case("b (2*i+k-1) (h c) -> b i (c h)", ((0, 5, 4),), reduce,
                    extents={"k": 3, "h": 2})  # fmt: skip
        forward = executed(forward_source(case.parsed, library.name, ["X"]), "forward")
        operand = library.of_numpy(np.ones(case.shapes[0]))
        assert forward(operand, **case.given).shape == (0, 3, 4)
        gradient = executed(gradient_source(case.parsed, 0, library.name, ["X"]), "gradient")
        known = {name: case.given[name] for name in keywords(gradient)}
        cotangent = library.of_numpy(np.ones((0, 3, 4)))
        assert gradient(cotangent, operand, **known).shape == (0, 5, 4)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_torch_keeps_the_device(case: Case) -> None:
    torch = pytest.importorskip("torch")
    # The device "meta" refuses to meet another device as a GPU does; it needs none.
    operands = [torch.empty(shape, dtype=torch.float32, device="meta") for shape in case.shapes]
    forward = executed(forward_source(case.parsed, "torch", case.names), "forward")
    result = forward(*operands, **case.given)
    assert (result.device.type, result.dtype) == ("meta", torch.float32)
    for n, operand in enumerate(operands):
        gradient = executed(gradient_source(case.parsed, n, "torch", case.names), "gradient")
        given = {name: case.given[name] for name in keywords(gradient)}
        derived = gradient(result, *operands, **given)
        assert (derived.device.type, derived.dtype) == ("meta", torch.float32)
        assert derived.shape == operand.shape


def test_jax_compiles_it() -> None:
    jax = pytest.importorskip("jax")
    library = installed("jax")
    case = Case("b (2*i+k-1) c -> b i c", ((2, 6, 2),), "max", extents={"k": 3})
    (operand,) = case.arrays()
    forward = executed(forward_source(case.parsed, "jax", ["X"]), "forward")
    result, pull = jax.vjp(jax.jit(lambda x: forward(x, k=3)), library.of_numpy(operand))
    assert_close(np.asarray(result), case.contraction(operand, k=3))
    gradient = executed(gradient_source(case.parsed, 0, "jax", ["X"]), "gradient")
    cotangent = library.of_numpy(case.cotangent())
    derived = jax.jit(lambda g, x: gradient(g, x, k=3))(cotangent, library.of_numpy(operand))
    assert_close(np.asarray(derived), np.asarray(pull(cotangent)[0]))


# --- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize(
    ("spec", "names", "values", "arguments"),
    [
        ("lambda (in+np), np -> in", ["torch_", "I"], {}, []),
        ("lambda (in+np) -> in", ["X"], {"np": 2}, ["np_"]),
        ("b (i+lambda) -> i", ["X"], {"lambda": 2}, ["lambda_"]),
        ("b (i+k) -> i", ["k"], {"k": 2}, ["k_"]),
        ("b (rows+H) -> rows", ["n_b"], {"H": 2}, ["H"]),
        ("b (i+max) -> i", ["rows"], {"max": 2}, ["max_"]),
        ("b (i+_) -> i", ["worst"], {"_": 2}, ["__"]),
        ("× (i+k) -> i ÷", ["X"], {"÷": 3, "k": 2}, ["n", "k"]),
        ("G (i+k) -> i", ["dY"], {"k": 2}, ["k"]),
        ("b (i+µ) -> i", ["μ_"], {"µ": 2}, ["μ"]),
    ],
)
def test_names_never_collide(
    spec: str, names: list[str], values: dict[str, Any], arguments: list[str], reduce: Reduction
) -> None:
    contraction = cc.Contraction(spec, reduce)
    operands = [np.arange(20.0).reshape(4, 5) % 7, np.array([2.0, 3.0])][: len(names)]
    given = dict(zip(arguments, values.values(), strict=True))
    expected = contraction(*operands, **values)
    for library in map(installed, MODULES if reduce == "max" else ["numpy", "torch"]):
        arrays = [library.of_numpy(operand) for operand in operands]
        forward = executed(forward_source(parse(spec, reduce), library.name, names), "forward")
        assert keywords(forward) == arguments
        assert_close(library.to_numpy(forward(*arrays, **given)), expected)
        ones = library.of_numpy(np.ones(expected.shape))
        for n in range(len(names)):
            source = gradient_source(parse(spec, reduce), n, library.name, names)
            gradient = executed(source, "gradient")
            known = {name: given[name] for name in keywords(gradient)}
            result = library.to_numpy(gradient(ones, *arrays, **known))
            derived = contraction.grad(n)(np.ones(expected.shape), *operands, **values)
            assert_close(result, derived)


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("spec", ["rows cols -> cols", "I (H+k-1) -> H", "S (2*i+place-1) -> i"])
def test_variables_are_never_called_like_an_index(spec: str, reduce: Reduction) -> None:
    parsed = parse(spec, reduce)
    for source in (
        forward_source(parsed, "numpy", ["X"]), gradient_source(parsed, 0, "numpy", ["X"])
    ):  # fmt: skip
        names = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name))
        assigned = {node.id for node in names if isinstance(node.ctx, ast.Store)}
        assert not assigned.intersection(parsed.indices), source


def test_parameters_come_before_extents_in_the_order_of_the_string() -> None:
    spec = parse("b (s*i+d*k-p) (s*j+d*l-p) c -> b i j c", "max", "d p s unused")
    forward = executed(forward_source(spec, "numpy", ["X"]), "forward")
    assert keywords(forward) == ["s", "d", "p", "k", "l"]
    gradient = executed(gradient_source(spec, 0, "numpy", ["X"]), "gradient")
    assert list(inspect.signature(gradient).parameters) == ["G", "X", "s", "d", "p", "k", "l"]


def test_the_cotangent_gets_another_name_if_an_operand_has_its() -> None:
    gradient = executed(gradient_source(parse("i, i -> i"), 0, "numpy", ["G", "X"]), "gradient")
    assert list(inspect.signature(gradient).parameters) == ["dY", "G", "X"]


def test_the_cotangent_says_what_the_operands_do_not() -> None:
    spec = parse("i -> r i")
    assert keywords(executed(forward_source(spec, "numpy", ["X"]), "forward")) == ["r"]
    assert keywords(executed(gradient_source(spec, 0, "numpy", ["X"]), "gradient")) == []


def test_as_many_indices_as_there_are_letters() -> None:
    indices = [f"n{number}" for number in range(len(string.ascii_letters))]
    spec = parse(f"{' '.join(indices)} -> {' '.join(reversed(indices))}")
    # Exactly one letter each.
    source = forward_source(spec, "numpy", ["X"])
    before, after = re.search(r'"(\w+)->(\w+)"', source).groups()  # type: ignore[union-attr]
    assert set(before) == set(after) == set(string.ascii_letters)
    with pytest.raises(ContractionError, match="too many indices for source code"):
        forward_source(parse(f"{' '.join(indices)} more -> more"), "numpy", ["X"])


# --- how it reads ----------------------------------------------------------------------------

# What stands in front of every function that compares sizes.
AGREE = '''\
def agree(string, /, *shapes, **extents):
    """Refuse shapes that give an index several extents; return the extents."""
    for term, shape in zip(string.split(","), shapes, strict=True):
        if len(term.split()) != len(shape):
            raise ValueError(f"'{term.strip()}' does not fit the shape {tuple(shape)}")
        for index, size in zip(term.split(), shape, strict=True):
            if index != "." and extents.setdefault(index, size) != size:
                raise ValueError(f"extents disagree: {index} is {extents[index]}, but also {size}")
    return extents


'''

CONVOLUTION = '''\
def forward(X, W):
    """b (2*i+k-1) c, k c o -> b i o"""
    H = X.shape[1]
    K = W.shape[0]
    I = (H + 2 * 1 - max(1, K)) // 2 + 1
    if I < 1:
        raise ValueError(f"(2*i+k-1) has no place on an axis of {H}")
    agree("b . c, k c o", X.shape, W.shape)
    rows = 2 * np.arange(I)[:, None] + np.arange(K) - 1
    rows = np.where((0 <= rows) & (rows < H), rows, H)
    # Positions outside read the appended slice of zeros.
    X = np.pad(X, ((0, 0), (0, 1), (0, 0)))[:, rows]
    return np.einsum("bikc,kco->bio", X, W, optimize=True)
'''

GRADIENT = '''\
def gradient(G, X, W, *, s, d, p):
    """The gradient of b (s*i+d*k-p) c, k c o -> b i o by X: b ((h-d*k+p)/s) o, k c o -> b h c"""
    H = X.shape[1]
    K = W.shape[0]
    if s == 0:
        raise ValueError("division by zero: s")
    extents = fitted({"k": K}, {}, (H, {"i": s, "k": d}, -p, 1))
    I = extents["i"]
    agree("b . c, k c o, b i o", X.shape, W.shape, G.shape, i=I)
    rows = torch.arange(H)[:, None] - d * torch.arange(K) + p
    rows = torch.where((rows % s == 0) & (0 <= rows // s) & (rows // s < I), rows // s, I)
    # Positions outside read the appended slice of zeros.
    G = pad(G, (0, 0, 0, 1))[:, rows]
    return torch.einsum("bhko,kco->bhc", G, W)
'''

POOLING = '''\
def gradient(G, X, *, k, l):
    """The gradient of b (2*i+k-1) (2*j+l) c -> b i j c (reduce="max") by X:

    b i j c, b i j c k l -> b (2*i+k-1) (2*j+l) c
    """
    _, H, W, _ = X.shape
    I = (H + 2 * 1 - max(1, k)) // 2 + 1
    if I < 1:
        raise ValueError(f"(2*i+k-1) has no place on an axis of {H}")
    J = (W - max(1, l)) // 2 + 1
    if J < 1:
        raise ValueError(f"(2*j+l) has no place on an axis of {W}")
    agree("b . . c, b i j c", X.shape, G.shape, i=I, j=J)
    rows = 2 * jnp.arange(I)[:, None] + jnp.arange(k) - 1
    in_rows = (0 <= rows) & (rows < H)
    rows = jnp.where(in_rows, rows, H)
    cols = 2 * jnp.arange(J)[:, None] + jnp.arange(l)
    # Positions outside read the appended slice of zeros.
    X = jnp.pad(X, ((0, 0), (0, 1), (0, 0), (0, 0)))[:, rows][:, :, :, cols]
    values = jnp.einsum("bikjlc->bijckl", X)
    worst = (
        jnp.iinfo(values.dtype).min
        if values.dtype.kind in "iu"
        else values.dtype.kind != "b" and -jnp.inf
    )
    values = jnp.where(in_rows[:, None, None, :, None], values, worst)
    # S is one at the first maximum, else zero.
    best = values.max((-2, -1), keepdims=True, initial=worst)
    hits = ((values == best) | (values != values)) & in_rows[:, None, None, :, None]
    flat = hits.reshape(*hits.shape[:4], k * l)
    S = (flat & (flat.cumsum(-1) == 1)).astype(G.dtype).reshape(values.shape)
    place_h = (jnp.arange(H)[:, None, None] == rows).astype(G.dtype)
    place_w = (jnp.arange(W)[:, None, None] == cols).astype(G.dtype)
    return jnp.einsum("bijc,bijckl,hik,wjl->bhwc", G, S, place_h, place_w)
'''

DENSE = '''\
def gradient(G, X, W):
    """The gradient of b h w c, h w c o -> b o by W: b o, b h w c -> h w c o"""
    agree("b h w c, h w c o, b o", X.shape, W.shape, G.shape)
    return np.einsum("bo,bhwc->hwco", G, X, optimize=True)
'''

FLATTEN = '''\
def forward(X):
    """b h w c -> b (h w c)"""
    B, H, W, C = X.shape
    return X.reshape(B, H * W * C)
'''


def test_a_strided_convolution() -> None:
    spec = parse("b (2*i+k-1) c, k c o -> b i o")
    source = forward_source(spec, "numpy", ["X", "W"])
    assert source == f"import numpy as np\n\n\n{AGREE}{CONVOLUTION}"


def test_its_gradient_with_symbols() -> None:
    spec = parse("b (s*i+d*k-p) c, k c o -> b i o", parameters="s d p")
    source = gradient_source(spec, 0, "torch", ["X", "W"])
    imports = "import math\n\nimport torch\nfrom torch.nn.functional import pad\n\n\n"
    assert source.startswith(imports + AGREE)
    assert source.endswith("\n\n\n" + GRADIENT)


def test_the_gradient_of_a_maximum_pooling() -> None:
    spec = parse("b (2*i+k-1) (2*j+l) c -> b i j c", "max")
    source = gradient_source(spec, 0, "jax", ["X"])
    assert source == f"import jax.numpy as jnp\n\n\n{AGREE}{POOLING}"


def test_an_einsum_is_a_comparison_of_sizes_and_one_call() -> None:
    spec = parse("b h w c, h w c o -> b o")
    source = gradient_source(spec, 1, "numpy", ["X", "W"])
    assert source == f"import numpy as np\n\n\n{AGREE}{DENSE}"


def test_nothing_is_compared_where_every_index_has_one_axis() -> None:
    assert "agree" not in forward_source(parse("b h w c -> c b"), "numpy", ["X"])


def test_what_needs_no_import_has_none() -> None:
    assert forward_source(parse("b h w c -> b (h w c)"), "torch", ["X"]) == FLATTEN


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ("(i+k), k -> i", "I = H - max(1, K) + 1"),
        ("(i+k-1), k -> i", "I = H + 2 * 1 - max(1, K) + 1"),
        ("(2*i+3*k-2), k -> i", "I = (H + 2 * 2 - 3 * (max(1, K) - 1) - 1) // 2 + 1"),
        ("(i-k), k -> i", "I = H + max(1, K) - 1"),
        ("(2*i-k+1), k -> i", "I = (H + max(0, max(1, K) - 2) - 2) // 2 + 1"),
        ("(2*i) -> i", "I = (H - 1) // 2 + 1"),
        ("(4-i) -> i", "I = max(0, 5 - H) + 5"),
        ("i, k -> (2*i+k-1)", "H = max(0, 2 * (I - 1) + K - 2 * 1) if I * K else 0"),
        ("i, k -> (i+2*k)", "H = I + 2 * (K - 1) if I * K else 0"),
        ("i -> (i/2)", "H = (I - 1) // 2 + 1 if I else 0"),
        ("b (n d), n -> b d", "D = X.shape[1] // N"),
        ("(i i) -> i", "I = round(X.shape[0] ** (1 / 2))"),
    ],
)
def test_sizes_are_computed_as_a_person_would(spec: str, line: str) -> None:
    count = spec.count(",") + 1
    assert f"    {line}\n" in forward_source(parse(spec), "numpy", NAMES[:count])


@pytest.mark.parametrize("length", [20, 45, 80, 120])
def test_long_names_make_long_lines_but_no_wrong_ones(length: int) -> None:
    names = ["x" * length, "w" * length]
    operands = [np.arange(120.0).reshape(2, 5, 4, 3) / 120, np.arange(36.0).reshape(3, 2, 3, 2)]
    for reduce in REDUCTIONS:
        contraction = cc.Contraction("b (2*i+k-1) (j+l-1) c, k l c o -> b i j o", reduce)
        parsed = parse(str(contraction), reduce)
        forward = executed(forward_source(parsed, "numpy", names), "forward")
        expected = contraction(*operands)
        assert_close(forward(*operands), expected)
        for n in range(2):
            gradient = executed(gradient_source(parsed, n, "numpy", names), "gradient")
            derived = contraction.grad(n)(np.ones(expected.shape), *operands)
            assert_close(gradient(np.ones(expected.shape), *operands), derived)


def test_a_long_string_is_broken_before_its_arrow() -> None:
    spec = parse("batch (2*row+down-1) (2*column+right-1) channel, down right channel feature "
                 "-> batch row column feature")  # fmt: skip
    source = forward_source(spec, "numpy", ["images", "kernels"])
    assert (
        '''
    """batch (2*row+down-1) (2*column+right-1) channel, down right channel feature
    -> batch row column feature
    """
'''
        in source
    )
    assert all(len(line) <= 100 for line in source.splitlines())


def test_nothing_is_padded_where_nothing_lies_outside() -> None:
    source = forward_source(parse("b (2*i+3*k+1) c, k c o -> b i o"), "numpy", ["X", "W"])
    assert "pad" not in source
    assert "where" not in source
    source = gradient_source(parse("b (2*i+3*k+1) c, k c o -> b i o"), 1, "numpy", ["X", "W"])
    assert "pad" not in source
    source = forward_source(parse("i (2*i+3*k+1), k -> i"), "numpy", ["X", "W"])
    assert "pad" in source  # here the first axis says how far i goes


def test_a_cotangent_may_be_shorter_than_what_lands_on_it() -> None:
    source = gradient_source(parse("i -> (2*i+1)"), 0, "numpy", ["X"])
    gradient = executed(source, "gradient")
    assert_close(gradient(np.array([1.0, 2.0, 3.0, 4.0]), np.ones(3)), np.array([2.0, 4.0, 0.0]))


def test_what_does_not_follow_from_its_own_axis_may_lie_outside() -> None:
    spec = parse("(i+k), i, k -> i")  # the first axis may be shorter than the others together
    source = forward_source(spec, "numpy", ["X", "W", "V"])
    assert "rows = np.where(rows < H, rows, H)" in source
    forward = executed(source, "forward")
    operands = [np.arange(1.0, 4.0), np.ones(3), np.ones(2)]
    assert_close(forward(*operands), np.array([3.0, 5.0, 3.0]))


def sources(library: str) -> list[str]:
    """All sources of the table in one library."""
    texts = []
    for case in CASES:
        texts.append(forward_source(case.parsed, library, case.names))
        for n in range(len(case.names)):
            texts.append(gradient_source(case.parsed, n, library, case.names))
    return list(dict.fromkeys(texts))


def unused(source: str) -> set[str]:
    """Names that are bound by an import or an assignment and never read."""
    tree = ast.parse(source)
    imports = {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    loaded = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    return (imports | stored) - loaded - {"_"}


def test_an_unused_name_would_be_noticed() -> None:
    assert unused("import numpy as np\n\ndef f(x):\n    y = x\n    return x\n") == {"np", "y"}


@pytest.mark.parametrize("name", list(MODULES))
def test_every_name_is_used_and_nothing_else_imported(name: str) -> None:
    for source in sources(name):
        assert not unused(source), source
        tree = ast.parse(source)
        modules = {a.name for n in tree.body if isinstance(n, ast.Import) for a in n.names}
        modules |= {n.module or "" for n in tree.body if isinstance(n, ast.ImportFrom)}
        assert {module.split(".")[0] for module in modules} <= MODULES[name] | {"math"}


@pytest.mark.parametrize("name", list(MODULES))
def test_every_function_has_its_string(name: str) -> None:
    for case in CASES:
        tree = ast.parse(forward_source(case.parsed, name, case.names))
        *_, function = (node for node in tree.body if isinstance(node, ast.FunctionDef))
        assert str(case.contraction) in (ast.get_docstring(function) or "")


@pytest.mark.skipif(not importlib.util.find_spec("ruff"), reason="needs ruff")
def test_a_formatter_leaves_it_as_it_is(tmp_path: Path) -> None:
    for name in MODULES:
        for number, source in enumerate(sources(name)):
            (tmp_path / f"{name}_{number}.py").write_text(source, encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    alone = ["--isolated", "--no-cache", "--line-length=100", str(tmp_path)]
    subprocess.run([*ruff, "format", "--check", *alone], check=True)
    subprocess.run([*ruff, "check", "--select=F,I,W", *alone], check=True)


# --- what cannot be written ------------------------------------------------------------------


def test_an_unknown_library() -> None:
    spec = parse("i -> i")
    with pytest.raises(ContractionError, match="'tensorflow': choose one of numpy, torch, jax"):
        forward_source(spec, "tensorflow", ["X"])
    with pytest.raises(ContractionError, match="choose one of numpy, torch, jax"):
        gradient_source(spec, 0, "Numpy", ["X"])


def test_an_ellipsis() -> None:
    spec = parse("... i -> ...")
    with pytest.raises(ContractionError, match="write the axes out"):
        forward_source(spec, "numpy", ["X"])
    with pytest.raises(ContractionError, match="write the axes out"):
        gradient_source(spec, 0, "numpy", ["X"])


def test_no_such_operand() -> None:
    with pytest.raises(OperandError, match="no operand 1"):
        gradient_source(parse("i -> i"), 1, "numpy", ["X"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["X"], "has 2 operands, but 1 name was given"),
        (["X", "W", "V"], "but 3 names were given"),
        (["X", "X"], "the same name: X, X"),
        (["X", "in"], "'in' cannot be the name"),
        (["X", "2"], "'2' cannot be the name"),
        (["X", 2], "2 cannot be the name"),
        (["X", "np"], "cannot be called 'np'"),
        (["µ", "μ"], "the same name"),
    ],
)
def test_wrong_names(names: list[Any], message: str) -> None:
    with pytest.raises(OperandError, match=message):
        forward_source(parse("i, i -> i"), "numpy", names)
    with pytest.raises(OperandError, match=message):
        gradient_source(parse("i, i -> i"), 0, "numpy", names)
