"""Certificates: they hold for what is right, and every kind of fault is found that we could plant.

A certificate that cannot fail would prove nothing. So most of these tests tamper with a derivation
and demand that the certificate names the statement, the position and the numbers.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from program_parts import contractions_of
from strategies import Problem, problems, windows

import contractconv as cc
from contractconv import Reduction
from contractconv.calculus.backward import Formulas, derive
from contractconv.calculus.equation import Delta, Divides, Element, Equation, Inside, size
from contractconv.calculus.gather_phases import phases
from contractconv.errors import CertificateError, ContractionError, ShapeError, SpecError
from contractconv.execution.gradient import gradient
from contractconv.notation.parser import parse
from contractconv.notation.spec import REDUCTIONS
from contractconv.verification import certificate
from contractconv.verification.brute_force import BruteForce
from contractconv.verification.certificate import Certificate, certify

FORMULA = "formula = brute force"
DELTAS = "formula with deltas = brute force"
SCATTER = "scatter string = brute force"
GATHER = "gather string = brute force"
PHASES = "sum of phases = brute force"
GRADIENT = "gradient = brute force"
DOT_TEST = "⟨G, c(…, V, …)⟩ = ⟨d(G, …), V⟩"
STATEMENTS = {FORMULA, DELTAS, SCATTER, GATHER, GRADIENT, DOT_TEST}

CONVOLUTION = "b (2*i+k-1) c, k c o -> b i o"
EXAMPLES = Path(__file__).parent.parent.parent / "examples"


# --- what is right ---------------------------------------------------------------------------

# string, reduction, parameters
RIGHT = [
    ("(i+k), k -> i", "sum", ""),
    (CONVOLUTION, "sum", ""),
    ("b (3*i+2*k-2) c, k c o -> b i o", "sum", ""),
    ("b (4*i+3*k) c, k c o -> b i o", "sum", ""),
    ("b (i+k-1) (j+l-1) c, k l c o -> b i j o", "sum", ""),
    ("b (2*i+k) (3*j+2*l-2) c, k l c o -> b i j o", "sum", ""),
    ("b (2*i+k-1) (i+k+j) c, k l c -> b i j l", "sum", ""),
    ("(2*i+l-1) (3*j+m) (k+2*n-2) c, l m n c o -> i j k o", "sum", ""),
    ("b g (2*i+k-1) c, g k c o -> b g i o", "sum", ""),
    ("b (2*i+k-1) (j+l) c, k l c -> b i j c", "sum", ""),
    ("b (i+k-1) c, k c d -> b i (c d)", "sum", ""),
    ("b i c, k c o -> b (2*i+k-1) o", "sum", ""),
    ("b i j c, k l c o -> b (2*i+k) (3*j+2*l-1) o", "sum", ""),
    ("(i-k), k -> i", "sum", ""),
    ("(-2*i+k+5), k -> i", "sum", ""),
    ("(5-i) -> i", "sum", ""),
    ("((h-k)/2), k -> h", "sum", ""),
    ("((h-k+1)/3) c, k c o -> h o", "sum", ""),
    ("((i+j)/2) ((i-j)/2) -> i j", "sum", ""),
    ("i j, j k -> i k", "sum", ""),
    ("i j, j k, k l -> i l", "sum", ""),
    ("i, i ->", "sum", ""),
    ("i, i, i -> i", "sum", ""),
    ("i i -> i", "sum", ""),
    ("i -> i i", "sum", ""),
    ("i j -> j", "sum", ""),
    ("i -> i r", "sum", ""),
    (", i -> i", "sum", ""),
    (", ->", "sum", ""),
    ("(2*i) ->", "sum", ""),
    ("(2*i+k) (3*j), k -> i", "sum", ""),
    ("b (0) c, c o -> b o", "sum", ""),
    ("(-1) b k, k -> b", "sum", ""),
    ("(1/2) b k, k -> b", "sum", ""),
    ("i -> i (3)", "sum", ""),
    ("b h w c, (h w c) o -> b o", "sum", ""),
    ("(h w) -> w h", "sum", ""),
    ("(i+k), k -> (i k)", "sum", ""),
    ("(2*i+k) (k l), l -> i", "sum", ""),
    ("(i i) -> i", "sum", ""),
    ("... i, ... j -> ... i j", "sum", ""),
    ("... (2*i+k-1) c, k c o -> ... i o", "sum", ""),
    ("... i ->", "sum", ""),
    ("b (s*i+d*k-p) c, k c o -> b i o", "sum", "s d p"),
    ("(s*i+d*k-p) (t*j+e*l-q), k l -> i j", "sum", "s d p t e q"),
    ("i, k -> (s*i+d*k-p)", "sum", "s d p"),
    ("(s*i+i+k-2*p), k -> i", "sum", "s p"),
    ("(s*i+s*k), k -> i", "sum", "s"),
    ("(s*t*i+k-s*p), k -> i", "sum", "s t p"),
    ("((h-d*k)/s), k -> h", "sum", "s d"),
    ("(p) k, k o -> o", "sum", "p"),
    ("b (s*i+k-p) c -> b i c", "max", "s p"),
    *[("b (2*i+k) (2*j+l) c -> b i j c", reduce, "") for reduce in REDUCTIONS],
    *[("b (2*i+k-1) (3*j+l-2) c -> b i j c", reduce, "") for reduce in REDUCTIONS],
    *[("(2*i+k-1) c, k -> i c", reduce, "") for reduce in REDUCTIONS],
    *[("i j, j k -> i k", reduce, "") for reduce in REDUCTIONS],
    *[("i, k -> (2*i+k)", reduce, "") for reduce in REDUCTIONS],
    *[("... i -> ...", reduce, "") for reduce in REDUCTIONS],
    *[("... i -> i", reduce, "") for reduce in REDUCTIONS],
    *[("(h w), w -> h", reduce, "") for reduce in REDUCTIONS],
    *[("i ->", reduce, "") for reduce in REDUCTIONS],
]


def operands_of(spec: str) -> range:
    return range(spec.partition("->")[0].count(",") + 1)


def check_certificate(found: Certificate) -> None:
    """Look for what every certificate must have in it."""
    statements = [check.statement for check in found.checks]
    assert set(statements) - {PHASES} == STATEMENTS
    assert len(set(statements)) == len(statements)
    counts = {check.statement: check.numbers for check in found.checks}
    # Of a large sum only a sample is evaluated term by term.
    assert 0 < counts[DELTAS] <= counts[FORMULA] <= counts[SCATTER] == counts[GATHER]
    assert counts[GRADIENT] == counts[GATHER] >= len(found.cases)
    assert counts[DOT_TEST] == len(found.cases) >= 3


@pytest.mark.parametrize(("spec", "reduce", "parameters"), RIGHT)
def test_what_is_right_is_certified(spec: str, reduce: Reduction, parameters: str) -> None:
    forward = cc.Contraction(spec, reduce, parameters)
    for operand in operands_of(spec):
        found = forward.grad(operand).verify()
        check_certificate(found)
        assert all(check.exact for check in found.checks) == (reduce not in {"mean", "logsumexp"})
        assert (str(found.forward), found.operand) == (str(forward), operand)


def test_phases_are_certified_where_there_are_some() -> None:
    def statements(spec: str, operand: int) -> set[str]:
        return {check.statement for check in cc.Contraction(spec).grad(operand).verify().checks}

    assert PHASES in statements(CONVOLUTION, 0)
    assert PHASES not in statements(CONVOLUTION, 1)
    assert PHASES not in statements("b (i+k) c, k c o -> b i o", 0)


def load_example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def strings_in(path: Path) -> Iterator[tuple[str, Reduction]]:
    """Each contraction that an example writes out, with its reduction."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(
                ast.Attribute(attr="Contraction" | "contract"), [ast.Constant(str(spec)), *_]
            ):
                reduce = {k.arg: k.value for k in node.keywords}.get("reduce", ast.Constant("sum"))
                yield spec, ast.literal_eval(reduce)


