"""Scatters as gathers, phase by phase, and windows with a stride as unit windows.

A scatter ``y = s*i + d*k + o`` meets the same points as the gather that reads ``i`` at
``(y - d*k - o)/s``. The division comes out for some residues of ``y`` and ``k`` only: with
``g = gcd(s, d)``, ``k = (s/g)*k' + r`` and ``y = s*q + (d*r + o)`` it leaves ``i = q - (d/g)*k'``.
Each residue ``r`` is a *phase*: a dense window over the operand, which writes every ``s``-th
element. It is the polyphase decomposition of multirate filters (Vaidyanathan, *Multirate Systems
and Filter Banks*, 1993, chapter 4) for a contraction of any form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import gcd, lcm, prod

from contractconv.notation.problem import Access, Problem, shape_of
from contractconv.planning.cost import labels_of, volume
from contractconv.planning.strided_leaves import leaves, progression, tap_indices, tied_indices
from contractconv.planning.trimming import reaches_outside, trimmed
from contractconv.reductions.table import REDUCTIONS

# The number of an operand, and of one of its axes.
Place = tuple[int, int]
# An index that leaves so many times as many points, padding included, is not solved for; nor one
# for which an operand so many times as large as the result is copied with room around it.
_MOST_PADDED, _MANY_TIMES = 5.0, 4
# Each phase is planned by itself: more of them than this are not made.
_MOST_PHASES = 1024


# --- scatters and divisions --------------------------------------------------------------------


def by_phases(problem: Problem) -> tuple[Problem, ...] | None:
    """Rewrite scatters and divisions by two indices into leaves that gather.

    The results of the phases **add up**, on an output that begins as zeros. Those of scatters
    write disjoint elements, as different ``r`` meet different residues of ``y``; some point
    reaches each of them, and elements that no point reaches are in no phase.

    Solved for is the index that leaves less work, of equals the longer one, if an operand has it
    on an axis of its own: reads outside that axis are then the values outside its extent. The same
    points lie inside, whichever it is: what differs is how many parts they are in, and whether the
    operand that is copied with room for what is outside is a large one. It gives
    its name to ``q``, and the other one, which is summed, to ``k'``; an index of which one value is
    left is gone. Several axes have the product of their phases. Phases have more points than the
    scatter where a dilation is not far below the extent, as most of what a window reads is then
    outside.

    Args:
        problem: a sum or a mean (of which the phases are the sums, not yet divided).

    Returns:
        Problems over the same arrays, each of which is one leaf; the problem itself if it
        scatters nothing; ``None`` if an axis cannot be rewritten: with more than two indices, with
        a division in the output, with indices that stand on other axes of the output too or on
        no axis of their own, or for other reductions and beyond 1024 phases.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("i c, k c -> (2*i+k)"), [(4, 8), (3, 8)])
        >>> for phase in by_phases(problem):
        ...     print(phase, phase.extents)
        (i-k) c, (2*k) c -> (2*i) {'i': 5, 'c': 8, 'k': 2}
        i c, (1) c -> (2*i+1) {'i': 4, 'c': 8}
    """
    if not REDUCTIONS[problem.reduce].linear:
        return None
    if trimmed(problem) is None:
        return ()
    if not tap_indices(problem):
        return (problem,)
    pending, phases = [problem], list[Problem]()
    while pending:
        part = pending.pop()
        if not tied_indices(part):
            if tap_indices(trimmed(part) or part):
                return None
            phases += leaves(part)
            continue
        parts = _without_one_tie(part)
        if parts is None or len(pending) + len(parts) + len(phases) > _MOST_PHASES:
            return None
        pending += reversed(parts)
    return tuple(phases)


def _without_one_tie(problem: Problem) -> list[Problem] | None:
    """Split a problem such that one axis ties two indices no more."""
    for place, access in _places(problem):
        if access.divisor != 1 and len(access.terms) == 2:
            names = access.names
            solved = max(names, key=lambda name: (name in problem.kept, problem.extents[name]))
            return _by_residues(problem, place, solved)
    for axis, access in enumerate(problem.output):
        if len(access.terms) > 1:
            return _gathered(problem, axis)
    return None


def _gathered(problem: Problem, axis: int) -> list[Problem] | None:
    """Solve one axis of the output for one of its indices, and split by residues."""
    access = problem.output[axis]
    others = labels_of([(*problem.output[:axis], *problem.output[axis + 1 :])])
    alone = access.divisor == 1 and set(others).isdisjoint(access.names)
    guards = _guards(problem, access)
    if not guards or not alone or len(access.terms) > 2:
        return None
    steps = dict(access.terms)
    extents = problem.extents

    points = {name: _points_each(access, name, extents) for name in guards}
    most = _MOST_PADDED * min(points.values())
    large = _MANY_TIMES * prod(problem.result_shape)

    def cost(name: str) -> tuple[bool, bool, int, float, int, int]:
        copied, parts = problem.operands[guards[name][0]], _parts_each(access, name, extents)
        return (
            points[name] > most, prod(shape_of(copied)) > large, parts,
            points[name], -extents[name], -abs(steps[name]),
        )  # fmt: skip

    solved = min(guards, key=cost)
    return _by_residues(_solved(problem, axis, solved), guards[solved], solved)


def _points_each(access: Access, solved: str, extents: Mapping[str, int]) -> float:
    """How many points there are for an element of an axis that is solved for an index."""
    steps = dict(access.terms)
    (other,) = (name for name in access.names if name != solved)
    if abs(steps[other]) > extents[solved]:  # nothing is summed
        return 1.0
    return max(1.0, extents[other] / abs(steps[solved]))


def _parts_each(access: Access, solved: str, extents: Mapping[str, int]) -> int:
    """How many parts the axis is cut into that are solved for an index and meet no padding."""
    steps = dict(access.terms)
    (other,) = (name for name in access.names if name != solved)
    if abs(steps[other]) > extents[solved]:  # nothing is summed
        return extents[other]
    phases = min(abs(steps[solved]) // gcd(*steps.values()), extents[other])
    # A part begins where a value of the other index begins to be inside, or ceases to be: in each
    # phase at both ends of each of its values, of which the first part has one.
    return 2 * extents[other] - phases


def _guards(problem: Problem, access: Access) -> dict[str, Place]:
    """Where an index stands alone on an axis that ends no later than the index.

    Reading that axis anywhere else yields zero, so the index may be given any value.
    """
    return {
        name: place
        for name in access.names
        for place, other in _places(problem)
        if other.plain == name and other.size <= problem.extents[name]
    }


def _solved(problem: Problem, axis: int, name: str) -> Problem:
    """Let ``name`` count the elements of an axis of the output, on which it was one of two."""
    access = problem.output[axis]
    along = Access.along(name, access.size)
    operands = tuple(
        tuple(_substituted(other, access, name) for other in term) for term in problem.operands
    )
    output = (*problem.output[:axis], along, *problem.output[axis + 1 :])
    sizes = [(n, access.size if n == name else size) for n, size in problem.sizes]
    # What else stood on the axis is in the output no more: it comes after what is.
    sizes.sort(key=lambda pair: pair[0] in access.names and pair[0] != name)
    return replace(problem, operands=operands, output=output, sizes=tuple(sizes))


def _substituted(access: Access, written: Access, name: str) -> Access:
    """Put ``(name - the rest of written)/(its step)`` in the place of an index."""
    steps, terms = dict(written.terms), dict(access.terms)
    factor = terms.pop(name, 0) * (1 if steps[name] > 0 else -1)
    if not factor:
        return access
    scale = abs(steps.pop(name))
    total = {name: factor} | {n: scale * step for n, step in terms.items()}
    for other, step in steps.items():
        total[other] = total.get(other, 0) - factor * step
    offset = scale * access.offset - factor * written.offset
    kept = [(n, step) for n, step in total.items() if step]
    return Access.of(kept, offset, scale * access.divisor, access.size)


def _by_residues(problem: Problem, place: Place, solved: str) -> list[Problem] | None:
    """Split a problem such that the division on one axis, over two indices, comes out."""
    access = _at(problem, place)
    ((tap, step),) = [term for term in access.terms if term[0] != solved]
    common = gcd(step, access.divisor)
    modulus = access.divisor // common
    if abs(step) // common > access.size and problem.extents[tap] > modulus:
        # From one tap to the next the axis is jumped over: there is nothing to sum.
        shorter = min(tap, solved, key=lambda name: problem.extents[name])
        if problem.extents[shorter] > _MOST_PHASES:
            return None
        return [problem.fixed({shorter: n}) for n in range(problem.extents[shorter])]
    if min(modulus, problem.extents[tap]) > _MOST_PHASES:
        return None
    parts = []
    for part in _residues(problem, tap, modulus):
        start, count, every = _met(_at(part, place), solved, part.extents)
        if count:
            parts.append(part.restricted(solved, start, count, every))
    return [part.fixed({tap: 0}) if part.extents[tap] == 1 else part for part in parts]


def _met(access: Access, name: str, extents: Mapping[str, int]) -> tuple[int, int, int]:
    """The values of ``name`` for which another index can place the access inside its axis."""
    # All values of the other index are alike modulo the divisor: they widen the axis.
    low, high = access.reach({**extents, name: 1})
    step, size = dict(access.terms)[name], access.size + (high - low) // access.divisor
    return progression(Access(((name, step),), high, access.divisor, size), extents[name])


def _residues(problem: Problem, name: str, modulus: int) -> Iterator[Problem]:
    """The parts of a problem in which ``name`` has one residue each."""
    extent = problem.extents[name]
    for start in range(min(modulus, extent)):
        yield problem.restricted(name, start, -(-(extent - start) // modulus), modulus)


def _places(problem: Problem) -> Iterator[tuple[Place, Access]]:
    for number, accesses in enumerate(problem.operands):
        for axis, access in enumerate(accesses):
            yield (number, axis), access


def _at(problem: Problem, place: Place) -> Access:
    number, axis = place
    return problem.operands[number][axis]


# --- windows -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Window:
    """One axis of a leaf that two indices read together: a convolution along this axis.

    Attributes:
        operand: which of the two operands has the axis.
        axis: which of its axes it is.
        result: the index along which the window moves.
        tap: the index inside the window.
        role: ``"forward"`` if the taps are summed, so that the other operand is a kernel;
            ``"kernel"`` if they are kept, so that the result is the gradient of one.
    """

    operand: int
    axis: int
    result: str
    tap: str
    role: str


def windows(problem: Problem) -> tuple[Window, ...]:
    """Find the axes along which a leaf convolves or correlates its two operands.

    Of the two indices of such an axis one is kept, and stands in no other operand; the other is
    summed, and stands in the other operand. If the summed ones span more points than the kept
    ones, the contraction is the gradient of a kernel; the summed ones must then stand alone.

    Args:
        problem: a leaf; without two operands it has no windows.

    Returns:
        The windows of one operand, the larger if both have some, in the order of its axes.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("b (2*i+k) c, k c o -> b i o"), [(1, 9, 4), (3, 4, 8)])
        >>> windows(problem)
        (Window(operand=0, axis=1, result='i', tap='k', role='forward'),)
    """
    if len(problem.operands) != 2:
        return ()
    by_size = sorted((0, 1), key=lambda n: -prod(shape_of(problem.operands[n])))
    found = (_windows_of(problem, number) for number in by_size)
    return next(filter(None, found), ())


def pads_beside(problem: Problem, windows: Iterable[Window]) -> bool:
    """Whether an operand is read outside of itself along an axis of none of some windows."""
    opened = {(w.operand, w.axis) for w in windows}
    return any(
        place not in opened and reaches_outside(access, problem.extents)
        for place, access in _places(problem)
    )


def _windows_of(problem: Problem, number: int) -> tuple[Window, ...]:
    other = problem.operands[1 - number]
    pairs = dict(_kept_and_summed(problem, number))
    kept, summed = ({pair[n] for pair in pairs.values()} for n in (0, 1))
    if volume(summed, problem.extents) <= volume(kept, problem.extents):
        return tuple(Window(number, axis, i, k, "forward") for axis, (i, k) in pairs.items())
    alone = {access.names[0] for access in other if len(access.terms) == 1}
    return tuple(
        Window(number, axis, i, k, "kernel") for axis, (k, i) in pairs.items() if i in alone
    )


def _kept_and_summed(problem: Problem, number: int) -> Iterator[tuple[int, tuple[str, str]]]:
    """The axes of an operand that two indices read: one that is kept, one that is summed."""
    own, other = problem.operands[number], labels_of([problem.operands[1 - number]])
    uses = Counter(name for access in own for name in access.names)
    for axis, access in enumerate(own):
        names = sorted(access.names, key=lambda name: name in other)
        roles = [(name in problem.kept, name in other, uses[name]) for name in names]
        if roles == [(True, False, 1), (False, True, 1)]:
            yield axis, (names[0], names[1])


def unit_windows(problem: Problem, windows: Iterable[Window]) -> tuple[Problem, ...]:
    """Split a leaf such that both indices of a window step by the same number of elements.

    A window ``s*i + d*k + o`` is split by the residues of ``k`` modulo ``s/g`` and of ``i``
    modulo ``d/g``, where ``g = gcd(s, d)``: then both step by ``s*d/g`` elements, so that a view
    with this step has a unit window. The results **add up**: residues of an index of the output
    fill disjoint parts of it, residues of a summed one have sums of their own.

    Args:
        problem: a leaf.
        windows: the windows to split.

    Returns:
        Leaves over the same arrays, indices under their old names; the problem itself if its
        windows step equally already.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("(2*i+k), k -> i"), [(9,), (3,)])
        >>> for part in unit_windows(problem, windows(problem)):
        ...     print(part, part.extents)
        (2*i+2*k), (2*k) -> i {'i': 4, 'k': 2}
        (2*i+2*k+1), (2*k+1) -> i {'i': 4, 'k': 1}
    """
    parts = [problem]
    for name, modulus in _moduli(problem, windows):
        parts = [one for part in parts for one in _residues(part, name, modulus)]
    return tuple(parts)


def unit_count(problem: Problem, windows: Iterable[Window]) -> int:
    """How many leaves :func:`unit_windows` makes, at most.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("(2*i+k), k -> i"), [(9,), (3,)], {})
        >>> unit_count(problem, windows(problem))
        2
    """
    return prod(min(many, problem.extents[name]) for name, many in _moduli(problem, windows))


def _moduli(problem: Problem, windows: Iterable[Window]) -> Iterator[tuple[str, int]]:
    """Modulo what the indices of some windows are split."""
    for window in windows:
        steps = _at(problem, (window.operand, window.axis)).terms
        least = lcm(*(step for _, step in steps))
        for name, step in steps:
            yield name, least // abs(step)
