"""The ways in which pieces are carried out: entries in one table, the most special ones first.

Engines fill the table. Whoever chooses asks it what a piece will take and how exact it will be, a
plan what it prints, and execution what it runs; :mod:`contractconv.arrays.run_trace` tells what
ran, so that a test can compare them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from contractconv.cache_register import clear_caches, kept
from contractconv.notation.problem import Problem
from contractconv.planning.cost import is_direct, overlaps, volume
from contractconv.planning.piece import Piece
from contractconv.planning.predictions import error_of_sums, seconds_of_sums
from contractconv.planning.setting import Setting
from contractconv.planning.strided_leaves import by_taps, tap_indices
from contractconv.planning.trimming import trimmed
from contractconv.reductions.table import REDUCTIONS


@dataclass(frozen=True)
class Lowering:
    """One way to carry out a piece.

    Attributes:
        name: what does it, in the field's words: ``"compiled kernel"``.
        applies: whether it carries out a piece of some kind of numbers on some machine, where
            arrays lie in memory without gaps.
        prepare: from a piece and the arrays that it works on to what carries it out, a
            :class:`contractconv.arrays.workspace.Ready`; ``None`` if it cannot on these arrays.
        describe: what happens to the piece, in a few words.
        seconds: the time that it is predicted to take for a piece.
        error: how far the result may typically be off, or at most, by the unit of
            :func:`contractconv.tiles.rounding.typical_error`; for a kind of real numbers.
        takes: the algorithm of the pieces that it carries out; it is asked about no others.
        ends: whether what it prepares does to the result what is to be done at its end.
        makes: from a step and arrays that lie in memory in some way to what makes the result of
            such arrays, a :class:`contractconv.arrays.workspace.Making`; then nothing needs to be
            prepared. The arrays of a gradient are the operand and the cotangent, of which ``None``
            may be made.
    """

    name: str
    applies: Callable[[Piece, Setting], bool]
    prepare: Callable[[Piece, Any], Any]
    describe: Callable[[Piece], str]
    seconds: Callable[[Piece, Setting], float] = seconds_of_sums
    error: Callable[[Piece, str, bool], float] = error_of_sums
    takes: str = "direct"
    ends: bool = False
    makes: Callable[[Problem, Any], Any] | None = None


# The algorithm of a piece that stands for the gradient of its contraction, its local derivative
# included.
GRADIENT = "gradient"

table: list[Lowering] = []


def register(entries: Sequence[Lowering]) -> None:
    """Put ways into the table, in front of those that are there."""
    if table:
        clear_caches()  # what is planned may go another way now
    table[:0] = entries


def withdraw(entries: Iterable[Lowering]) -> None:
    """Take ways out of the table."""
    for entry in entries:
        table.remove(entry)
    clear_caches()


@kept(most=4096)
def _ways(piece: Piece, setting: Setting) -> list[Lowering]:
    """The ways that take such pieces, the fastest first; of equals the first in the table."""
    ways = [entry for entry in table if entry.takes == piece.algorithm]
    if len({entry.seconds for entry in ways}) > 1:
        ways.sort(key=lambda entry: entry.seconds(piece, setting))
    return ways


def _applying(piece: Piece, setting: Setting) -> Lowering | None:
    return next((entry for entry in _ways(piece, setting) if entry.applies(piece, setting)), None)


def lowering_of(piece: Piece, setting: Setting) -> Lowering:
    """The way in which a piece is carried out: the fastest that applies."""
    found = _applying(piece, setting)
    assert found is not None, "numpy can carry out any piece"
    return found


@kept(most=1024)
def gradient_lowering(forward: Problem, setting: Setting) -> Lowering | None:
    """The way in which a gradient is carried out at once, without a backward contraction."""
    return _applying(Piece(forward, GRADIENT), setting)


def prepared(piece: Piece, work: Any, ends: bool = False) -> Any:
    """Make a piece ready in the fastest way that can; in one that ends the result, if it has to."""
    ways = (way for way in _ways(piece, work.setting) if way.ends or not ends)
    made = (way.prepare(piece, work) for way in ways)
    return next((ready for ready in made if ready is not None), None)


def seconds_of(piece: Piece, setting: Setting) -> float:
    """The time that a piece is predicted to take."""
    return _told_by(piece, setting).seconds(piece, setting)


def error_of(piece: Piece, setting: Setting, bound: bool = False) -> float:
    """The typical error of a piece, or its bound."""
    return _told_by(piece, setting).error(piece, setting.real, bound)


def _told_by(piece: Piece, setting: Setting) -> Lowering:
    """A way that says of a piece what the one says that carries it out."""
    first, *others = _ways(piece, setting)
    # It takes long to find out which applies, where all say the same.
    alike = all((o.seconds, o.error) == (first.seconds, first.error) for o in others)
    return first if alike else lowering_of(piece, setting)


def described(
    problem: Problem, phases: Sequence[Problem], pieces: Sequence[Piece], setting: Setting
) -> str:
    """Say how a step is carried out.

    Args:
        problem: the step.
        phases: the gathers that a scatter is split into; none if taps are held one by one.
        pieces: what it consists of, or the first of them where there are too many to list.
        setting: the numbers and the machine.
    """
    whole = trimmed(problem)
    if whole is None:
        return "nothing: no point contributes"
    how = _told(pieces, setting)
    if phases:
        return f"{how}, in {len(phases)} phases" if len(phases) > 1 else f"{how}, as a gather"
    taps = tap_indices(whole)
    if not taps:
        return how
    scattered = any(a.plain is None for a in problem.output)
    count = volume(taps, whole.extents)
    return f"{how}, {'slice-add' if scattered else 'summed'} over {count} taps {' '.join(taps)}"


def _told(pieces: Sequence[Piece], setting: Setting) -> str:
    """What happens to some pieces, and by what; what happens to several is said once."""
    found: dict[str, dict[str, None]] = {}
    for piece in pieces:
        entry = lowering_of(piece, setting)
        found.setdefault(entry.name, {})[entry.describe(piece)] = None
    return " and ".join(f"{_joined(list(said))} ({name})" for name, said in found.items())


def _joined(said: Sequence[str]) -> str:
    """Descriptions, the word that all begin with only once."""
    word = said[0].split(" ")[0] + " "
    return " and ".join([said[0], *(text.removeprefix(word) for text in said[1:])])


def products_of(piece: Piece) -> str:
    """What a sum of products of two operands is."""
    problem = piece.problem
    if not problem.reduced:
        return "multiply"
    windows = any(overlaps(a, problem.extents) for term in problem.operands for a in term)
    return "matmul on windows" if windows else "matmul"


def reduction_of(piece: Piece) -> str:
    """What a reduction of one operand is, or of the product of several."""
    problem = piece.problem
    if not REDUCTIONS[problem.reduce].linear:
        return f"{problem.reduce} over {' '.join(problem.reduced) or 'nothing'}"
    if not problem.reduced:
        return "copy" if is_direct(problem) else "scatter"
    return "sum of slices" if by_taps(problem) else "sum"
