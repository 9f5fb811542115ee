"""Texts that are meant to hurt: refused, and at once, before they cost anything."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from threading import Thread, stack_size
from types import FrameType
from typing import Any

import pytest

import contractconv as cc
from contractconv import ProgramError
from contractconv.programs.text.limits import checked

MANY = 100_000


def line(expression: str) -> str:
    """A program of an expression."""
    return f'def f(x: "b"):\n    y = {expression}\n    return y\n'


NESTED = {
    "parentheses": line("(" * 10_000 + "x" + ")" * 10_000),
    "brackets that stay open": line("[" * 10_000),
    "brackets of all kinds": line("([{" * 5_000),
    "calls": line("exp(" * MANY + "x" + ")" * MANY),
    "signs": line("-" * MANY + "x"),
    "signs on many lines": line("-\\\n" * 90_000 + "x"),
    "signs of another kind": line("~" * MANY + "x"),
    "powers": line("**".join("x" * MANY)),
    "sums": line("+".join("x" * MANY)),
    "attributes": line("x" + ".a" * MANY),
    "comparisons": line("<".join("x" * MANY)),
}
WORDS = {
    "not": line("not " * MANY + "x"),
    "lambda": line("lambda: " * MANY + "x"),
    "if": line("x if x else " * MANY + "x"),
    "elif": 'def f(x: "b"):\n    if x: y = x\n' + "    elif x: y = x\n" * 10_000,
    "await": line("await " * MANY + "x"),
    "for": line("[" + "0 for x in " * MANY + "x]"),
    "f-strings": line('f"{' * 50 + "x" + '}"' * 50),
}
NO_TEXT = {
    "a million lines": 'def f(x: "b"):\n' + "    y = x\n" * 400_000,
    "many empty lines": "\n" * 1_000_000,
    "a long string": line('"' + "a" * 100 * 2**20 + '"'),
    "a null": line("x\0"),
    "a surrogate": line('"\ud800"'),
    "a surrogate in a name": line("\udfff"),
}
OTHERS = {
    "calls of calls": line("x" + "()" * MANY),
    "indices": line("x" + "[0]" * MANY),
    "indentation": "\n".join(" " * n + 'def f(x: "b"):' for n in range(200)),
    "an open string": line("'''" + "\\'''" * MANY),
    "open strings": line('"' * MANY),
    "a long integer": line("9" * MANY),
    "a long integer in another base": line("0x" + "f" * MANY),
    "an integer that Python would write": line("2" * 4_000),
    "many axes": f'def f(x: "{" ".join(f"a{n}" for n in range(MANY))}"):\n    return x\n',
    "more axes": line(f'named(x, "{"a " * MANY}")'),
    "a long contraction": line(f'contract("{"b " * MANY} -> b", x)'),
    "a sum that is too long": line("+".join("x" * 300)),
    "a type comment": line("x # type: " + "(" * MANY)[:-10],
}
ALL = NESTED | WORDS | NO_TEXT | OTHERS


@pytest.mark.parametrize("name", ALL)
def test_it_is_refused(name: str) -> None:
    with pytest.raises(ProgramError) as error:
        cc.read(ALL[name])
    assert len(str(error.value)) < 1_000
    str(error.value).encode()


@pytest.mark.parametrize("name", NESTED | WORDS | NO_TEXT)
def test_pythons_parser_never_sees_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(ast, "parse", seen.append)
    with pytest.raises(ProgramError):
        cc.read(ALL[name])
    assert seen == []


@pytest.mark.parametrize("name", ["signs", "parentheses", "calls of calls", "sums"])
def test_a_small_stack_is_enough(name: str) -> None:
    """Python's parser calls itself; in a thread its stack is short."""
    found: list[type[BaseException]] = []

    def work() -> None:
        try:
            cc.read(ALL[name])
        except BaseException as error:
            found.append(type(error))

    before = stack_size(2**19)
    try:
        thread = Thread(target=work)
        thread.start()
        thread.join()
    finally:
        stack_size(before)
    assert found == [ProgramError]


def test_more_axes_than_an_array_can_have() -> None:
    inputs = ", ".join(f'x{n}: "{" ".join(f"a{n}_{m}" for m in range(40))}"' for n in range(2))
    with pytest.raises(ProgramError, match="80 axes: an array has at most 64"):
        cc.read(f"def f({inputs}):\n    y = x0 + x1\n    return y\n")


def test_nothing_is_worked_out() -> None:
    p = cc.read(line("x + 9 ** 9 ** 9 ** 9"))
    assert str(p).splitlines()[1] == "    y = x + 9 ** 9 ** 9 ** 9"


def test_what_stands_in_strings_and_comments_does_not_count() -> None:
    p = cc.read(f"""# {"(" * 100} not if lambda
def f(x: "b"):
    '{"(" * 100} import \\' os'
    y = x + 1  # {"-" * 1000}
    return y
""")
    assert str(p) == 'def f(x: "b"):\n    y = x + 1\n    return y\n'


def test_a_statement_on_many_lines_is_one() -> None:
    with pytest.raises(ProgramError, match="nested too deeply"):
        checked(line("(" + "x\n + " * 600 + "x)"))
    checked("y = x + x\n" * 600)


def steps(work: Callable[[], object]) -> int:
    """How many lines of Python are carried out."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return count


def test_reading_takes_time_in_proportion_to_the_text() -> None:
    def of(lines: int) -> int:
        text = "".join(f"    y{n + 1} = exp(y{n}) + 1\n" for n in range(lines))
        whole = f'def f(y0: "b"):\n{text}    return y{lines}\n'
        return steps(lambda: str(cc.read(whole)))

    of(1)
    assert of(200) < 2.2 * of(100)
