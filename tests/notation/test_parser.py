"""What strings mean: each row of the notation's table, in both of its styles.

Two strings that say the same give equal contractions; the string that a contraction shows is the
one canonical way to write it. What numpy's ``einsum`` understands keeps numpy's meaning.
"""

from __future__ import annotations

import ast
import copy
import itertools
import pickle
from typing import Any
from unicodedata import category

import numpy as np
import opt_einsum
import pytest

import contractconv as cc
from contractconv.notation.affine import Affine
from contractconv.notation.spec import Composition, Dots, render

CONV = "b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o"
POOL = "b (2*i+k) (2*j+l) c -> b i j c"


def _text(string: str, parameters: str | tuple[str, ...] = ()) -> str:
    return str(cc.Contraction(string, parameters=parameters))


# --- numpy's style ---------------------------------------------------------------------------

SIZES = {"i": 2, "j": 3, "k": 4, "b": 2, "A": 5, "Z": 3}

NUMPY = [
    "ij,jk->ik",
    "ij,jk",
    " ij , jk -> ik ",
    "ij,jk ->ik",
    "ij\t,\njk->ki",
    "ij->ji",
    "ji",
    "kbji",
    "bAZ,Ai",
    "ii",
    "ii->i",
    "ii->",
    "iij,j",
    "i,j",
    "i,j,k->kij",
    "ij,ij->",
    "ij,ij,ij->j",
    "bij,bjk->bik",
    "...ij,...jk->...ik",
    "...ij,...jk",
    "i...->...",
    "i...",
    "...",
    "i...j->j...i",
    ",i->i",
    "i,",
    "",
    "->",
    ",->",
]


def _filled(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.arange(1.0, 1 + np.prod(shape, dtype=int)).reshape(shape)


def _operand(term: str) -> np.ndarray[Any, Any]:
    """An array for a term of numpy's style; the ellipsis stands for two axes."""
    before, dots, after = term.strip().partition("...")
    middle = (2, 3) if dots else ()
    return _filled((*(SIZES[n] for n in before), *middle, *(SIZES[n] for n in after)))


@pytest.mark.parametrize("string", NUMPY)
def test_numpy_style_keeps_the_meaning_of_numpy(string: str) -> None:
    terms = string.partition("->")[0].split(",")
    operands = [_operand(term) for term in terms]
    expected = np.einsum("".join(string.split()), *operands)
    result = cc.contract(string, *operands)
    assert result.shape == expected.shape
    assert np.array_equal(result, expected)


@pytest.mark.parametrize("string", ["ij,jk->ik", "ii->i", "i,j", "...i,...i->..."])
def test_numpy_style_says_the_same_as_names_with_blanks(string: str) -> None:
    contraction = cc.Contraction(string)
    assert " " in str(contraction)
    assert cc.Contraction(str(contraction)) == contraction


def test_numpy_lists_of_indices() -> None:
    contract: Any = cc.contract
    a, b = _filled((2, 3)), _filled((3, 4))
    assert np.array_equal(contract(a, [0, 1], b, [1, 2], [0, 2]), a @ b)
    assert np.array_equal(contract(a, [0, 1], b, [1, 2]), a @ b)
    assert np.array_equal(contract(a, [1, 0]), a.T)
    assert np.array_equal(contract(a, [..., "x"], [...]), a.sum(1))


# --- implicit output -------------------------------------------------------------------------


@pytest.mark.parametrize(("string", "full"), [
    ("ij,jk", "i j, j k -> i k"),
    ("ba", "b a -> a b"),
    ("bA", "b A -> A b"),  # capitals come first, as in numpy
    ("ii", "i i ->"),
    ("iji", "i j i -> j"),
    ("...ij,...jk", "... i j, ... j k -> ... i k"),
    ("j...i", "j ... i -> ... i j"),
    ("(i+k),k", "(i+k), k -> i"),
    ("(2i+k)c,kco", "(2*i+k) c, k c o -> i o"),
    ("(0)i", "(0) i -> i"),
    ("(hw)", "(h w) -> h w"),
    ("", "->"),
    (",", ", ->"),
])  # fmt: skip
def test_without_an_arrow_the_result_has_what_occurs_once(string: str, full: str) -> None:
    assert _text(string) == full
    assert cc.Contraction(string) == cc.Contraction(full)


# --- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("string", "indices"), [
    ("height width -> height", ("height", "width")),
    ("x_1 X1 _ -> _", ("_", "x_1", "X1")),
    ("α β -> β", ("β", "α")),
    ("ij->j", ("j", "i")),
    ("i j->ij", ("ij", "i", "j")),  # one blank inside a term makes every word a name
    ("(batch) x -> x", ("x", "batch")),
])  # fmt: skip
def test_indices_are_those_of_the_output_then_the_reduced(
    string: str, indices: tuple[str, ...]
) -> None:
    assert cc.Contraction(string).indices == indices


