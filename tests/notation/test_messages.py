"""Every message for wrong input, word for word: what is wrong, where, and what to do about it.

A message is part of the interface: whoever reads one is already lost. The tables hold complete
texts, the line of carets included, so that no change of wording goes unread; that makes them long.
Where numpy phrases a part of a message, or several wordings would do, only its kind is tested.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.errors import point_at
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse

Shape = tuple[int, ...]
Call = Callable[[], object]

# Arguments of wrong types are passed on purpose.
Contraction: Any = cc.Contraction
contract: Any = cc.contract

CONV = "b (2*i+k-1) c, k c o -> b i o"
MATMUL = "i j, j k -> i k"
SCALED = "(s*i+k) j, k -> i j"
HALVED = "((h-k)/s) j, k -> h j"

SAY_THE_RESULT = (
    "say what the result is, as in 'b h w c, k c -> b h'; only a string without blanks inside its "
    "terms, as in 'ij,jk', may leave it out"
)
SIDE_BY_SIDE = (
    "write an operator between them; a composition, as in (h w), is names alone and is not part "
    "of anything else"
)
LATER = "if one of them is a number to be given later, declare it"
ONE_DENOMINATOR = "bring it to one denominator: ((h-k+1)/2), not (h/2-k)"
EVERY_LETTER = "but no term has a blank inside, so every letter is an index"
ALTERNATES = (
    "a contraction starts with a string; numpy's other form alternates operands with lists of "
    "indices: contract(a, [0, 1], b, [1, 2], [0, 2])"
)
REACHES = "if the window is meant to reach outside"


def _text(block: str) -> str:
    """A message as the tables hold it: indented, and on lines of its own."""
    return dedent(block).strip("\n")


def _ones(*shape: int) -> np.ndarray[Any, Any]:
    return np.ones(shape)


def _message(call: Call, kind: type[cc.ContractionError]) -> str:
    """What a call complains about; it must be of exactly this kind, and a ``ValueError``."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is what the caller checks
        call()
    assert type(caught.value) is kind
    assert isinstance(caught.value, cc.ContractionError)
    return str(caught.value)


# --- strings that are not in the notation ----------------------------------------------------

