"""What a program's text may say, and what is said of texts that are none."""

from __future__ import annotations

from typing import Any

import pytest

import contractconv as cc
from contractconv import ProgramError
from contractconv.programs.nodes import Contract

# A checker takes what it returns for an array.
contract: Any = cc.contract

HEAD = 'def f(x: "b i", W: "i o"):\n    '


def read(line: str) -> cc.Program:
    """A program of one line."""
    return cc.read(f"{HEAD}{line}\n    return y\n")


def refused(text: str) -> ProgramError:
    """What is said of a text."""
    with pytest.raises(ProgramError) as error:
        cc.read(text)
    return error.value


def said(line: str) -> str:
    """What is said of the second line, behind its number."""
    error = refused(f"{HEAD}{line}\n    return y\n")
    assert error.line == 2
    return str(error).removeprefix("line 2: ")


# --- what it may say --------------------------------------------------------------------------


def test_a_layer() -> None:
    x, W, bias = cc.tensor("x", "b h w c"), cc.tensor("W", "k l c o"), cc.tensor("bias", "o")
    z = contract("b (i+k-1) (j+l-1) c, k l c o -> b i j o", x, W).called("z")
    expected = cc.program(a=cc.max(z + bias, 0), name="layer")
    text = """
        # A comment.
        def layer(x: "b h w c", W: "k l c o", bias: "o"):
            '''What the layer does.'''

            z = contract(
                "b (i+k-1) (j+l-1) c, k l c o -> b i j o",  # the same size
                x, W,
            )
            a = (max(((z) + bias), 0))
            return a
    """
    lines = text.strip("\n").split("\n")
    assert cc.read("\n".join(line.removeprefix(" " * 8) for line in lines)) == expected


def test_names_become_labels() -> None:
    p = read("y = relu(x)")
    assert p["y"].label == "y"
    assert p.tensor("x").label == "x"


def test_another_name_for_a_value() -> None:
    p = cc.read('def f(x: "b"):\n    h = x + 1\n    y = h\n    z = +y\n    return h, z\n')
    assert p["h"].same_as(p["z"])
    assert p["z"].label == "h"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_they_like(end: str) -> None:
    text = end.join(["\ufeffdef f(x: 'b'):", "\ty = x + 1", "\treturn y"])
    assert str(cc.read(text)) == 'def f(x: "b"):\n    y = x + 1\n    return y\n'


def test_forms_of_a_contraction() -> None:
    x, W = cc.tensor("x", "b i"), cc.tensor("W", "i o")
    pairs = {
        'contract("b i, i o -> b o", x, W)': contract("b i, i o -> b o", x, W),
        'contract("b i -> b", x, reduce="max")': contract("b i -> b", x, reduce="max"),
        'contract("... i -> ...", x)': contract("... i -> ...", x),
        'contract("bi,io", x, 2 * W)': contract("bi,io", x, 2 * W),
        'contract("b (s*i) -> b i", x, s=2, parameters="s")': contract(
            "b (s*i) -> b i", x, s=2, parameters="s"
        ),
        'contract("b i -> b i r", x, r=2 * size(W, "o") - 1)': contract(
            "b i -> b i r", x, r=2 * cc.size(W, "o") - 1
        ),
        'contract("b i -> b i r", x, extents={"r": 3})': contract("b i -> b i r", x, r=3),
        'contract("b i -> (b+1) i", x, output_shape=[9, size(x, "i")])': contract(
            "b i -> (b+1) i", x, output_shape=(9, cc.size(x, "i"))
        ),
    }
    for text, tensor in pairs.items():
        assert read(f"y = {text}")["y"].same_as(tensor)


def test_a_local_derivative() -> None:
    node = read('y = local("b i -> b", x, reduce="max")')["y"]._node
    assert isinstance(node, Contract)
    assert (node.local, node.axes) == (True, ("b", "i"))


def test_sizes_have_names_too() -> None:
    p = cc.read("""def f(x: "b i"):
    n = size(x, "i")
    z = contract("b (i+k) -> b i", x, k=2)
    m = extent(z, "k")
    y = contract("b i -> b n", z, n=2 * n - m)
    return y, n
""")
    assert 'n=2 * size(x, "i") - extent(z, "k")' in str(p)
    assert cc.read(str(p)) == p