def test_every_contraction_of_the_examples_is_certified() -> None:
    found = {pair for path in sorted(EXAMPLES.glob("*.py")) for pair in strings_in(path)}
    assert len(found) >= 10
    for spec, reduce in found:
        forward = cc.Contraction(spec, reduce)
        for operand in operands_of(spec):
            check_certificate(forward.grad(operand).verify())


def test_every_layer_of_lenet_is_certified() -> None:
    for needed in ("mlxtend", "matplotlib", "tqdm"):
        pytest.importorskip(needed)
    lenet = load_example("lenet")
    layers = contractions_of(lenet.lenet().program((1, 28, 28, 1), (1,), loss="cross_entropy"))
    assert len(layers) >= 8
    for layer in layers:
        for derivation in layer.grads():
            check_certificate(derivation.verify())


# --- at random -------------------------------------------------------------------------------

# A certificate is itself a few hundred evaluations of every form.
few = settings(max_examples=settings().max_examples // 8)


@few
@given(
    problem=st.one_of(problems(), windows()),
    reduce=st.sampled_from(REDUCTIONS),
    which=st.integers(0, 2),
)
def test_random_contractions_are_certified(problem: Problem, reduce: Reduction, which: int) -> None:
    forward = cc.Contraction(problem.spec, reduce)
    check_certificate(forward.grad(which % len(problem.shapes)).verify())


@few
@given(problem=st.one_of(problems(), windows(), problems(empty=True)), which=st.integers(0, 2))
def test_random_contractions_are_certified_with_extents_of_their_own(
    problem: Problem, which: int
) -> None:
    forward = cc.Contraction(problem.spec)
    extents: dict[str, int] = dict(problem.extents)
    found = forward.grad(which % len(problem.shapes)).verify(extents=extents)
    assert all(dict(case) == extents for case in found.cases)


def test_a_product_of_many_points_is_certified() -> None:
    # Numbers that do not fit 64 bits would make a right gradient look wrong.
    for spec in ("i j k l m ->", "i, i, i, i, i, i, i, i ->", "(2*i+k) (2*j+l) m n -> i"):
        check_certificate(cc.Contraction(spec, "prod").grad(0).verify())


# --- extents and parameters of one's own -----------------------------------------------------


def test_extents_that_are_given_are_used() -> None:
    found = cc.Contraction(CONVOLUTION).grad(0).verify(i=7, k=5)
    assert len(found.cases) == 3
    for case in map(dict, found.cases):
        assert (case["i"], case["k"]) == (7, 5)
        assert case.keys() == {"b", "i", "o", "k", "c"}


def test_extents_that_are_not_given_differ_from_case_to_case() -> None:
    cases = list(map(dict, cc.Contraction(CONVOLUTION).grad(0).verify().cases))
    assert all(len({case[name] for case in cases}) > 1 for name in "biokc")


def test_parameters_that_are_given_are_used_and_the_others_varied() -> None:
    forward = cc.Contraction("(s*i+d*k-p), k -> i", parameters="s d p")
    cases = list(map(dict, forward.grad(0).verify(s=5, p=0).cases))
    assert {case["s"] for case in cases} == {5}
    assert {case["p"] for case in cases} == {0}
    assert {case["d"] for case in cases} == {1, 2, 3}
    every = list(map(dict, forward.grad(0).verify().cases))
    assert len(every) >= 10
    for name in "sd":
        assert {case[name] for case in every} == {1, 2, 3}
    assert {case["p"] for case in every} == {0, 1, 2, 3}


@pytest.mark.parametrize("s", range(1, 6))
@pytest.mark.parametrize("p", range(3))
def test_any_numbers_may_be_given(s: int, p: int) -> None:
    forward = cc.Contraction("(s*i+d*k-p), k -> i", parameters="s d p")
    found = forward.grad(0).verify(s=s, d=7 - s, p=p, i=5, k=3)
    assert all(dict(case) == {"s": s, "d": 7 - s, "p": p, "i": 5, "k": 3} for case in found.cases)


@pytest.mark.parametrize("name", ["b", "i", "k", "c", "o"])
def test_an_extent_of_zero_is_certified(name: str) -> None:
    for operand in range(2):
        found = cc.Contraction(CONVOLUTION).grad(operand).verify(extents={name: 0})
        assert all(dict(case)[name] == 0 for case in found.cases)


def test_too_many_points_are_refused() -> None:
    derivation = cc.Contraction(CONVOLUTION).grad(0)
    with pytest.raises(ShapeError, match=r"1,000,000 points are too many.*give smaller extents"):
        derivation.verify(b=1000, i=1000, k=1, c=1, o=1)
    with pytest.raises(ShapeError, match="too many"):
        derivation.verify(b=10**12)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"z": 3}, ShapeError, "no index or parameter called 'z'"),
        ({"i": -1}, ShapeError, "an extent is not negative"),
        ({"i": 2.5}, ContractionError, "i=2.5 is not an integer"),
    ],
)
def test_impossible_extents_are_refused(
    values: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        cc.Contraction(CONVOLUTION).grad(0).verify(**values)


def test_the_same_derivation_has_the_same_certificate() -> None:
    derivation = cc.Contraction(CONVOLUTION).grad(0)
    assert derivation.verify() == derivation.verify()


# --- planting faults -------------------------------------------------------------------------

Change = Callable[[Equation], Equation]
Tamper = Callable[[Formulas], Formulas]


@dataclass(frozen=True)
class Bent(Equation):
    """An equation that is evaluated as something else than it says."""

    bend: Callable[[Any], Any] = lambda formula: formula

    @cached_property
    def sympy(self) -> Any:
        """The right-hand side, bent."""
        fields = {name: getattr(self, name) for name in Equation.__dataclass_fields__}
        return self.bend(Equation(**fields).sympy)


def bent(bend: Callable[[Any], Any]) -> Change:
    def change(equation: Equation) -> Equation:
        fields = {name: getattr(equation, name) for name in Equation.__dataclass_fields__}
        return Bent(**fields, bend=bend)

    return change


def collected(change: Change) -> Tamper:
    """Tamper with the equation of the gather."""

    def tamper(formulas: Formulas) -> Formulas:
        *before, last = formulas.eliminations
        changed = replace(last, equation=change(last.equation))
        return replace(formulas, eliminations=(*before, changed))

    return tamper


def placed(change: Change) -> Tamper:
    """Tamper with the equation of the scatter."""

    def tamper(formulas: Formulas) -> Formulas:
        renamed = [e for e in formulas.eliminations if e.renames]
        if not renamed:
            return replace(formulas, derivative=change(formulas.derivative))
        changed = replace(renamed[-1], equation=change(renamed[-1].equation))
        others = (changed if e is renamed[-1] else e for e in formulas.eliminations)
        return replace(formulas, eliminations=tuple(others))

    return tamper


def gather(text: str) -> Tamper:
    return lambda f: replace(f, gather=parse(text, "sum", f.forward.parameters))


def scatter(text: str) -> Tamper:
    return lambda f: replace(f, scatter=parse(text, "sum", f.forward.parameters))


def instead(equation: Equation) -> Change:
    return lambda _: equation


def without(kind: type) -> Change:
    """Drop the conditions of a kind."""
    return lambda e: replace(e, guards=tuple(g for g in e.guards if not isinstance(g, kind)))


def inside(change: Callable[[Inside], Any]) -> Change:
    """Change the ranges."""
    return lambda e: replace(
        e, guards=tuple(change(g) if isinstance(g, Inside) else g for g in e.guards)
    )


def divides(change: Callable[[Divides], Any]) -> Change:
    """Change the congruences."""
    return lambda e: replace(
        e, guards=tuple(change(g) if isinstance(g, Divides) else g for g in e.guards)
    )


@dataclass(frozen=True)
class Condition:
    """Any condition in the place of those that the notation knows."""

    sympy: Any


def substituted(**values: str) -> Change:
    """Put something else for symbols, in elements and conditions."""

    def change(equation: Equation) -> Equation:
        symbols = {s.name: s for s in equation.sympy.free_symbols if isinstance(s, sympy.Symbol)}
        symbols |= {s.name: s for s in equation.summed}
        put = {symbols[name]: sympy.sympify(text, symbols) for name, text in values.items()}
        return equation.substituted(put)

    return change


def factor(number: int, *moves: int) -> Change:
    """Read a factor somewhere else."""

    def change(equation: Equation) -> Equation:
        factors = list(equation.factors)
        moved = (a + by for a, by in zip(factors[number].axes, moves, strict=True))
        factors[number] = replace(factors[number], axes=tuple(moved))
        return replace(equation, factors=tuple(factors))

    return change


def permuted(number: int, *order: int) -> Change:
    """Read a factor with its axes in another order."""

    def change(equation: Equation) -> Equation:
        factors = list(equation.factors)
        axes = tuple(factors[number].axes[n] for n in order)
        factors[number] = replace(factors[number], axes=axes)
        return replace(equation, factors=tuple(factors))

    return change


def renamed_factors(**names: str) -> Change:
    def renamed(e: Element) -> Element:
        return replace(e, name=names.get(e.name, e.name))

    return lambda e: replace(e, factors=tuple(map(renamed, e.factors)))


def taps(name: str, low: int, more: int) -> Change:
    """Let an index run over another range."""

    def bend(formula: Any) -> Any:
        limits = [
            (s, start + low, end + more) if s.name == name else (s, start, end)
            for s, start, end in formula.limits
        ]
        return sympy.Sum(formula.function, *limits)

    return bent(bend)


def deltas(change: Callable[[Delta], Any]) -> Change:
    return lambda e: replace(e, deltas=tuple(map(change, e.deltas)))


STRIDED = "(2*i+k-1), k -> i"
UNPADDED = "(2*i+k), k -> i"
SYMBOLIC = "(s*i+d*k-p), k -> i"
POOL = "(2*i+k) c -> i c"

# what is planted, contraction, operand, reduction, the fault, the statement that fails
PLANTED: list[tuple[str, str, int, str, Tamper, str]] = [
    # strings
    ("no congruence", CONVOLUTION, 0, "sum", gather("b (h-k+1) o, k c o -> b h c"), GATHER),
    ("range off by one", CONVOLUTION, 0, "sum", gather("b ((h-k+2)/2) o, k c o -> b h c"), GATHER),
    ("padding of wrong sign", CONVOLUTION, 0, "sum",
     gather("b ((h-k-1)/2) o, k c o -> b h c"), GATHER),
    ("no padding", CONVOLUTION, 0, "sum", gather("b ((h-k)/2) o, k c o -> b h c"), GATHER),
    ("kernel not flipped", CONVOLUTION, 0, "sum",
     gather("b ((h+k+1)/2) o, k c o -> b h c"), GATHER),
    ("another stride", CONVOLUTION, 0, "sum", gather("b ((h-k+1)/3) o, k c o -> b h c"), GATHER),
    ("another dilation", CONVOLUTION, 0, "sum",
     gather("b ((h-2*k+1)/2) o, k c o -> b h c"), GATHER),
    ("the fraction doubled", CONVOLUTION, 0, "sum",
     gather("b (2*h-k+1) o, k c o -> b h c"), GATHER),
    ("first tap missing", CONVOLUTION, 0, "sum",
     gather("b ((h-k+1)/2) o, (k+1) c o -> b h c"), GATHER),
    ("only one channel", CONVOLUTION, 0, "sum",
     gather("b ((h-k+1)/2) (0), k c o -> b h c"), GATHER),
    ("a diagonal", CONVOLUTION, 0, "sum", gather("b ((h-k+1)/2) o, k o o -> b h c"), GATHER),
    ("a maximum", CONVOLUTION, 0, "sum",
     lambda f: replace(f, gather=replace(f.gather, reduce="max")), GATHER),
    ("a mean", CONVOLUTION, 0, "sum",
     lambda f: replace(f, gather=replace(f.gather, reduce="mean")), GATHER),
    ("operands swapped", "i j, j k -> i k", 0, "sum", gather("j k, i k -> i j"), GATHER),
    ("an operand transposed", "i j k, k i -> i j k", 0, "sum",
     gather("i j k, i k -> i j k"), GATHER),
    ("scatter shifted by one", CONVOLUTION, 0, "sum",
     scatter("b i o, k c o -> b (2*i+k) c"), SCATTER),
    ("scatter shifted the other way", CONVOLUTION, 0, "sum",
     scatter("b i o, k c o -> b (2*i+k-2) c"), SCATTER),
    ("scatter of another stride", CONVOLUTION, 0, "sum",
     scatter("b i o, k c o -> b (3*i+k-1) c"), SCATTER),
    ("scatter without a stride", CONVOLUTION, 0, "sum",
     scatter("b i o, k c o -> b (i+k-1) c"), SCATTER),
    ("scatter backwards", CONVOLUTION, 0, "sum", scatter("b i o, k c o -> b (2*i-k+1) c"), SCATTER),
    ("scatter that keeps the last", CONVOLUTION, 0, "sum",
     lambda f: replace(f, scatter=replace(f.scatter, reduce="max")), SCATTER),
    ("weight gradient shifted", CONVOLUTION, 1, "sum",
     gather("b i o, b (2*i+k) c -> k c o"), GATHER),
    ("weight gradient flipped", CONVOLUTION, 1, "sum",
     gather("b i o, b (2*i-k+1) c -> k c o"), GATHER),
    ("weight gradient of one image", CONVOLUTION, 1, "sum",
     gather("(0) i o, (0) (2*i+k-1) c -> k c o"), GATHER),
    ("a composition the other way", "h w, (h w) -> h", 0, "sum", gather("h, (w h) -> h w"), GATHER),
    ("a diagonal that is forgotten", "i i -> i", 0, "sum", scatter("i -> i j"), SCATTER),
    ("a local derivative elsewhere", POOL, 0, "max",
     gather("((h-k)/2) c, k c ((h-k)/2) -> h c"), GATHER),
    ("a local derivative flipped", POOL, 0, "prod",
     scatter("i c, i c (1-k) -> (2*i+k) c"), SCATTER),
    # equations of the gather
    ("equation without congruence", CONVOLUTION, 0, "sum", collected(without(Divides)), FORMULA),
    ("equation without range", CONVOLUTION, 0, "sum", collected(without(Inside)), FORMULA),
    ("equation without conditions", CONVOLUTION, 0, "sum",
     collected(lambda e: replace(e, guards=())), FORMULA),
    ("another divisor", CONVOLUTION, 0, "sum",
     collected(divides(lambda g: replace(g, divisor=sympy.Integer(4)))), FORMULA),
    ("the wrong residue", CONVOLUTION, 0, "sum",
     collected(divides(lambda g: replace(g, number=g.number + 1))), FORMULA),
    ("range from one", CONVOLUTION, 0, "sum",
     collected(inside(lambda g: Condition(sympy.And(g.position >= 1, g.position < g.size)))),
     FORMULA),
    ("range up to the last but one", CONVOLUTION, 0, "sum",
     collected(inside(lambda g: replace(g, size=g.size - 1))), FORMULA),
    ("range one too far", UNPADDED, 0, "sum",
     collected(inside(lambda g: replace(g, size=g.size + 1))), FORMULA),
    ("range from minus one", "(i-k), k -> i", 0, "sum",
     collected(inside(lambda g: replace(g, position=g.position + 1))), FORMULA),
    ("only the lower end", UNPADDED, 0, "sum",
     collected(inside(lambda g: Condition(g.position >= 0))), FORMULA),
    ("only the upper end", STRIDED, 1, "sum",
     collected(inside(lambda g: Condition(g.position < g.size))), FORMULA),
    ("the range of the other axis", "(2*i+k) (j+l), k l -> i j", 0, "sum",
     collected(inside(lambda g: replace(g, size=size("j")))), FORMULA),
    ("cotangent shifted", CONVOLUTION, 0, "sum", collected(factor(0, 0, 1, 0)), FORMULA),
    ("operand shifted", STRIDED, 0, "sum", collected(factor(1, 1)), FORMULA),
    ("an operand for the cotangent", STRIDED, 0, "sum",
     collected(renamed_factors(G="W")), FORMULA),
    ("operands for one another", "i j, j k, k l -> i l", 1, "sum",
     collected(renamed_factors(T0="T2", T2="T0")), FORMULA),
    ("sign of the padding", SYMBOLIC, 0, "sum", collected(substituted(p="-p")), FORMULA),
    ("stride for dilation", SYMBOLIC, 0, "sum", collected(substituted(s="d", d="s")), FORMULA),
    ("dilation forgotten", SYMBOLIC, 0, "sum", collected(substituted(d="1")), FORMULA),
    ("padding times stride", SYMBOLIC, 0, "sum", collected(substituted(p="s*p")), FORMULA),
    ("first tap missing in the sum", CONVOLUTION, 0, "sum", collected(taps("k", 1, 0)), FORMULA),
    ("last tap missing in the sum", CONVOLUTION, 0, "sum", collected(taps("k", 0, -1)), FORMULA),
    ("one tap too many", CONVOLUTION, 0, "sum", collected(taps("k", 0, 1)), FORMULA),
    ("summed once too often", STRIDED, 1, "sum",
     collected(lambda e: replace(e, summed=(*e.summed, sympy.Symbol("n", integer=True)))), FORMULA),
    ("divided by an extent", CONVOLUTION, 0, "sum",
     collected(lambda e: replace(e, scale=("i",))), FORMULA),
    ("the other sign", CONVOLUTION, 0, "sum", collected(bent(lambda f: -f)), FORMULA),
    ("one too much", CONVOLUTION, 0, "sum", collected(bent(lambda f: f + 1)), FORMULA),
    ("nothing at all", CONVOLUTION, 0, "sum",
     collected(bent(lambda f: sympy.Integer(0))), FORMULA),
    ("a factor twice", CONVOLUTION, 0, "sum",
     collected(lambda e: replace(e, factors=(*e.factors, e.factors[-1]))), FORMULA),
    ("a factor missing", CONVOLUTION, 0, "sum",
     collected(lambda e: replace(e, factors=e.factors[:1])), FORMULA),
    ("left side transposed", "i j, j k -> i k", 0, "sum",
     collected(lambda e: replace(e, left=replace(e.left, axes=e.left.axes[::-1]))), FORMULA),
    # equations of the scatter
    ("a delta shifted", CONVOLUTION, 0, "sum",
     placed(deltas(lambda d: replace(d, expression=d.expression + 1))), DELTAS),
    ("a delta dropped", CONVOLUTION, 0, "sum",
     placed(lambda e: replace(e, deltas=())), DELTAS),
    ("a delta of another stride", STRIDED, 0, "sum",
     placed(deltas(lambda d: replace(d, expression=d.expression * 2))), DELTAS),
    ("a condition of another operand dropped", "(i+k), (2*i+k-1), k -> i", 0, "sum",
     placed(without(Inside)), DELTAS),
    ("a mean that counts wrongly", POOL, 0, "mean",
     placed(lambda e: replace(e, scale=("k",))), DELTAS),
    # local derivatives
    ("selection at other indices", POOL, 0, "max", collected(permuted(1, 2, 1, 0)), FORMULA),
    ("selection of another window", POOL, 0, "min", collected(factor(1, 1, 0, 0)), FORMULA),
    ("selection of another tap", POOL, 0, "max", collected(factor(1, 0, 0, -1)), FORMULA),
    ("selection missing", POOL, 0, "max",
     collected(lambda e: replace(e, factors=e.factors[:1])), FORMULA),
    ("softmax missing", POOL, 0, "logsumexp",
     collected(lambda e: replace(e, factors=e.factors[:1])), FORMULA),
    ("softmax squared", POOL, 0, "logsumexp",
     collected(lambda e: replace(e, factors=(*e.factors, e.factors[1]))), FORMULA),
    ("product of the points missing", POOL, 0, "prod",
     collected(lambda e: replace(e, factors=e.factors[:1])), FORMULA),
    ("count missing", POOL, 0, "mean",
     collected(lambda e: replace(e, factors=e.factors[:1])), FORMULA),
    ("count twice", POOL, 0, "mean",
     collected(lambda e: replace(e, factors=(*e.factors, e.factors[1]))), FORMULA),
    # the derivation of something else
    ("another operand", "i j, j i -> i j", 0, "sum", lambda f: replace(f, operand=1), FORMULA),
    ("another contraction", STRIDED, 0, "sum",
     lambda f: replace(f, forward=parse("(2*i+k), k -> i")), FORMULA),
    # faults that most numbers do not show
    ("wrong for stride 3 in the string", SYMBOLIC, 0, "sum",
     gather("((h-d*k+p)/(s*s-2*s+2)), k -> h"), GATHER),
    ("wrong for stride 3 in the formula", SYMBOLIC, 0, "sum",
     collected(substituted(s="s**2 - 2*s + 2")), FORMULA),
    ("wrong congruence for stride 3", SYMBOLIC, 0, "sum",
     collected(divides(lambda g: replace(g, divisor=g.divisor**2 - 2 * g.divisor + 2))), FORMULA),
    ("wrong for dilation 3", SYMBOLIC, 0, "sum",
     gather("((h-(d*d-2*d+2)*k+p)/s), k -> h"), GATHER),
    ("wrong for padding 3", SYMBOLIC, 0, "sum",
     gather("((h-d*k+p*p-2*p+2)/s), k -> h"), GATHER),
    ("scatter wrong for stride 2", SYMBOLIC, 0, "sum",
     scatter("i, k -> ((s*s-3*s+3)*i+d*k-p)"), SCATTER),
    ("wrong unless stride is dilation", SYMBOLIC, 0, "sum",
     gather("((h-s*k+p)/s), k -> h"), GATHER),
    ("wrong only behind the last window", UNPADDED, 0, "sum",
     collected(inside(lambda g: Condition(sympy.And(g.position >= 0, g.position <= g.size)))),
     FORMULA),
    ("wrong only at one element", STRIDED, 0, "sum",
     collected(bent(lambda f: f * (1 + sympy.KroneckerDelta(sympy.Symbol("h", integer=True), 5)))),
     FORMULA),
]  # fmt: skip


def derived(spec: str, operand: int, reduce: Reduction = "sum") -> Formulas:
    return derive(parse(spec, reduce, "s d p" if spec == SYMBOLIC else ""), operand)


@pytest.mark.parametrize(
    ("spec", "operand", "reduce", "tamper", "statement"),
    [row[1:] for row in PLANTED],
    ids=[row[0] for row in PLANTED],
)
def test_planted_faults_are_found(
    spec: str, operand: int, reduce: Reduction, tamper: Tamper, statement: str
) -> None:
    right = derived(spec, operand, reduce)
    certify(right)
    with pytest.raises(CertificateError) as error:
        certify(tamper(right))
    message = str(error.value)
    assert f"by operand {tamper(right).operand} does not hold: {statement} at (" in message
    place, found, expected, numbers = re.findall(
        r"at \(([\d, ]*)\): found (.+), expected (.+), with (.+)$", message
    )[0]
    assert found != expected
    assert expected.lstrip("-").replace("/", "").replace(".", "").replace("e", "").isdigit()
    named = dict(part.split("=") for part in numbers.split(", "))
    assert named.keys() == {*right.forward.indices, *right.forward.parameters}
    assert all(int(n) >= (name != "p") for name, n in named.items())
    assert len(place.split(",")) >= 1


def test_the_faults_differ() -> None:
    names = [row[0] for row in PLANTED]
    assert len(names) == len(set(names)) > 80
    assert {row[5] for row in PLANTED} == {FORMULA, DELTAS, SCATTER, GATHER}


def test_the_message_says_how_much_it_is_wrong() -> None:
    with pytest.raises(CertificateError) as error:
        certify(collected(bent(lambda f: 1000 * f))(derived(STRIDED, 0)))
    found, expected = re.findall(r"found (-?\d+), expected (-?\d+), with i=", str(error.value))[0]
    assert int(found) == 1000 * int(expected) != 0
    assert "the gradient of '(2*i+k-1), k -> i' by operand 0" in str(error.value)


def test_the_message_says_which_element_does_not_exist() -> None:
    with pytest.raises(CertificateError, match=r"an element that does not exist, at \(Fraction\("):
        certify(collected(without(Divides))(derived(UNPADDED, 0)))
    with pytest.raises(CertificateError, match=r"an element that does not exist, at \(-1,\)"):
        certify(collected(without(Inside))(derived(STRIDED, 1)))


def test_the_message_names_the_numbers_of_the_symbols() -> None:
    with pytest.raises(CertificateError, match=r"with i=\d, k=\d, d=\d, p=\d, s=3$"):
        certify(gather("((h-d*k+p)/(s*s-2*s+2)), k -> h")(derived(SYMBOLIC, 0)))


def test_a_fault_is_found_with_extents_of_ones_own() -> None:
    wrong = collected(inside(lambda g: replace(g, size=g.size + 1)))(derived(STRIDED, 0))
    for extents in ({"i": 5}, {"k": 4}, {"i": 2, "k": 3}):
        with pytest.raises(CertificateError):
            certify(wrong, extents)


# --- faults in what is computed --------------------------------------------------------------


def test_a_gradient_that_is_computed_wrongly_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = gradient
    for wrong in (lambda a: a + 1, lambda a: -a, lambda a: a[::-1], lambda a: a * (a < 9)):
        monkeypatch.setattr(certificate, "gradient", lambda *args, w=wrong: w(right(*args)))
        with pytest.raises(CertificateError, match=f"{GRADIENT} at"):
            certify(derived(STRIDED, 0))


def test_phases_that_do_not_add_up_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = phases
    for wrong in (lambda found: found[:-1], lambda found: found[1:], lambda found: found[:1] * 2):
        monkeypatch.setattr(certificate, "phases", lambda spec, w=wrong: w(right(spec)))
        with pytest.raises(CertificateError, match=f"{PHASES} at"):
            certify(derived(STRIDED, 0))


def test_a_gradient_that_is_no_transpose_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = certificate._image
    statement = re.escape(DOT_TEST)

    def wrong(*args: Any) -> dict[Any, Any]:
        return {place: 2 * value for place, value in right(*args).items()}

    monkeypatch.setattr(certificate, "_image", wrong)
    for operand in range(2):
        with pytest.raises(CertificateError, match=f"{statement}: found -?[0-9]+, expected"):
            certify(derived(STRIDED, operand))


def test_brute_force_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = BruteForce.gradient

    def wrong(self: Any, *args: Any) -> dict[Any, Any]:
        return {place: value + 1 for place, value in right(self, *args).items()}

    monkeypatch.setattr(BruteForce, "gradient", wrong)
    with pytest.raises(CertificateError, match=FORMULA):
        certify(derived(STRIDED, 0))


# --- every small change of a string or an equation -------------------------------------------

SWEPT: list[tuple[str, int, Reduction]] = [
    (STRIDED, 0, "sum"),
    (STRIDED, 1, "sum"),
    ("(i+k), k -> i", 0, "sum"),
    (UNPADDED, 0, "sum"),
    ("(3*i+k), k -> i", 0, "sum"),
    ("(3*i+2*k-2) c, k c o -> i o", 0, "sum"),
    ("(2*i+k) c, k c o -> i o", 1, "sum"),
    (POOL, 0, "max"),
    ("(2*i+k-1) c -> i c", 0, "mean"),
    ("i, k -> (2*i+k-1)", 0, "sum"),
    (SYMBOLIC, 0, "sum"),
    (SYMBOLIC, 1, "sum"),
    ("h w, (h w) o -> o", 1, "sum"),
    ("(2*i) ->", 0, "sum"),
    ("((h-k)/2), k -> h", 0, "sum"),
]


def changed_strings(text: str, names: list[str]) -> Iterator[str]:
    """A string with one sign turned, one number or index replaced, or one division left out."""
    for found in re.finditer(r"\d+|[a-z]+|[-+]", text):
        token = found.group()
        if token in "+-":
            others = ["-" if token == "+" else "+"]
        elif token.isdigit():
            others = [str(int(token) + 1), str(int(token) - 1)]
        else:
            others = [name for name in names if name != token]
        for other in others:
            yield text[: found.start()] + other + text[found.end() :]
    for found in re.finditer(r"/\w+", text):
        yield text[: found.start()] + text[found.end() :]


def changed_equations(equation: Equation) -> Iterator[tuple[str, Equation]]:
    """An equation with one condition, element, delta or sum changed."""
    for n, guard in enumerate(equation.guards):
        rest = equation.guards[:n] + equation.guards[n + 1 :]
        yield f"without {guard}", replace(equation, guards=rest)
        for step in (1, -1):
            if isinstance(guard, Inside):
                moved: Any = replace(guard, position=guard.position + step)
                yield (
                    f"{guard} end {step}",
                    replace(equation, guards=(*rest, replace(guard, size=guard.size + step))),
                )
            else:
                moved = replace(guard, number=guard.number + step)
            yield f"{guard} moved {step}", replace(equation, guards=(*rest, moved))
    for n, element in enumerate(equation.factors):
        others = equation.factors[:n] + equation.factors[n + 1 :]
        yield f"without {element.sympy}", replace(equation, factors=others)
        yield f"{element.sympy} twice", replace(equation, factors=(*equation.factors, element))
        for axis in range(len(element.axes)):
            for step in (1, -1):
                moves = [step * (position == axis) for position in range(len(element.axes))]
                yield f"{element.sympy} moved {moves}", factor(n, *moves)(equation)
    for n, delta in enumerate(equation.deltas):
        rest_of = equation.deltas[:n] + equation.deltas[n + 1 :]
        yield f"without {delta}", replace(equation, deltas=rest_of)
        for step in (1, -1):
            shifted = replace(delta, expression=delta.expression + step)
            yield f"{delta} moved {step}", replace(equation, deltas=(*rest_of, shifted))
    for symbol in equation.summed:
        summed = tuple(s for s in equation.summed if s != symbol)
        yield f"no sum over {symbol}", replace(equation, summed=summed)
        yield f"divided by N_{symbol}", replace(equation, scale=(symbol.name,))


def changed(formulas: Formulas) -> Iterator[tuple[str, Formulas]]:
    names = [*formulas.gather.indices, *formulas.forward.indices, *formulas.forward.parameters]
    for form in ("scatter", "gather"):
        spec = getattr(formulas, form)
        for text in changed_strings(str(spec), list(dict.fromkeys(names))):
            try:
                other = parse(text, "sum", formulas.forward.parameters)
            except SpecError:
                continue
            if other != spec:
                tampered = (
                    replace(formulas, scatter=other)
                    if form == "scatter"
                    else replace(formulas, gather=other)
                )
                yield f"{form} {text}", tampered
    if formulas.eliminations:
        for name, equation in changed_equations(formulas.eliminations[-1].equation):
            yield f"collected {name}", collected(instead(equation))(formulas)
    if not any(elimination.renames for elimination in formulas.eliminations):
        for name, equation in changed_equations(formulas.derivative):
            yield f"placed {name}", replace(formulas, derivative=equation)


# Changes that change nothing: a condition that the extent rule makes idle may go or be weaker, a
# selection is its own square, and a mean may call its taps by the name that is left over.
HARMLESS = {
    "(2*i+k) c, k c o -> i o": (
        "collected without Inside(position=2*i + k, size=N_h)",
        "collected Inside(position=2*i + k, size=N_h) end 1",
    ),
    POOL: ("collected S[h/2 - k/2, c, k] twice",),
}


def test_every_small_change_is_found() -> None:
    tally = Counter[str]()
    for spec, operand, reduce in SWEPT:
        for name, wrong in changed(derived(spec, operand, reduce)):
            tally["all"] += 1
            try:
                certify(wrong)
            except CertificateError:
                tally["found"] += 1
            except ContractionError:
                # An array does not fit such a string.
                tally["refused"] += 1
            else:
                assert name in HARMLESS.get(spec, ()), (spec, name)
                tally["harmless"] += 1
    assert tally["found"] > 550
    assert tally["found"] > 3 * tally["refused"]
    assert tally["harmless"] <= sum(map(len, HARMLESS.values()))


# --- printing --------------------------------------------------------------------------------


def test_a_certificate_prints_what_was_compared() -> None:
    found = cc.Contraction(CONVOLUTION).grad(0).verify(engines=False)
    first, *checks, last = str(found).splitlines()
    assert f"the gradient of '{CONVOLUTION}' by operand 0" in first
    assert [line.strip() for line in checks] == [str(check).strip() for check in found.checks]
    for check, line in zip(found.checks, checks, strict=True):
        assert line.startswith(f"  {check.statement} ")
        assert line.endswith(f" {check.numbers:,} numbers, exact")
    assert last == "  with " + "; ".join(
        ", ".join(f"{name}={value}" for name, value in case) for case in found.cases
    )
    assert len({line.index(" numbers") for line in checks}) == 1


def test_only_the_first_cases_are_printed() -> None:
    found = cc.Contraction(SYMBOLIC, parameters="s d p").grad(0).verify()
    assert len(found.cases) > 3
    last = str(found).splitlines()[-1]
    assert last.endswith("; ...")
    assert last.count(";") == 3


def test_a_certificate_has_a_summary() -> None:
    found = cc.Contraction(CONVOLUTION).grad(0).verify()
    numbers = sum(check.numbers for check in found.checks)
    assert found.summary == f"verified on 3 small cases, {numbers:,} numbers exactly"
    assert found.summary in found.sentence
    assert "\n" not in found.sentence
    assert found.sentence.endswith(".")


@pytest.mark.parametrize("reduce", ["mean", "logsumexp"])
def test_a_certificate_that_is_not_exact_says_so(reduce: Reduction) -> None:
    found = cc.Contraction(POOL, reduce).grad(0).verify()
    assert found.summary.endswith("numbers within 1e-12")
    assert str(found).count("within 1e-12") == len(found.checks)
    assert "exact" not in str(found)


def test_a_certificate_shows_itself_in_a_notebook() -> None:
    found = cc.Contraction("i, i -> i").grad(0).verify()
    html = found._repr_html_()
    assert html.startswith("<pre style=")
    assert html.endswith("</pre>")
    assert "i, i -&gt; i" in html
    assert not re.findall(r"<(?!/?pre[ >])", html)


# --- what the certificate does not see, or takes for a fault ---------------------------------


@pytest.mark.parametrize("spec", ["B (H+K) (W+L) C, K L C O -> B H W O", "X W, W -> X", "G -> G"])
def test_indices_may_be_called_like_arrays(spec: str) -> None:
    check_certificate(cc.Contraction(spec).grad(0).verify())


@pytest.mark.parametrize(
    ("spec", "reduce"), [("S k -> S", "max"), ("P k -> P", "prod"), ("N k -> N", "mean")]
)
def test_indices_may_be_called_like_local_derivatives(spec: str, reduce: Reduction) -> None:
    check_certificate(cc.Contraction(spec, reduce).grad(0).verify())


def test_parameters_may_be_called_like_arrays() -> None:
    forward = cc.Contraction("(G*i+W*k), k -> i", parameters="G W")
    check_certificate(forward.grad(0).verify())


@pytest.mark.parametrize("reduce", ["max", "min", "prod", "logsumexp"])
@pytest.mark.parametrize("spec", ["... i -> ...", "... (2*i+k) c -> ... i c"])
def test_reductions_with_an_ellipsis_are_certified(spec: str, reduce: Reduction) -> None:
    check_certificate(cc.Contraction(spec, reduce).grad(0).verify())


@pytest.mark.parametrize(
    ("spec", "parameters"), [("i N_i, N_i -> i", ""), ("(N_i*i + k), k -> i", "N_i")]
)
def test_indices_and_parameters_may_be_called_like_extents(spec: str, parameters: str) -> None:
    forward = cc.Contraction(spec, parameters=parameters)
    for operand in range(2):
        check_certificate(forward.grad(operand).verify())


def test_extents_of_any_two_indices_differ_in_some_case() -> None:
    cases = list(map(dict, cc.Contraction(CONVOLUTION).grad(0).verify().cases))
    names = sorted(cases[0])
    alike = [
        (one, other)
        for one in names
        for other in names
        if one < other and all(case[one] == case[other] for case in cases)
    ]
    assert alike == []


@pytest.mark.parametrize(
    ("spec", "reduce", "tamper"),
    [
        (CONVOLUTION, "sum", collected(inside(lambda g: replace(g, size=size("k"))))),
        ("(2*i+k-1) c -> i c", "mean", gather("((h-i+1)/2) c, -> h c")),
    ],
    ids=["a range", "a sum"],
)
def test_the_extent_of_another_index_is_found(spec: str, reduce: Reduction, tamper: Tamper) -> None:
    with pytest.raises(CertificateError):
        certify(tamper(derived(spec, 0, reduce)))


def test_the_upper_end_of_a_fraction_is_tried() -> None:
    drop_upper = collected(inside(lambda g: Condition(g.position >= 0)))
    with pytest.raises(CertificateError):
        certify(drop_upper(derived("((h-k)/2), k -> h", 1)))


def test_a_string_that_no_array_fits_is_a_fault_of_the_string() -> None:
    with pytest.raises(CertificateError):
        certify(gather("k c o, b ((h-k+1)/2) o -> b h c")(derived(CONVOLUTION, 0)))


@pytest.mark.parametrize("spec", ["((s-1)*i+k), k -> i", "((h-k)/(s-1)), k -> h", "((s-1)*i) ->"])
def test_numbers_that_make_no_sense_are_not_chosen(spec: str) -> None:
    check_certificate(cc.Contraction(spec, parameters="s").grad(0).verify())


def test_a_stride_of_zero_is_refused_in_words() -> None:
    forward = cc.Contraction(SYMBOLIC, parameters="s d p")
    with pytest.raises(ContractionError):
        forward.grad(0).verify(s=0)


def test_arrays_that_are_too_large_are_refused() -> None:
    forward = cc.Contraction("(100000000*i+k) (100000000*j+l), k l -> i j")
    with pytest.raises(ShapeError):
        forward.grad(0).verify()


def test_one_large_extent_leaves_something_to_prove() -> None:
    found = cc.Contraction(CONVOLUTION).grad(0).verify(b=2000)
    assert len(set(found.cases)) == len(found.cases)
    assert any(dict(case)["k"] > 1 and dict(case)["i"] > 1 for case in found.cases)