STRINGS = {
    # Parentheses.
    "i j) k -> i": """
        unbalanced parentheses: ')' closes nothing
          i j) k -> i
             ^""",
    "i -> i)": """
        unbalanced parentheses: ')' closes nothing
          i -> i)
                ^""",
    "((i) k -> i": """
        unbalanced parentheses: '(' is not closed before the arrow
          ((i) k -> i
          ^""",
    "i -> (i": """
        unbalanced parentheses: '(' is never closed
          i -> (i
               ^""",
    "a (b c": """
        unbalanced parentheses: '(' is never closed
          a (b c
            ^""",
    "(i, j) -> i": """
        ',' inside parentheses
          (i, j) -> i
            ^
        parentheses hold the index expression of one axis""",
    "(... i) -> i": """
        '...' inside parentheses
          (... i) -> i
           ^^^
        parentheses hold the index expression of one axis""",
    # Characters that are not in the notation, those that look like one that is first of all.
    "i j → i": """
        unknown character '→'
          i j → i
              ^
        write '->' instead""",
    "i j = i": """
        unknown character '='
          i j = i
              ^
        write '->' instead""",
    "i j - > i": """
        unknown character '>'
          i j - > i
                ^
        write '->' instead""",
    "(i−k), k -> i": """
        unknown character '−'
          (i−k), k -> i
            ^
        write '-' instead""",
    "(2×i) j -> i": """
        unknown character '×'
          (2×i) j -> i
            ^
        write '*' instead""",
    "(2·i) j -> i": """
        unknown character '·'
          (2·i) j -> i
            ^
        write '*' instead""",
    "[i+k] k -> i": """
        unknown character '['
          [i+k] k -> i
          ^
        write '(' instead""",
    "i;j -> i": """
        unknown character ';'
          i;j -> i
           ^
        write ',' instead""",
    "'i j -> i'": """
        unknown character "'"
          'i j -> i'
          ^
        names are letters, digits and _""",
    '"i" j -> i': """
        unknown character '"'
          "i" j -> i
          ^
        names are letters, digits and _""",
    "i @ j -> i": """
        unknown character '@'
          i @ j -> i
            ^
        names are letters, digits and _""",
    "i .. j -> i": """
        unknown character '.'
          i .. j -> i
            ^
        an ellipsis is three dots: ...""",
    "i÷ (2*÷) -> i": """
        unknown character '÷'
          i÷ (2*÷) -> i
                ^
        names are letters, digits and _""",
    "i .... -> i": """
        unknown character '.'
          i .... -> i
               ^
        an ellipsis is three dots: ...""",
    # Tabs and line ends are shown as blanks: they would move the carets.
    "i\tj\n= i": """
        unknown character '='
          i j = i
              ^
        write '->' instead""",
    # Nothing where something must be.
    "() -> i": """
        empty term: there is nothing between these parentheses
          () -> i
          ^^
        for an axis of size one write (0)""",
    "i ( ) -> i": """
        empty term: there is nothing between these parentheses
          i ( ) -> i
            ^ ^
        for an axis of size one write (0)""",
    "(i+) j -> i": """
        empty term: something is missing before ')'
          (i+) j -> i
            ^^""",
    "((i-)*2) j -> i": """
        empty term: something is missing before ')'
          ((i-)*2) j -> i
             ^^""",
    "(*i) j -> i": """
        empty term: something is missing before '*'
          (*i) j -> i
          ^^""",
    "(i+()) j -> i": """
        empty term: something is missing before ')'
          (i+()) j -> i
             ^^""",
    # Arrows.
    "i j, j k": f"""
        missing arrow
          i j, j k
                  ^
        {SAY_THE_RESULT}""",
    "(i + k), k  ": f"""
        missing arrow
          (i + k), k {" "}
                    ^
        {SAY_THE_RESULT}""",
    "i j -> i -> j": """
        more than one arrow
          i j -> i -> j
              ^^   ^^""",
    "ij->i->j->": """
        more than one arrow
          ij->i->j->
            ^^ ^^""",
    "i j -> i, j": """
        a comma after the arrow
          i j -> i, j
                  ^
        one result only""",
    # What belongs into parentheses.
    "i 2 -> i": """
        '2' outside parentheses
          i 2 -> i
            ^
        for the constant position write (2); an index expression has parentheses: (2*i)""",
    "i+k, k -> i": """
        '+' outside parentheses
          i+k, k -> i
           ^
        an index expression stands in parentheses, as in (i+2)""",
    "i*j -> i": """
        '*' outside parentheses
          i*j -> i
           ^
        an index expression stands in parentheses, as in (i*2)""",
    "i -> i/2": """
        '/' outside parentheses
          i -> i/2
                ^
        an index expression stands in parentheses, as in (i/2)""",
    "i - k, k -> i": """
        '-' outside parentheses
          i - k, k -> i
            ^
        an arrow is '->', and an index expression stands in parentheses: (i-k)""",
    "i --> i": """
        '-' outside parentheses
          i --> i
            ^
        an arrow is '->', and an index expression stands in parentheses: (i-k)""",
    # Expressions that are not affine, or not complete.
    "(i*j) -> i": f"""
        not affine: this multiplies the indices 'i' and 'j'
          (i*j) -> i
           ^^^
        an axis composed of both is (i j); {LATER}: parameters='i'""",
    "(3+2*i*j) -> i": f"""
        not affine: this multiplies the indices 'i' and 'j'
          (3+2*i*j) -> i
             ^^^^^
        an axis composed of both is (i j); {LATER}: parameters='i'""",
    "(s*i+d*k-p), k -> i": f"""
        not affine: this multiplies the indices 's' and 'i'
          (s*i+d*k-p), k -> i
           ^^^
        an axis composed of both is (s i); {LATER}: parameters='s'""",
    "(i/j) -> i": """
        not affine: this divides by the index 'j'
          (i/j) -> i
           ^^^
        if 'j' is a number to be given later, declare it: parameters='j'""",
    "(h/2-k), k -> h": f"""
        a division must span the whole axis
          (h/2-k), k -> h
           ^^^
        {ONE_DENOMINATOR}""",
    "(k-3*h/2), k -> h": f"""
        a division must span the whole axis
          (k-3*h/2), k -> h
             ^^^^^
        {ONE_DENOMINATOR}""",
    "(i/0) j -> i": """
        division by zero
          (i/0) j -> i
             ^""",
    "(i 2) -> i": f"""
        'i' and '2' side by side
          (i 2) -> i
           ^ ^
        {SIDE_BY_SIDE}""",
    "(2*h w) -> h": f"""
        'h' and 'w' side by side
          (2*h w) -> h
             ^ ^
        {SIDE_BY_SIDE}""",
    "(si+k),k->i": f"""
        'si' has several letters, {EVERY_LETTER}
          (si+k),k->i
           ^^
        put blanks between the axes, or inside the parentheses; or, if it is a number to be \
given later, declare it: parameters='si'""",
    "(6/2i) -> i": """
        not affine: this divides by the index 'i'
          (6/2i) -> i
           ^^^^
        if 'i' is a number to be given later, declare it: parameters='i'""",
    "(i*i) -> i": """
        not affine: this multiplies the index 'i' by itself
          (i*i) -> i
           ^^^""",
    "(i//2) k -> i": """
        '//' is no operator
          (i//2) k -> i
            ^^
        a division is exact: one /""",
    "(i**2) k -> i": """
        '**' is no operator
          (i**2) k -> i
            ^^
        a power is not affine""",
    "((h w) c) -> h": f"""
        'h' and 'w' side by side
          ((h w) c) -> h
            ^ ^
        {SIDE_BY_SIDE}""",
    # An index that cancels out.
    "(i-i+k) -> k": """
        the index 'i' cancels out
          (i-i+k) -> k
           ^""",
    "(0*i+k) -> k": """
        the index 'i' cancels out
          (0*i+k) -> k
             ^""",
    "k, (k+2*(long-long)) j -> k": """
        the index 'long' cancels out
          k, (k+2*(long-long)) j -> k
                   ^^^^""",
    "(((i-i)+k)/2)j,k->k": """
        the index 'i' cancels out
          (((i-i)+k)/2)j,k->k
             ^""",
    # Numbers too large to mean anything.
    "(1234567890123456789*i) j -> j": """
        a number of more than 18 digits
          (1234567890123456789*i) j -> j
           ^^^^^^^^^^^^^^^^^^^""",
    "(k+1234567890*9876543210*i) j -> j": """
        a number of more than 18 digits
          (k+1234567890*9876543210*i) j -> j
             ^^^^^^^^^^^^^^^^^^^^^""",
    # Names.
    "i1 -> i1": """
        '1' is not an index
          i1 -> i1
          ^^
        no term has a blank inside, so every letter is an index; longer names need a blank between \
them, as in 'x_1 y', or inside parentheses, as in '( x_1 )'""",
    # The ellipsis.
    "... i ... -> i": """
        a term has at most one ellipsis
          ... i ... -> i
                ^^^""",
    "i -> ... ...": """
        a term has at most one ellipsis
          i -> ... ...
                   ^^^""",
}


