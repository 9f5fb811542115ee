"""The library against numpy, opt_einsum and SciPy: what their users know keeps its meaning.

- every example of ``np.einsum``'s documentation, run as it stands;
- the strings and the interleaved lists of opt_einsum's documentation, and random networks;
- numpy's and SciPy's functions that a string can say: convolutions, products, rearrangements;
- what arrays go in and come out: dtypes, layouts, empty axes, ownership.
"""

from __future__ import annotations

import doctest
import inspect
import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import opt_einsum
import pytest
from conformance.cases import REDUCTIONS, Case
from numpy.typing import NDArray

import contractconv as cc
from contractconv import Reduction

Array = NDArray[Any]
Shape = tuple[int, ...]

# The stubs of neither know the interleaved form.
contract: Any = cc.contract
einsum: Any = np.einsum

TOLERANCE = {"float64": 1e-10, "complex128": 1e-10, "float32": 1e-4, "complex64": 1e-4}


def numbers(shape: Shape, dtype: str = "int64", seed: int = 0) -> Array:
    """Small integers; with an imaginary part, or a fractional one, where the dtype has room."""
    rng = np.random.default_rng([seed, *shape])
    whole = rng.integers(-3, 4, shape)
    if np.dtype(dtype).kind in "biu":
        return np.abs(whole).astype(dtype) if np.dtype(dtype).kind == "u" else whole.astype(dtype)
    imaginary = 1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else 0
    return np.asarray(rng.normal(size=shape) + imaginary).astype(dtype)


def assert_same(result: Array, expected: Any) -> None:
    """The same shape, dtype and values; floats up to the order of summation."""
    expected = np.asarray(expected)
    assert isinstance(result, np.ndarray)
    assert result.shape == expected.shape
    assert result.dtype == expected.dtype
    tolerance = TOLERANCE.get(expected.dtype.name)
    if tolerance is None:
        np.testing.assert_array_equal(result, expected)
        return
    finite = np.abs(expected[np.isfinite(expected)])
    allowed = tolerance * float(finite.max(initial=0))
    np.testing.assert_allclose(result, expected, rtol=0, atol=allowed)


WRONG = [np.zeros(2), np.array([1, 1e-9]), np.array([[1.0, 0]]), np.array([1, 0], np.float32)]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_a_difference_is_noticed(wrong: Array) -> None:
    right = np.array([1.0, 0])
    assert_same(right + 1e-11, right)
    with pytest.raises(AssertionError):
        assert_same(wrong, right)


# --- np.einsum -------------------------------------------------------------------------------


class Compared:
    """numpy, whose ``einsum`` asks the library, too."""

    def __init__(self) -> None:
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def einsum(self, *arguments: Any, optimize: Any = False) -> Any:
        """Answer as numpy does, once the library has answered the same."""
        expected = einsum(*arguments, optimize=optimize)
        assert_same(contract(*arguments), expected)
        self.calls += 1
        return expected


def test_every_example_of_numpys_documentation() -> None:
    compared = Compared()
    # Some examples repeat one call for a benchmark: once is enough here.
    names: dict[str, Any] = {"np": compared, "range": lambda _: [0]}
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(np.einsum) or "")
    for example in examples:
        exec(example.source, names)
    assert compared.calls == sum(example.source.count("np.einsum(") for example in examples) > 20


EXTENTS = dict(
    zip("abcdefgijklmnABC", [2, 3, 4, 5, 2, 3, 2, 3, 4, 2, 5, 3, 2, 4, 2, 3], strict=True)
)


def einsum_operands(spec: str, dtype: str = "int64", dots: Shape = (2, 3)) -> list[Array]:
    """Operands for a string in numpy's notation."""
    terms = spec.replace(" ", "").partition("->")[0].split(",")
    return [numbers(_shape(term, dots), dtype, seed) for seed, term in enumerate(terms)]


def _shape(term: str, dots: Shape) -> Shape:
    before, ellipsis, after = term.partition("...")
    sizes = [[EXTENTS[letter] for letter in part] for part in (before, after)]
    return (*sizes[0], *(dots if ellipsis else ()), *sizes[1])


EINSUMS = [
    "", ",", ",,->", "i", "i->", "ij", "ji", "ij->", "ij->j", "ij->ji", "ijk->kij", "ijk->j",
    "ii", "ii->i", "iii", "iii->i", "iij->ij", "iji->j", "ijij->ij", "ijij", "i,i", "i,i->i",
    "i,j", "j,i", "i,j->ji", ",i", "i,", ",ij->ji", "ij,j", "ij,i", "ij,ij", "ij,ij->ij", "ij,ji",
    "ij,ji->ij", "ij,jk", "ij,jk->ki", "ij,kj", "ji,jk", "ij,ja", "ij,kl",
    "ij,kl->ljki", "aij,ajk->aik", "aij,bjk->abik", "ijk,jil->kl", "ijk,kl,lj->i", "ij,jk,kl,lm",
    "ij,ij,ij->i", "ij,jk,ki->", "iij,jkk->ik", "ea,fb,abcd,gc,db->efg", "ij,i,j", "a,ab,abc->abc",
    "Ab,bC", "bA,Cb", "aB,Ba", "ij , jk -> ik", " ij,jk ->ik ", "i,i,i,i,i->i",
    "...", "...->...", "...i", "i...", "i...j", "...ij->...ji", "...ii->...i", "...ii", "i...i",
    "i...i->...", "...,...", "..., ...", "...i,...i", "...i,...i->...", "...ij,...jk",
    "...ij,...jk->...ik", "ij...,jk...->ik...", "i...,...", "...j,j", "k...,jk", "ki,...k->i...",
    "...i,ij->...j", "i...j,j...k->...ik", "...a,b...->b...a",
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["int64", "float64", "complex128"])
@pytest.mark.parametrize("spec", EINSUMS)
def test_einsum(spec: str, dtype: str) -> None:
    operands = einsum_operands(spec, dtype)
    assert_same(contract(spec, *operands), einsum(spec, *operands))


