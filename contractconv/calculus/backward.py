"""Backward contractions: sympy differentiates the sum, and the result is read off as strings.

For ``Y[out] = Σ Π T_n[axes_n]`` and a cotangent ``G[out]``, the loss ``L = Σ G*Y`` is written as a
sum over indexed symbols; ``diff(L, T_n[m, ...])`` gives a Kronecker delta for each axis of ``T_n``;
what the deltas say is read off twice. Left in place they are a *scatter*; eliminated, a *gather*.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import sympy

from contractconv.cache_register import kept
from contractconv.calculus.conditions import simplified
from contractconv.calculus.deltas import Elimination, eliminate, solvable
from contractconv.calculus.equation import Delta, Element, Equation, Size, size
from contractconv.calculus.known_axes import knowing
from contractconv.calculus.letters import (
    CHANGE,
    LOSS,
    ROOT,
    SHARE,
    array_of,
    cotangent,
    gradient,
    meanings,
    tangent,
    unused,
)
from contractconv.calculus.letters import result as result_name
from contractconv.calculus.local_derivative import counted, local_name, local_term
from contractconv.calculus.read_conditions import OUTPUT, axis_sizes, never_left, places, reads
from contractconv.calculus.symbols import DOTS, distinct, expression, in_words, index, split
from contractconv.calculus.textbook import spread, textbook
from contractconv.errors import ContractionError
from contractconv.lazy import Value, remembered
from contractconv.notation.spec import Spec, Term, composed_names
from contractconv.reductions.table import REDUCTIONS

# Operands that are one over the extents of some indices.
Shares = tuple[tuple[str, tuple[str, ...]], ...]
# For each role the names of positions on its axes, after which their sizes are called.
Places = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Formulas(Value):
    """The gradient of a contraction with respect to one operand, and how it came about.

    Both specs take the cotangent, then the local derivative if the reduction has one, then the
    other operands in order.

    Attributes:
        forward: the contraction.
        operand: the position of the operand.
        loss: the sum of cotangent times result; for a reduction other than the sum, linearised.
        derivative: the loss, differentiated: a sum with a delta for each axis of the operand.
        eliminations: the deltas that could be eliminated, in order.
        scatter: contributions are placed where the operand was read.
        gather: each element collects its contributions; the scatter, if no string says that.
        solved: the indices that it was asked to be solved for.
    """

    forward: Spec
    operand: int
    loss: Equation
    derivative: Equation
    eliminations: tuple[Elimination, ...]
    scatter: Spec
    gather: Spec
    solved: tuple[str, ...] = ()

    @remembered
    def placed(self) -> Equation:
        """The equation of the scatter: only the deltas that are more than a name are left."""
        renamed = [e.equation for e in self.eliminations if e.renames]
        return self.simplified(renamed[-1] if renamed else self.derivative)

    @property
    def eliminated(self) -> Equation:
        """The equation after the last elimination, with every condition it gathered."""
        return self.eliminations[-1].equation if self.eliminations else self.derivative

    @remembered
    def gathered(self) -> Equation:
        """The equation of the gather: its conditions in as few words as possible."""
        return self.simplified(self.eliminated)

    @remembered
    def collected(self) -> Equation:
        """The same with every delta solved that can be, whether or not a string says it."""
        return textbook(self.gathered)

    @property
    def is_said(self) -> bool:
        """Whether the gather says what the equation says."""
        said = all(elimination.sayable for elimination in self.eliminations)
        return said and self.collected == self.gathered

    def spoken(self, spec: Spec) -> Spec:
        """A string of this derivation, whose operands are called as the formula calls them."""
        return spoken(spec, self.derivative)

    def simplified(self, equation: Equation) -> Equation:
        """Return an equation of this derivation without conditions that always hold."""
        return simplified(self.within(equation))

    def within(self, equation: Equation) -> Equation:
        """Return it without conditions that hold because extents follow the notation's rule."""
        inside = never_left(self.forward)
        found = reads(self.forward, self.operand)
        idle = {g for read in found if read.place in inside for g in read.guards}
        return replace(equation, guards=tuple(g for g in equation.guards if g not in idle))


def derive(forward: Spec, operand: int, solved: tuple[str, ...] = ()) -> Formulas:
    """Derive the backward contraction of one operand.

    Args:
        forward: the contraction; parameters may be symbolic.
        operand: its position, which must exist.
        solved: the indices to solve the axes of the operand for, where it matters which.

    Returns:
        The gradient in scatter and in gather form.

    Raises:
        ContractionError: the gradient cannot be solved for an index.
    """
    order = tuple(axis.names for axis in forward.typed)
    return _derived(forward, operand, solved, (order, forward.inside, meanings(forward)))


