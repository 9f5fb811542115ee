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
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import opt_einsum
import pytest
from numpy.typing import NDArray

import contractconv as cc

Array = NDArray[Any]
Shape = tuple[int, ...]

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


@pytest.mark.parametrize(
    "wrong", [np.zeros(3), np.zeros(2, "float32"), np.array([0.0, 1e-9]), np.zeros((2, 1))]
)
def test_a_difference_is_noticed(wrong: Array) -> None:
    assert_same(np.array([1.0, 0]), np.array([1.0, 1e-11]))
    with pytest.raises(AssertionError):
        assert_same(wrong + np.eye(*wrong.shape[:1], 1, dtype=wrong.dtype)[:, 0], [1.0, 0.0])


# --- np.einsum -------------------------------------------------------------------------------


class Compared:
    """numpy, whose ``einsum`` asks the library, too."""

    def __init__(self) -> None:
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def einsum(self, *arguments: Any, optimize: Any = False) -> Any:
        """Answer as numpy does, once the library has answered the same."""
        expected = np.einsum(*arguments, optimize=optimize)
        assert_same(cc.contract(*arguments), expected)
        self.calls += 1
        return expected


def test_every_example_of_numpys_documentation() -> None:
    compared = Compared()
    # Some examples repeat one call for a benchmark: once is enough here.
    names: dict[str, Any] = {"np": compared, "range": lambda _: [0]}
    for example in doctest.DocTestParser().get_examples(inspect.getdoc(np.einsum) or ""):
        exec(example.source, names)  # noqa: S102 - numpy's own documentation
    assert compared.calls >= 35


EXTENTS = dict(zip("abcdefgijklmnABC", [2, 3, 4, 5, 2, 3, 2, 3, 4, 2, 5, 3, 2, 4, 2, 3], strict=True))


def einsum_operands(spec: str, dtype: str = "int64", dots: Shape = (2, 3)) -> list[Array]:
    """Operands for a string in numpy's notation."""
    terms = spec.replace(" ", "").split("->")[0].split(",")
    return [numbers(_shape(term, dots), dtype, seed) for seed, term in enumerate(terms)]


def _shape(term: str, dots: Shape) -> Shape:
    before, ellipsis, after = term.partition("...")
    sizes = [[EXTENTS[letter] for letter in part] for part in (before, after)]
    return (*sizes[0], *(dots if ellipsis else ()), *sizes[1])


EINSUMS = [
    "", ",", ",,->", "i", "i->", "ij", "ji", "ij->", "ij->j", "ij->ji", "ijk->kij", "ijk->j",
    "ii", "ii->i", "iii", "iii->i", "iij->ij", "iji->j", "ijij->ij", "ijij", "i,i", "i,i->i",
    "i,j", "j,i", "i,j->ji", ",i", "i,", ",ij->ji", "ij,j", "ij,i", "ij,ij", "ij,ij->ij", "ij,ji",
    "ij,ji->ij", "ij,jk", "ij,jk->ki", "ij,kj", "ji,jk", "ij,jh".replace("h", "a"), "ij,kl",
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
    assert_same(cc.contract(spec, *operands), np.einsum(spec, *operands))


@pytest.mark.parametrize("spec", [spec for spec in EINSUMS if "->" in spec])
def test_einsum_as_sublists(spec: str) -> None:
    operands = einsum_operands(spec)
    terms, output = spec.replace(" ", "").split("->")
    lists = [_sublist(term) for term in (*terms.split(","), output)]
    arguments = [*itertools.chain(*zip(operands, lists[:-1], strict=True)), lists[-1]]
    assert_same(cc.contract(*arguments), np.einsum(*arguments))
    implicit = arguments[:-1]
    # With the output implied, the order of the numbers decides, as that of letters does.
    assert_same(cc.contract(*implicit), np.einsum(*implicit))


def _sublist(term: str) -> list[Any]:
    before, ellipsis, after = term.partition("...")
    return [*map(ord, before), *([Ellipsis] if ellipsis else []), *map(ord, after)]


BROADCAST = [
    ((2, 3), (2, 3)), ((2, 3), (3,)), ((3,), (2, 3)), ((2, 1), (1, 3)), ((1,), (2, 3)),
    ((), (2, 3)), ((2, 3), ()), ((1, 1), (1, 1)), ((5, 1, 3), (2, 1)), ((0, 3), (1, 3)),
    ((1, 3), (2, 0, 3)),
]  # fmt: skip


@pytest.mark.parametrize("spec", ["...,...", "...i,...i->...", "...ij,...jk->...ik", "...i,j..."])
@pytest.mark.parametrize(("left", "right"), BROADCAST)
def test_ellipses_broadcast(spec: str, left: Shape, right: Shape) -> None:
    terms = spec.split("->")[0].split(",")
    shapes = (_shape(term, dots) for term, dots in zip(terms, (left, right), strict=True))
    operands = [numbers(shape, seed=n) for n, shape in enumerate(shapes)]
    assert_same(cc.contract(spec, *operands), np.einsum(spec, *operands))


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
    assert_same(cc.contract(spec, *operands), opt_einsum.contract(spec, *operands))


INTERLEAVED: list[tuple[list[Shape], list[Any]]] = [
    ([(2, 3, 4), (3, 4, 5)], [[1, 2, 3], [2, 3, 4], [4, 1]]),
    ([(2, 3, 4), (3, 4, 5)], [[1, 2, 3], [2, 3, 4]]),
    ([(1, 2), (2, 2), (2, 1)],
     [("left", "bond1"), ("bond1", "bond2"), ("bond2", "right"), ("left", "right")]),
    ([(2, 3)], [(0, 1)]),
    ([(2, 3)], [(1, 0)]),
    ([(2, 3)], [("a", "b")]),
    ([(2, 3)], [("b", "a")]),
    ([(2, 3), (3, 4)], [("row 1", "(2*i+k)"), ("(2*i+k)", "..."), ("...", "row 1")]),
    ([(2, 3), (3, 4)], [[(0, 1), (5, 5)], [(5, 5), (0, 0)]]),
    ([(2, 3), (3, 4)], [[frozenset("x"), 2.5], [2.5, frozenset("y")], [frozenset("y")]]),
    ([(3, 4, 5), (5, 2)], [[Ellipsis, "z"], ["z", "a"], ["a", Ellipsis]]),
    ([(3, 2, 2)], [[Ellipsis, "z", "z"]]),
    ([(2,) * 30], [list(range(100, 70, -1)), [75, 99]]),
]  # fmt: skip


@pytest.mark.parametrize(("shapes", "lists"), INTERLEAVED[:-1])
def test_any_hashable_label(shapes: list[Shape], lists: list[Any]) -> None:
    operands = [numbers(shape, seed=n) for n, shape in enumerate(shapes)]
    pairs = zip(operands, lists, strict=False)
    arguments = [*itertools.chain(*pairs), *lists[len(operands) :]]
    letters: dict[Any, str] = {}
    for label in _in_order([label for labels in lists for label in labels]):
        letters.setdefault(label, chr(ord("a") + len(letters)))
    terms = ["".join(letters[label] for label in labels) for labels in lists]
    output = ["->" + term for term in terms[len(operands) :]]
    expected = np.einsum(",".join(terms[: len(operands)]) + "".join(output), *operands)
    assert_same(cc.contract(*arguments), expected)