def test_the_reduced_indices_are_in_row_major_order() -> None:
    assert cc.Contraction(CONV).reduced == ("k", "l", "c")
    assert cc.Contraction("ij,jk->ik").reduced == ("j",)
    assert cc.Contraction("i -> i j").reduced == ()


@pytest.mark.parametrize("string", [
    "( batch ) -> ( batch )", "( i1 ), ( i2 ) ->", "( ab+cd ) ->", "( 2*x1 ) ->", "( -ab ) ->",
    "( (ab-1)/2 ) -> ( ab )", "( 2*ab ), ..., -> ...", "-> ( ab )",
])  # fmt: skip
def test_a_long_name_alone_on_its_axis_has_blanks_around_it(string: str) -> None:
    contraction = cc.Contraction(string)
    assert all(len(term) <= 1 for term in contraction._spec.terms)
    assert str(contraction) == string


@pytest.mark.parametrize(("string", "canonical"), [
    ("... ->", "... ->"),
    ("i->", "i ->"),
    ("(2*i) ->", "(2*i) ->"),
    ("(long*i) ->", "( long*i ) ->"),
    ("(long), i -> i", "( long ), ( i ) -> ( i )"),
    ("(long*i) j -> j", "(long*i) j -> j"),
])  # fmt: skip
def test_a_long_parameter_has_blanks_around_it_where_it_stands(string: str, canonical: str) -> None:
    # Where no term has two axes; and one that stands nowhere needs none.
    contraction = cc.Contraction(string, parameters="long")
    assert str(contraction) == canonical
    again = cc.Contraction(canonical, parameters="long")
    assert again == contraction
    assert again.parameters == ("long",)


# What opt_einsum counts among its symbols, from the 75th on, without being a letter.
MARKS = ["×", "÷", "\u0300", "\u0301", "\u0345", "\u0483", "϶", "˂"]


@pytest.mark.parametrize("mark", MARKS, ids=ascii)
def test_the_marks_among_opt_einsums_symbols_are_indices(mark: str) -> None:
    assert cc.Contraction(f"a{mark},{mark}b->ab").indices == ("a", "b", mark)
    assert cc.Contraction(f"a {mark} -> a").indices == ("a", mark)
    assert cc.Contraction(f"({mark} a) b -> a").indices == ("a", mark, "b")  # a composition
    a, b = _filled((2, 3)), _filled((3, 4))
    assert np.array_equal(cc.contract(f"a{mark},{mark}b->ab", a, b), a @ b)
    contraction = cc.Contraction(f"a{mark},{mark}")
    assert cc.Contraction(str(contraction)) == contraction
    for string in (f"(a+{mark}) b -> a", f"(2*{mark}) b -> b", f"(2{mark}) b -> b"):
        with pytest.raises(cc.SpecError, match=r"^unknown character "):
            cc.Contraction(string)


def test_opt_einsums_first_thousand_symbols_are_different_indices() -> None:
    symbols = [chr(n) for n in (*range(ord("A"), ord("Z") + 1), *range(ord("a"), ord("z") + 1))]
    symbols += map(chr, range(0xC0, 0xC0 + 1000 - len(symbols)))
    for string in (",".join(symbols), "".join(symbols[60:124])):
        assert set(cc.Contraction(f"{string}->").indices) == set(string) - {","}


@pytest.mark.parametrize("character", [
    "\u200b", "—", "\u00ad", "’", "²", "½", "\U0001f600", "€", "\u2062", "\ufe0f",
], ids=ascii)  # fmt: skip
def test_other_signs_are_unknown(character: str) -> None:
    strings = (f"a{character},{character}->a", f"a {character} -> a", f"a{character} b -> b")
    for string in (*strings, f"(a+{character}) b -> a", f"({character} a) b -> a"):
        with pytest.raises(cc.SpecError) as caught:
            cc.Contraction(string)
        message, shown, carets = str(caught.value).splitlines()[:3]
        assert message == f"unknown character {character!r}"
        assert shown.index(character) == carets.index("^")


