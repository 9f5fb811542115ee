"""The table of reductions; :func:`register` adds one, and everything knows it.

The gradient of any reduction is a plain sum of products. A sum needs nothing but the cotangent and
the other operands; the other reductions meet one more operand, their local derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from math import inf, prod
from typing import Any, cast

from contractconv.cache_register import clear_caches
from contractconv.errors import ReductionError
from contractconv.lazy import late
from contractconv.notation.spec import REDUCTIONS as NAMES
from contractconv.notation.spec import Reduction
from contractconv.reductions import exact, portable, source
from contractconv.reductions.record import Function, Local, Record, Sign, Template

_NUMBERS, _FORMULAS = "contractconv.reductions.numbers:", "contractconv.reductions.formulas:"

SUM = Sign("Σ", r"\sum", "<mo>∑</mo>", 0, late("sympy:Sum"))
PRODUCT = Sign("Π", r"\prod", "<mo>∏</mo>", 1, late("sympy:Product"))
MAXIMUM = Sign("max", r"\max", "<mi>max</mi>", -inf, late(f"{_FORMULAS}Maximum"))
MINIMUM = Sign("min", r"\min", "<mi>min</mi>", inf, late(f"{_FORMULAS}Minimum"))
_LOG = Function("log %s", r"\log %s", '<mi>log</mi><mspace width="0.2em"/>%s', late("sympy:log"))
_EXP = Function("exp(%s)", r"\exp(%s)", "<mi>exp</mi><mo>(</mo>%s<mo>)</mo>", late("sympy:exp"))


_FIRST = Template(
    "1[%(indices)s = arg{name}_{{%(others)s}} %(other)s]",
    r"\mathbf{{1}}[%(indices)s = \mathrm{{arg\,{name}}}_{{%(others)s}} \, %(other)s]",
    "<mrow><mn>1</mn><mo>[</mo>%(indices)s<mo>=</mo>"
    '<munder><mi>arg {name}</mi>%(others)s</munder><mspace width="0.2em"/>%(other)s'
    "<mo>]</mo></mrow>",
)
_OTHERS = Template(
    "Π_{%(another)s ≠ %(indices)s} %(other)s",
    r"\prod_{%(another)s \neq %(indices)s} %(other)s",
    "<mrow><munder><mo>∏</mo><mrow>%(another)s<mo>≠</mo>%(indices)s</mrow></munder>"
    '<mspace width="0.2em"/>%(other)s</mrow>',
)
_SOFTMAX = Template(
    "exp(%(point)s − %(result)s)",
    r"\exp(%(point)s - %(result)s)",
    "<mrow><mi>exp</mi><mo>(</mo>%(point)s<mo>−</mo>%(result)s<mo>)</mo></mrow>",
)
_SHARE = Template("1/%(count)s", r"\frac{1}{%(count)s}", "<mfrac><mn>1</mn>%(count)s</mfrac>")


def _argument(name: str) -> Template:
    """One at the first extreme."""
    return Template(*(script.format(name=name) for script in astuple(_FIRST)))


def _extreme(
    name: str, identity: float, sign: Sign, values: Callable[..., Any], best: Callable[..., Any]
) -> Record:
    noun = f"{name}imum"
    meaning = f"one at the first {noun}, else zero"
    weights = late(f"{_NUMBERS}{values.__name__}")
    selected = source.selected(name)
    local = Local(
        "S", meaning, weights, exact.first(best), selected, portable=values,
        formula=_argument(name),
    )  # fmt: skip
    return Record(
        name, identity, noun, sign, noun, chooses=True, ordered=True,
        definition=best, source=source.extreme(name), local=local,
    )  # fmt: skip


_RECORDS = (
    Record("sum", 0, "add", SUM, "sum", "summed", linear=True),
    _extreme("max", -inf, MAXIMUM, portable.greatest, max),
    _extreme("min", inf, MINIMUM, portable.least, min),
    Record(
        "prod", 1, "multiply", PRODUCT, "product", "multiplied",
        definition=prod, source=source.product,
        local=Local(
            "P", "the product of all other points", late(f"{_NUMBERS}others"),
            exact.others, source.others, late(f"{_NUMBERS}change_of_others"),
            portable=portable.others, portable_change=portable.change_of_others, formula=_OTHERS,
        ),
    ),
    Record(
        "mean", 0, "add", SUM, "mean", "averaged", linear=True, averages=True, exact=False,
        local=Local("M", "one over the number of points averaged", formula=_SHARE),
    ),
    Record(
        "logsumexp", -inf, "logaddexp", SUM, "logsumexp", ordered=True, exact=False,
        outside=_LOG, inside=_EXP,
        at_once=late(f"{_NUMBERS}logsumexp"), definition=exact.logsumexp,
        source=source.logsumexp,
        local=Local(
            "P", "the softmax over the reduced points", late(f"{_NUMBERS}softmax"),
            exact.softmax, source.softmax, late(f"{_NUMBERS}change_of_softmax"),
            "P·(δ − Σ P·δ), with δ the change of a point's product",
            portable.softmax, portable.change_of_softmax, _SOFTMAX,
        ),
    ),
)  # fmt: skip

REDUCTIONS = {record.name: record for record in _RECORDS}


def register(record: Record) -> None:
    """Add a reduction.

    Args:
        record: what there is to know of it; ``reduce=`` takes its name from now on.

    Raises:
        ReductionError: there is one of this name.

    Example:
        >>> from dataclasses import replace
        >>> import contractconv as cc
        >>> register(replace(REDUCTIONS["max"], name="greatest"))
        >>> cc.contract("i j -> i", [[1, 3], [5, 2]], reduce="greatest")
        array([3, 5])
        >>> unregister("greatest")
    """
    if record.name in NAMES:
        raise ReductionError(f"there is a reduction {record.name!r} already")
    REDUCTIONS[record.name] = record
    NAMES.append(cast("Reduction", record.name))


def unregister(name: str) -> None:
    """Take a reduction out again that :func:`register` has added."""
    NAMES.remove(cast("Reduction", name))
    del REDUCTIONS[name]
    # Another one may come by this name.
    clear_caches()