@pytest.mark.parametrize("spec", [spec for spec in EINSUMS if "->" in spec])
def test_einsum_as_sublists(spec: str) -> None:
    operands = einsum_operands(spec)
    terms, output = spec.replace(" ", "").split("->")
    lists = [_sublist(term) for term in (*terms.split(","), output)]
    arguments = [*itertools.chain(*zip(operands, lists[:-1], strict=True)), lists[-1]]
    assert_same(contract(*arguments), einsum(*arguments))
    implicit = arguments[:-1]
    # With the output implied, the order of the numbers decides, as that of letters does.
    assert_same(contract(*implicit), einsum(*implicit))


def _sublist(term: str) -> list[Any]:
    before, ellipsis, after = term.partition("...")
    numbered = {letter: n for n, letter in enumerate(sorted(EXTENTS))}
    return [
        *(numbered[letter] for letter in before),
        *([Ellipsis] if ellipsis else []),
        *(numbered[letter] for letter in after),
    ]


BROADCAST = [
    ((2, 3), (2, 3)), ((2, 3), (3,)), ((3,), (2, 3)), ((2, 1), (1, 3)), ((1,), (2, 3)),
    ((), (2, 3)), ((2, 3), ()), ((1, 1), (1, 1)), ((5, 1, 3), (2, 1)), ((0, 3), (1, 3)),
    ((1, 3), (2, 0, 3)),
]  # fmt: skip


@pytest.mark.parametrize("spec", ["...,...", "...i,...i->...", "...ij,...jk->...ik", "...i,j..."])
@pytest.mark.parametrize(("left", "right"), BROADCAST)
def test_ellipses_broadcast(spec: str, left: Shape, right: Shape) -> None:
    terms = spec.partition("->")[0].split(",")
    shapes = (_shape(term, dots) for term, dots in zip(terms, (left, right), strict=True))
    operands = [numbers(shape, seed=n) for n, shape in enumerate(shapes)]
    assert_same(contract(spec, *operands), einsum(spec, *operands))


# --- opt_einsum ------------------------------------------------------------------------------

DOCUMENTED = [
    ("pi,qj,ijkl,rk,sl->pqrs", [(3, 3), (3, 3), (3, 3, 3, 3), (3, 3), (3, 3)]),
    ("ea,fb,abcd,gc,hd->efgh", [(3, 3), (3, 3), (3, 3, 3, 3), (3, 3), (3, 3)]),
    ("ijk,jkl->li", [(2, 3, 4), (3, 4, 5)]),
    ("αβγ,βγδ->δα", [(2, 3, 4), (3, 4, 5)]),
    ("αβγ,βγδ", [(2, 3, 4), (3, 4, 5)]),
    ("Ĥěļļö", [(2, 3, 4, 4, 2)]),
    ("ij,jk,kl->il", [(2, 2), (2, 5), (5, 2)]),
    ("ab,bc->ac", [(3, 4), (4, 5)]),
    ("abc,cd,dbe->ea", [(2, 3, 4), (4, 5), (5, 3, 6)]),
    ("ij,jk,kl,lm,mn->ni", [(9, 5), (5, 5), (5, 5), (5, 5), (5, 8)]),
    ("bdik,acaj,ikab,ajac,ikbd->",
     [(3, 4, 2, 5), (2, 3, 2, 4), (2, 5, 2, 3), (2, 4, 2, 3), (2, 5, 3, 4)]),
    ("bdik,acaj,ikab,ajac,ikbd",
     [(3, 4, 2, 5), (2, 3, 2, 4), (2, 5, 2, 3), (2, 4, 2, 3), (2, 5, 3, 4)]),
    *((f"ab,bc,cd,de,ef->{kept}", [(4, 4)] * 5) for kept in "abcdef"),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["int64", "float64"])
@pytest.mark.parametrize(("spec", "shapes"), DOCUMENTED)
def test_examples_of_opt_einsums_documentation(
    spec: str, shapes: Sequence[Shape], dtype: str
) -> None:
    operands = [numbers(shape, dtype, seed) for seed, shape in enumerate(shapes)]
    assert_same(contract(spec, *operands), opt_einsum.contract(spec, *operands))


