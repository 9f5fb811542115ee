"""Everything that is printed about a contraction, and what each of it should be worth.

What one can do:

- ``Case``: a contraction with arrays;
- ``FAMILIES``: what is said of it: the result, gradients and how they are derived, their phases and
  derivatives, Jacobians, curvature; each a function that yields claims;
- ``check``: whether a claim holds, by reading its text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

from printed_formulas import Name, Unreadable, read
from printed_oracle import Elements, Place, Witness, places
from printed_values import evaluate

import contractconv as cc

ROOTS = 2
_WIDE = range(-9, 10)  # more than any index here runs through


@dataclass(frozen=True)
class Claim:
    """A printed formula, what is in it, and the array that it should make (partly: known of it)."""

    what: str
    text: str
    arrays: Mapping[str, Any]
    extents: Mapping[str, int | range]
    shape: Place
    expected: Elements
    numbers: Mapping[str, int]
    partly: bool = False
    strict: bool = False


def check(claim: Claim) -> None:
    """Read the formula, work it out and compare.

    Raises:
        AssertionError: it is not what it should be, or cannot be read.
    """
    assert_agrees(claim, worth(claim, claim.extents))


def worth(claim: Claim, extents: Mapping[str, int | range]) -> Any:
    """What the formula is worth."""
    try:
        return evaluate(claim.text, claim.arrays, extents, claim.shape, claim.numbers, claim.strict)
    except Unreadable as unreadable:
        raise AssertionError(f"{claim.what}: {claim.text}\n{unreadable}") from unreadable


def assert_agrees(claim: Claim, found: Any) -> None:
    """Compare, exactly where numbers are exact."""
    for place in claim.expected if claim.partly else places(claim.shape):
        value = _at(found, place)
        expected = claim.expected.get(place, 0)
        message = f"{claim.what}: {claim.text}\nat {place}: {value}, should be {expected}"
        if isinstance(expected, float) and math.isfinite(expected):
            assert math.isclose(value, expected, rel_tol=1e-9, abs_tol=1e-9), message
        else:
            assert value == expected, message


def _at(nested: Any, place: Place) -> Any:
    for position in place:
        nested = nested[position]
    return nested


def nested(shape: Sequence[int], elements: Callable[[Place], Any], place: Place = ()) -> Any:
    """Nested lists of a shape."""
    if len(place) == len(shape):
        return elements(place)
    return [nested(shape, elements, (*place, n)) for n in range(shape[len(place)])]


@dataclass(frozen=True)
class Case:
    """A contraction with arrays.

    Attributes:
        contraction: what prints.
        witness: the same contraction with numbers for parameters, and the arrays.
        numbers: the parameters.
        seed: of further arrays.
        names: how operands are called.
    """

    contraction: cc.Contraction
    witness: Witness
    numbers: dict[str, int]
    seed: int = 0
    names: tuple[str, ...] = ()
    made: dict[str, Elements] = field(default_factory=dict, compare=False)

    @cached_property
    def operands(self) -> dict[str, Any]:
        """The operands by name."""
        given = zip(self.names, self.witness.shapes, self.witness.operands, strict=True)
        return {name: nested(shape, elements.__getitem__) for name, shape, elements in given}

    def array(self, name: str, shape: Place) -> Elements:
        """Another array of small numbers, the same for the same name."""
        if name not in self.made:
            salt = sum(map(ord, name)) + self.seed
            self.made[name] = {
                place: (7 * number * number + 3 * number + salt) % 7 - 3
                for number, place in enumerate(places(shape))
            }
        return self.made[name]

    @property
    def cotangent(self) -> Elements:
        """``G``."""
        return self.array("G", self.witness.output_shape)

    def tangent(self, n: int) -> Elements:
        """``V``, of the shape of an operand."""
        return self.array(f"V{n}", self.witness.shapes[n])

    @cached_property
    def result_axes(self) -> dict[str, int]:
        """The sizes of the result's axes, by the letters that they are printed with."""
        axes = read(self.contraction.formula).axes
        named = zip(axes, self.witness.output_shape, strict=True)
        return {axis.text: size for axis, size in named if isinstance(axis, Name)}

    @cached_property
    def local(self) -> dict[str, Any]:
        """The local derivative, by the letters that stand for it; strange where nothing is read."""
        w = self.witness
        at_points = self.nested_at_points(w.slopes())
        counts = nested(w.output_shape, lambda y: Fraction(1, max(1, len(w.landed[y]))))
        return {"S": at_points, "P": at_points, "M": counts}

    def bends(self, n: int) -> Any:
        """How it changes along ``V``."""
        return self.nested_at_points(self.witness.bends(n, self.tangent(n)))

    def nested_at_points(self, numbers: Elements) -> Any:
        """A number for each point; a strange one where nothing is read."""
        everything = [self.witness.extents[name] for name in self.witness.read.indices]
        return nested(everything, lambda place: numbers.get(place, 1000))

    def claim(self, what: str, text: str, shape: Place, expected: Elements, **more: Any) -> Claim:
        """A claim about arrays of this case."""
        g = nested(self.witness.output_shape, self.cotangent.__getitem__)
        arrays = {**self.operands, "G": g, **self.local, **more.pop("arrays", {})}
        extents = {**self.witness.extents, **more.pop("extents", {})}
        numbers = {**self.numbers, **more.pop("numbers", {})}
        return Claim(what, text, arrays, extents, shape, expected, numbers, **more)

    def loss(self, n: int) -> Any:
        """``Σ G·Y``, linear in an operand: how it changes along that operand."""
        changes = self.witness.jacobian(n).items()
        return sum(self.cotangent[y] * s * self.witness.operands[n][x] for (y, x), s in changes)

    def along(self, n: int) -> Elements:
        """The change of the result along ``V``."""
        found: Elements = {}
        for (y, x), slope in self.witness.jacobian(n).items():
            found[y] = found.get(y, 0) + slope * self.tangent(n)[x]
        return found

    def gradient(self, n: int) -> Elements:
        """The gradient by an operand."""
        found: Elements = {}
        for (y, x), slope in self.witness.jacobian(n).items():
            found[x] = found.get(x, 0) + self.cotangent[y] * slope
        return found