@pytest.mark.parametrize("string", STRINGS, ids=ascii)
def test_a_wrong_string(string: str) -> None:
    assert _message(lambda: Contraction(string), cc.SpecError) == _text(STRINGS[string])


@pytest.mark.parametrize("string", STRINGS, ids=ascii)
def test_a_wrong_string_is_as_wrong_when_called(string: str) -> None:
    # The one-line interface reads strings through a cache of its own.
    for _ in range(2):
        message = _message(lambda: contract(string, _ones(2)), cc.SpecError)
        assert message == _text(STRINGS[string])


NOT_QUITE = [
    # More than one wording could describe these.
    "i (j k, k -> i",
    "(i -> j) k",
    "((i+1)*(j-1)) -> i",
    "(k+(h-1)/2), k -> h",
    "(i/(j-j)) -> i",
    "(1.5*i) j -> i",
    "i ⇒ j",
    "… i -> i",
    "2*i -> i",
    "(batch+k), k -> batch",
]


@pytest.mark.parametrize("string", NOT_QUITE)
def test_a_wrong_string_is_refused(string: str) -> None:
    _message(lambda: Contraction(string), cc.SpecError)


# --- a string longer than the line -----------------------------------------------------------

AXES = " ".join(f"axis{n}" for n in range(40))
CLIPPED = {
    f"{AXES} = {AXES}": """
        unknown character '='
          ... axis37 axis38 axis39 = axis0 axis1 axis2 axis3 axis4 axis5 axis6 axis7 axis8 axis9 \
axis...
                                   ^
        write '->' instead""",
    f"i = {AXES}": """
        unknown character '='
          i = axis0 axis1 axis2 axis3 axis4 axis5 axis6 axis7 axis8 axis9 axis10 axis11 axis12 \
axi...
            ^
        write '->' instead""",
    f"{AXES} -> i)": """
        unbalanced parentheses: ')' closes nothing
          ...xis28 axis29 axis30 axis31 axis32 axis33 axis34 axis35 axis36 axis37 axis38 axis39 \
-> i)
                                                                                                \
    ^""",
}


@pytest.mark.parametrize("string", CLIPPED)
def test_of_a_long_string_only_the_neighbourhood_is_shown(string: str) -> None:
    assert _message(lambda: Contraction(string), cc.SpecError) == _text(CLIPPED[string])


@pytest.mark.parametrize("place", range(0, 300, 7))
def test_the_caret_stands_under_its_character(place: int) -> None:
    text = "".join(chr(ord("a") + n % 26) for n in range(300))
    marked = text[:place] + "!" + text[place + 1 :]
    shown, carets = point_at(marked, [(place, place + 1)]).split("\n")
    assert shown.index("!") == carets.index("^")
    assert carets.count("^") == 1
    assert len(shown) <= 100


# --- parameters, reductions, algorithms ------------------------------------------------------

