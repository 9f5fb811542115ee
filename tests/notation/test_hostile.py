"""Absurd strings: they fail at once, with an exception of ours, or they are read like any other.

What one can see here: how long a string, a number, an expression and a term may be; that nesting
costs no stack; that work grows with the length of a string and no faster; and, by random strings,
that reading one either succeeds or raises ``SpecError``.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import contractconv as cc
from contractconv.notation.parser import parse
from contractconv.notation.tokens import tokenize

LONG = 100_000
MOST_CHARACTERS = 65_536
MOST_AXES = 64
MOST_TOKENS = 1_000  # of one expression
MOST_DIGITS = 18
MOST_PRODUCTS = 64  # of parameters, in one coefficient
MOST_INDICES = 64  # of one expression


# --- strings far too long --------------------------------------------------------------------

ENDLESS = {
    "letters": "i" * LONG,
    "sum": "i+" * (LONG // 2),
    "opening": "(" * LONG,
    "closing": ")" * LONG,
    "nested": "(" * (LONG // 2) + "i" + ")" * (LONG // 2),
    "minus": "-" * LONG,
    "arrows": "->" * (LONG // 2),
    "commas": "," * LONG,
    "digits": "7" * LONG,
    "blanks": " " * LONG,
    "dots": "." * LONG,
    "ellipses": "... " * (LONG // 4),
    "name": "a" * (LONG - 2) + " b",
    "product": "(" + "i*" * (LONG // 2) + ")",
    "quotient": "(i" + "/2" * (LONG // 2) + ")",
    "greek": "λ" * LONG,
    "dashes": "—" * LONG,
    "combining": "i\u0301" * (LONG // 2),
    "faces": "\U0001f600" * LONG,
    "nothing": "\0" * LONG,
}

# Just short enough to be read: here the other limits must do their work.
WIDE = {
    "letters": "i" * MOST_CHARACTERS,
    "sum": "i+" * (MOST_CHARACTERS // 2),
    "opening": "(" * MOST_CHARACTERS,
    "closing": ")" * MOST_CHARACTERS,
    "nested": "(" * 10_000 + "i" + ")" * 10_000 + " j -> j",
    "nested once too little": "(" * 10_000 + "i" + ")" * 9_999 + " j -> j",
    "nested once too much": "(" * 10_000 + "i" + ")" * 10_001 + " j -> j",
    "nested to the right": "(2" * 10_000 + "*i" + ")" * 10_000 + " j -> j",
    "minus": "(" + "-" * 60_000 + "i) j -> j",
    "stars": "(i" + "*" * 60_000 + "2) j -> j",
    "arrows": "->" * (MOST_CHARACTERS // 2),
    "digits": "(" + "7" * 60_000 + "*i) j -> j",
    "zeros": "(" + "0" * 60_000 + "+i) j -> j",
    "dots": "." * MOST_CHARACTERS,
    "ellipses": "... " * (MOST_CHARACTERS // 4),
    "long name": "a" * 60_000 + " b",
    "axes": "i " * (MOST_CHARACTERS // 2 - 2) + "->",
    "affine axes": "(i+k)" * 12_000 + " -> i",
    "product": "(" + "i*" * 30_000 + "2) j -> j",
    "quotient": "(i" + "/2" * 30_000 + ") j -> j",
}

REFUSED = [*((f"endless {name}", text) for name, text in ENDLESS.items()), *WIDE.items()]


@pytest.mark.parametrize("text", ENDLESS.values(), ids=[*ENDLESS])
def test_a_string_of_any_content_may_be_too_long(text: str) -> None:
    with pytest.raises(cc.SpecError) as caught:
        cc.Contraction(text)
    assert str(caught.value).startswith(
        f"a contraction of {len(text)} characters: the most is {MOST_CHARACTERS}\n"
    )


@pytest.mark.parametrize("text", WIDE.values(), ids=[*WIDE])
def test_a_string_within_the_limit_may_have_too_much_of_something(text: str) -> None:
    assert len(text) <= MOST_CHARACTERS
    with pytest.raises(cc.SpecError):
        cc.Contraction(text)


@pytest.mark.parametrize(("name", "text"), REFUSED, ids=[name for name, _ in REFUSED])
def test_refusing_takes_no_time_and_few_words(name: str, text: str) -> None:
    # Each takes a few milliseconds, one that must be read to its end a tenth of a second. A second
    # of the processor (not of the clock: the machine may be busy) only catches what is quadratic.
    # Collecting the garbage of all tests before this one is not the parser's time either.
    gc.disable()
    try:
        start = time.process_time()
        with pytest.raises(cc.SpecError) as caught:
            cc.Contraction(text)
        assert time.process_time() - start < 1
    finally:
        gc.enable()
    assert all(len(line) < 200 for line in str(caught.value).splitlines())


# --- where exactly the limits are ------------------------------------------------------------


def _reads(text: str, parameters: str = "") -> bool:
    try:
        cc.Contraction(text, parameters=parameters)
    except cc.SpecError:
        return False
    return True


def test_the_longest_string() -> None:
    text = "i,".ljust(MOST_CHARACTERS)
    assert _reads(text)
    assert not _reads(text + " ")


def test_the_most_axes() -> None:
    assert _reads("i" * MOST_AXES)
    assert not _reads("i" * (MOST_AXES + 1))
    assert _reads(f"{'(2*i+k) ' * MOST_AXES} -> i")
    assert not _reads(f"j -> {'(2*i+k) ' * (MOST_AXES + 1)}")


def test_the_longest_expression() -> None:
    assert _reads(f"({'-' * (MOST_TOKENS - 1)}i) j -> j")
    assert not _reads(f"({'-' * MOST_TOKENS}i) j -> j")
    # Parentheses count too: whatever is inside those of the axis.
    depth = (MOST_TOKENS - 1) // 2
    assert _reads(f"({'(' * depth}i{')' * depth}) j -> j")
    assert not _reads(f"({'(' * (depth + 1)}i{')' * (depth + 1)}) j -> j")


def test_the_longest_number() -> None:
    assert _reads(f"({'9' * MOST_DIGITS}*i) j -> j")
    assert not _reads(f"({'9' * (MOST_DIGITS + 1)}*i) j -> j")
    assert str(cc.Contraction("(999999999*999999999*i) j ->")) == "(999999998000000001*i) j ->"


@pytest.mark.parametrize("text", [
    f"({'*'.join(['2'] * 60)}*i) j ->",
    f"(i/({'*'.join(['2'] * 60)})) j ->",
    f"({'(2' * 60}*i{')' * 60}+1) j ->",
    f"({'*'.join(['2'] * 60)}+i) j ->",
    f"({'*'.join(['s'] + ['2'] * 60)}*i) j ->",
    "(1000000000(10000000000*i+1)) j ->",
    "(999999999999999999*i+2*i) j ->",
    "(-999999999999999999-2+i) j ->",
    "(99999999999*99999999999*(s-s)+i) j ->",
])  # fmt: skip
def test_products_are_numbers_too(text: str) -> None:
    with pytest.raises(cc.SpecError, match=r"^a number of more than 18 digits\n"):
        cc.Contraction(text, parameters="s")


def test_the_largest_product_of_twos() -> None:
    assert str(cc.Contraction(f"({'*'.join(['2'] * 59)}*i) j ->")) == f"({2**59}*i) j ->"


LARGEST = 10**MOST_DIGITS - 1


def test_the_largest_value_of_a_keyword() -> None:
    scaled = cc.Contraction("(s*i+k) j -> i k j", parameters="s")
    for value in (LARGEST, -LARGEST):
        bound = scaled.bind(s=value)
        assert cc.Contraction(str(bound)) == bound
    for value in (LARGEST + 2, -LARGEST - 2, 10**100):
        with pytest.raises(cc.ParameterError, match=r"^s is a number of more than 18 digits$"):
            scaled.bind(s=value)
        with pytest.raises(cc.ParameterError, match=r"^s is a number of more than 18 digits$"):
            scaled.extents((2, 2), s=value, i=2)
    window = cc.Contraction("(i+j) -> i")
    assert window.extents((2,), i=2, j=LARGEST)["j"] == LARGEST
    for value in (LARGEST + 2, 10**100):
        with pytest.raises(cc.ParameterError, match=r"^j is a number of more than 18 digits$"):
            window.extents((2,), i=2, j=value)


def test_one_more_than_the_largest_number() -> None:
    assert not _reads(f"({LARGEST}*i+i) j ->")
    assert not _reads("(1000000000*1000000000*i) j ->")
    with pytest.raises(cc.ParameterError):
        cc.Contraction("(s*i) j -> i j", parameters="s").bind(s=LARGEST + 1)
    with pytest.raises(cc.ParameterError):
        cc.Contraction("i -> i j").extents((2,), j=LARGEST + 1)


def test_products_of_bound_parameters_are_numbers_too() -> None:
    with pytest.raises(cc.ParameterError):
        cc.Contraction("(s*s*i) j -> i j", parameters="s").bind(s=LARGEST)


def _wide(count: int) -> str:
    return f"({'+'.join(f'x{n}' for n in range(count))}) y -> y"


def test_the_most_indices_of_one_expression() -> None:
    assert _reads(_wide(MOST_INDICES))
    assert not _reads(_wide(MOST_INDICES + 1))
    with pytest.raises(cc.SpecError, match=r"^an expression of more than 64 different products\n"):
        cc.Contraction(_wide(MOST_INDICES + 1))


def test_the_most_products_of_parameters() -> None:
    def power(exponent: int) -> str:
        return f"({'*'.join(['(p+q)'] * exponent)}*i) j -> j"

    assert _reads(power(MOST_PRODUCTS - 1), parameters="p q")  # a binomial has exponent + 1 terms
    assert not _reads(power(MOST_PRODUCTS), parameters="p q")


def test_products_of_parameters_do_not_explode() -> None:
    letters = "pqrstuvw"
    wide = f"({'+'.join(letters)})"
    assert not _reads(f"({'*'.join([wide] * 100)}*i) j -> j", parameters=" ".join(letters))


def test_many_terms_are_no_mistake() -> None:
    contraction = cc.Contraction(",".join(["i"] * 5_000) + "->i")
    assert contraction.output_shape(*[(2,)] * 5_000) == (2,)
    with pytest.raises(cc.OperandError):
        contraction.output_shape((2,))


# --- nesting costs no stack ------------------------------------------------------------------


@contextmanager
def _little_stack() -> Iterator[None]:
    """Allow some thirty calls inside each other, far fewer than the strings have parentheses."""
    depth, frame = 0, sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]
        depth += 1
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + 30)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _nested(depth: int) -> int:
    return 1 + _nested(depth - 1) if depth else 0


def test_the_little_stack_is_little() -> None:
    with pytest.raises(RecursionError), _little_stack():
        _nested(100)


DEEP = {
    "parentheses": "(" * 450 + "i" + ")" * 450 + " j -> j",
    "signs": "(" + "-" * 900 + "i) j -> j",
    "factors": "(2" * 59 + "*i" + ")" * 59 + " j -> j",
    "to the left": "(" * 200 + "i" + "+1)" * 200 + " j -> j",
    "to the right": "(1+" * 200 + "i" + ")" * 200 + " j -> j",
}


@pytest.mark.parametrize("text", DEEP.values(), ids=[*DEEP])
def test_nesting_costs_no_stack(text: str) -> None:
    with _little_stack():
        spec = parse(text)
    assert spec.indices == ("j", "i")


# --- work grows with the length --------------------------------------------------------------


def _calls(action: Callable[[], object]) -> int:
    """How many Python functions an action calls: work that no other process can disturb."""
    count = 0

    def count_calls(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count_calls)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count


def test_calls_are_counted() -> None:
    def square(n: int) -> list[int]:
        return [len("") for _ in range(n * n)]

    assert _calls(lambda: square(20)) > 3.5 * _calls(lambda: square(10))


GROWING: dict[str, Callable[[int], str]] = {
    "terms": lambda n: "i," * n + "->i",
    "different terms": lambda n: ",".join(chr(0x4E00 + m) for m in range(n)),
    "windows": lambda n: "(2*i+k-1)," * n + "->i",
    "blanks": lambda n: "i" + " " * n + "j -> i",
    "sum": lambda n: "(" + "i+" * n + "k) j -> i",
    "signs": lambda n: "(" + "-" * n + "k) j -> i",
    "parentheses": lambda n: "(" * n + "i" + ")" * n + " j -> i",
    "composition": lambda n: "(" + " ".join(chr(0x4E00 + m) for m in range(n)) + ") j -> j",
    "name": lambda n: "i" * n + " j -> j",
}


@pytest.mark.parametrize("make", GROWING.values(), ids=[*GROWING])
def test_twice_the_length_is_twice_the_work(make: Callable[[int], str]) -> None:
    once, twice = (_calls(lambda n=n: parse(make(n))) for n in (200, 400))
    assert twice <= 2.2 * once


def test_the_message_for_a_long_string_is_short() -> None:
    for text in ("i," * 20_000 + "->i", "(" * 20_000, "i " * 60 + "->" + " i" * 60 + ")"):
        with pytest.raises(cc.ContractionError) as caught:
            cc.contract(text, 1.0)
        assert len(str(caught.value)) < 400


# --- random strings --------------------------------------------------------------------------

ALPHABET = "ijkab_λ019 \t+-*/(),.>"
TOKENS = [
    *("i", "j", "k", "a", "b1", "_", "h w"),
    *("0", "1", "2", "3", "17"),
    *("+", "-", "*", "/", "(", ")", "(", ")", ",", ", ", " ", " ", "  "),
    *("->", " -> ", "...", "(2*i+k-1)", "((h-k)/2)", "(h w)", "(0)", "i j", "()"),
]


def _read(text: str, parameters: str = "") -> cc.Contraction | None:
    """The contraction, or ``None`` if the string is refused as it should be."""
    try:
        return cc.Contraction(text, parameters=parameters)
    except cc.SpecError:
        return None


strings = st.one_of(
    st.text(ALPHABET, max_size=30),
    st.lists(st.sampled_from(TOKENS), max_size=14).map("".join),
)


def _expression(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(parts, st.sampled_from("+-*"), parts).map("".join),
        parts.map("({})".format),
        parts.map("-{}".format),
    )


_atoms = st.sampled_from(["i", "j", "k", "l", "s", "d", "0", "1", "2", "3", "2i", "-1"])
_affine = st.recursive(_atoms, _expression, max_leaves=8).map("({})".format)
_fraction = st.tuples(_affine, st.sampled_from(["2", "3", "-2", "s", "(s*d)", "(s-1)"])).map(
    lambda parts: f"({parts[0]}/{parts[1]})"
)
_axes = st.one_of(
    st.sampled_from(["i", "j", "k", "(i j)", "(k l i)", "...", "(3)"]), _affine, _fraction
)
_terms = st.lists(_axes, max_size=4).map(" ".join)
sentences = st.tuples(st.lists(_terms, min_size=1, max_size=3).map(", ".join), _terms).map(
    " -> ".join
)


@given(text=strings)
@example(text="")
@example(text="->")
@example(text=",")
@example(text="(i j)...->...")
def test_any_string_is_read_or_refused(text: str) -> None:
    for parameters in ("", "k b1"):
        _read(text, parameters)


@given(text=st.text(max_size=40))
def test_any_unicode_is_read_or_refused(text: str) -> None:
    _read(text)


@given(text=st.text(ALPHABET, min_size=1, max_size=30), times=st.sampled_from([2_000, 15_000]))
def test_anything_repeated_is_read_or_refused(text: str, times: int) -> None:
    _read((text * (times // len(text) + 1))[:times])


@given(text=st.one_of(sentences, st.text(ALPHABET, max_size=30)))
@example(text="( ab+_1 ) ->")
@example(text="( 2*b_ ) ->")
@example(text="( b_ ), ... -> ( (b_-s)/2 )")
def test_what_is_read_is_written_such_that_it_is_read_again(text: str) -> None:
    _assert_round_trip(text, "s d")


@given(text=strings)
@example(text="... ->")
@example(text="( b1*i ) ->")
@example(text="( b1 ), ... ->")
def test_long_names_are_written_such_that_they_are_read_again(text: str) -> None:
    _assert_round_trip(text, "b1")
    # A term of two axes in front makes every name one index, however many letters it has.
    _assert_round_trip(f"x y, {text}", "b1")


def _assert_round_trip(text: str, parameters: str) -> None:
    contraction = _read(text, parameters)
    if contraction is None:
        return
    written = str(contraction)
    again = cc.Contraction(written, parameters=contraction.parameters)
    assert again == contraction
    assert str(again) == written


def test_random_sentences_are_mostly_sentences() -> None:
    """The test above would be worth little if it were refused nearly everything."""
    seen: list[bool] = []

    @given(text=sentences)
    def collect(text: str) -> None:
        seen.append(_read(text, "s d") is not None)

    collect()
    assert sum(seen) > len(seen) / 3


_sizes = st.lists(st.integers(0, 6), max_size=4).map(tuple)


@given(
    text=st.one_of(strings, sentences),
    shapes=st.lists(_sizes, max_size=3),
    values=st.dictionaries(st.sampled_from("ijkabsd"), st.integers(-1, 5)),
    output=st.one_of(st.none(), _sizes),
)
def test_any_shapes_fit_or_are_refused(
    text: str, shapes: list[Any], values: dict[str, int], output: Any
) -> None:
    contraction = _read(text, "s d")
    if contraction is None:
        return
    try:
        extents = contraction.extents(*shapes, output_shape=output, **values)
    except cc.ContractionError:
        return
    assert set(contraction.indices) <= set(extents)
    assert all(size >= 0 for size in extents.values())


@given(text=st.text(ALPHABET, max_size=40))
def test_tokens_cover_the_string(text: str) -> None:
    try:
        tokens = tokenize(text)
    except cc.SpecError:
        return
    assert "".join(token.text for token in tokens) == text
    assert len(tokens) <= len(text)
    assert all(text[token.start : token.end] == token.text for token in tokens)


# --- products that leave 64 bits --------------------------------------------------------------

BEYOND: list[tuple[str, list[tuple[int, ...]], dict[str, Any], str]] = [
    (f"({2**59}*i+k) -> i", [(5,)], {"i": 33, "k": 2}, "reaches element"),
    (f"({2**59}*i+k) -> i", [(5,)], {"i": 17, "k": 2}, "reaches element"),
    (f"(5-{2**59}*i-k) -> i", [(5,)], {"i": 17, "k": 2}, "reaches element"),
    (f"({LARGEST}*i-{LARGEST}*k) j -> i j", [(5, 2)], {"i": 7, "k": 7}, "reaches element"),
    ("(8*i+8*j) -> i", [(5,)], {"i": 10**17 * 9, "j": 10**17 * 9}, "reaches element"),
    (f"((i+k)/{LARGEST}), k -> i", [(10,), (2,)], {"i": 3}, "reaches element"),
    (f"i -> ({LARGEST}*i+k)", [(12,)], {"k": 2}, "reaches element"),
    (f"i -> ({10**17 * 6}*i)", [(2,)], {}, "more than an array can have"),
    ("i -> i r", [(3,)], {"r": 10**17 * 3}, "more than an array can have"),
    ("i -> (i r q)", [(3,)], {"r": 10**10, "q": 10**10}, "more than an array can have"),
    ("i -> i r q", [(0,)], {"r": 10**10, "q": 10**10}, "more than an array can have"),
    ("i -> i (r q)", [(3,)], {"r": 2**59, "q": 2**59}, "more than an array can have"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "shapes", "said", "reason"), BEYOND)
@pytest.mark.parametrize("reduce", ["sum", "max", "mean"])
def test_products_that_leave_64_bits(
    spec: str,
    shapes: list[tuple[int, ...]],
    said: dict[str, Any],
    reason: str,
    reduce: cc.Reduction,
) -> None:
    contraction = cc.Contraction(spec, reduce)
    operands = [np.ones(shape) for shape in shapes]
    calls: list[Callable[[], object]] = [
        lambda: contraction(*operands, **said),
        lambda: contraction.extents(*shapes, **said),
        lambda: contraction.plan(*shapes, **said),
        lambda: contraction.compile(*shapes, **said),
        lambda: contraction.jvp(0)(operands[0], *operands, **said),
    ]
    for call in calls:
        with pytest.raises(cc.ShapeError, match=reason) as caught:
            call()
        assert "^" in str(caught.value).splitlines()[2]


@pytest.mark.parametrize("reduce", ["sum", "max", "min", "mean"])
@pytest.mark.parametrize("power", [40, 50, 58, 59])
@pytest.mark.parametrize("columns", [1, 4096])
def test_products_just_inside_64_bits_wrap_nowhere(
    reduce: cc.Reduction, power: int, columns: int
) -> None:
    # Times the bytes of a row the distance would come round to where the array lies.
    contraction = cc.Contraction(f"({2**power}*i+2) j -> i j", reduce)
    x = np.arange(1.0, 1 + 3 * columns).reshape(3, columns)
    outside = {"max": -np.inf, "min": np.inf}.get(reduce, 0)
    for extent in (2, 9, 15):
        result = contraction(x, i=extent)
        assert np.array_equal(result[0], x[2])
        assert (result[1:] == outside).all()
        gradient = contraction.grad(0)(np.ones_like(result), x, i=extent)
        assert np.array_equal(gradient[2], np.ones(columns))
        assert not gradient[:2].any()


def test_a_result_that_no_memory_holds() -> None:
    with pytest.raises((MemoryError, cc.ContractionError)):
        cc.contract("i -> i r", np.ones(3), r=10**17)
