"""The portable engine: against brute force in exact integers, and its gradients by autodiff."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import pytest
from conformance.cases import ALIKE, CONVS, LAYERS, POOLS, TRANSPOSED, UNEVEN, Case, Pullback, check
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import evaluate
from reference import reference
from strategies import Array, Problem, empties, problems, seeds, windows

import contractconv as cc
from contractconv import Reduction
from contractconv.arrays.precision import common_dtype
from contractconv.display.source_code import printer
from contractconv.engines.portable import interpreter, nodes
from contractconv.engines.portable.interpreter import run
from contractconv.engines.portable.libraries import (
    LIBRARIES,
    Library,
    numpy_like,
)
from contractconv.engines.portable.nodes import Einsum, Operand
from contractconv.engines.portable.translation import lowered
from contractconv.notation import problem as notation
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse

REDUCTIONS: tuple[Reduction, ...] = ("sum", "max", "min", "prod", "mean", "logsumexp")
DTYPES = (
    "int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64",
    "complex128", "bool", "uint16", "uint32",
)  # fmt: skip
NAMES = ("numpy", "torch", "torch on a device", "jax", "cupy", "dask")


def fewer(part: int) -> settings:
    """A part of the usual number of examples, where each has to be compiled."""
    return settings(max_examples=settings().max_examples // part)


anything = st.one_of(problems(), windows(), problems(empty=True), empties())


# --- the libraries ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Peer:
    """An array library: how arrays get into it and out of it again."""

    enter: Callable[[Array], Any]
    leave: Callable[[Any], Array]
    ask: Callable[[notation.Problem, Sequence[Any]], Any] = reference


def _peer(name: str) -> Peer:
    if name == "numpy":
        return Peer(np.asarray, np.asarray)
    if name.startswith("torch"):
        torch = pytest.importorskip("torch")
        if "device" in name and not torch.cuda.is_available():
            pytest.skip("there is no device")
        device = "cuda" if "device" in name else "cpu"
        return Peer(
            lambda array: torch.tensor(array, device=device), lambda made: made.cpu().numpy()
        )
    if name == "jax":
        jax = pytest.importorskip("jax")
        return Peer(jax.numpy.asarray, np.asarray, jax.jit(reference, static_argnums=0))
    if name == "cupy":
        cupy = pytest.importorskip("cupy")
        return Peer(cupy.asarray, cupy.asnumpy)
    dask = pytest.importorskip("dask.array")
    return Peer(lambda array: dask.from_array(array, chunks=2), lambda made: made.compute())


@pytest.fixture(scope="module", params=NAMES)
def peer(request: pytest.FixtureRequest) -> Peer:
    """Each of the libraries that is installed."""
    return _peer(request.param)


def problem_of(
    spec: str,
    shapes: Sequence[Sequence[int]],
    extents: Mapping[str, int],
    reduce: str = "sum",
    output_shape: Sequence[int] | None = None,
) -> notation.Problem:
    """The numeric problem of a string and shapes."""
    known = resolve(parse(spec), [tuple(shape) for shape in shapes], extents, output_shape)
    return replace(known, reduce=reduce)


def _numeric(problem: Problem, reduce: str) -> notation.Problem:
    shapes, extents = problem.shapes, problem.extents
    return problem_of(problem.spec, shapes, extents, reduce, problem.output_shape)


def _asked(peer: Peer, problem: Problem, operands: Sequence[Array], reduce: str) -> Array:
    entered = [peer.enter(operand) for operand in operands]
    made = peer.ask(_numeric(problem, reduce), entered)
    assert type(made) is type(entered[0])
    return peer.leave(made)


def _close(result: Array, expected: Array, tolerance: float) -> None:
    assert result.shape == expected.shape
    finite = np.abs(expected[np.isfinite(expected)]).max(initial=1.0)
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance * float(finite))


# --- results ---------------------------------------------------------------------------------


@fewer(2)
@given(problem=anything, reduce=st.sampled_from(REDUCTIONS), seed=seeds())
def test_results_are_those_of_brute_force(
    peer: Peer, problem: Problem, reduce: Reduction, seed: int
) -> None:
    operands = problem.operands(seed, problem.bound(reduce))
    expected = evaluate(problem.spec, operands, problem.extents, problem.output_shape, reduce)
    result = _asked(peer, problem, operands, reduce)
    assert result.dtype == expected.dtype
    _close(result, expected, 1e-10 if reduce in ("mean", "logsumexp") else 0)


@pytest.mark.parametrize("dtype", DTYPES)
@fewer(20)
@given(problem=windows(), reduce=st.sampled_from(REDUCTIONS), seed=seeds())
def test_every_dtype(
    peer: Peer, dtype: str, problem: Problem, reduce: Reduction, seed: int
) -> None:
    kind = np.dtype(dtype).kind
    if kind == "c" and reduce in ("max", "min", "logsumexp"):
        return
    operands = [(operand % 2).astype(dtype) for operand in problem.operands(seed)]
    # To the oracle truth values are small integers; they hold the identities, too.
    known = [operand.astype(np.uint8) if kind == "b" else operand for operand in operands]
    expected = evaluate(problem.spec, known, problem.extents, problem.output_shape, reduce)
    result = _asked(peer, problem, operands, reduce)
    assert result.dtype == common_dtype([np.empty(0, dtype)], reduce)
    tolerance = {"f2": 1e-3, "f4": 1e-5, "c8": 1e-5}.get(result.dtype.str[1:], 1e-10)
    exact = result.dtype.kind in "iub"
    _close(result, expected.astype(result.dtype), 0 if exact else tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_dtypes_meet_as_the_library_has_it(name: str) -> None:
    peer, problem = _peer(name), problem_of("i, i ->", [(2,), (2,)], {})
    operands = [peer.enter(np.ones(2, dtype)) for dtype in ("int32", "float32")]
    made = peer.leave(reference(problem, operands))
    assert made.dtype == np.dtype("float32" if name.startswith(("torch", "jax")) else "float64")


def test_short_floats_are_summed_in_longer_ones() -> None:
    torch = pytest.importorskip("torch")
    problem = problem_of("i ->", [(5000,)], {})
    for dtype in (torch.float16, torch.bfloat16):
        made = reference(problem, [torch.ones(5000, dtype=dtype)])
        assert made.dtype == dtype
        assert made == torch.tensor(5000.0).to(dtype)


@pytest.mark.parametrize(
    ("reduce", "dtype", "expected"),
    [("sum", "bool", [True] * 4), ("mean", "float32", [2 / 3, 1, 1, 2 / 3])],
)
def test_jax_narrows_without_a_word(reduce: str, dtype: str, expected: list[float]) -> None:
    jax = pytest.importorskip("jax")
    problem = problem_of("(i+k-1) -> i", [(4,)], {"k": 3}, reduce)
    with jax.enable_x64(False):
        made = reference(problem, [jax.numpy.ones(4, bool)])  # a warning is an error
    assert made.dtype == dtype
    np.testing.assert_allclose(np.asarray(made, float), expected, rtol=1e-6)


def test_wide_identities_of_narrow_integers() -> None:
    torch = pytest.importorskip("torch")
    problem = problem_of("(i+2) -> i", [(2,)], {"i": 2}, "min")
    assert reference(problem, [torch.ones(2, dtype=torch.uint16)]).tolist() == [2**16 - 1] * 2


# --- layers as others compute them -----------------------------------------------------------

LAYER_CASES = [
    *(windowed.case() for table in (CONVS, TRANSPOSED, UNEVEN, ALIKE) for windowed in table),
    *(pool.case() for pool in POOLS),
    *LAYERS.values(),
]


def _portable(case: Case) -> notation.Problem:
    contraction = case.contraction.bind(**case.values)
    extents = {**contraction.extents(*case.shapes, **case.extents), **case.extents}
    if "..." in case.spec:
        return replace(resolve(parse(case.spec), case.shapes, case.extents), reduce=case.reduce)
    return problem_of(
        str(contraction), case.shapes, extents, case.reduce, case.output_shape
    )  # fmt: skip


@pytest.mark.parametrize("case", LAYER_CASES, ids=str)
def test_layers(case: Case) -> None:
    for dtype in case.dtypes:
        operands = case.arrays(dtype)
        result = reference(_portable(case), operands)
        expected = case.contraction(
            *operands, output_shape=case.output_shape, **case.extents, **case.values
        )
        assert result.dtype == expected.dtype
        _close(result, expected, {"int64": 0, "float64": 1e-10, "float32": 1e-4}[dtype])


# --- gradients -------------------------------------------------------------------------------


def _torch_vjp(problem: notation.Problem, operands: Sequence[Array]) -> tuple[Array, Pullback]:
    torch = pytest.importorskip("torch")
    tensors = [torch.tensor(operand, requires_grad=True) for operand in operands]
    # What no point reads is not part of torch's graph.
    result = reference(problem, tensors) + 0 * sum(tensor.sum() for tensor in tensors)

    def pullback(cotangent: Array) -> list[Array]:
        made = torch.autograd.grad(result, tensors, torch.tensor(cotangent))
        return [gradient.numpy() for gradient in made]

    return result.detach().numpy(), pullback


def _jax_vjp(problem: notation.Problem, operands: Sequence[Array]) -> tuple[Array, Pullback]:
    jax = pytest.importorskip("jax")

    def gradients(cotangent: Array, arrays: Sequence[Array]) -> Any:
        return jax.vjp(lambda *given: reference(problem, given), *arrays)[1](cotangent)

    differentiated = jax.jit(gradients)  # every operation by itself takes longer to compile

    def pullback(cotangent: Array) -> list[Array]:
        return [np.asarray(gradient) for gradient in differentiated(cotangent, operands)]

    return reference(problem, operands), pullback


VJPS = {"torch": _torch_vjp, "jax": _jax_vjp}


@pytest.mark.parametrize("name", VJPS)
@fewer(5)
@given(problem=st.one_of(problems(), windows()), reduce=st.sampled_from(REDUCTIONS), seed=seeds())
def test_autodiff_gives_the_derived_gradients(
    name: str, problem: Problem, reduce: Reduction, seed: int
) -> None:
    rng = np.random.default_rng(seed)  # of normal numbers no two are alike
    operands = [rng.normal(size=shape) for shape in problem.shapes]
    cotangent = rng.normal(size=problem.output_shape)
    _, pullback = VJPS[name](_numeric(problem, reduce), operands)
    for n, gradient in enumerate(pullback(cotangent)):
        derivation = cc.Contraction(problem.spec, reduce).grad(n)
        derived = derivation(cotangent, *operands, **problem.extents)
        _close(gradient, derived, 1e-9)


@pytest.mark.parametrize(
    "case", [case for case in LAYER_CASES[::3] if case.reduce == "sum"], ids=str
)
def test_gradients_of_layers(case: Case) -> None:
    check(case, "float64", lambda operands: _torch_vjp(_portable(case), operands))


# --- what is done ----------------------------------------------------------------------------


def test_plain_indices_go_to_einsum() -> None:
    problem = problem_of("b i j j, j k -> k b", [(2, 3, 4, 4), (4, 5)], {})
    assert lowered(problem) == Einsum(
        (Operand(0, problem.operands[0]), Operand(1, problem.operands[1])),
        (("b", "i", "j", "j"), ("j", "k")),
        ("k", "b"),
    )


def test_every_kind_of_node_has_a_rule() -> None:
    kinds = set(get_args(nodes.Node))
    assert set(interpreter.RULES) == kinds
    assert set(printer.RULES) == kinds - {nodes.Full}  # ones belong to the einsum that needs them


def test_nodes_travel() -> None:
    problem = problem_of("b i c, k c -> b (2*i+k)", [(2, 5, 3), (3, 3)], {})
    node = lowered(problem)
    operands = [np.ones((2, 5, 3)), np.ones((3, 3))]
    copied = pickle.loads(pickle.dumps(node))
    assert copied == node
    np.testing.assert_array_equal(run(copied, problem, operands), run(node, problem, operands))


def test_reading_nodes_imports_no_library() -> None:
    code = (
        "import sys, numpy as np; from contractconv.engines.portable.interpreter import run;"
        "from contractconv.engines.portable.nodes import Operand;"
        "from contractconv.notation.problem import Access, Problem;"
        "axes = (Access.along('i', 2),);"
        "problem = Problem((axes,), axes, (('i', 2),), 'sum', (2,));"
        "run(Operand(0, axes), problem, [np.ones(2)]);"
        "print(*{'torch', 'jax', 'cupy', 'dask', 'sympy', 'llvmlite'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("string", ["ij,jk->ik", "ii,i,j->j", "i,i->", "ij->ji", "ij,jk,k->i"])
def test_products_without_matrices(string: str) -> None:
    torch = pytest.importorskip("torch")
    from contractconv.engines.portable.libraries import torch_library

    sizes = {"i": 2, "j": 3, "k": 4}
    shapes = [[sizes[n] for n in term] for term in string.partition("->")[0].split(",")]
    arrays = [np.random.default_rng(0).integers(-9, 10, shape) for shape in shapes]
    made = torch_library.summed_products(string, *map(torch.tensor, arrays))
    np.testing.assert_array_equal(made, np.einsum(string, *arrays))


# --- another library -------------------------------------------------------------------------


class Toy:
    """An array of a library that nobody knows: numbers in numpy's keeping."""

    largest = 0

    def __init__(self, held: Any) -> None:
        self.held = np.asarray(held)
        Toy.largest = max(Toy.largest, self.held.size)

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis."""
        return self.held.shape

    def reshape(self, shape: Sequence[int]) -> Toy:
        """The same numbers in another shape."""
        return Toy(self.held.reshape(tuple(shape)))

    def __truediv__(self, other: Toy) -> Toy:
        return Toy(self.held / other.held)


def toys() -> Library:
    """The toys' record: numpy's, around what they hold."""
    base = numpy_like(np)

    def held(function: Callable[..., Any]) -> Callable[..., Toy]:
        def call(*arguments: Any) -> Toy:
            bare = [_held(argument) for argument in arguments]
            return Toy(function(*bare))

        return call

    return Library(
        array=lambda value, like: Toy(value),
        promoted=lambda given: base.promoted([toy.held for toy in given]),
        cast=held(base.cast),
        einsum=held(base.einsum),
        take=held(base.take),
        joined=held(base.joined),
        where=held(base.where),
        reductions={name: held(reducer) for name, reducer in base.reductions.items()},
    )


def _held(argument: Any) -> Any:
    if isinstance(argument, list):
        return [_held(part) for part in argument]
    return argument.held if isinstance(argument, Toy) else argument


@pytest.fixture
def toy_library() -> Iterator[None]:
    """The toys' library in the table."""
    package = Toy.__module__.partition(".")[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LIBRARIES, package, toys)
        yield


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.usefixtures("toy_library")
def test_a_library_is_one_entry(reduce: Reduction) -> None:
    toy = Peer(Toy, lambda made: np.asarray(made.held))
    for spec, shapes, extents in (
        ("b (2*i+k-1) c, k c o -> b i o", ((2, 7, 3), (3, 3, 2)), {}),
        ("b i c -> b (2*i+k) c", ((2, 4, 3),), {"k": 3}),
        ("i (i+k) (0) -> r k", ((3, 4, 2),), {"r": 2, "k": 2}),
    ):
        problem = problem_of(spec, shapes, extents, reduce)
        operands = [np.random.default_rng(0).normal(size=shape) for shape in shapes]
        made = toy.leave(reference(problem, [toy.enter(operand) for operand in operands]))
        np.testing.assert_array_equal(made, reference(problem, operands))