DECLARATIONS: list[tuple[str, Call, type[cc.ContractionError], str]] = [
    ("parameter on an axis", lambda: Contraction("s j -> j", parameters="s"), cc.SpecError, """
        's' is a parameter and cannot be an axis by itself
          s j -> j
          ^
        for the constant position write (s)"""),
    ("parameter with a digit", lambda: Contraction("i -> i", parameters="2s"), cc.SpecError,
        "'2s' is not a name, so it cannot be a parameter"),
    ("parameter with a blank", lambda: Contraction("i -> i", parameters=("s t",)),
        cc.SpecError, "'s t' is not a name, so it cannot be a parameter"),
    ("number as parameter", lambda: Contraction("i -> i", parameters=(1,)),
        cc.SpecError, "1 is not a name, so it cannot be a parameter"),
    ("number as string", lambda: Contraction(5), cc.SpecError,
        "a contraction is a string, not int"),
    ("bytes as string", lambda: Contraction(b"i->i"), cc.SpecError,
        "a contraction is a string, not bytes"),
    ("no string", lambda: contract(_ones(2), _ones(2)), cc.SpecError,
        ALTERNATES),
    ("numbers among lists", lambda: contract(_ones(2), 1.5), cc.SpecError, ALTERNATES),
    ("a set among lists", lambda: contract(_ones(2), {"i"}), cc.SpecError, ALTERNATES),
    ("lists with two ellipses",
        lambda: contract(_ones(2), [0, ..., ...]), cc.SpecError,
        "a list of indices has at most one ellipsis"),
    ("unknown reduction", lambda: Contraction("i ->", reduce="avg"), cc.ReductionError,
        "unknown reduction 'avg': choose one of sum, max, min, prod, mean, logsumexp"),
    ("no reduction",
        lambda: Contraction("i ->", reduce=None), cc.ReductionError,
        "unknown reduction None: choose one of sum, max, min, prod, mean, logsumexp"),
    ("unknown algorithm", lambda: contract("i ->", _ones(3), algorithm="magic"),
        cc.AlgorithmError,
        "unknown algorithm 'magic': choose one of auto, direct, toom-cook, fft, measure"),
    ("unbound parameter", lambda: Contraction(SCALED, parameters="s")(_ones(5, 2), _ones(2)),
        cc.ParameterError, """
        unbound: the parameter s
          (s*i+k) j, k -> i j
          ^^^^^^^
        give s=... in the call, or bind first with .bind(s=...)"""),
    ("unbound parameters",
        lambda: contract("(s*i+d*k-p) (k/s) -> i", _ones(5, 2), parameters="s d p", s=2),
        cc.ParameterError, """
        unbound: the parameters d, p
          (2*i+d*k-p) (k/2) -> i
          ^^^^^^^^^^^
        give d=..., p=... in the call, or bind first with .bind(d=..., p=...)"""),
    ("binding text", lambda: Contraction(SCALED, parameters="s").bind(s="a"),
        cc.ParameterError, "s='a' is not an integer (it is a str)"),
    ("binding a fraction",
        lambda: Contraction(SCALED, parameters="s").bind(s=1.5),
        cc.ParameterError, "s=1.5 is not an integer (it is a float)"),
    ("binding a divisor to zero", lambda: Contraction(HALVED, parameters="s").bind(s=0),
        cc.ParameterError, """
        division by zero with s=0
          ((h-k)/s) j, k -> h j
          ^^^^^^^^^"""),
    ("binding a difference to zero",
        lambda: Contraction("((h-k)/(d-s)) j, k -> h j", parameters="s d").bind(s=2, d=2),
        cc.ParameterError, """
        division by zero with s=2, d=2
          ((h-k)/(d-s)) j, k -> h j
          ^^^^^^^^^^^^^"""),
    ("binding an index away", lambda: Contraction("(s*i+k) j, k -> j", parameters="s").bind(s=0),
        cc.ParameterError, """
        the index 'i' cancels out with s=0
          (s*i+k) j, k -> j
          ^^^^^^^"""),
    ("binding an index away from two axes",
        lambda: Contraction("(s*i-2*i+k) j, (d*i) -> k j", parameters="s d").bind(d=0, s=2),
        cc.ParameterError, """
        the index 'i' cancels out with d=0, s=2
          ((s-2)*i+k) j, (d*i) -> k j
          ^^^^^^^^^^^    ^^^^^"""),
    ("calling an index away",
        lambda: contract("(s*i+k) -> k", _ones(3), parameters="s", s=0, i=2),
        cc.ParameterError, """
        the index 'i' cancels out with s=0
          (s*i+k) -> k
          ^^^^^^^"""),
    ("large parameter", lambda: Contraction(SCALED, parameters="s").bind(s=-(10**19)),
        cc.ParameterError, "s is a number of more than 18 digits"),
    ("a contraction with another reduction",
        lambda: contract(Contraction("i ->"), _ones(3), reduce="max"), cc.ContractionError,
        "a Contraction has its own reduce and parameters"),
    ("a contraction with parameters",
        lambda: contract(Contraction("i ->"), _ones(3), parameters="s"), cc.ContractionError,
        "a Contraction has its own reduce and parameters"),
    ("lists with an unknown reduction",
        lambda: contract(_ones(2, 2), [0, 1], reduce="avg"), cc.ReductionError,
        "unknown reduction 'avg': choose one of sum, max, min, prod, mean, logsumexp"),
    ("lists with parameters", lambda: contract(_ones(2, 2), [0, 1], parameters="s"),
        cc.SpecError, "lists of indices have no parameters"),
    ("fraction as memory limit", lambda: contract("i ->", _ones(3), memory_limit=1e-6),
        cc.MemoryLimitError, "memory_limit is a number of bytes, not 1e-06"),
    ("text as memory limit", lambda: contract("i ->", _ones(3), memory_limit="1 MB"),
        cc.MemoryLimitError, "memory_limit is a number of bytes, not '1 MB'"),
    ("calling with a zero divisor",
        lambda: Contraction(HALVED, parameters="s")(_ones(5, 2), _ones(2), s=0, h=3),
        cc.ParameterError, """
        division by zero with s=0
          ((h-k)/s) j, k -> h j
          ^^^^^^^^^"""),
]  # fmt: skip


def _id(row: tuple[Any, ...]) -> str:
    return str(row[0])


@pytest.mark.parametrize("row", DECLARATIONS, ids=_id)
def test_a_wrong_declaration(row: tuple[str, Call, type[cc.ContractionError], str]) -> None:
    _, call, kind, message = row
    assert _message(call, kind) == _text(message)


@pytest.mark.parametrize("reduce", ["max", "min", "logsumexp"])
def test_complex_numbers_have_no_order(reduce: str) -> None:
    message = _message(
        lambda: contract("i ->", np.array([1j, 2]), reduce=reduce), cc.ReductionError
    )
    assert message == f"reduce={reduce!r} needs numbers with an order; complex128 has none"


@pytest.mark.parametrize("values", [{"q": 3}, {"i": 3}, {"s": 2, "q": 1}])
def test_only_parameters_are_bound(values: dict[str, int]) -> None:
    contraction = Contraction(SCALED, parameters="s")
    assert "not a parameter" in _message(lambda: contraction.bind(**values), cc.ParameterError)