# --- what is said ----------------------------------------------------------------------------


def result(case: Case, n: int) -> Iterator[Claim]:
    """The formula of the contraction itself."""
    w = case.witness
    yield case.claim("result", case.contraction.formula, w.output_shape, w.result)


def gradient(case: Case, n: int) -> Iterator[Claim]:
    """The gradient, and every step on the way to it."""
    yield from _derived(case, n, case.contraction.grad(n))


def solved(case: Case, n: int) -> Iterator[Claim]:
    """The gradient with its axes solved for other indices, wherever that can be done."""
    derivation: Any = case.contraction.grad(n)
    for name in case.witness.extents:
        try:
            way = derivation.solved_for(name)
        except cc.ContractionError:
            continue
        yield from _derived(case, n, way)


def _derived(case: Case, n: int, derivation: Any) -> Iterator[Claim]:
    expected, shape = case.gradient(n), case.witness.shapes[n]
    yield case.claim("gradient", derivation.formula, shape, expected)
    for step in derivation.steps:
        what, loss = f"step {step.name}", read(step.formula).name in ("L", "δL")
        made = ((), {(): case.loss(n)}) if loss else (shape, expected)
        yield case.claim(what, step.formula, *made)
        if local := step.local:
            yield _local(case, local)


def _local(case: Case, text: str) -> Claim:
    """What the local derivative is, at the points that contribute."""
    w = case.witness
    y = nested(w.output_shape, w.result.__getitem__)
    if text.startswith("M"):
        counts = {y: Fraction(1, len(points)) for y, points in w.landed.items() if points}
        return case.claim("local derivative", text, w.output_shape, counts, partly=True)
    shape = tuple(w.extents[name] for name in w.read.indices)
    return case.claim("local derivative", text, shape, w.slopes(), arrays={"Y": y}, partly=True)


def forms(case: Case, n: int) -> Iterator[Claim]:
    """The scatter and the gather form, as contractions of their own."""
    derivation = case.contraction.grad(n)
    w = case.witness
    for what in ("scatter", "gather"):
        form = getattr(derivation, what)
        arrays = _role_arrays(case, n, derivation.roles, form)
        yield case.claim(what, form.formula, w.shapes[n], case.gradient(n), arrays=arrays)


def _role_arrays(case: Case, n: int, roles: Sequence[str], form: Any) -> dict[str, Any]:
    """The arrays that a form reads, by the names it has for them."""
    known = {**case.operands, **case.local}
    known["G"] = nested(case.witness.output_shape, case.cotangent.__getitem__)
    points = len(next(iter(case.witness.landed.values())))  # of a mean: the same everywhere
    known |= {role: Fraction(1, max(1, points)) for role in roles if "/" in role}
    return {name: known[role] for name, role in zip(form.names, roles, strict=True)}