def _symbols(most: int) -> list[str]:
    """The symbols of opt_einsum up to some number that are letters, or like them."""
    unseen = {"Nd", "No", "Cf", "Zs", "Cc"}
    symbols = [opt_einsum.get_symbol(n) for n in range(most)]
    return [ch for ch in symbols if ch.isalpha() or (ch < "\u2000" and category(ch) not in unseen)]


def test_opt_einsums_symbols_are_indices() -> None:
    symbols = _symbols(56_000)
    assert symbols.index(opt_einsum.get_symbol(1395)) == 1395  # none is missing before
    assert len(symbols) > 45_000
    for symbol in [*symbols[::17], *symbols[1180:1300]]:
        contraction = cc.Contraction(f"{symbol}{symbol}->{symbol}")
        assert contraction.indices == (symbol,)
        assert cc.Contraction(str(contraction)) == contraction
    many = ",".join(symbols[1000:3000])
    assert set(cc.Contraction(f"{many}->").indices) == set(symbols[1000:3000])


def test_a_network_of_many_indices() -> None:
    # What opt_einsum would write for a chain of matrices.
    letters = [opt_einsum.get_symbol(n) for n in range(1180, 1200)]
    spec = ",".join(map("".join, itertools.pairwise(letters)))
    matrices = [_filled((2, 2)) % 2 for _ in range(19)]
    expected = np.linalg.multi_dot(matrices)
    assert np.array_equal(cc.contract(f"{spec}->{letters[0]}{letters[-1]}", *matrices), expected)


DIGITS = [ch for ch in map(chr, range(0x80, 0x110000)) if category(ch) in ("Nd", "No")]


@pytest.mark.parametrize(
    "string",
    [
        "ij{}k",
        "i{},j",
        "ij->{}",
        "({}i+k)->i",
        "({}*i+k)->i",
        "(ik{})->i",
        "i {} -> i",
        "{}i j -> j",
        "(i+{}) j -> i",
    ],
)
def test_foreign_digits_are_no_indices_and_no_numbers(string: str) -> None:
    for digit in DIGITS[:: 1 if string == "ij{}k" else 29]:
        text = string.format(digit)
        with pytest.raises(cc.SpecError) as caught:
            cc.Contraction(text)
        message, shown, carets = str(caught.value).splitlines()[:3]
        assert message == f"unknown character {digit!r}"
        assert shown.index(digit) == carets.index("^")


def test_foreign_digits_are_part_of_a_name() -> None:
    for digit in (ch for ch in DIGITS[::29] if category(ch) == "Nd"):
        contraction = cc.Contraction(f"i{digit} j -> j")
        assert contraction.indices == ("j", f"i{digit}")
        assert cc.Contraction(str(contraction)) == contraction


# --- one string for each meaning -------------------------------------------------------------


@pytest.mark.parametrize(("one", "other"), [
    ("b (2*i+k-1) c, k c o -> b i o", "b(2i+k-1)c,kco->bio"),
    ("b (2*i+k-1) c, k c o -> b i o", "b ( k - 1 + i*2 )c , k c o->b i o"),
    ("(i+k), k -> i", "(k+i),k->i"),
    ("(h w) c -> h w c", "( h  w )c->h w c"),
    ("(2*i+2) j -> i", "(2(i+1)) j -> i"),
    ("i (0) -> i", "i(3-3)->i"),
    ("((h-k+1)/2), k -> h", "((2*h-2*k+2)/4), k -> h"),
    ("... i, i -> ...", "...i,i->..."),
    ("i j -> j", "(i) (j) -> j"),
])  # fmt: skip
def test_the_same_meaning_is_the_same_contraction(one: str, other: str) -> None:
    first, second = cc.Contraction(one), cc.Contraction(other)
    assert first == second
    assert hash(first) == hash(second)
    assert str(first) == one
    assert cc.Contraction(str(second)) == first


@pytest.mark.parametrize(("one", "other"), [
    ("i j -> i j", "i j -> j i"),
    ("i j -> i j", "a b -> a b"),  # names are what keywords refer to
    ("i, j -> i j", "j, i -> i j"),
    ("(h w) -> h w", "(w h) -> h w"),
    ("(i+k), k -> i", "(i-k), k -> i"),
    ("(i+k), k -> i", "(i+k-1), k -> i"),
    ("i -> i", "... -> ..."),
])  # fmt: skip
def test_different_meanings_are_different(one: str, other: str) -> None:
    assert cc.Contraction(one) != cc.Contraction(other)