# --- shapes and extents ----------------------------------------------------------------------

SHAPES: list[tuple[str, str, list[Shape], dict[str, Any], type[cc.ContractionError], str]] = [
    ("too few operands", MATMUL, [(3, 4)], {}, cc.OperandError, """
        2 terms but 1 operand
          i j, j k -> i k
               ^^^"""),
    ("no operands", MATMUL, [], {}, cc.OperandError, """
        2 terms but 0 operands
          i j, j k -> i k
          ^^^  ^^^"""),
    ("no scalar", ", i -> i", [(3,)], {}, cc.OperandError, """
        2 terms but 1 operand
          , i -> i
            ^
        an empty term stands for a scalar operand"""),
    ("rank too low", "i, i j -> i", [(3,), (3,)], {}, cc.ShapeError, """
        operand 1 has 1 axis, but its term has 2
          i, i j -> i
             ^^^
        shapes: (3,), (3,)"""),
    ("rank too high", "i j -> i", [(3, 4, 5)], {}, cc.ShapeError, """
        operand 0 has 3 axes, but its term has 2
          i j -> i
          ^^^
        shapes: (3, 4, 5)"""),
    ("a vector for a scalar", ", i -> i", [(3,), (3,)], {}, cc.ShapeError, """
        operand 0 has 1 axis, but its term has 0
          , i -> i
          ^
        shapes: (3,), (3,)"""),
    ("rank too low for the ellipsis", "i, ... i j -> i", [(3,), (3,)], {}, cc.ShapeError, """
        operand 1 has 1 axis, but its term has at least 2
          i, ... i j -> i
             ^^^^^^^
        shapes: (3,), (3,)"""),
    ("a composition is one axis", "(h w) c -> h c", [(2, 3, 4)], {"h": 2}, cc.ShapeError, """
        operand 0 has 3 axes, but its term has 2
          (h w) c -> h c
          ^^^^^^^
        shapes: (2, 3, 4)"""),
    ("two operands disagree", CONV, [(8, 28, 3), (3, 4, 16)], {}, cc.ShapeError, """
        extents disagree: c is 3 on axis 2 of operand 0, but 4 on axis 1 of operand 1
          b (2*i+k-1) c, k c o -> b i o
                      ^    ^
        shapes: (8, 28, 3), (3, 4, 16)
        so far: b=8, c=3, k=3"""),
    ("one operand disagrees", "i i -> i", [(3, 4)], {}, cc.ShapeError, """
        extents disagree: i is 3 on axis 0 of operand 0, but 4 on axis 1 of operand 0
          i i -> i
          ^ ^
        shapes: (3, 4)
        so far: i=3"""),
    ("a keyword disagrees", "i j -> i j", [(3, 4)], {"j": 5}, cc.ShapeError, """
        extents disagree: j is 5 by keyword, but 4 on axis 1 of operand 0
          i j -> i j
            ^
        shapes: (3, 4)
        so far: j=5, i=3"""),
    ("the output disagrees", "i j -> i j", [(3, 4)], {"output_shape": (3, 5)}, cc.ShapeError, """
        extents disagree: j is 4 on axis 1 of operand 0, but 5 on axis 1 of the output
          i j -> i j
            ^      ^
        shapes: (3, 4)
        so far: i=3, j=4"""),
    ("keyword and output disagree", "i -> i j", [(3,)], {"j": 4, "output_shape": (3, 5)},
        cc.ShapeError, """
        extents disagree: j is 4 by keyword, but 5 on axis 1 of the output
          i -> i j
                 ^
        shapes: (3,)
        so far: j=4, i=3"""),
    ("two windows disagree", "(i+k) (2*i+k), k -> i", [(5, 6), (2,)], {}, cc.ShapeError, """
        extents disagree: i is 4 on axis 0 of operand 0, but 3 on axis 1 of operand 0
          (i+k) (2*i+k), k -> i
          ^^^^^ ^^^^^^^
        shapes: (5, 6), (2,)
        so far: k=2"""),
    ("rank of the output", "i -> i", [(3,)], {"output_shape": (3, 3)}, cc.ShapeError, """
        output_shape has 2 axes, the result has 1
          i -> i
               ^
        shapes: (3,)"""),
    ("negative output", "i -> i", [(3,)], {"output_shape": (-3,)}, cc.ShapeError,
        "(-3,) is not a shape: it has a negative size"),
    ("number as output shape", "i -> i", [(3,)], {"output_shape": 3}, cc.ShapeError,
        "3 is not a shape: a tuple of integers"),
    ("fraction in the output shape", "i -> i", [(3,)], {"output_shape": (3.0,)}, cc.ShapeError,
        "(3.0,) is not a shape: a tuple of integers"),
    ("two unknowns", "b (2*i+k) c -> b i c", [(8, 28, 3)], {}, cc.ShapeError, """
        2 unknown extents on one axis: i and k
          b (2*i+k) c -> b i c
            ^^^^^^^
        give i=... or k=...
        shapes: (8, 28, 3)
        so far: b=8, c=3"""),
    ("two unknowns of three", "(i+k+l), k -> i", [(5,), (2,)], {}, cc.ShapeError, """
        2 unknown extents on one axis: i and l
          (i+k+l), k -> i
          ^^^^^^^
        give i=... or l=...
        shapes: (5,), (2,)
        so far: k=2"""),
    ("two unknowns of a composition", "(h w c) -> w", [(12,)], {"h": 2}, cc.ShapeError, """
        2 unknown extents on one axis: w and c
          (h w c) -> w
          ^^^^^^^
        give w=... or c=...
        shapes: (12,)
        so far: h=2"""),
    ("window too large", "(i+k), k -> i", [(2,), (3,)], {}, cc.ShapeError, f"""
        window larger than its axis: (i+k) spans 3 elements, the axis has 2
          (i+k), k -> i
          ^^^^^
        give the extent, i=..., {REACHES}
        shapes: (2,), (3,)
        so far: k=3"""),
    ("dilated window too large", "b (2*i+3*k), k -> b i", [(1, 4), (3,)], {}, cc.ShapeError, f"""
        window larger than its axis: (2*i+3*k) spans 7 elements, the axis has 4
          b (2*i+3*k), k -> b i
            ^^^^^^^^^
        give the extent, i=..., {REACHES}
        shapes: (1, 4), (3,)
        so far: b=1, k=3"""),
    ("composition of a prime", "(h w), h -> w", [(12,), (5,)], {}, cc.ShapeError, """
        the composition (h w) does not come out: 12 is not 5 times a whole number
          (h w), h -> w
          ^^^^^
        shapes: (12,), (5,)
        so far: h=5"""),
    ("composition too short", "(h w) -> w", [(12,)], {"h": 5, "w": 3}, cc.ShapeError, """
        the composition (h w) does not come out: 5*3 = 15, the axis has 12
          (h w) -> w
          ^^^^^
        shapes: (12,)
        so far: h=5, w=3"""),
    ("composition in the output", "h w -> (h w)", [(3, 4)], {"output_shape": (13,)},
        cc.ShapeError, """
        the composition (h w) does not come out: 3*4 = 12, the axis has 13
          h w -> (h w)
                 ^^^^^
        shapes: (3, 4)
        so far: h=3, w=4"""),
    ("composition of nothing", "(h w) -> w", [(0,)], {"h": 0}, cc.ShapeError, """
        (h w) has size 0 whatever w is
          (h w) -> w
          ^^^^^
        give w=...
        shapes: (0,)
        so far: h=0"""),
    ("output only", "i -> i j", [(3,)], {}, cc.ShapeError, """
        unknown extent: j; it occurs only in the output
          i -> i j
                 ^
        give j=...
        shapes: (3,)
        so far: i=3"""),
    ("output only, affine", "i -> i (2*j+1)", [(3,)], {}, cc.ShapeError, """
        unknown extent: j; it occurs only in the output
          i -> i (2*j+1)
                 ^^^^^^^
        give j=...
        shapes: (3,)
        so far: i=3"""),
    ("unknown keyword", "i j -> i", [(3, 4)], {"z": 3}, cc.ShapeError,
        "'i j -> i' has no index or parameter called 'z'; it has: i, j"),
    ("unknown keyword and wrong value", "i j -> i", [(3, 4)], {"i": "a", "z": 3}, cc.ShapeError,
        "'i j -> i' has no index or parameter called 'z'; it has: i, j"),
    ("unknown keyword for scalars", ", ->", [(), ()], {"z": 3}, cc.ShapeError,
        "', ->' has no index or parameter called 'z'; it has: none"),
    ("large extent", "i -> i j", [(3,)], {"j": 10**30}, cc.ParameterError,
        "j is a number of more than 18 digits"),
    ("letters of the output", "i k -> ik", [(2, 2)], {}, cc.ShapeError, """
        unknown extent: ik; it occurs only in the output
          i k -> ik
                 ^^
        give ik=...; or did you mean 'i k'? 'ik' is one index
        shapes: (2, 2)
        so far: i=2, k=2"""),
    ("letters of the input", "ij k -> k", [(2, 2, 2)], {}, cc.ShapeError, """
        operand 0 has 3 axes, but its term has 2
          ij k -> k
          ^^^^
        'ij' is one index, as some term has a blank inside
        shapes: (2, 2, 2)"""),
    ("negative extent", "i -> i j", [(3,)], {"j": -1}, cc.ShapeError, """
        j=-1: an extent is not negative
        shapes: (3,)"""),
    ("fractional extent", "i -> i j", [(3,)], {"j": 2.5}, cc.ParameterError,
        "j=2.5 is not an integer (it is a float)"),
    ("text as extent", "i -> i j", [(3,)], {"j": "2"}, cc.ParameterError,
        "j='2' is not an integer (it is a str)"),
    ("list as extent", "i -> i j", [(3,)], {"j": [2]}, cc.ParameterError,
        "j=[2] is not an integer (it is a list)"),
]  # fmt: skip


