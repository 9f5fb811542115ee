"""Sessions as Python's shell shows them: run, compared, and what they are worth to the eye."""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from extensions.markup import formula_of

# What a page may need beyond the library's own requirements.
PEERS = frozenset({"dask", "distributed", "einops", "jax", "keras", "torch"})
_CHECKER = doctest.OutputChecker()


@dataclass(frozen=True, slots=True)
class Ran:
    """An example that was run.

    Attributes:
        text: the example as it stands on the page.
        source: the same without what comes out.
        fault: what came out, if it is not what stands there.
        html: how a notebook would show the result; empty if it would show text.
    """

    text: str
    source: str
    fault: str
    html: str


def lacking(source: str) -> list[str]:
    """The libraries that an example imports and that are not installed."""
    modules: set[str] = set()
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add((node.module or "").split(".")[0])
    return sorted(name for name in modules & PEERS if find_spec(name) is None)


def bound(source: str) -> set[str]:
    """The names that an example makes."""
    nodes = [*ast.walk(_parsed(source))]
    made = {node.id for node in nodes if isinstance(node, ast.Name) and _is_stored(node)}
    made |= {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    aliases = [alias for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))
               for alias in node.names]  # fmt: skip
    return made | {(alias.asname or alias.name).split(".")[0] for alias in aliases}


def read(source: str) -> set[str]:
    """The names that an example reads."""
    nodes = ast.walk(_parsed(source))
    return {node.id for node in nodes if isinstance(node, ast.Name) and not _is_stored(node)}


def _is_stored(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def examples(text: str) -> list[doctest.Example]:
    """The examples of a block, in order."""
    return doctest.DocTestParser().get_examples(text)


def run(text: str, names: dict[str, Any]) -> Iterator[Ran]:
    """Run the examples of a block, in order, on what earlier ones have made."""
    found, lines = examples(text), text.splitlines(keepends=True)
    ends = [*(example.lineno for example in found[1:]), len(lines)]
    for example, end in zip(found, ends, strict=True):
        said = example.lineno + example.source.count("\n")
        source = "".join(lines[example.lineno : said])
        whole = "".join(lines[example.lineno : end])
        if doctest.SKIP in example.options:
            yield Ran(whole, source, "", "")
            continue
        value, got = _performed(example, names)
        fault = "" if _is_as_said(example, got) else got or "(nothing)"
        yield Ran(whole, source, fault, "" if fault else _shown(example, value, names))


def _performed(example: doctest.Example, names: dict[str, Any]) -> tuple[Any, str]:
    """The value of an example and what it writes."""
    values: list[Any] = []
    output = io.StringIO()

    def display(value: Any) -> None:
        if value is not None:
            values.append(value)
            print(repr(value), file=output)

    code = compile(example.source, "<page>", "single")
    aside = contextlib.redirect_stderr(io.StringIO())  # notices: a page shows what is printed
    with contextlib.redirect_stdout(output), aside, _displaying(display):
        try:
            exec(code, names)
        except Exception as error:
            return None, _told(error)
    return (values[-1] if values else None), output.getvalue()


@contextlib.contextmanager
def _displaying(display: Any) -> Iterator[None]:
    before, sys.displayhook = sys.displayhook, display
    try:
        yield
    finally:
        sys.displayhook = before


def _told(error: BaseException) -> str:
    return _RAISED + "".join(traceback.format_exception_only(error))


_RAISED = "Traceback (most recent call last):\n"


def _is_as_said(example: doctest.Example, got: str) -> bool:
    flags = _flags(example.options)
    if example.exc_msg is None:
        return _CHECKER.check_output(example.want, got, flags)
    if not got.startswith(_RAISED):
        return False
    return _CHECKER.check_output(example.exc_msg, got.removeprefix(_RAISED), flags)


def _flags(options: dict[int, bool]) -> int:
    return sum(flag for flag, wanted in options.items() if wanted)


def _shown(example: doctest.Example, value: Any, names: dict[str, Any]) -> str:
    """A printed formula is typeset, a value is shown as notebooks show it."""
    owner = _owner_of_printed_formula(example.source)
    if owner is not None:
        value = eval(compile(owner, "<page>", "eval"), names)
        return formula_of(value) if hasattr(value, "_shown_equation") else ""
    if not type(value).__module__.startswith("contractconv."):
        return ""  # what other libraries draw is for a page of theirs
    drawn = getattr(value, "_repr_html_", None)
    return "" if drawn is None or "\n" in example.want.strip() else str(drawn())


def _owner_of_printed_formula(source: str) -> ast.Expression | None:
    """``d`` of ``print(d.formula)``."""
    match _parsed(source).body:
        case [ast.Expr(ast.Call(ast.Name("print"), [ast.Attribute(owner, "formula")], []))]:
            return ast.fix_missing_locations(ast.Expression(owner))
    return None


def _parsed(source: str) -> ast.Module:
    return ast.parse(source)