@kept(most=1024)
def _derived(forward: Spec, operand: int, solved: tuple[str, ...], _told: Hashable) -> Formulas:
    # Contractions that are typed in another order, or whose names mean something else, are equal,
    # and derived anew all the same; so are those of which something else is known.
    loss = _loss(forward, operand)
    derivative = _differentiate(loss, forward, operand)
    eliminations = tuple(eliminate(derivative, fixed_indices(forward), solved))
    _check_solved(solved, eliminations, derivative, forward)
    last = eliminations[-1].equation if eliminations else derivative
    said = all(elimination.sayable for elimination in eliminations)
    roles = [factor.name for factor in derivative.factors]
    scatter, gather = (
        knowing(spec, roles, forward, operand)
        for spec in (derivative.spec, last.spec if said else derivative.spec)
    )
    return Formulas(forward, operand, loss, derivative, eliminations, scatter, gather, solved)


def _check_solved(
    wanted: Sequence[str], done: Sequence[Elimination], derivative: Equation, forward: Spec
) -> None:
    """Raise an error if the derivative has not been solved for all that was wanted."""
    solved = [elimination.index.name for elimination in done if not elimination.renames]
    missing = [name for name in wanted if name not in solved]
    if not missing:
        return
    renamed = [elimination.equation for elimination in done if elimination.renames]
    start = renamed[-1] if renamed else derivative
    choices = [
        f"{' or '.join(sorted(symbol.name for symbol in solvable(start, delta)))} "
        f"(in {start.written(delta.position)} = {in_words(start.written(delta.expression))})"
        for delta in start.deltas
        if solvable(start, delta)
    ]
    can = f"it can be solved for {', '.join(choices)}" if choices else "it has nothing to solve"
    raise ContractionError(
        f"the gradient of '{forward}' cannot be solved for {', '.join(missing)}: {can}"
    )


def forward_equation(
    spec: Spec,
    result: str | None = None,
    names: Sequence[str] | None = None,
    shares: Shares = (),
    named: Places = (),
    like: Sequence[str] = (),
) -> Equation:
    """The contraction itself as an equation, ``Y[...] = Σ ...``.

    Args:
        spec: the contraction.
        result: what the result is called; by default as the contraction says.
        names: what the operands are called; likewise.
        shares: operands that are one over the extents of some indices, as :func:`shares_of` says.
        named: after what the sizes of axes are called, as :func:`places_of` says; by default after
            the positions of this contraction.
        like: the roles whose axes, one after the other, the result has; nothing if they are none's.
    """
    called = spec.called if names is None else names
    made = result_name(spec) if result is None else result
    left = Element(made, _positions(spec, named, like), spec.output)
    held = zip(left.axes, (expression(axis) for axis in split(spec.output)), strict=True)
    computed = [r for r in reads(spec, lengths=_lengths(spec, called, named)) if r.term != OUTPUT]
    inside = never_left(spec)
    guards = (g for read in computed if read.place not in inside for g in read.guards)
    return Equation(
        left,
        tuple(element(n, term, shares) for n, term in zip(called, spec.inputs, strict=True)),
        tuple(i for i in map(index, all_names(spec)) if i not in left.axes),
        tuple(Delta(position, value) for position, value in held if position != value),
        tuple(dict.fromkeys(guards)),
        spec.reduce,
        spec.parameters,
        typed=spec.typed,
    )


def _positions(spec: Spec, named: Places, like: Sequence[str]) -> tuple[sympy.Symbol, ...]:
    """The positions of the result; a computed one is called as the axis of whose size it is.

    Where that is called after an index, which is another position, it has a prime.
    """
    mine, known = places(spec)[OUTPUT], dict(named)
    wishes = [name for role in like for name in known[role]] or [p.name for p in mine]
    pairs = [*zip(mine, wishes, split(spec.output), strict=True)]
    stay = {p.name for p, wish, axis in pairs if axis.plain or wish == p.name}
    taken, found = {*spec.indices, *stay}, list[sympy.Symbol]()
    for position, wish, _ in pairs:
        name = position.name if position.name in stay else distinct(wish, taken)
        taken.add(name)
        found.append(index(name))
    return tuple(found)


def forward_formula(spec: Spec) -> Equation:
    """The contraction itself, as a textbook prints it."""
    return textbook(forward_equation(spec))


def phase_formula(formulas: Formulas, phase: Spec) -> Equation:
    """A phase of a gradient's gather: what it makes of the elements that it is about."""
    if phase == formulas.gather:
        return formulas.gathered
    forward, gather = formulas.forward, formulas.eliminated
    names = [factor.name for factor in gather.factors]
    if forward.is_tied:
        phase = replace(phase, names=tuple(map(array_of, names)))
    named = places_of(forward, formulas.operand)
    like = (forward.called[formulas.operand],)
    phased = forward_equation(phase, gather.left.name, names, shares_of(forward), named, like)
    return simplified(spread(phased))


def _lengths(spec: Spec, called: Sequence[str], named: Places) -> tuple[tuple[Size, ...], ...]:
    """The sizes of the operands' axes; an array that is read twice has one for each axis."""
    known, mine = dict(named), axis_sizes(spec)
    return tuple(
        tuple(map(size, known.setdefault(role, _names(mine, spec, term))))
        for term, role in enumerate(called)
    )


def _names(sizes: dict[tuple[str, int], Size], spec: Spec, term: int) -> tuple[str, ...]:
    """After what the sizes of an operand's axes are called."""
    count, name = len(split(spec.inputs[term])), spec.called[term]
    return tuple(sizes[name, number].name.removeprefix("N_") for number in range(count))