@pytest.mark.usefixtures("toy_library")
@pytest.mark.parametrize(
    ("spec", "shapes", "largest"),
    [
        ("b (i+k-1) (j+l-1) c, k l c o -> b i j o", ((1, 8, 9, 2), (3, 3, 2, 4)), 8 * 9 * 9 * 2),
        ("b i j o, k l c o -> b (i+k) (j+l) c", ((1, 8, 9, 4), (3, 3, 2, 4)), 10 * 3 * 9 * 3 * 2),
        ("b h w c, c o -> b h w o", ((2, 5, 6, 3), (3, 4)), 2 * 5 * 6 * 4),
        ("(i+k) i -> k", ((9, 6),), 9 * 6),
    ],
)
def test_nothing_is_larger_than_the_windows(
    spec: str, shapes: Sequence[tuple[int, ...]], largest: int
) -> None:
    Toy.largest = 0
    reference(problem_of(spec, shapes, {}), [Toy(np.ones(shape)) for shape in shapes])
    assert Toy.largest <= largest


def test_unknown_and_mixed_arrays_are_refused() -> None:
    problem = problem_of("i, i ->", [(2,), (2,)], {})
    with pytest.raises(cc.OperandError, match="no library of arrays for Toy"):
        reference(problem, [Toy(np.ones(2)), np.ones(2)])
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax.numpy")
    with pytest.raises(cc.OperandError, match=r"arrays of torch and jaxlib"):
        reference(problem, [torch.ones(2), jax.ones(2)])
    assert isinstance(reference(problem, [np.ones(2), torch.ones(2)]), torch.Tensor)
    with pytest.raises(cc.ReductionError, match="needs numbers with an order"):
        reference(problem_of("i ->", [(2,)], {}, "max"), [torch.ones(2, dtype=torch.complex64)])
