"""The steps of a derivation are what they say: every equation is evaluated, not only printed.

From the derivative on, the equation of a step has the value of the gradient at every position, as
the oracle computes it. Only while the conditions of a solution are still being told one by one is
something missing; what is missing is looked at as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracle import evaluate, gradient, natural_output_shape
from strategies import Problem, problems, windows

import contractconv as cc
from contractconv import Reduction
from contractconv.calculus.backward import Formulas, derive
from contractconv.calculus.derivation_steps import Step, steps
from contractconv.calculus.evaluation import evaluator
from contractconv.calculus.read_conditions import OUTPUT, places
from contractconv.notation.affine import Affine
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.spec import REDUCTIONS, operand_names
from contractconv.reductions.table import REDUCTIONS as RECORDS
from contractconv.verification.brute_force import BruteForce

SPEECH = ("congruence", "range")  # what is said of a solution that was substituted just before

STRIDED = "b (2*i+k-1) c, k c o -> b i o"


def names_of(spec: str, operand: int, reduce: Reduction = "sum", parameters: str = "") -> list[str]:
    return [step.name for step in cc.Contraction(spec, reduce, parameters).grad(operand).steps]


# --- a derivation with numbers in it ---------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A derivation, with extents and parameters."""

    spec: str
    operand: int
    numbers: Mapping[str, int]
    reduce: Reduction = "sum"
    parameters: str = ""

    def __str__(self) -> str:
        return f"{self.spec} {self.reduce} {self.operand}"

    @property
    def formulas(self) -> Formulas:
        """The derivation, of an ellipsis that stands for one axis called z."""
        return derive(parse(self.spelled, self.reduce, self.parameters), self.operand)

    @property
    def spelled(self) -> str:
        """The string with the ellipsis spelled out."""
        return self.spec.replace("...", "z")

    @property
    def bound(self) -> str:
        """The string with numbers for the parameters."""
        forward = cc.Contraction(self.spelled, parameters=self.parameters)
        return str(forward.bind(**{name: self.numbers[name] for name in forward.parameters}))