# --- what it may not say ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message", "under"),
    [
        ("y = relu(z)", "there is no value 'z' yet", "z"),
        ("y = rellu(x)", "there is no map called 'rellu'", "rellu"),
        ("y = eval('1')", "there is no map called 'eval'", "eval"),
        ("y = x.T", "this has no place in a program", "x.T"),
        ("y = x @ W", "this has no place in a program", "x @ W"),
        ("y = x // W", "this has no place in a program", "x // W"),
        ("y = x << 1", "this has no place in a program", "x << 1"),
        ("y = x[0]", "this has no place in a program", "x[0]"),
        ("y = [x]", "this has no place in a program", "[x]"),
        ("y = {x}", "this has no place in a program", "{x}"),
        ("y = (x, x)", "this has no place in a program", "(x, x)"),
        ("y = 'text'", "this has no place in a program", "'text'"),
        ("y = b'text'", "this has no place in a program", "b'text'"),
        ("y = ...", "this has no place in a program", "..."),
        ("y = (z := x)", "this has no place in a program", "z := x"),
        ("y = max(*x)", "this has no place in a program", "*x"),
        ("y = x.f(x)", "this has no place in a program", "x.f(x)"),
        ("y = x < x < x", "comparisons in a chain", "x < x < x"),
        ("y = lambda: x", "'lambda' has no place in a program", "lambda"),
        ("y = [a for a in x]", "'for' has no place in a program", "for"),
        ("y = x if x else x", "'if' has no place in a program", "if"),
        ("y = not x", "'not' has no place in a program", "not"),
        ("y = x and x", "'and' has no place in a program", "and"),
        ("import os", "'import' has no place in a program", "import"),
        ("y = None", "'None' has no place in a program", "None"),
        ("y = exp(f'{x}')", "a string is written out: nothing is put into it", "f'"),
        ("y = Rf'{x}'", "a string is written out: nothing is put into it", "Rf'"),
        ("x = x + 1", "'x' is there already: every value has its name", "x"),
        ("inf = x", "a value cannot be called 'inf'", "inf"),
        ("y, z = x, x", "only a call of a function makes several values", "x, x"),
        ("y = z = x", "this is no line of a program", "y = z = x"),
        ("y += x", "this is no line of a program", "y += x"),
        ('y: "b" = x', "this is no line of a program", 'y: "b" = x'),
        ("x.y = x", "this is no line of a program", "x.y = x"),
        ("exp(x)", "this is no line of a program", "exp(x)"),
        ("y = exp(x, out=x)", "the keyword 'out' in a call of exp", "out=x"),
        ("y = exp(x, **x)", "a mapping of keywords in a call of exp", "**x"),
        ("y = max(x)", "max has 2 arguments, not 1", "max(x)"),
        ("y = named(x)", "named has 2 arguments, not 1", "named(x)"),
        ("y = named(x, 'b')", "not as many names as there are axes: 'b i'", "'b'"),
        ("y = named(x, 'b b')", "two axes are called 'b'", "b"),
        ("y = named(x, W)", "what axes are called is a string", "W"),
        ("y = cast(x, 'int65')", "'int65' is no dtype", "'int65'"),
        ("y = cast(x, 'int64', like=x)", "cast has 1 arguments, not 2", "cast(x, 'int64', like=x)"),
        ("y = size(x, 'o')", "there is no axis 'o': the axes are 'b i'", "'o'"),
        ("y = size(x)", "this is no size", "x"),
        ("y = extent(x, 'b')", "indices are those of contractions, and this is none", "x"),
        ("y = index('a b')", "one index has one name", "'a b'"),
        ("y = index(x)", "the name of an index is a string", "x"),
        ("y = complex(x, 1)", "a complex number is made of two real ones", "complex(x, 1)"),
        ("y = complex(1j, 1)", "a complex number is made of two real ones", "complex(1j, 1)"),
        ("y = contract()", "a contraction starts with its string", "contract()"),
        ("y = contract(x)", "a contraction is a string", "x"),
        ('y = contract("b i -> b")', "1 term but 0 operands", 'contract("b i -> b")'),
        ('y = contract("b i -> b", x, reduce="summ")', "unknown reduction 'summ'", '"summ"'),
        ('y = contract("b i -> b", x, reduce=max)', "reduce= is a string", "max"),
        ('y = contract("b i -> b", x, b=1.5)', "this is no size", "1.5"),
        ('y = contract("b i -> b", x, b=True)', "this is no size", "True"),
        ('y = contract("b i -> b", x, **x)', "keywords are written out, one by one", "**x"),
        ('y = contract("b i -> b", x, extents=3)', 'extents= is written as {"i": 3}', "3"),
        ('y = contract("b i -> b", x, b=1, extents={"b": 2})', "b is given twice", "2"),
        ('y = contract("b i -> b", x, extents={**x})', "the name of an index is a string", "x"),
        ('y = contract("b i -> b", x, output_shape=3)', "output_shape= is a size for each", "3"),
        (
            'y = contract("b i -> b", x, like=x, output_shape=(1,))',
            "like= and output_shape= say the same", "x",
        ),
        ('y = local("b i ->", x)', "the local derivative of a sum is one", 'local("b i ->", x)'),
        ('y = contract("b (i+ -> b", x)', "unbalanced parentheses", "("),
        ('y = contract("b i -> b (i*b)", x)', "not affine", "i*b"),
        ('y = contract("b i => b", x)', "unknown character", "="),
        ("y = x +", "this is not Python", ""),
        ("y = 'x", "this is not Python", ""),
        ("y = x)", "this is not Python", ""),
    ],
)  # fmt: skip
def test_what_is_no_line_of_a_program(line: str, message: str, under: str) -> None:
    first, shown, carets, *_ = said(line).split("\n")
    assert first.startswith(message)
    assert shown == f"      {line}"
    if under:
        marked = "".join(ch for ch, mark in zip(shown, carets, strict=False) if mark == "^")
        assert marked == under