@pytest.mark.parametrize(("string", "canonical"), [
    # Summands stay in the order in which they were typed,
    ("(k+i) k, i -> i", "(k+i) k, i -> i"),
    ("(i+k) k, i -> i", "(i+k) k, i -> i"),
    ("(l+k+i), k, l -> i", "(l+k+i), k, l -> i"),
    ("(z+y+x) -> ", "(z+y+x) ->"),
    ("(k+i) (i+k) -> i k", "(k+i) (i+k) -> i k"),
    # where an index comes first; numbers come last.
    ("(k+i+k), k -> i", "(2*k+i), k -> i"),
    ("(1+k+i), k -> i", "(k+i+1), k -> i"),
    # A minus does not stand in front if it can be helped.
    ("(k-i), k -> i", "(k-i), k -> i"),
    ("(1-i) j -> i", "(1-i) j -> i"),
    ("(-1-i) j -> i", "(-i-1) j -> i"),
])  # fmt: skip
def test_the_order_of_summands(string: str, canonical: str) -> None:
    assert _text(string) == canonical
    assert _text(canonical) == canonical


def test_the_order_of_summands_means_nothing() -> None:
    one, other = cc.Contraction("(k+i), k -> i"), cc.Contraction("(i+k), k -> i")
    assert one == other
    assert hash(one) == hash(other)
    # Both are derived in their own order, whichever was derived first.
    assert str(one.grad(1)) == "i, (k+i) -> k"
    assert str(other.grad(1)) == "i, (i+k) -> k"
    assert str(one.grad(1)) == "i, (k+i) -> k"


def test_a_rendered_string_knows_where_its_parts_are() -> None:
    text, spans = render(cc.Contraction("b (2i+k-1) ..., k -> b i")._spec)
    assert text == "b (2*i+k-1) ..., k -> b i"
    parts = {place: text[start:end] for place, (start, end) in spans.items()}
    assert parts == {
        (0, None): "b (2*i+k-1) ...", (0, 0): "b", (0, 1): "(2*i+k-1)", (0, 2): "...",
        (1, None): "k", (1, 0): "k",
        (-1, None): "b i", (-1, 0): "b", (-1, 1): "i",
    }  # fmt: skip


# --- the kinds of axes -----------------------------------------------------------------------


@pytest.mark.parametrize(("string", "axis"), [
    ("i j -> j", Affine.index("i")),
    ("(i) j -> j", Affine.index("i")),
    ("(i k) j -> j", Composition(("i", "k"))),
    ("(ik)j->j", Composition(("i", "k"))),
    ("(ik) j -> j", Affine.index("ik")),
    ("(i k i) j -> j", Composition(("i", "k", "i"))),
    ("... j -> j", Dots()),
])  # fmt: skip
def test_kinds_of_axes(string: str, axis: object) -> None:
    assert cc.Contraction(string)._spec.inputs[0][0] == axis