def spoken(spec: Spec, equation: Equation) -> Spec:
    """A string whose operands and result are called as in the equation that says the same."""
    names = tuple(factor.name for factor in equation.factors)
    share = unused(replace(spec, names=names), SHARE)
    called = tuple(share if f.over is not None else f.name for f in equation.factors)
    return replace(spec, names=called, result=equation.left.name)


def all_names(spec: Spec) -> tuple[str, ...]:
    """Every index, and the ellipsis as one of them."""
    dots = [a.plain for term in spec.terms for a in split(term) if a.plain == DOTS]
    return (*dots[:1], *(name for name in spec.indices if name != DOTS))


def element(name: str, term: Term, shares: Shares = ()) -> Element:
    """The array ``name``, read as a term of a string says."""
    axes = tuple(expression(axis) for axis in split(term))
    return Element(name, axes, term, dict(shares).get(name))


def roles_of(forward: Spec) -> list[tuple[str, Term]]:
    """The forward operands with their names, behind the local derivative if there is one."""
    local = local_term(forward)
    first = [] if local is None else [(local_name(forward), local)]
    return [*first, *zip(forward.called, forward.inputs, strict=True)]


def places_of(forward: Spec, n: int, rank: str = "r") -> Places:
    """After what the sizes of axes are called in everything that is derived of a contraction.

    Args:
        forward: the contraction.
        n: the operand that it is derived by, whose axes a tangent has.
        rank: the index of the columns of a root of a Hessian, which come before the result's axes.
    """
    sizes, name = axis_sizes(forward), forward.called[n]
    made = tuple(position.name.rstrip("'") for position in places(forward)[OUTPUT])
    found = {role: _names(sizes, forward, m) for m, role in enumerate(forward.called)}
    found |= {cotangent(forward): made, unused(forward, ROOT): (rank, *made)}
    found[tangent(forward, name)] = found[name]
    local = local_term(forward)
    if local is not None:
        plain = tuple(axis.plain for axis in split(local) if axis.plain)
        found[local_name(forward)] = plain if len(plain) == len(split(local)) else made
        found[unused(forward, CHANGE)] = found[local_name(forward)]
    return tuple(found.items())


def shares_of(forward: Spec) -> Shares:
    """The local derivative that is one over the extents of some indices, if there is one."""
    over = counted(forward)
    return () if over is None else ((local_name(forward), over),)


def fixed_indices(spec: Spec) -> frozenset[sympy.Symbol]:
    """The indices inside compositions, which cannot become an expression."""
    return frozenset(map(index, composed_names(spec.terms)))


def _loss(forward: Spec, operand: int) -> Equation:
    terms = [(cotangent(forward), forward.output), *roles_of(forward)]
    shares = shares_of(forward)
    factors = [element(name, term, shares) for name, term in terms]
    summed = dict.fromkeys(n for f in factors for a in split(f.like) for n in a.names)
    guards = dict.fromkeys(g for read in reads(forward, operand) for g in read.guards)
    # What is made of a local derivative that is held fixed is not the loss, but changes as it does.
    name = LOSS if REDUCTIONS[forward.reduce].linear else f"δ{LOSS}"
    return Equation(
        Element(name, (), ()),
        tuple(factors),
        tuple(map(index, summed)),
        guards=tuple(guards),
        parameters=forward.parameters,
        typed=forward.typed,
    )


def _differentiate(loss: Equation, forward: Spec, operand: int) -> Equation:
    """Differentiate the loss by the element of the target at fresh positions."""
    target = loss.factors[operand - len(forward.inputs)]
    factors = tuple(f for f in loss.factors if f is not target)
    at = places(forward, operand)[operand]
    # Neither ranges nor other factors depend on the target, so the derivative goes under the sum
    # and to its factor; sympy would carry it there one range, and one factor, at a time, and sort
    # all of them each time.
    summand = sympy.diff(target.split, replace(target, axes=at).split)
    if summand == 0:
        # sympy saw that an axis like (1/2) is never a whole number; the string says it as well.
        deltas = tuple(Delta(p, e) for p, e in zip(at, target.axes, strict=True))
    else:
        deltas = tuple(_delta(summand, position) for position in at)
    # The deltas say that the target is read inside; the conditions of the others stay.
    others = {g for read in reads(forward, operand) if read.term != operand for g in read.guards}
    return replace(
        loss,
        left=Element(gradient(target.name), at, target.like),
        factors=factors,
        deltas=deltas,
        guards=tuple(g for g in loss.guards if g in others),
    )


def _delta(summand: sympy.Expr, position: sympy.Symbol) -> Delta:
    """The factor of the summand that ties ``position`` to an axis."""
    factors = sympy.Mul.make_args(summand)
    (delta,) = (
        f for f in factors if isinstance(f, sympy.KroneckerDelta) and position in f.free_symbols
    )
    equation = sympy.expand(delta.args[0] - delta.args[1])
    coefficient = equation.coeff(position)
    return Delta(position, sympy.expand((coefficient * position - equation) / coefficient))