def test_ranks_show_the_string_as_well() -> None:
    assert said('y = contract("b, i o -> b o", x, W)').split("\n") == [
        "x has the 2 axes 'b i', but its term has 1",
        '      y = contract("b, i o -> b o", x, W)',
        "          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
        "  b, i o -> b o",
        "  ^",
    ]


def test_letters_of_several_bytes_are_counted_once() -> None:
    error = refused('def f(é: "b"):\n    ü = é * ö\n    return ü\n')
    assert (error.line, error.column) == (2, 13)
    assert str(error).splitlines()[1:] == ["      ü = é * ö", "              ^"]


def test_strings_with_escapes_are_marked_whole() -> None:
    assert said(r'y = contract("b (\x69+ -> b", x)').splitlines()[2].count("^") == 15


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("", "there is no program", (1, 1)),
        ("x = 1\n", "a program is a function", (1, 1)),
        ('"only a comment"\n', "there is no program", (1, 1)),
        ('def f(x: "b"):\n    y = x\n', "a program ends with return", (2, 5)),
        ('def f(x: "b"):\n    "text"\n', "a program ends with return", (1, 1)),
        ('def f(x: "b"):\n    return\n', "what is returned has no name", (2, 5)),
        ('def f(x: "b"):\n    return ()\n', "what is returned has no name", (2, 12)),
        ('def f(x: "b"):\n    return x + 1\n', "what is returned has no name", (2, 12)),
        ('def f(x: "b"):\n    return x, x\n', "'x' is returned twice", (2, 15)),
        ('def f(x: "b"):\n    return z\n', "there is no value 'z' yet", (2, 12)),
        ('def f(x: "b"):\n    return x\n    return x\n', "nothing stands behind return", (2, 5)),
        ("def f(x):\n    return x\n", "the input 'x' has no axes", (1, 7)),
        ("def f(x: b):\n    return x\n", "the input 'x' has no axes", (1, 7)),
        ("def f(x: int64[b]):\n    return x\n", "the input 'x' has no axes", (1, 7)),
        ('def f(x: long["b"]):\n    return x\n', "'long' is no dtype", (1, 10)),
        ('def f(x: "b b"):\n    return x\n', "two axes are called 'b'", (1, 13)),
        ('def f(x: "b 2"):\n    return x\n', "'2' is not a name", (1, 13)),
        ('def f(x: "b", x: "i"):\n    return x\n', "'x' is there already", (1, 15)),
        ('def f(x: "b" = 1):\n    return x\n', "a program has inputs, and no more", (1, 16)),
        ('def f(x: "b", *, y: "b"):\n    return x\n', "a program has inputs, and no more", (1, 18)),
        ('def f(x: "b", /, y: "b"):\n    return x\n', "a program has inputs, and no more", (1, 7)),
        ('def f(*x: "b"):\n    return x\n', "a program has inputs, and no more", (1, 8)),
        ('def f(**x: "b"):\n    return x\n', "a program has inputs, and no more", (1, 9)),
        ('def f(x: "b") -> 3:\n    return x\n', "a program has inputs, and no more", (1, 18)),
        ('@g\ndef f(x: "b"):\n    return x\n', "a program has inputs, and no more", (1, 2)),
        ('def inf(x: "b"):\n    return x\n', "a program cannot be called 'inf'", (1, 1)),
        ("class A: pass\n", "'class' has no place in a program", (1, 1)),
        ('async def f(x: "b"):\n    return x\n', "'async' has no place in a program", (1, 1)),
    ],
)
def test_what_is_no_program(text: str, message: str, place: tuple[int, int]) -> None:
    error = refused(text)
    assert message in str(error)
    assert (error.line, error.column) == place


@pytest.mark.parametrize("text", [None, 3, b"def f(): pass", ["x"]])
def test_what_is_no_text(text: object) -> None:
    with pytest.raises(ProgramError, match="a program is a text, not"):
        cc.read(text)  # type: ignore[arg-type]