@pytest.mark.parametrize(("string", "operands", "extents", "expected"), [
    # Repeated indices: the diagonal, and its embedding.
    ("i i -> i", [[[1, 2], [3, 4]]], {}, [1, 4]),
    ("i -> i i", [[1, 2]], {}, [[1, 0], [0, 2]]),
    ("i -> (i i)", [[1, 2]], {}, [1, 0, 0, 2]),
    # A constant: one element is read, or written.
    ("(0) i -> i", [[[1, 2], [3, 4]]], {}, [1, 2]),
    ("(1) i -> i", [[[1, 2], [3, 4]]], {}, [3, 4]),
    ("(2) i -> i", [[[1, 2], [3, 4]]], {}, [0, 0]),
    ("(-1) i -> i", [[[1, 2], [3, 4]]], {}, [0, 0]),  # nothing counts from the end
    ("i -> (0) i", [[1, 2]], {}, [[1, 2]]),
    ("i -> i (1)", [[1, 2]], {}, [[0, 1], [0, 2]]),
    # An index of the output alone: copies.
    ("i -> i j", [[1, 2]], {"j": 3}, [[1, 1, 1], [2, 2, 2]]),
    ("-> i", [5], {"i": 2}, [5, 5]),
    # Compositions are row-major.
    ("(h w) -> h w", [[0, 1, 2, 3, 4, 5]], {"h": 2}, [[0, 1, 2], [3, 4, 5]]),
    ("(h w) -> w h", [[0, 1, 2, 3, 4, 5]], {"w": 3}, [[0, 3], [1, 4], [2, 5]]),
    ("h w -> (w h)", [[[0, 1, 2], [3, 4, 5]]], {}, [0, 3, 1, 4, 2, 5]),
    # Windows, and scatters: what lands on one element is added.
    ("(i+k), k -> i", [[1, 2, 3, 4], [1, 10]], {}, [21, 32, 43]),
    ("(2*i+k), k -> i", [[1, 2, 3, 4], [1, 10]], {}, [21, 43]),
    ("(i+k-1), k -> i", [[1, 2, 3], [1, 10, 100]], {}, [210, 321, 32]),
    ("(i-k), k -> i", [[1, 2], [1, 10]], {}, [1, 12, 20]),
    ("(2-i) -> i", [[1, 2, 3]], {"i": 3}, [3, 2, 1]),
    ("i -> (2*i)", [[1, 2, 3]], {}, [1, 0, 2, 0, 3]),
    ("i, k -> (i+k)", [[1, 2], [1, 10]], {}, [1, 12, 20]),
    ("i, k -> (i+k-1)", [[1, 2], [1, 10, 100]], {}, [12, 120]),
    # A fraction: only where the division comes out.
    ("(h/2) -> h", [[1, 2, 3]], {"h": 5}, [1, 0, 2, 0, 3]),
    ("((h-k)/2), k -> h", [[1, 2], [1, 10, 100]], {"h": 5}, [1, 10, 102, 20, 200]),
    ("i -> (i/2)", [[1, 2, 3, 4]], {}, [1, 3]),
    ("i -> ((i-1)/2)", [[1, 2, 3, 4]], {}, [2, 4]),
])  # fmt: skip
def test_what_axes_mean(
    string: str, operands: list[Any], extents: dict[str, int], expected: Any
) -> None:
    result = cc.contract(string, *map(np.array, operands), **extents)
    assert np.array_equal(result, expected)


def test_reading_outside_is_the_identity_of_the_reduction() -> None:
    x = np.array([-1.0, -2.0, -3.0])
    window = {"k": 3}
    assert np.array_equal(cc.contract("(i+k-1) -> i", x, **window), [-3, -6, -5])
    best = cc.contract("(i+k-1) -> i", x, reduce="max", **window)
    assert np.array_equal(best, [-1, -1, -2])
    product = cc.contract("(i+k-1) -> i", x, reduce="prod", **window)
    assert np.array_equal(product, [2, -6, 6])
    # The mean divides by the points of the window, those outside included.
    mean = cc.contract("(i+k-1) -> i", x, reduce="mean", **window)
    assert np.array_equal(mean, [-1, -2, -5 / 3])


# --- parameters ------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", [
    "s d p", "s, d, p", " p,d  s ", ("s", "d", "p"), ["p", "d", "s", "s"], {"s", "d", "p"},
])  # fmt: skip
def test_parameters_are_declared_as_a_string_or_as_names(parameters: Any) -> None:
    contraction = cc.Contraction("b (s*i+d*k-p), k -> b i", parameters=parameters)
    assert contraction.parameters == ("d", "p", "s")
    assert contraction == cc.Contraction("b (s*i+d*k-p), k -> b i", parameters="s d p")
    assert contraction.indices == ("b", "i", "k")


def test_parameters_are_bound_before_or_in_the_call() -> None:
    x, w = _filled((2, 7)), _filled((3,))
    contraction = cc.Contraction("b (s*i+d*k-p), k -> b i", parameters="s d p")
    values = {"s": 2, "d": 1, "p": 1}
    bound = contraction.bind(**values)
    assert bound.parameters == ()
    assert str(bound) == "b (2*i+k-1), k -> b i"
    assert bound == cc.Contraction("b (2*i+k-1), k -> b i")
    expected = bound(x, w)
    assert np.array_equal(contraction(x, w, **values), expected)
    assert np.array_equal(contraction.bind(s=2)(x, w, d=1, p=1), expected)
    assert np.array_equal(
        cc.contract("b (s*i+d*k-p), k -> b i", x, w, parameters="s d p", **values), expected
    )
    assert contraction.parameters == ("d", "p", "s")  # binding made a new contraction