INTERLEAVED: list[tuple[list[Shape], list[Any]]] = [
    ([(2, 3, 4), (3, 4, 5)], [[1, 2, 3], [2, 3, 4], [4, 1]]),
    ([(2, 3, 4), (3, 4, 5)], [[1, 2, 3], [2, 3, 4]]),
    ([(1, 2), (2, 2), (2, 1)],
     [("left", "bond1"), ("bond1", "bond2"), ("bond2", "right"), ("left", "right")]),
    ([(2, 3)], [(0, 1)]),
    ([(2, 3)], [(1, 0)]),
    ([(2, 3)], [("a", "b")]),
    ([(2, 3)], [("b", "a")]),
    ([(2, 3), (3, 4)], [("row 1", "(2*i+k)"), ("(2*i+k)", "->"), ("->", "row 1")]),
    ([(2, 3), (3, 4)], [("z", "-1"), ("-1", "A")]),
    ([(2, 3), (3, 4)], [[(0, 1), (5, 5)], [(5, 5), (0, 0)]]),
    ([(2, 3), (3, 4)], [[2.5, -1], [-1, 0.5]]),
    ([(3, 4, 5), (5, 2)], [[Ellipsis, "z"], ["z", "a"], ["a", Ellipsis]]),
    ([(3, 2, 2)], [[Ellipsis, "z", "z"]]),
    ([(2, 2)] * 40, [*([n, n + 1] for n in range(100, 60, -1)), [101, 61]]),
    ([(2, 2)] * 40, [*([f"node {n}", f"node {n + 1}"] for n in range(40)), ["node 9", "node 0"]]),
]  # fmt: skip


@pytest.mark.parametrize(("shapes", "lists"), INTERLEAVED)
def test_any_hashable_label(shapes: list[Shape], lists: list[Any]) -> None:
    operands = [numbers(shape, "float64", n) for n, shape in enumerate(shapes)]
    pairs = zip(operands, lists, strict=False)
    arguments = [*itertools.chain(*pairs), *lists[len(operands) :]]
    assert_same(contract(*arguments), opt_einsum.contract(*arguments))


def test_labels_of_different_types() -> None:
    a, b = numbers((2, 3)), numbers((3, 4))
    result = contract(a, [0, "zero"], b, ["zero", (0,)], [(0,), 0])
    assert_same(result, einsum("ab,bc->ca", a, b))


@pytest.mark.parametrize("start", range(0, 1000, 50))
def test_every_symbol_of_opt_einsum_is_an_index(start: int) -> None:
    # From the 75th on they are not only letters: there is × among them, ÷, and accents alone.
    chain = [opt_einsum.get_symbol(n) for n in range(start, start + 51)]
    spec = ",".join(map("".join, itertools.pairwise(chain)))
    operands = [numbers((2, 2), "float64", n) for n in range(50)]
    assert_same(contract(spec, *operands), opt_einsum.contract(spec, *operands))


@pytest.mark.parametrize("sites", [2, 10, 25, 100])
def test_overlap_of_matrix_product_states(sites: int) -> None:
    bond = 3
    symbols = [(3 * n, 3 * n + 1, 3 * n + 2) for n in range(sites)]
    terms, shapes = [], []
    for n, (physical, upper, lower) in enumerate(symbols):
        for new, old in ((upper, upper - 3), (lower, lower - 3)):
            bonds = [old] * (n > 0) + [new] * (n < sites - 1)
            terms.append("".join(map(opt_einsum.get_symbol, [physical, *bonds])))
            shapes.append((2, *[bond] * len(bonds)))
    spec = ",".join(terms) + "->"
    operands = [numbers(shape, "float64", n) / 2 for n, shape in enumerate(shapes)]
    assert_same(contract(spec, *operands), opt_einsum.contract(spec, *operands))


def network(seed: int) -> tuple[str, list[Shape]]:
    """A random network: indices on one tensor or several, or twice on one; any of them kept."""
    rng = random.Random(seed)
    tensors = rng.randint(1, 7)
    terms = [""] * tensors
    sizes = {opt_einsum.get_symbol(n): rng.randint(1, 3) for n in range(rng.randint(1, 9))}
    for symbol in sizes:
        for place in rng.choices(range(tensors), k=rng.choice([1, 2, 2, 2, 3, 4])):
            terms[place] += symbol
    terms = ["".join(rng.sample(term, len(term))) for term in terms]
    kept = rng.sample(sorted(sizes), rng.randint(0, min(3, len(sizes))))
    output = "->" + "".join(kept) if rng.random() < 0.8 else ""
    return ",".join(terms) + output, [tuple(sizes[symbol] for symbol in term) for term in terms]


@pytest.mark.parametrize("seed", range(150))
def test_random_network(seed: int) -> None:
    spec, shapes = network(seed)
    operands = [numbers(shape, seed=n) for n, shape in enumerate(shapes)]
    assert_same(contract(spec, *operands), einsum(spec, *operands))


@pytest.mark.parametrize("seed", range(0, 150, 5))
def test_gradients_of_a_random_network(seed: int) -> None:
    spec, shapes = network(seed)
    contraction = cc.Contraction(spec)
    operands = [numbers(shape, seed=n) for n, shape in enumerate(shapes)]
    cotangent = numbers(einsum(spec, *operands).shape, seed=99)
    for n, operand in enumerate(operands):
        result = contraction.grad(n)(cotangent, *operands)
        assert_same(result, multilinear_gradient(spec, n, cotangent, operands))
        assert result.shape == operand.shape


def multilinear_gradient(spec: str, n: int, cotangent: Array, operands: Sequence[Array]) -> Array:
    """How ``sum(cotangent * result)`` changes with each element: it is linear in each operand."""
    gradient = np.zeros_like(operands[n])
    for place in np.ndindex(gradient.shape):
        unit = np.zeros_like(gradient)
        unit[place] = 1
        result = einsum(spec, *operands[:n], unit, *operands[n + 1 :])
        gradient[place] = np.sum(cotangent * result)
    return gradient


# --- convolution and correlation -------------------------------------------------------------

LENGTHS = [(1, 1), (5, 1), (7, 2), (7, 3), (8, 4), (6, 6), (3, 7), (1, 4)]