@pytest.mark.parametrize("row", SHAPES, ids=_id)
def test_wrong_shapes(row: Any) -> None:
    _, spec, shapes, keywords, kind, message = row
    contraction = Contraction(spec)
    assert _message(lambda: contraction.extents(*shapes, **keywords), kind) == _text(message)


@pytest.mark.parametrize("row", SHAPES, ids=_id)
def test_wrong_shapes_are_as_wrong_when_called(row: Any) -> None:
    _, spec, shapes, keywords, kind, message = row
    operands = [_ones(*shape) for shape in shapes]
    assert _message(lambda: contract(spec, *operands, **keywords), kind) == _text(message)
    for operand in operands:  # nothing was begun
        assert (operand == 1).all()


VAGUE: list[tuple[str, list[Shape], dict[str, int]]] = [
    ("i j -> i", [(3, 4), (3, 4)], {}),
    ("... i, ... i -> ... i", [(2, 3), (4, 3)], {}),
    ("(i+k+l) -> i", [(5,)], {}),
    ("(h/2) k -> h", [(3, 2)], {}),
    ("((h-k)/2) -> h", [(4,)], {}),
    ("(i+5) j -> i", [(4, 2)], {}),
    ("(h h) k -> h k", [(12, 3)], {}),
]


@pytest.mark.parametrize(("spec", "shapes", "keywords"), VAGUE)
def test_wrong_shapes_are_refused(spec: str, shapes: list[Shape], keywords: dict[str, int]) -> None:
    with pytest.raises((cc.ShapeError, cc.OperandError)):
        Contraction(spec).extents(*shapes, **keywords)


