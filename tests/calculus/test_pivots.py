"""What is divided by is never zero: a derivation with symbols is right for all that can be put in.

The witness is the oracle, which never sees a symbol: it reads the string with numbers in it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import gradient
from strategies import filled

import contractconv as cc
from contractconv.calculus.deltas import never_zero
from contractconv.calculus.symbols import parameter
from contractconv.errors import CertificateError
from contractconv.verification.certificate import certify

Draw = Callable[[st.SearchStrategy[Any]], Any]

fewer = settings(max_examples=max(1, settings().max_examples // 8))

# string, parameters; at some small numbers a determinant or a coefficient of each vanishes
VANISHING = [
    ("(j+i) (j+s*i), i j -> i", "s"),
    ("(s*i+t*j) (i+j), i j -> i j", "s t"),
    ("(i+s*j) (t*i+j), i j -> i", "s t"),
    ("(s*i+j) (d*i+j-p), i j -> j", "s d p"),
    ("(s*i) (t*i), i -> i", "s t"),
    ("(s*i-p) (i), i -> i", "s p"),
    ("(i+k) (i+s*k), k -> i k", "s"),
    ("(i+j) (j+k) (k+s*i), i j k -> i", "s"),
    ("(s*i+k) c, (t*i+k) k c -> i", "s t"),
    ("((s+1)*i-t*i+k), k -> i", "s t"),
    ("(s*i-i+k), i k -> i", "s"),
    ("i j, i j -> (s*i+j) (i+t*j)", "s t"),
    ("i j k -> (i+s*j) (j+s*k) (i+j+k)", "s"),
]


def bindings(names: str, positive: str) -> Iterator[dict[str, int]]:
    """All small numbers: strides from one on, paddings from zero."""
    ranges = [range(1, 3) if name in positive else range(2) for name in names.split()]
    for numbers in itertools.product(*ranges):
        yield dict(zip(names.split(), numbers, strict=True))


def assert_right(spec: str, numbers: Mapping[str, Any], seed: int) -> None:
    """Compare numbers put in after the derivation, numbers put in before, and the oracle."""
    symbolic = cc.Contraction(spec, parameters=" ".join(numbers))
    bound = symbolic.bind(**numbers)
    extents = {name: 2 + n % 2 for n, name in enumerate(bound.indices)}
    shapes = shapes_of(bound, extents)
    operands = [filled(shape, seed + n + 1, 4, "int64") for n, shape in enumerate(shapes)]
    given: Any = extents
    cotangent = filled(bound.output_shape(*shapes, **given), seed, 4, "int64")
    for n, operand in enumerate(operands):
        expected = gradient(str(bound), n, cotangent, operands, extents, cotangent.shape)
        others = [a for m, a in enumerate(operands) if m != n]
        for derivation in (symbolic.grad(n), bound.grad(n)):
            for form in (derivation.scatter, derivation.gather):
                string = form.bind(**{p: numbers[p] for p in form.parameters})
                known: Any = {name: e for name, e in extents.items() if name in string.indices}
                result = string(cotangent, *others, output_shape=operand.shape, **known)
                np.testing.assert_array_equal(result, expected, err_msg=f"{form} with {numbers}")


def shapes_of(bound: cc.Contraction, extents: Mapping[str, int]) -> list[tuple[int, ...]]:
    """Operands with computed axes of different sizes, even where two of them are alike."""
    shapes = []
    for n, term in enumerate(bound._spec.inputs):
        sizes = []
        for place, axis in enumerate(term):
            if axis.plain is not None:
                sizes.append(extents[axis.plain])
            else:
                sizes.append(3 + (n + place) % 3)
        shapes.append(tuple(sizes))
    return shapes


@pytest.mark.parametrize(("spec", "names"), VANISHING)
def test_numbers_at_which_a_pivot_vanishes(spec: str, names: str) -> None:
    for seed, numbers in enumerate(bindings(names, "std")):
        try:
            cc.Contraction(spec, parameters=names).bind(**numbers)
        except cc.ContractionError:
            continue  # an index cancels out of the contraction itself
        assert_right(spec, numbers, 7 * seed)


@pytest.mark.parametrize(("spec", "names"), VANISHING)
def test_no_string_divides_by_what_may_be_zero(spec: str, names: str) -> None:
    forward = cc.Contraction(spec, parameters=names)
    for n in range(len(forward._spec.inputs)):
        for form in (forward.grad(n).scatter, forward.grad(n).gather):
            for numbers in bindings(names, "std"):
                try:
                    forward.bind(**numbers)
                except cc.ContractionError:
                    continue
                form.bind(**{p: numbers[p] for p in form.parameters})


def test_the_sum_of_two_indices_and_a_multiple() -> None:
    derivation = cc.Contraction("(j+i) (j+s*i), i j -> i", parameters="s").grad(0)
    assert str(derivation.gather) == "i, i j -> (j+i) (j+s*i)"
    assert "/" not in derivation.formula
    assert "whatever s may be" in derivation.steps[-2].sentence
    assert str(derivation.gather.bind(s=1)) == "i, i j -> (j+i) (j+i)"
    # With a number that is no one, both axes can be solved for.
    bound = cc.Contraction("(j+i) (j+3*i), i j -> i").grad(0)
    assert "/2" in str(bound.gather)


def test_what_can_be_divided_by_still_is() -> None:
    conv = cc.Contraction("b (s*i+d*k-p) c, k c o -> b i o", parameters="s d p")
    assert str(conv.grad(0).gather) == "b ((h-d*k+p)/s) o, k c o -> b h c"
    twice = cc.Contraction("(s*t*i+s*i+k), k -> i", parameters="s t")
    assert str(twice.grad(0).gather) == "((h-k)/(s*t+s)), k -> h"
    less = cc.Contraction("(2*s*i-i+k), k -> i", parameters="s")
    assert str(less.grad(0).gather) == "((h-k)/(2*s-1)), k -> h"


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("s", True), ("s*t", True), ("s+t", True), ("2*s-1", True), ("s+p", True), ("-s", True),
        ("s*t+s-1", True), ("1", True), ("-3", True), ("s/t", True), ("(2*s-1)/t", True),
        ("s-1", False), ("s-t", False), ("s*t-1", False), ("s-p", False), ("p", False),
        ("p*s", False), ("0", False), ("1-1/s", False), ("t-1/s", False),
    ],
)  # fmt: skip
def test_what_is_known_not_to_be_zero(text: str, known: bool) -> None:
    symbols = {name: parameter(name) for name in "stp"}
    value = eval(text, symbols) * (parameter("s") / parameter("s"))
    assert never_zero(value, {"s", "t"}) == known
    if known:
        for s, t, p in itertools.product(range(1, 5), range(1, 5), range(4)):
            assert value.subs({symbols["s"]: s, symbols["t"]: t, symbols["p"]: p}) != 0


# --- at random -------------------------------------------------------------------------------


@st.composite
def symbolic_axis(draw: Draw, names: str) -> str:
    """A sum of symbolic multiples of two or three indices."""
    chosen = draw(st.lists(st.sampled_from(names), min_size=2, max_size=3, unique=True))
    numbers = st.sampled_from(["", "", "s*", "t*", "2*", "-", "s*t*", "(s+1)*"])
    parts = [f"{draw(numbers)}{name}" for name in chosen]
    offset = draw(st.sampled_from(["", "", "-p", "+1", "-s"]))
    return f"({'+'.join(parts)}{offset})".replace("+-", "-")


@st.composite
def symbolic_specs(draw: Draw) -> str:
    """An array read at one to three computed places, and another that has the indices alone."""
    names = "ijk"[: draw(st.integers(2, 3))]
    axes = draw(st.lists(symbolic_axis(names), min_size=1, max_size=3))
    kept = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    return f"{' '.join(axes)}, {' '.join(names)} -> {' '.join(kept)}"


@fewer
@given(spec=symbolic_specs(), seed=st.integers(0, 50))
def test_symbols_bound_later_are_symbols_bound_before(spec: str, seed: int) -> None:
    names = " ".join(name for name in "stp" if name in spec)
    for number, numbers in enumerate(bindings(names, "st")):
        if (number + seed) % 4 == 0:
            assert_right(spec, numbers, seed)


@settings(max_examples=settings().max_examples // 20)  # a dozen bindings each, in two sizes
@given(spec=symbolic_specs())
def test_symbolic_specs_are_certified(spec: str) -> None:
    names = " ".join(name for name in "stp" if name in spec)
    forward = cc.Contraction(spec, parameters=names)
    certificate = forward.grad(0).verify()
    assert all(check.exact for check in certificate.checks)


# --- certificates try them on purpose --------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "names", "vanishes"),
    [
        ("(j+i) (j+s*i), i j -> i", "s", lambda v: v["s"] == 1),
        ("(s*i+t*j) (i+j), i j -> i j", "s t", lambda v: v["s"] == v["t"]),
        ("(i+s*j-p) (t*i+j-q), i j -> i", "s t p q", lambda v: v["s"] * v["t"] == 1),
    ],
)
def test_certificates_cover_numbers_at_which_pivots_vanish(
    spec: str, names: str, vanishes: Callable[[Mapping[str, int]], bool]
) -> None:
    cases = list(map(dict, cc.Contraction(spec, parameters=names).grad(0).verify().cases))
    assert any(map(vanishes, cases))
    assert not all(map(vanishes, cases))


def test_a_division_by_what_may_be_zero_is_found() -> None:
    from dataclasses import replace

    from contractconv.calculus.backward import derive
    from contractconv.notation.parser import parse

    forward = parse("(j+i) (j+s*i), i j -> i", "sum", "s")
    wrong = parse("((w-h)/(s-1)), ((w-h)/(s-1)) ((s*h-w)/(s-1)) -> h w", "sum", "s")
    with pytest.raises(CertificateError, match=r"the gather string fits no gradient.*zero"):
        certify(replace(derive(forward, 0), gather=wrong))


def test_many_symbols_do_not_make_many_choices() -> None:
    names = " ".join(f"{kind}{n}" for n in range(7) for kind in "sd")
    spec = " ".join(f"(s{n}*i{n}+d{n}*k{n})" for n in range(7))
    taps, results = (" ".join(f"{x}{n}" for n in range(7)) for x in "ki")
    forward = cc.Contraction(f"{spec}, {taps} -> {results}", parameters=names)
    from contractconv.verification.cases import cases

    found = cases(forward._spec, {})
    assert len(found) == 24
    assert math.prod(found[0].problem.extents.values()) < 20_000