def convolve(mode: str, long: int, short: int) -> tuple[str, dict[str, Any]]:
    """The string of a convolution of two lengths, and what must be given."""
    return {
        "full": ("(i-k), k -> i", {}),
        "valid": (f"(i-k+{short - 1}), k -> i", {}),
        "same": (f"(i-k+{(short - 1) // 2}), k -> i", {"i": long}),
    }[mode]


def correlate(mode: str, long: int, short: int) -> tuple[str, dict[str, Any]]:
    """The string of a correlation of two lengths, and what must be given."""
    return {
        "full": (f"(i+k-{short - 1}), k -> i", {}),
        "valid": ("(i+k), k -> i", {}),
        "same": (f"(i+k-{short // 2}), k -> i", {"i": long}),
    }[mode]


@pytest.mark.parametrize("dtype", ["int64", "float64", "complex128", "float32"])
@pytest.mark.parametrize("mode", ["full", "valid", "same"])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_convolve(lengths: tuple[int, int], mode: Any, dtype: str) -> None:
    a, v = (numbers((length,), dtype, n) for n, length in enumerate(lengths))
    long, short = sorted((a, v), key=len, reverse=True)
    spec, extents = convolve(mode, len(long), len(short))
    assert_same(contract(spec, long, short, **extents), np.convolve(a, v, mode))


@pytest.mark.parametrize("lengths", LENGTHS)
def test_full_convolution_as_a_scatter(lengths: tuple[int, int]) -> None:
    a, v = (numbers((length,)) for length in lengths)
    assert_same(contract("i, k -> (i+k)", a, v), np.convolve(a, v))
    assert_same(contract("(i-k), k -> i", a, v), np.convolve(a, v))


@pytest.mark.parametrize("dtype", ["int64", "complex128"])
@pytest.mark.parametrize("mode", ["full", "valid", "same"])
@pytest.mark.parametrize("lengths", [(n, k) for n, k in LENGTHS if n >= k])
def test_correlate(lengths: tuple[int, int], mode: Any, dtype: str) -> None:
    a, v = (numbers((length,), dtype, n) for n, length in enumerate(lengths))
    spec, extents = correlate(mode, *lengths)
    assert_same(contract(spec, a, v.conj(), **extents), np.correlate(a, v, mode))


def correlate_about_the_middle(mode: str, long: int, short: int) -> tuple[str, dict[str, Any]]:
    """SciPy's correlation in the plane counts the middle of an even kernel from the other end."""
    same = f"(i+k-{(short - 1) // 2}), k -> i", {"i": long}
    return same if mode == "same" else correlate(mode, long, short)


def in_space(
    axis: Callable[[str, int, int], tuple[str, dict[str, Any]]],
    mode: str,
    long: Shape,
    short: Shape,
) -> tuple[str, dict[str, Any]]:
    """Put the strings of several axes together, each with indices of its own."""
    read: list[str] = []
    extents: dict[str, int] = {}
    for sizes, position, tap in zip(zip(long, short, strict=True), "ijh", "klt", strict=False):
        spec, given = axis(mode, *sizes)
        read.append(spec.partition(",")[0].replace("i", position).replace("k", tap))
        extents |= {position: extent for extent in given.values()}  # noqa: B035 - there is but one
    positions, taps = " ".join("ijh"[: len(long)]), " ".join("klt"[: len(long)])
    return f"{' '.join(read)}, {taps} -> {positions}", extents


SPACES = [((6,), (3,)), ((5, 7), (3, 2)), ((4, 4), (4, 1)), ((4, 5, 3), (2, 2, 3))]


@pytest.mark.parametrize("method", ["convolve", "fftconvolve", "correlate"])
@pytest.mark.parametrize("mode", ["full", "valid", "same"])
@pytest.mark.parametrize(("long", "short"), SPACES)
def test_scipy_signal(long: Shape, short: Shape, mode: str, method: str) -> None:
    signal: Any = pytest.importorskip("scipy.signal")
    a, v = numbers(long, "complex128", 1), numbers(short, "complex128", 2)
    spec, extents = in_space(correlate if method == "correlate" else convolve, mode, long, short)
    other = v.conj() if method == "correlate" else v
    assert_same(contract(spec, a, other, **extents), getattr(signal, method)(a, v, mode))


@pytest.mark.parametrize("method", ["convolve2d", "correlate2d"])
@pytest.mark.parametrize("mode", ["full", "valid", "same"])
def test_scipy_signal_in_the_plane(mode: str, method: str) -> None:
    signal: Any = pytest.importorskip("scipy.signal")
    a, v = numbers((6, 7), seed=1), numbers((3, 4), seed=2)
    axis = correlate_about_the_middle if method == "correlate2d" else convolve
    spec, extents = in_space(axis, mode, a.shape, v.shape)
    assert_same(contract(spec, a, v, **extents), getattr(signal, method)(a, v, mode))


@pytest.mark.parametrize(("up", "down"), [(1, 1), (2, 1), (1, 3), (3, 2), (2, 5), (4, 6)])
def test_scipy_upfirdn(up: int, down: int) -> None:
    signal: Any = pytest.importorskip("scipy.signal")
    x, h = numbers((9,), "float64", 1), numbers((5,), "float64", 2)
    expected = signal.upfirdn(h, x, up, down)
    resampler = cc.Contraction("((down*i-k)/up), k -> i", parameters="up down")
    given: dict[str, Any] = {"up": up, "down": down, "i": len(expected)}
    assert_same(resampler(x, h, **given), expected)
    assert_same(resampler.bind(up=up, down=down)(x, h, i=len(expected)), expected)