@pytest.mark.parametrize("shape", [3, (2.5,), None])
def test_a_shape_is_a_tuple_of_integers(shape: Any) -> None:
    message = _message(lambda: Contraction("i ->").extents(shape), cc.ShapeError)
    assert message == f"{shape!r} is not a shape: a tuple of integers"


# --- operands --------------------------------------------------------------------------------


def _foreign(library: str) -> object:
    """An object of a class that says it comes from another array library."""
    return type("Tensor", (), {"__module__": f"{library}.core"})()


OPERANDS: list[tuple[str, object, str]] = [
    ("text", "abc", f"its dtype is {np.dtype('U3')} (it is of type str)"),
    ("list of text", ["a", "b"], f"its dtype is {np.dtype('U1')} (it is of type list)"),
    (
        "dates",
        np.array(["2020-02-02"], "M8[D]"),
        "its dtype is datetime64[D] (it is of type ndarray)",
    ),
    ("nothing", None, "its dtype is object (it is of type NoneType)"),
    ("dictionary", {1: 2}, "its dtype is object (it is of type dict)"),
    ("function", len, "its dtype is object (it is of type builtin_function_or_method)"),
]


@pytest.mark.parametrize("row", OPERANDS, ids=_id)
def test_an_operand_is_an_array_of_numbers(row: tuple[str, object, str]) -> None:
    _, operand, why = row
    for position, operands in enumerate([(operand, 1.0), (1.0, operand)]):
        message = _message(lambda given=operands: contract(",->", *given), cc.OperandError)
        assert message == f"operand {position} is not an array of numbers: {why}"


def test_arrays_of_a_library_that_has_no_record() -> None:
    message = _message(lambda: contract(", ->", 1.0, _foreign("tensorflow")), cc.OperandError)
    assert message == "operand 1 is a tensorflow array (Tensor); pass numpy.asarray(operand)"


@pytest.mark.parametrize("operand", [[1, [2, 3]], [[1, 2], [3]]])
def test_a_ragged_list_is_no_array(operand: object) -> None:
    message = _message(lambda: contract("...->...", operand), cc.OperandError)
    assert message.startswith("operand 0 is not an array")  # numpy says the rest


# --- gradients and compiled contractions -----------------------------------------------------


@pytest.mark.parametrize("position", [2, -1, 0.5, True, None])
def test_a_gradient_is_by_an_operand(position: Any) -> None:
    message = _message(lambda: Contraction(MATMUL).grad(position), cc.OperandError)
    assert message == (
        f"there is no operand {position!r} in 'i j, j k -> i k': it has 2 operands, counted from 0"
    )


def test_a_gradient_is_by_the_name_of_an_operand() -> None:
    message = _message(lambda: Contraction(MATMUL).grad("A"), cc.OperandError)
    assert message == (
        "there is no operand 'A' in 'i j, j k -> i k': it has 2 operands, counted from 0, "
        "called X, W"
    )


def test_a_gradient_is_by_the_only_operand() -> None:
    message = _message(lambda: Contraction("i->").grad(1), cc.OperandError)
    assert message == "there is no operand 1 in 'i ->': it has 1 operand, counted from 0"