def phases(case: Case, n: int) -> Iterator[Claim]:
    """The phases, which add up to the gradient."""
    bound = case.contraction.bind(**case.numbers)
    total = case.gradient(n)
    parts = [*bound.grad(n).phases()]
    ends = case.witness.extents
    numbers = {f"N_{name}": extent for name, extent in ends.items()}
    claims = [
        case.claim(
            "phase",
            part.formula,
            case.witness.shapes[n],
            {},
            extents=_renamed(part.meaning, ends),
            numbers=numbers,
        )
        for part in parts
    ]
    if claims:
        yield from _adding_up(claims, total)
    assert claims or not any(total.values()), "a gradient that is not zero has a phase"


def _renamed(meaning: str, extents: Mapping[str, int]) -> dict[str, range]:
    """What new indices run through, in ``h = 2*h, k = 2*k+1``: what puts the old ones inside.

    Of a position like ``h`` conditions say how far it goes.
    """
    found = {}
    for name, expression in re.findall(r"(\w+) = ([^,]+)", meaning):
        inside: Sequence[int] = _WIDE
        if name in extents and not set(re.findall(r"[^\W\d]\w*", expression)) - {name}:
            old = {n: evaluate(f"M = {expression}", {}, {}, (), {name: n}) for n in _WIDE}
            inside = [n for n in _WIDE if 0 <= old[n] < extents[name]]
        found[name] = range(inside[0], inside[-1] + 1) if inside else range(0)
    return found


def _adding_up(claims: Sequence[Claim], total: Elements) -> Iterator[Claim]:
    """The last claim, of what the others leave of the total."""
    left = dict(total)
    for claim in claims[:-1]:
        found = worth(claim, claim.extents)
        left = {x: left.get(x, 0) - _at(found, x) for x in places(claim.shape)}
    yield replace(claims[-1], expected=left)


def tangents(case: Case, n: int) -> Iterator[Claim]:
    """The forward derivative and the Jacobian."""
    w, contraction = case.witness, case.contraction
    v = nested(w.shapes[n], case.tangent(n).__getitem__)
    jvp = contraction.jvp(n)
    along = case.claim("jvp", jvp.formula, w.output_shape, case.along(n), arrays={"V": v})
    yield from with_steps(case, n, jvp, along)
    expected = {(*y, *x): slope for (y, x), slope in w.jacobian(n).items()}
    jacobian = contraction.jacobian(n)
    shape = (*w.output_shape, *w.shapes[n])
    whole = case.claim("jacobian", jacobian.formula, shape, expected)
    yield from with_steps(case, n, jacobian, whole)


def with_steps(case: Case, n: int, derived: Any, own: Claim) -> Iterator[Claim]:
    """A formula, and the steps to it: they begin with the result, its change, and the gradient."""
    w = case.witness
    parts = {
        "Y": replace(own, shape=w.output_shape, expected=w.result),
        "JV": replace(own, shape=w.output_shape, expected=case.along(n)),
        f"d{case.names[n]}": replace(own, shape=w.shapes[n], expected=case.gradient(n)),
        read(own.text).name: own,
    }
    v = nested(w.shapes[n], case.tangent(n).__getitem__)
    yield own
    for step in derived.steps:
        part, what = parts[read(step.formula).name], f"step {step.name} to {own.what}"
        yield replace(part, what=what, text=step.formula, arrays={"V": v, **own.arrays})


def seconds(case: Case, n: int) -> Iterator[Claim]:
    """The derivatives of the gradient, along ``V``."""
    w, contraction = case.witness, case.contraction
    v = nested(w.shapes[n], case.tangent(n).__getitem__)
    for second in contraction.grad(n).seconds:
        if second.by == "G":
            left, shape, expected = contraction.formula, w.output_shape, case.along(n)
        else:
            by = case.names.index(read(f"{second.by} = 0").name)
            left, shape = contraction.grad(by).formula, w.shapes[by]
            expected = w.second(n, case.tangent(n), case.cotangent, by)
        text, _, _ = second.formula.partition(", Q being")
        arrays = {"V": v} | ({"Q": case.bends(n)} if text != second.formula else {})
        made = read(text)
        assert made.name == f"∂⟨V,d{case.names[n]}⟩/∂{second.by}"
        assert made.axes == read(left).axes, f"{left} has other letters than {text}"
        yield case.claim(f"second by {second.by}", text, shape, expected, arrays=arrays)


FAMILIES: list[Callable[[Case, int], Iterator[Claim]]] = [
    result, gradient, forms, phases, tangents, seconds,
]  # fmt: skip