def test_scipy_filters_of_an_image() -> None:
    ndimage: Any = pytest.importorskip("scipy.ndimage")
    image, kernel = numbers((6, 7), "float64", 1), numbers((3, 5), "float64", 2)
    window = "(i+k-1) (j+l-2)"
    given: dict[str, Any] = {"k": 3, "l": 5}
    assert_same(
        contract(f"{window}, k l -> i j", image, kernel),
        ndimage.correlate(image, kernel, mode="constant"),
    )
    assert_same(
        contract(f"{window} -> i j", image, reduce="mean", **given),
        ndimage.uniform_filter(image, (3, 5), mode="constant"),
    )
    for reduce, outside in (("max", -np.inf), ("min", np.inf)):
        peer = {"max": ndimage.maximum_filter, "min": ndimage.minimum_filter}[reduce]
        assert_same(
            contract(f"{window} -> i j", image, reduce=reduce, **given),
            peer(image, (3, 5), mode="constant", cval=outside),
        )


def test_scipy_logsumexp_neither_overflows_nor_loses_infinities() -> None:
    special: Any = pytest.importorskip("scipy.special")
    x = np.array([[1e3, 999.0, -1e3], [-1e3, -999.0, -np.inf], [-np.inf] * 3, [np.inf, 0, 1]])
    assert_same(contract("i j -> i", x, reduce="logsumexp"), special.logsumexp(x, axis=1))
    assert_same(contract("i j ->", x[:2], reduce="logsumexp"), special.logsumexp(x[:2]))


# --- numpy's functions -----------------------------------------------------------------------

sliding_windows = np.lib.stride_tricks.sliding_window_view

FUNCTIONS: list[tuple[Case, Callable[..., Any]]] = [
    (Case("i i ->", ((4, 4),)), np.trace),
    (Case("i (i+1) ->", ((4, 4),)), lambda a: np.trace(a, 1)),
    (Case("(i+2) i ->", ((4, 4),)), lambda a: np.trace(a, -2)),
    (Case("i i j -> j", ((4, 4, 3),)), np.trace),
    (Case("i i -> i", ((4, 4),)), np.diag),
    (Case("i -> i i", ((4,),)), np.diag),
    (Case("i -> i (i+2)", ((4,),)), lambda v: np.diag(v, 2)[:4]),
    (Case("i -> (i+1) i", ((4,),)), lambda v: np.diag(v, -1)[:, :4]),
    (Case("i, j -> i j", ((3,), (4,))), np.outer),
    (Case("i, i ->", ((4,), (4,))), np.dot),
    (Case("a i, b i -> a b", ((2, 4), (3, 4))), np.inner),
    (Case("i j, k l -> (i k) (j l)", ((2, 3), (4, 5))), np.kron),
    (Case("i, k -> (i k)", ((3,), (4,))), np.kron),
    (Case("i j m, k l n -> (i k) (j l) (m n)", ((2, 3, 2), (2, 1, 3))), np.kron),
    (Case("i, k l -> k (i l)", ((3,), (2, 4))), np.kron),
    (Case("i j k, j i l -> k l", ((3, 4, 5), (4, 3, 2))),
     lambda a, b: np.tensordot(a, b, axes=([1, 0], [0, 1]))),
    (Case("i j k, k j l -> i l", ((2, 3, 4), (4, 3, 5))),
     lambda a, b: np.tensordot(a, b, axes=([2, 1], [0, 1]))),
    (Case("i j, k l -> i j k l", ((2, 3), (4, 5))), lambda a, b: np.tensordot(a, b, axes=0)),
    (Case("i j k, i j k ->", ((2, 3, 4), (2, 3, 4))), lambda a, b: np.tensordot(a, b, axes=3)),
    (Case("... i j, ... j k -> ... i k", ((2, 3), (3, 4))), np.matmul),
    (Case("... i j, ... j k -> ... i k", ((5, 2, 3), (3, 4))), np.matmul),
    (Case("... i j, ... j k -> ... i k", ((5, 1, 2, 3), (1, 6, 3, 4))), np.matmul),
    (Case("... i j, j -> ... i", ((5, 2, 3), (3,))), np.matmul),
    (Case("j, ... j k -> ... k", ((3,), (5, 3, 2))), np.matmul),
    (Case("i j -> (i r) j", ((2, 3),), {"r": 4}), lambda a: np.repeat(a, 4, axis=0)),
    (Case("i j -> i (j r)", ((2, 3),), {"r": 2}), lambda a: np.repeat(a, 2, axis=1)),
    (Case("i j -> (i j r)", ((2, 3),), {"r": 2}), lambda a: np.repeat(a, 2)),
    (Case("i j -> (r i) j", ((2, 3),), {"r": 4}), lambda a: np.tile(a, (4, 1))),
    (Case("i j -> (r i) (s j)", ((2, 3),), {"r": 2, "s": 3}), lambda a: np.tile(a, (2, 3))),
    (Case("i j -> r i j", ((2, 3),), {"r": 4}), lambda a: np.broadcast_to(a, (4, 2, 3))),
    (Case("i -> i j", ((3,),), {"j": 2}), lambda a: np.stack([a, a], axis=1)),
    (Case("i j -> (i j)", ((3, 4),)), np.ravel),
    (Case("i j -> (j i)", ((3, 4),)), lambda a: a.ravel("F")),
    (Case("(i j k) -> k i j", ((24,),), {"i": 2, "j": 3}),
     lambda a: a.reshape(2, 3, 4).transpose(2, 0, 1)),
    (Case("(3-i) j -> i j", ((4, 3),)), lambda a: np.flip(a, 0)),
    (Case("(5-i) -> i", ((6,),)), np.flip),
    (Case("(2*i+1) -> i", ((8,),)), lambda a: a[1::2]),
    (Case("(3*i) -> i", ((8,),)), lambda a: a[::3]),
    (Case("(7-2*i) -> i", ((8,),)), lambda a: a[::-2]),
    (Case("(2) j -> j", ((4, 3),)), lambda a: a[2]),
    (Case("j -> (0) j", ((4,),)), lambda a: a[np.newaxis]),
    (Case("(i-2) -> i", ((4,),), {"i": 9}), lambda a: np.pad(a, (2, 3))),
    (Case("(i-1) (j-2) -> i j", ((2, 3),), {"i": 4, "j": 7}),
     lambda a: np.pad(a, ((1, 1), (2, 2)))),
    (Case("(i+k) -> i k", ((7,),), {"k": 3}), lambda a: sliding_windows(a, 3)),
    (Case("(i+k) (j+l) -> i j k l", ((4, 5),), {"k": 2, "l": 3}),
     lambda a: sliding_windows(a, (2, 3))),
    (Case("(i-k) -> i", ((6,),), {"i": 6, "k": 6}), np.cumsum),
    (Case("(i+k) j -> i j", ((6, 2),), {"i": 6, "k": 6}),
     lambda a: np.cumsum(a[::-1], axis=0)[::-1]),
    (Case("i, j -> (i-j+3)", ((3,), (4,))), lambda a, b: np.correlate(a, b.conj(), "full")),
    (Case("i j k -> i k", ((2, 3, 4),)), lambda a: a.sum(1)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["int64", "float64", "complex64"])
@pytest.mark.parametrize(
    ("case", "function"), FUNCTIONS, ids=lambda v: "" if callable(v) else str(v)
)
def test_function(case: Case, function: Callable[..., Any], dtype: str) -> None:
    operands = [numbers(shape, dtype, n) for n, shape in enumerate(case.shapes)]
    assert_same(case.contraction(*operands, **case.extents), function(*operands))


@pytest.mark.parametrize("spec", ["i j k -> i k", "i j k -> k i", "i j k ->", "i j k -> j"])
@pytest.mark.parametrize("reduce", ["sum", "prod", "max", "min", "mean"])
def test_reduction(reduce: Reduction, spec: str) -> None:
    kept = spec.partition("-> ")[2].split()
    gone = tuple(n for n, name in enumerate("ijk") if name not in kept)
    for dtype in ("int64", "float64", "float32"):
        x = numbers((2, 3, 4), dtype)
        expected = np.asarray(getattr(x, reduce)(gone))
        turned = expected.T if kept == ["k", "i"] else expected
        assert_same(contract(spec, x, reduce=reduce), turned)


# --- dtypes ----------------------------------------------------------------------------------

NUMERIC = ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64", "float16", "float32",
           "float64", "longdouble", "complex64", "complex128", "bool"]  # fmt: skip