GRADIENTS: list[tuple[str, Call, type[cc.ContractionError], str]] = [
    ("extent of the cotangent",
        lambda: Contraction(MATMUL).grad(0)(_ones(3, 4), _ones(3, 4), _ones(4, 5)),
        cc.ShapeError,
        "the cotangent has shape (3, 4), the result of 'i j, j k -> i k' has (3, 5)"),
    ("rank of the cotangent",
        lambda: Contraction(MATMUL).grad(1)(_ones(3), _ones(3, 4), _ones(4, 5)),
        cc.ShapeError, "the cotangent has shape (3,), the result of 'i j, j k -> i k' has (3, 5)"),
    ("scalar cotangent", lambda: Contraction(MATMUL).grad(1)(2.0, _ones(3, 4), _ones(4, 5)),
        cc.ShapeError, "the cotangent has shape (), the result of 'i j, j k -> i k' has (3, 5)"),
    ("text as cotangent", lambda: Contraction("i ->").grad(0)("abc", _ones(3)),
        cc.OperandError,
        f"""
        the cotangent is not an array of numbers: its dtype is {np.dtype('U3')} (it is of type str)
        """),
    ("no cotangent", lambda: Contraction(MATMUL).grad(0)(_ones(3, 4), _ones(4, 5)),
        cc.OperandError,
        """
        a gradient of 'i j, j k -> i k' is called with the cotangent and 2 operands, not with \
the cotangent and 1"""),
    # If the operands are wrong already, that is what is said.
    ("wrong operands", lambda: Contraction(MATMUL).grad(0)(_ones(1), _ones(3, 4), _ones(3, 3)),
        cc.ShapeError, """
        extents disagree: j is 4 on axis 1 of operand 0, but 3 on axis 0 of operand 1
          i j, j k -> i k
            ^  ^
        shapes: (3, 4), (3, 3)
        so far: i=3, j=4"""),
    ("too few for the compiled",
        lambda: Contraction(MATMUL).compile((3, 4), (4, 5))(_ones(3, 4)),
        cc.OperandError, "compiled for 2 operands, called with 1"),
    ("wrong shape for the compiled",
        lambda: Contraction(MATMUL).compile((3, 4), (4, 5))(_ones(3, 4), _ones(3, 4)),
        cc.ShapeError, "operand 1 has shape (3, 4), compiled for (4, 5)"),
    ("wrong dtype for the compiled",
        lambda: Contraction("i ->").compile((3,))(1j * _ones(3)),
        cc.OperandError, "operand 0 is complex128, compiled for float64"),
    ("wrong cotangent for the compiled",
        lambda: Contraction("i ->").compile((3,)).vjp(0, _ones(3), _ones(3)),
        cc.ShapeError, "the cotangent has shape (3,), compiled for ()"),
]  # fmt: skip


@pytest.mark.parametrize("row", GRADIENTS, ids=_id)
def test_wrong_gradients_and_wrong_calls_of_the_compiled(
    row: tuple[str, Call, type[cc.ContractionError], str],
) -> None:
    _, call, kind, message = row
    assert _message(call, kind) == _text(message)


# --- nothing is left half-done ---------------------------------------------------------------


def test_a_contraction_cannot_be_changed() -> None:
    contraction = Contraction(MATMUL)
    for name in ("reduce", "_spec", "anything"):
        with pytest.raises(AttributeError) as caught:
            setattr(contraction, name, "max")
        assert str(caught.value) == "a Contraction is immutable"
    assert contraction == Contraction(MATMUL)


def test_after_a_mistake_the_same_objects_work() -> None:
    contraction = Contraction(SCALED, parameters="s")
    x, w = np.arange(10.0).reshape(5, 2), np.array([1.0, 10.0])
    for wrong in ({}, {"s": "a"}, {"s": 1, "z": 1}, {"s": 1, "i": -1}):
        with pytest.raises(cc.ContractionError):
            contraction(x, w, **wrong)
    assert np.array_equal(x, np.arange(10.0).reshape(5, 2))
    assert np.array_equal(contraction(x, w, s=2), [[20, 31], [64, 75]])
    assert contraction.parameters == ("s",)


def test_an_error_in_the_last_operand_leaves_the_first_alone() -> None:
    x = np.arange(6.0).reshape(2, 3)
    x.setflags(write=False)
    with pytest.raises(cc.OperandError):
        contract("i j, j -> i", x, ["a", "b", "c"])
    assert not x.flags.writeable
    assert np.array_equal(x, np.arange(6.0).reshape(2, 3))


# --- strings that would like to be Python ----------------------------------------------------

PYTHON = {
    "__import__('os')": """
        unknown character "'"
          __import__('os')
                     ^
        names are letters, digits and _""",
    "i;import os": """
        unknown character ';'
          i;import os
           ^
        write ',' instead""",
    "{i}": """
        unknown character '{'
          {i}
          ^
        write '(' instead""",
    "i.__class__ -> i": """
        unknown character '.'
          i.__class__ -> i
           ^
        names are letters, digits and _""",
    "(lambda: 0)": """
        unknown character ':'
          (lambda: 0)
                 ^
        names are letters, digits and _""",
    "i if j == k -> i": """
        unknown character '='
          i if j == k -> i
                 ^
        write '->' instead""",
}


@pytest.mark.parametrize("string", PYTHON)
def test_python_is_not_the_language(string: str) -> None:
    assert _message(lambda: Contraction(string), cc.SpecError) == _text(PYTHON[string])


def test_words_of_python_are_ordinary_names() -> None:
    assert Contraction("__class__").indices == ("a", "c", "l", "_", "s")
    assert Contraction("lambda exec -> exec").indices == ("exec", "lambda")
    assert Contraction("print(1) -> ").indices == ("p", "r", "i", "n", "t")


def test_names_that_mean_something_to_sympy_are_ordinary_names() -> None:
    gradient = Contraction("(2*I+E-1) oo, E lambda -> I oo lambda").grad(0)
    assert str(gradient.gather) == "((h-E+1)/2) oo lambda, E lambda -> h oo"


def test_reading_a_string_evaluates_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a string of the user was evaluated")

    for name in ("eval", "exec", "compile", "__import__"):
        monkeypatch.setattr(builtins, name, refuse)
    spec = parse("b (s*i+(d-1)*k-p) c, k (c o) -> b ((2*i+k)/3) o", "sum", "s d p")
    problem = resolve(spec, [(2, 9, 3), (3, 6)], {"s": 2, "d": 2, "p": 1})
    assert problem.result_shape == (2, 4, 2)