def test_a_name_is_an_index_unless_it_is_declared() -> None:
    assert cc.Contraction("(i+s) j -> i").indices == ("i", "s", "j")
    assert cc.Contraction("(i+s) j -> i", parameters="s").indices == ("i", "j")
    assert cc.Contraction("(s) j -> j", parameters="s").indices == ("j",)


def test_a_declared_parameter_need_not_occur() -> None:
    contraction = cc.Contraction("i j -> i", parameters="s")
    assert np.array_equal(contraction(_filled((2, 2))), [3, 7])
    assert contraction.bind(s=3) == cc.Contraction("i j -> i")


def test_a_long_parameter_in_numpy_style() -> None:
    contraction = cc.Contraction("(stride*i+k)c,kc->i", parameters="stride")
    assert contraction == cc.Contraction("(stride*i+k) c, k c -> i", parameters="stride")


def test_an_index_may_vanish_from_one_axis_if_it_stands_on_another() -> None:
    assert cc.Contraction("(i-i+k) i -> k") == cc.Contraction("(k) i -> k")
    assert cc.Contraction("(0*i+k) -> k i") == cc.Contraction("( k ) -> k i")
    assert cc.Contraction("(0*i+k), (2*i) -> k") == cc.Contraction("k, (2*i) -> k")
    scaled = cc.Contraction("(s*i+k) -> k i", parameters="s")
    assert scaled.bind(s=0) == cc.Contraction("( k ) -> k i")
    assert np.array_equal(scaled(_filled((2,)), s=0, i=3), [[1, 1, 1], [2, 2, 2]])


# --- being a value ---------------------------------------------------------------------------

VALUES = [
    cc.Contraction(CONV),
    cc.Contraction(POOL, reduce="max"),
    cc.Contraction("(s*i+d*k-p), k -> i", parameters="s d p"),
    cc.Contraction("b (s*i+k) c -> b i c", "mean", ("s",)),
    cc.Contraction("...ij,...jk"),
    cc.Contraction("( batch ) -> ( batch )"),
    cc.Contraction("->"),
    cc.Contraction(CONV).grad(0).gather,
]


@pytest.mark.parametrize("contraction", VALUES, ids=str)
def test_a_contraction_survives_pickling_and_copying(contraction: cc.Contraction) -> None:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(contraction, protocol))
        assert again == contraction
        assert hash(again) == hash(contraction)
        assert repr(again) == repr(contraction)
    assert copy.copy(contraction) == copy.deepcopy(contraction) == contraction


@pytest.mark.parametrize("contraction", VALUES, ids=str)
def test_a_contraction_shows_how_to_make_it(contraction: cc.Contraction) -> None:
    call = ast.parse(repr(contraction), mode="eval").body
    assert isinstance(call, ast.Call)
    assert isinstance(call.func, ast.Name)
    assert call.func.id == "Contraction"
    (spec,) = map(ast.literal_eval, call.args)
    keywords: Any = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    assert cc.Contraction(spec, **keywords) == contraction
    assert spec == str(contraction)


def test_what_a_contraction_shows() -> None:
    assert repr(cc.Contraction("ij,jk->ik")) == "Contraction('i j, j k -> i k')"
    assert repr(cc.Contraction("ij->i", "max")) == "Contraction('i j -> i', reduce='max')"
    declared = cc.Contraction("(s*i+p) j -> i", parameters=["s", "p"])
    assert repr(declared) == "Contraction('(s*i+p) j -> i', parameters='p s')"


def test_contractions_are_keys() -> None:
    table = {contraction: place for place, contraction in enumerate(VALUES)}
    assert len(table) == len(VALUES)
    assert table[cc.Contraction("b(2i+k-1)(2j+l-1)c,klco->bijo")] == 0
    assert table[cc.Contraction(POOL, "max")] == 1
    assert cc.Contraction(POOL) not in table
    for one, other in itertools.combinations(VALUES, 2):
        assert one != other


def test_the_reduction_belongs_to_the_value() -> None:
    assert cc.Contraction(POOL) != cc.Contraction(POOL, "max")
    assert str(cc.Contraction(POOL)) == str(cc.Contraction(POOL, "max"))


def test_a_contraction_is_not_a_string() -> None:
    assert cc.Contraction("i -> i") != "i -> i"
    assert not hasattr(cc.Contraction("i -> i"), "__dict__")


def test_contract_takes_a_contraction() -> None:
    x = _filled((2, 3))
    assert np.array_equal(cc.contract(cc.Contraction("ij->j", "max"), x), [4, 5, 6])