@pytest.mark.parametrize("spec", ["ij,jk->ik", "ij->", "ij->ji", "ij,jk->", "ij,ij->ij", "ii->i"])
@pytest.mark.parametrize("dtype", NUMERIC)
def test_the_dtype_stays(dtype: str, spec: str) -> None:
    operands = [whole(shape, dtype, n) for n, shape in enumerate(((3, 3), (3, 3)))]
    operands = operands[: spec.count(",") + 1]
    assert_same(contract(spec, *operands), einsum(spec, *operands))


def whole(shape: Shape, dtype: str, seed: int = 0) -> Array:
    """Small integers of any dtype, so that no sum is rounded."""
    rng = np.random.default_rng(seed)
    return rng.integers(0 if np.dtype(dtype).kind in "bu" else -2, 3, shape).astype(dtype)


@pytest.mark.parametrize("right", NUMERIC)
@pytest.mark.parametrize("left", NUMERIC)
def test_two_dtypes_meet_as_in_numpy(left: str, right: str) -> None:
    operands = whole((2, 3), left), whole((3, 4), right, 1)
    assert_same(contract("ij,jk->ik", *operands), einsum("ij,jk->ik", *operands))


def test_integers_wrap_around_as_in_numpy() -> None:
    a, b = np.full((3, 40), 100, np.int8), np.full((40, 2), 3, np.int8)
    assert_same(contract("ij,jk->ik", a, b), einsum("ij,jk->ik", a, b))
    assert_same(contract("ij->", a), einsum("ij->", a))
    c = np.full(5, 200, np.uint8)
    assert_same(contract("i,i->", c, c), einsum("i,i->", c, c))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "float32", "complex64", "bool"])
def test_the_dtype_of_a_convolution_and_of_its_gradients(dtype: str) -> None:
    conv = cc.Contraction("b (i+k-1) c, k c o -> b i o")
    operands = [whole(shape, dtype, n) for n, shape in enumerate(((2, 5, 3), (3, 3, 2)))]
    larger = [operand.real.astype(np.int64) for operand in operands]
    assert_same(conv(*operands), conv(*larger).astype(dtype))
    cotangent = whole((2, 5, 2), dtype, 2)
    for n in range(2):
        expected = conv.grad(n)(cotangent.real.astype(np.int64), *larger).astype(dtype)
        assert_same(conv.grad(n)(cotangent, *operands), expected)