class Evaluated:
    """What the oracle says of a case, and a way to ask the equations of its steps the same."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.extents = {n: case.numbers[n] for n in parse(case.bound).indices}
        shapes = [self._shape(term) for term in case.bound.split("->")[0].split(",")]
        self.problem = resolve(parse(case.bound, case.reduce), shapes, self.extents)
        rng = np.random.default_rng(len(case.spec))
        self.operands = [self._integers(rng, shape) for shape in shapes]
        self.cotangent = self._integers(rng, self.problem.result_shape)
        self.split = split = list(map(self._split, self.operands, self.problem.operands))
        whole = map(self._elements, self.operands)
        self.arrays = dict(zip(operand_names(len(shapes)), whole, strict=True))
        self.arrays["G"] = self._elements(self.cotangent)
        self.local = BruteForce(self.problem, split).local
        record = RECORDS[case.reduce]
        if not record.is_sum:
            self.arrays[record.local.letter] = self._local(not record.linear)

    def _shape(self, term: str) -> tuple[int, ...]:
        """Axes just as long as the extent rule wants them."""
        return natural_output_shape(f"-> {term}", [()], self.extents)

    @staticmethod
    def _integers(rng: np.random.Generator, shape: Sequence[int]) -> Any:
        return np.asarray(rng.integers(1, 6, shape) * rng.choice([-1, 1], shape))

    @staticmethod
    def _elements(array: Any) -> dict[tuple[int, ...], Any]:
        return {place: element.item() for place, element in np.ndenumerate(np.asarray(array))}

    @staticmethod
    def _split(array: Any, accesses: Any) -> dict[tuple[int, ...], Any]:
        split = np.asarray(array).reshape([access.size for access in accesses])
        return {place: element.item() for place, element in np.ndenumerate(split)}

    def _local(self, per_point: bool) -> dict[tuple[int, ...], Any]:
        if per_point:
            sizes = [size for _, size in self.problem.sizes]
            return {point: self.local.get(point, 0) for point in np.ndindex(*sizes)}
        share = Fraction(1, math.prod(self.extents[name] for name in self.problem.reduced))
        return dict.fromkeys([(), *np.ndindex(*self.problem.output_sizes)], share)

    @property
    def names(self) -> dict[str, int]:
        """The values of everything but positions: parameters, extents, sizes of axes."""
        sizes = {f"N_{name}": size for name, size in self.problem.sizes}
        terms = {OUTPUT: self.problem.output, **dict(enumerate(self.problem.operands))}
        named = places(self.case.formulas.forward, self.case.operand)
        for term, accesses in terms.items():
            pairs = zip(named[term], accesses, strict=True)
            sizes |= {f"N_{symbol.name}": access.size for symbol, access in pairs}
        return {**self.case.numbers, **sizes}

    @property
    def elements(self) -> int:
        """How many elements the gradient has."""
        return math.prod(access.size for access in self.problem.operands[self.case.operand])

    def expected(self) -> Any:
        """The gradient, compositions split."""
        operand = self.case.operand
        found = gradient(
            self.case.bound,
            operand,
            self.cotangent,
            self.operands,
            self.extents,
            self.problem.result_shape,
            self.case.reduce,
        )
        return found.reshape([access.size for access in self.problem.operands[operand]])

    def loss(self) -> Any:
        """The loss, point by point: cotangent, local derivative and what is read."""
        total = 0
        cotangent = self._split(self.cotangent, self.problem.output)
        for point, out, read in BruteForce(self.problem, self.split).points:
            value = cotangent[out] * self.local[point]
            for n, place in enumerate(read):
                value *= self.split[n][place]
            total += value
        return total

    def value(self, step: Step) -> Any:
        """The equation of a step at every position of its left side."""
        found = evaluator(step.equation.sympy, self.arrays)
        positions = [symbol.name for symbol in step.equation.left.axes]
        known = self.names
        if not positions:
            return found(known)
        shape = [access.size for access in self.problem.operands[self.case.operand]]
        values = [
            found({**known, **dict(zip(positions, place, strict=True))})
            for place in np.ndindex(*shape)
        ]
        return np.array(values, object).reshape(shape)


def same(found: Any, expected: Any, exact: bool) -> bool:
    if exact:
        return bool(np.array_equal(found, expected))
    return bool(np.allclose(np.asarray(found, float), np.asarray(expected, float), atol=1e-9))


def complete(told: Sequence[Step]) -> list[Step]:
    """The steps after which no condition of a solution is left to be told."""
    unfinished = {id(step) for step, after in pairwise(told) if after.name in SPEECH}
    return [step for step in told[1:] if id(step) not in unfinished]


SIZES = {"b": 2, "i": 4, "j": 3, "k": 3, "l": 2, "c": 2, "o": 3, "h": 5, "w": 4, "z": 2}
SYMBOLIC = [{"s": 1, "d": 1, "p": 0}, {"s": 2, "d": 1, "p": 1}, {"s": 3, "d": 2, "p": 2}]
SUMS = [
    "i j, j k -> i k",
    "(i+k), k -> i",
    "(2*i+k), k -> i",
    "(2*i+k-1), k -> i",
    "(3*i+2*k-2), k -> i",
    "(i-k), k -> i",
    "(-2*i+k+5), k -> i",
    STRIDED,
    "(2*i+k-1) (3*j+l) c, k l c -> i j",
    "i, k -> (2*i+k)",
    "i, k -> (2*i+k-1)",
    "i, k -> (2*i-3*k+1)",
    "((h-k)/2), k -> h",
    "((h-k)/2) (2*k+h), h k -> h",
    "b h w c, (h w c) o -> b o",
    "(h w) -> w h",
    "(i+k), k -> (i k)",
    "(2*i+k) (k l), l -> i",
    "i i -> i",
    "i -> i i",
    "i i, i -> i i",
    "i, i ->",
    "(i+k), (i+k), k -> i",
    "(2*i+k) (2*i+k), k -> i",
    "i j, i j, i j -> j",
    ", i -> i",
    ", ->",
    "->",
    "h w ->",
    "(2*i) ->",
    "(2*i+3*k) ->",
    "i -> i l",
    "... i, ... j -> ... i j",
    "... (2*i+k), k -> ... i",
    "... i -> i",
    "i, j, k, l -> i j k l",
    "(0) c -> c",
    "b (0) c, c o -> b o",
    "(2) i, i ->",
    "b (1) (2*i+k), k -> b i",
    "i -> i (2)",
]
REDUCED = [
    "(2*i+k-1) -> i",
    "(2*i+k) c -> i c",
    "b (2*i+k) (2*j+l) c -> b i j c",
    "(3*i+k-1), k -> i",
    "i j ->",
    "i, i k -> k",
    "(i k) -> i",
]


def _sums() -> Iterator[Case]:
    for spec in SUMS:
        for operand in range(len(spec.split("->")[0].split(","))):
            yield Case(spec, operand, SIZES)


def _reduced() -> Iterator[Case]:
    for reduce in REDUCTIONS:
        for spec in REDUCED:
            for operand in range(spec.count(",") + 1):
                yield Case(spec, operand, SIZES, reduce)


def _symbolic() -> Iterator[Case]:
    for numbers in SYMBOLIC:
        values = {**SIZES, **numbers}
        for operand in range(2):
            yield Case("(s*i+d*k-p) c, k c o -> i o", operand, values, parameters="s d p")
            yield Case("i, k -> (s*i+d*k)", operand, values, parameters="s d")
        yield Case("(s*i+k) -> i", 0, values, "max", "s")
        yield Case("((h-k)/s), k -> h", 0, values, parameters="s")


CASES = [*_sums(), *_reduced(), *_symbolic()]


def told(case: Case) -> tuple[Step, ...]:
    return steps(case.formulas)


# --- what the equations are worth ------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_complete_step_has_the_value_of_the_gradient(case: Case) -> None:
    evaluated = Evaluated(case)
    expected = evaluated.expected()
    exact = case.reduce not in ("mean", "logsumexp")
    finished = complete(told(case))
    assert finished[0].name == "differentiate"
    assert finished[-1] == told(case)[-1]
    for step in finished:
        assert same(evaluated.value(step), expected, exact), (step.name, step.equation.sympy)


@settings(max_examples=settings().max_examples // 6)
@given(
    problem=st.one_of(problems(), windows()),
    reduce=st.sampled_from(("sum", "max", "min")),
    which=st.integers(0, 2),
)
def test_every_complete_step_of_a_random_contraction_has_the_value_of_the_gradient(
    problem: Problem, reduce: Reduction, which: int
) -> None:
    case = Case(problem.spec, which % len(problem.shapes), problem.extents, reduce)
    evaluated = Evaluated(case)
    assume(evaluated.elements < 500)
    expected = evaluated.expected()
    for step in complete(told(case)):
        assert same(evaluated.value(step), expected, True), (step.name, step.equation.sympy)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_first_step_is_the_loss(case: Case) -> None:
    evaluated = Evaluated(case)
    first = told(case)[0]
    assert first.equation.left.axes == ()
    assert same(evaluated.value(first), evaluated.loss(), case.reduce != "logsumexp")


@pytest.mark.parametrize("case", list(_sums()), ids=str)
def test_the_loss_is_the_cotangent_times_the_result(case: Case) -> None:
    evaluated = Evaluated(case)
    result = evaluate(
        case.bound, evaluated.operands, evaluated.extents, evaluated.problem.result_shape
    )
    assert evaluated.loss() == (evaluated.cotangent * result).sum()


def test_there_are_many_cases_of_each_kind() -> None:
    assert len(CASES) == len(set(map(repr, CASES)))
    assert len(CASES) > 130
    kinds = {step.name for case in CASES for step in told(case)}
    assert kinds == {
        "sum",
        "linearise",
        "differentiate",
        "eliminate",
        "congruence",
        "range",
        "simplify",
        "read off",
        "solve",
        "stop",
    }


def test_each_condition_of_a_strided_convolution_is_needed() -> None:
    # With leftover elements at the end of the axis there is one for every condition to refuse.
    case = Case("(2*i+k), k -> i", 0, {"i": 2, "k": 4})
    evaluated = Evaluated(case)
    _, _, _, eliminated, congruence, inside, last = told(case)
    assert [eliminated.name, congruence.name, inside.name] == ["eliminate", *SPEECH]
    with pytest.raises(KeyError) as error:
        evaluated.value(eliminated)
    assert any(isinstance(number, Fraction) and number != int(number)
               for number in error.value.args[0])  # fmt: skip
    with pytest.raises(KeyError) as error:
        evaluated.value(congruence)
    assert error.value.args[0] == (-1,)
    assert same(evaluated.value(inside), evaluated.expected(), True)
    assert last.equation == inside.equation


def test_a_delta_is_no_longer_there_once_it_is_eliminated() -> None:
    for case in CASES:
        story = told(case)
        counts = [len(step.equation.deltas) for step in story[1:]]
        assert counts == sorted(counts, reverse=True)
        solved = sum(e.renames for e in case.formulas.eliminations)
        deltas = len(story[1].equation.deltas) - solved
        for step in (step for step in story[2:] if step.name != "solve"):
            deltas -= step.sentence.count("holds only for")
            assert len(step.equation.deltas) == deltas


def test_what_repeats_itself_of_other_axes_is_said_once() -> None:
    for spec in ("(2*i+k) (3*j+l) (2*m-n), k l n -> i j m", "(i+k) (j+l) (m-n+2), k l n -> i j m"):
        story = cc.Contraction(spec).grad(0).steps
        (likewise,) = (step for step in story if step.sentence.startswith("Likewise, "))
        assert likewise.sentence.count("holds only for") == 2
        assert likewise.formula == story[-1].formula
        whole = "which has to be a whole number in the range of" in likewise.sentence
        assert whole == ("2*i" in spec)
    (mixed,) = (
        step
        for step in cc.Contraction("(i+k) (2*j+l), k l -> i j").grad(0).steps
        if step.name == "congruence"
    )  # is new, so it has its own steps
    assert "2 divides w−l" in mixed.sentence


# --- their order -----------------------------------------------------------------------------

TWICE_SOLVED = "eliminate, congruence, range, eliminate"
STORIES = [
    (
        STRIDED,
        0,
        "sum, differentiate, eliminate, read off, eliminate, congruence, range, read off",
    ),
    (STRIDED, 1, "sum, differentiate, eliminate, read off"),
    ("b (2*i+k) c, k c o -> b i o", 1, "sum, differentiate, eliminate, simplify, read off"),
    (
        "b (i+k-1) c, k c o -> b i o",
        0,
        "sum, differentiate, eliminate, read off, eliminate, range, read off",
    ),
    ("(i+k), k -> i", 0, "sum, differentiate, read off, eliminate, range, read off"),
    ("(2*i+k), k -> i", 0, "sum, differentiate, read off, eliminate, congruence, range, read off"),
    ("(i+k), k -> i", 1, "sum, differentiate, eliminate, simplify, read off"),
    ("i j, j k -> i k", 0, "sum, differentiate, eliminate, read off"),
    (
        "(2*i+k) (3*j+l), k l -> i j",
        0,
        f"sum, differentiate, read off, {TWICE_SOLVED}, read off",
    ),
    (
        "(2*i+k) (j+l), k l -> i j",
        0,
        f"sum, differentiate, read off, {TWICE_SOLVED}, read off",
    ),
    ("(2*i) ->", 0, "sum, differentiate, read off, stop, solve"),
    (", i -> i", 0, "sum, differentiate, read off"),
    ("->", 0, "sum, differentiate, read off"),
    ("i -> i i", 0, "sum, differentiate, eliminate, read off"),
    ("i, k -> (2*i+k)", 0, "sum, differentiate, eliminate, simplify, read off"),
    ("i, k -> (2*i+k-1)", 0, "sum, differentiate, eliminate, read off"),
    ("h w c, (h w c) o -> o", 1, "sum, differentiate, eliminate, read off"),
    ("(h w) -> w h", 0, "sum, differentiate, eliminate, read off"),
    ("... i, ... j -> ... i j", 1, "sum, differentiate, eliminate, read off"),
    (
        "... (2*i+k), k -> ... i",
        0,
        "sum, differentiate, eliminate, read off, eliminate, congruence, range, read off",
    ),
    ("((h-k)/2), k -> h", 0, "sum, differentiate, read off, eliminate, range, read off"),
]


@pytest.mark.parametrize(("spec", "operand", "story"), STORIES)
def test_the_steps_come_in_their_order(spec: str, operand: int, story: str) -> None:
    assert names_of(spec, operand) == story.split(", ")


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_other_reductions_are_linearised_first(reduce: Reduction) -> None:
    first, *rest = names_of("b (2*i+k) c -> b i c", 0, reduce)
    # A mean is linear: the loss is a sum as it is.
    assert first == ("sum" if reduce in ("sum", "mean") else "linearise")
    assert rest == names_of("b (2*i+k) c -> b i c", 0)[1:]


def test_symbols_have_the_steps_of_any_number() -> None:
    spec = "b (s*i+d*k-p) c, k c o -> b i o"
    assert names_of(spec, 0, parameters="s d p") == names_of(STRIDED, 0)
    # That the extents follow the rule says nothing of a padding that is still unknown.
    assert names_of(spec, 1, parameters="s d p") == names_of(STRIDED, 1)
    assert "simplify" in names_of("b (s*i+d*k) c, k c o -> b i o", 1, parameters="s d")


def test_a_unit_stride_has_no_congruence() -> None:
    for case in CASES:
        story = [step.name for step in told(case)]
        if case.spec in ("(i+k), k -> i", "(i-k), k -> i", "(i+k), (i+k), k -> i"):
            assert "congruence" not in story


# --- contractions that stay a scatter --------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "reduce"),
    [
        ("(2*i) ->", "sum"),
        ("(2*i+3*k) ->", "sum"),
        ("(i+k) -> (i k)", "sum"),
        ("(2*i) c -> c", "sum"),
        ("(2*i) ->", "mean"),
        ("(2*i), (2*i) ->", "sum"),
        ("(2*i+k), (2*i+k), k -> i", "sum"),
    ],
)
def test_where_no_array_could_say_it_the_delta_stays(spec: str, reduce: Reduction) -> None:
    derivation = cc.Contraction(spec, reduce).grad(0)
    *before, last = (step for step in derivation.steps if step.name != "solve")
    assert derivation.gather == derivation.scatter
    assert last.name == "stop"
    assert last.string is None
    assert last.sympy.has(sympy.KroneckerDelta)
    assert "the delta stays" in last.sentence
    (read,) = (step for step in before if step.name == "read off")
    assert read.string == derivation.scatter


def _last_string(case: Case) -> Step:
    """The step at which strings end; a formula may go further."""
    return [step for step in told(case) if step.name != "solve"][-1]


def test_what_no_string_says_a_formula_does() -> None:
    derivation = cc.Contraction("(2*i) ->").grad(0)
    stop, solved = derivation.steps[-2:]
    assert (stop.name, solved.name) == ("stop", "solve")
    assert solved.formula == "dX[h] = G   where 2 | h, 0 ≤ h/2 < N_i"
    assert "h = 2i is solved for i" in solved.sentence
    assert derivation.string is None


def test_what_nothing_can_fulfil_is_zero() -> None:
    derivation = cc.Contraction("(1/2) i -> i").grad(0)
    assert derivation.formula == "dX[h, i] = 0"
    assert derivation.sympy == 0
    assert [step.name for step in derivation.steps][-2:] == ["simplify", "read off"]
    assert "No point can fulfil this" in derivation.steps[-2].sentence


def test_a_derivation_stops_only_where_deltas_are_left() -> None:
    for case in CASES:
        last = _last_string(case)
        collected = case.formulas.gather != case.formulas.scatter
        assert (last.name == "stop") == (bool(last.equation.deltas) and not collected)


def test_where_a_derivation_stops_its_reason_is_true() -> None:
    for case in CASES:
        last = _last_string(case)
        if last.name != "stop" or "alone on an axis" not in last.sentence:
            continue
        tied = {s for delta in last.equation.deltas for s in delta.expression.free_symbols}
        terms = [factor.like for factor in last.equation.factors]
        alone = {axis.plain for term in terms for axis in term if isinstance(axis, Affine)}
        assert not alone & {symbol.name for symbol in tied}, (str(case), last.sentence)


def test_a_gather_that_still_scatters_along_an_axis_says_so() -> None:
    *_, last, solved = cc.Contraction("(2*i+k) (3*j), k -> i").grad(0).steps
    assert solved.name == "solve"
    assert last.sympy.has(sympy.KroneckerDelta)
    assert "delta" in last.sentence or "scatter" in last.sentence


# --- sentences and strings -------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_step_has_one_sentence(case: Case) -> None:
    for step in told(case):
        assert step.sentence.endswith(".")
        assert ". " not in step.sentence
        assert "\n" not in step.sentence


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_string_parses_and_is_one_of_the_two_forms(case: Case) -> None:
    derivation = cc.Contraction(case.spec, case.reduce, case.parameters).grad(case.operand)
    strings = [step.string for step in derivation.steps if step.string is not None]
    assert strings
    assert all(string in (derivation.scatter, derivation.gather) for string in strings)
    for string in strings:
        again = cc.Contraction(str(string), parameters=string.parameters)
        assert (str(again), again.indices) == (str(string), string.indices)
    if derivation.gather != derivation.scatter:
        assert strings == [derivation.scatter, derivation.gather]
    else:
        assert strings == [derivation.scatter]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_string_says_what_its_equation_says(case: Case) -> None:
    for step in told(case):
        if step.string is not None:
            assert step.equation.spec == step.string


def test_conditions_are_told_where_they_arise() -> None:
    story = {step.name: step for step in cc.Contraction(STRIDED).grad(0).steps}
    assert "only if 2 divides h−k+1." in story["congruence"].sentence
    assert "i is a whole number" in story["congruence"].sentence
    assert "i runs from 0 to N_i−1" in story["range"].sentence
    assert "(h−k+1)/2 is in that range" in story["range"].sentence
    (idle,) = [s for s in cc.Contraction("(2*i+k), k -> i").grad(1).steps if s.name == "simplify"]
    assert idle.sentence.startswith("0 ≤ 2i+k < N_h always holds:")
    (both,) = [
        s for s in cc.Contraction("(2*i+k) (j+l), k l -> i j").grad(1).steps if s.name == "simplify"
    ]
    assert both.sentence.startswith("0 ≤ 2i+k < N_h and 0 ≤ j+l < N_w always hold:")


def test_an_ellipsis_is_written_as_one_sign() -> None:
    derivation = cc.Contraction("... (2*i+k), k -> ... i").grad(0)
    for step in derivation.steps:
        assert "..." not in step.sentence
    assert any("…" in step.sentence for step in derivation.steps)


# --- the steps as a user meets them ----------------------------------------------------------


def test_a_step_shows_itself() -> None:
    step = cc.Contraction("(2*i+k), k -> i").grad(0).steps[-1]
    assert str(step) == (f"read off: {step.sentence}\n    {step.formula}\n    ((h-k)/2), k -> h")
    assert repr(step) == f"<step read off: {step.formula}>"
    assert step.latex()
    assert step.mathml().startswith("<math")


def test_the_last_step_is_the_formula_of_the_derivation() -> None:
    for case in CASES:
        derivation = cc.Contraction(case.spec, case.reduce, case.parameters).grad(case.operand)
        assert derivation.steps[-1].sympy == derivation.sympy
        assert derivation.steps[-1].formula == derivation.formula


# --- solved for another index -----------------------------------------------------------------


SOLVED = [
    # spec, parameters, names, formula, string
    (
        STRIDED,
        "",
        "k",
        "dX[b, h, c] = Σ_{i,o} G[b, i, o] · W[h−2i+1, c, o]   where 0 ≤ h−2i+1 < N_k",
        "b i o, (h-2*i+1) c o -> b h c",
    ),
    (
        "(s*i+d*k-p), k -> i",
        "s d p",
        "k",
        "dX[h] = Σ_{i} G[i] · W[(h−s·i+p)/d]   where d | h−s·i+p, 0 ≤ (h−s·i+p)/d < N_k",
        "i, ((h-s*i+p)/d) -> h",
    ),
    (
        "(2*i+k) (3*j+l), k l -> i j",
        "",
        "l k",
        "dX[h, w] = Σ_{i,j} G[i, j] · W[h−2i, w−3j]   where 0 ≤ h−2i < N_k, 0 ≤ w−3j < N_l",
        "i j, (h-2*i) (w-3*j) -> h w",
    ),
    ("b (2*i+k) -> b i", "", "k", "dX[b, h] = Σ_{i} G[b, i]   where 0 ≤ h−2i < N_k", None),
    ("b i, k -> b (2*i+k)", "", "", "dX[b, i] = Σ_{k} G[b, 2i+k] · W[k]", "b (2*i+k), k -> b i"),
]


@pytest.mark.parametrize(("spec", "parameters", "names", "formula", "string"), SOLVED)
def test_a_gradient_is_solved_for_another_index(
    spec: str, parameters: str, names: str, formula: str, string: str | None
) -> None:
    derivation = cc.Contraction(spec, parameters=parameters).grad(0).solved_for(*names.split())
    assert derivation.formula == formula
    found = derivation.string
    assert (None if found is None else str(found)) == string
    assert derivation.steps[-1].formula == formula
    assert derivation.verify(engines=False).checks


@pytest.mark.parametrize("names", ["b", "q", "k i"])
def test_what_cannot_be_solved_for_is_refused(names: str) -> None:
    with pytest.raises(cc.ContractionError) as caught:
        cc.Contraction(STRIDED).grad(0).solved_for(*names.split())
    assert str(caught.value).endswith("it can be solved for i or k (in h = 2i+k−1)")


def test_there_may_be_nothing_to_solve() -> None:
    with pytest.raises(cc.ContractionError, match="it has nothing to solve"):
        cc.Contraction("i j, j -> i").grad(0).solved_for("i")


def test_solved_gradients_are_values() -> None:
    one = cc.Contraction(STRIDED).grad(0)
    assert one.solved_for("k") == one.solved_for("k") != one
    assert repr(one.solved_for("k")) == f"{one!r}.solved_for('k')"
    assert one.solved_for() == one