SCALARS = [3, 2.5, 1 + 2j, True, np.float32(2), np.int8(3), np.array(4), np.array(2.5, "f4")]


@pytest.mark.parametrize("scalar", SCALARS, ids=repr)
@pytest.mark.parametrize("dtype", ["int8", "int64", "float32", "float64", "complex64"])
def test_scalars_multiply_as_in_numpy(scalar: Any, dtype: str) -> None:
    # Python's numbers have no width: np.multiply knows that, np.einsum does not.
    x = whole((2, 3), dtype)
    assert_same(contract(",ij", scalar, x), np.multiply(scalar, x))
    assert_same(contract("ij,->ij", x, scalar), np.multiply(x, scalar))


@pytest.mark.parametrize("pair", list(itertools.product(SCALARS, repeat=2)), ids=repr)
def test_scalars_alone(pair: tuple[Any, Any]) -> None:
    assert_same(contract(",", *pair), np.multiply(*pair))


@pytest.mark.parametrize(
    "operand", [[1, 2, 3], (1.5, 2, 3), range(3), [[1, 2], [3, 4]], [np.float32(1), np.float32(2)]]
)
def test_sequences_are_arrays(operand: Any) -> None:
    assert_same(contract("...,...", operand, operand), einsum("...,...", operand, operand))
    assert_same(contract("...->", operand, reduce="max"), np.max(operand))


def test_gradients_by_scalars_and_sequences() -> None:
    scaled = cc.Contraction(",ij->ij")
    x, g = numbers((2, 3)), numbers((2, 3), seed=1)
    assert_same(scaled.grad(0)(g, 3, x), np.sum(g * x))
    assert_same(scaled.grad(1)(g, 3, x), 3 * g)
    assert_same(scaled.grad(1)(g.tolist(), 3, x.tolist()), 3 * g)
    assert_same(cc.Contraction(",").grad(1)(2.5, np.float32(2), 3), np.float32(5))


# --- empty axes ------------------------------------------------------------------------------

BILINEAR = ["ij,jk->ik", "ij,jk->", "aij,ajk->aik", "ij,ij->ij", "i,j->ij", "ij,j->", "ii,ij->j"]


@pytest.mark.parametrize("spec", BILINEAR)
@pytest.mark.parametrize("empty", ["a", "i", "j", "k", "ij", "ik", "aijk"])
def test_empty_axes(spec: str, empty: str) -> None:
    left, right = spec.partition("->")[0].split(",")
    operands = [
        numbers(tuple(0 if name in empty else 3 for name in term), seed=n)
        for n, term in enumerate((left, right))
    ]
    contraction = cc.Contraction(spec)
    result = contraction(*operands)
    assert_same(result, einsum(spec, *operands))
    cotangent = numbers(result.shape, seed=9)
    for n in range(2):
        gradient = contraction.grad(n)(cotangent, *operands)
        assert_same(gradient, multilinear_gradient(spec, n, cotangent, operands))


@pytest.mark.parametrize("empty", ["b", "c", "o", "k", "bco", "i"])
def test_empty_axes_of_a_convolution(empty: str) -> None:
    size = dict.fromkeys("bcok", 3) | {"i": 4} | dict.fromkeys(empty, 0)
    conv = cc.Contraction("b (2*i+k-1) c, k c o -> b i o")
    x, w = numbers((size["b"], 7, size["c"])), numbers((size["k"], size["c"], size["o"]))
    result = conv(x, w, i=size["i"])
    assert_same(result, np.zeros((size["b"], size["i"], size["o"]), np.int64))
    for n, operand in enumerate((x, w)):
        gradient = conv.grad(n)(np.ones_like(result), x, w, i=size["i"])
        assert_same(gradient, np.zeros_like(operand))


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0), (0, 0)])
def test_a_scatter_of_nothing(sizes: Shape) -> None:
    x, w = numbers(sizes[:1]), numbers(sizes[1:])
    assert_same(contract("i, k -> (i+k)", x, w), np.zeros(0, np.int64))
    assert_same(contract("i, k -> (i+k)", x, w, output_shape=(4,)), np.zeros(4, np.int64))


@pytest.mark.parametrize("dtype", ["int64", "float64", "int8", "bool"])
@pytest.mark.parametrize("reduce", ["sum", "prod", "max", "min"])
def test_a_reduction_of_nothing_is_its_identity(reduce: Reduction, dtype: str) -> None:
    x = np.ones((2, 0), dtype)
    result = contract("i j -> i", x, reduce=reduce)
    assert_same(result, np.full(2, identity(reduce, np.dtype(dtype)), dtype))
    gradient = cc.Contraction("i j -> i", reduce).grad(0)(np.ones(2, dtype), x)
    assert_same(gradient, x)


def identity(reduce: Reduction, dtype: np.dtype[Any]) -> Any:
    """What changes nothing when it is reduced with anything else."""
    if reduce in ("sum", "prod"):
        return dtype.type(reduce == "prod")
    if dtype.kind == "f":
        return -np.inf if reduce == "max" else np.inf
    if dtype.kind == "b":
        return reduce == "min"
    return getattr(np.iinfo(dtype), {"max": "min", "min": "max"}[reduce])


# --- memory ----------------------------------------------------------------------------------


def unaligned(a: Array) -> Array:
    """The same values, one byte away from where the processor wants them."""
    raw = np.zeros(a.nbytes + 1, np.uint8)[1:]
    view = np.ndarray(a.shape, a.dtype, raw.data)
    view[...] = a
    return view


def read_only(a: Array) -> Array:
    """The same values, not to be written."""
    copy = a.copy()
    copy.flags.writeable = False
    return copy


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "Fortran order": np.asfortranarray,
    "reversed": lambda a: np.ascontiguousarray(np.flip(a))[(slice(None, None, -1),) * a.ndim],
    "every other element": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "part of a larger array": lambda a: np.pad(a, 2)[(slice(2, -2),) * a.ndim],
    "axes moved": lambda a: np.moveaxis(np.moveaxis(a, 0, -1).copy(), -1, 0),
    "read-only": read_only,
    "unaligned": unaligned,
    "foreign byte order": lambda a: a.astype(a.dtype.newbyteorder()),
}

LAID_OUT = [
    Case("i j, j k -> i k", ((3, 4), (4, 5))),
    Case("i i -> i", ((4, 4),)),
    Case("i j -> i j", ((3, 4),)),
    Case("b (2*i+k-1) (j+l) c, k l c o -> b i j o", ((2, 7, 6, 3), (3, 2, 3, 4))),
    Case("b i j c, k l c o -> b (2*i+k-1) (j+l) o", ((2, 3, 4, 3), (3, 2, 3, 4))),
    Case("b (i+k) c, k c -> b i c", ((2, 7, 3), (3, 3))),
    Case("b (h r) (w s) -> b h w (r s)", ((2, 4, 6),), {"r": 2, "s": 3}),
    Case("b (2*i+k-1) c -> b i c", ((2, 7, 3),), {"k": 3}, "max"),
    Case("b (i+k) c -> b i c", ((2, 7, 3),), {"k": 3}, "mean"),
    Case("i j, j k -> i k", ((3, 4), (4, 5)), {}, "prod"),
]


@pytest.mark.parametrize("dtype", ["int64", "float64", "float32"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", LAID_OUT, ids=str)
def test_layout_of_operands(case: Case, layout: str, dtype: str) -> None:
    plain = [numbers(shape, dtype, n) for n, shape in enumerate(case.shapes)]
    laid_out = [LAYOUTS[layout](operand) for operand in plain]
    for a, b in zip(plain, laid_out, strict=True):
        np.testing.assert_array_equal(a, b)
    contraction, extents = case.contraction, case.extents
    result = contraction(*plain, **extents)
    assert_same(contraction(*laid_out, **extents), result)
    cotangent = numbers(result.shape, result.dtype.name, 9)
    for n in range(len(plain)):
        expected = contraction.grad(n)(cotangent, *plain, **extents)
        gradient = contraction.grad(n)(LAYOUTS[layout](cotangent), *laid_out, **extents)
        assert_same(gradient, expected)


OWNED = [
    *LAID_OUT,
    *(Case("ij->ij", ((3, 4),), {}, reduce) for reduce in REDUCTIONS),
    Case("ij->ji", ((3, 4),)),
    Case("...->...", ((3, 4),)),
    Case("->", ((),)),
    Case("i->i", ((1,),)),
    Case("(i) -> i", ((5,),)),
    Case("(2*i) -> i", ((5,),)),
    Case("(0) j -> j", ((2, 5),)),
    Case("i j -> (i j)", ((2, 5),)),
    Case("(i j) -> i j", ((10,),), {"i": 2}),
    Case("i -> j i", ((5,),), {"j": 2}),
    Case("(i+k) -> i k", ((5,),), {"k": 2}),
    Case("(i+k) -> i k", ((5,),), {"k": 2}, "max"),
    Case(",ij->ij", ((), (3, 4))),
    Case("ij->", ((3, 0),)),
]


@pytest.mark.parametrize("case", OWNED, ids=str)
def test_results_are_new_arrays(case: Case) -> None:
    operands = [numbers(shape, "float64", n) for n, shape in enumerate(case.shapes)]
    cotangent = numbers(case.contraction.output_shape(*case.shapes, **case.extents), "float64", 9)
    before = [array.copy() for array in (*operands, cotangent)]
    assert_owned(case.contraction(*operands, **case.extents), operands)
    for n in range(len(operands)):
        gradient = case.contraction.grad(n)(cotangent, *operands, **case.extents)
        assert_owned(gradient, [cotangent, *operands])
    for array, value in zip([*operands, cotangent], before, strict=True):
        np.testing.assert_array_equal(array, value)


def assert_owned(result: Array, others: Sequence[Array]) -> None:
    """A caller may write into a result and nothing else changes."""
    assert isinstance(result, np.ndarray)
    assert result.flags.writeable
    assert result.flags.c_contiguous
    assert result.flags.aligned
    for other in others:
        assert not np.shares_memory(result, other)


def test_one_array_in_two_places() -> None:
    x = numbers((4, 4))
    assert_same(contract("ij,jk->ik", x, x), x @ x)
    assert_same(contract("ij,ji->", x, x), np.trace(x @ x))
    assert_same(contract("ij,kj->ik", x, x.T), x @ x)
    g = numbers((4, 4), seed=1)
    product = cc.Contraction("ij,jk->ik")
    assert_same(product.grad(0)(g, x, x) + product.grad(1)(g, x, x), g @ x.T + x.T @ g)
