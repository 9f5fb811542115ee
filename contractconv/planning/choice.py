"""Which algorithm carries out a step, what else was considered, and why not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from contractconv.cache_register import kept
from contractconv.errors import AlgorithmError
from contractconv.notation.problem import Problem
from contractconv.planning.cost import volume
from contractconv.planning.lowerings import error_of, seconds_of
from contractconv.planning.piece import Piece
from contractconv.planning.scatter_phases import by_phases
from contractconv.planning.setting import FAST, FEW, Setting
from contractconv.planning.strided_leaves import is_tight, leaves, tap_indices, tied_indices
from contractconv.planning.tilings import decomposed
from contractconv.planning.trimming import trimmed
from contractconv.reductions.table import REDUCTIONS
from contractconv.tiles.rounding import EPSILON

# More pieces than this are made anew in every run, one at a time.
_MOST_PIECES = 1024
# Phases may read more padding than there are points; beyond this, taps one by one are better.
_MOST_PADDING = 4.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to carry out a step.

    Attributes:
        algorithm: ``"direct"``, ``"toom-cook"`` or ``"fft"``.
        pieces: what it consists of; none if there are too many to list.
        seconds: the time that is predicted.
        error: the typical error, by the greatest numbers in both operands and the points summed.
        bound: what the error never exceeds, in the same unit.
    """

    algorithm: str
    pieces: tuple[Piece, ...]
    seconds: float
    error: float
    bound: float

    @property
    def name(self) -> str:
        """The algorithm with the sizes of its tiles; pieces without tiles come last."""
        names = sorted(dict.fromkeys(piece.name for piece in self.pieces), key="direct".__eq__)
        first, *others = names or ["direct"]
        return " and ".join([first, *(name.removeprefix("Toom-Cook ") for name in others)])


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidates for a step, the chosen one first.

    Attributes:
        candidates: the chosen one, then the others, the fastest first.
        phases: the gathers that a scatter is split into; none if taps are held one by one.
    """

    candidates: tuple[Candidate, ...]
    phases: tuple[Problem, ...]

    @property
    def chosen(self) -> Candidate:
        """What will be done."""
        return self.candidates[0]

    @property
    def rejected(self) -> tuple[Candidate, ...]:
        """What will not be done, the fastest first."""
        return self.candidates[1:]


@kept(most=2048)
def choose(step: Problem, setting: Setting) -> Choice:
    """Choose how to carry out one step of a plan.

    Args:
        step: the step.
        setting: what the caller asked for, the numbers and the machine.

    Raises:
        AlgorithmError: the caller asked for an algorithm that would round integers.
    """
    if setting.algorithm in FAST and not setting.rounds and not setting.lenient:
        exact = any(setting.dtype.startswith(kind) for kind in ("int", "uint", "bool"))
        reason = (
            f"rounds, and {setting.dtype} is exact" if exact
            else f"is carried out in single or double precision, not in {setting.dtype}"
        )  # fmt: skip
        raise AlgorithmError(
            f"algorithm {setting.algorithm!r} {reason}: choose 'direct', or convert the operands"
        )
    if trimmed(step) is None:
        return Choice((Candidate("direct", (), 0.0, 0.0, 0.0),), ())
    parts, phases = _parts(step)
    wanted = setting.algorithm if setting.algorithm in FAST else None
    found = sorted(
        _candidates(step, parts, setting),
        key=lambda c: (wanted is not None and c.algorithm != wanted, c.seconds),
    )
    return Choice(tuple(found), phases)


def _parts(step: Problem) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """The leaves of a step, and its phases if they are such; none if there are too many."""
    if is_tight(step):
        return (step,), ()
    whole = trimmed(step)
    assert whole is not None, "of nothing there is nothing to choose"
    if tied_indices(step) and REDUCTIONS[step.reduce].linear and len(step.operands) == 2:
        phases = by_phases(step)
        if phases and sum(part.points for part in phases) <= _MOST_PADDING * whole.points:
            return phases, phases
    if volume(tap_indices(whole), whole.extents) > _MOST_PIECES:
        return (), ()
    return tuple(leaves(step)), ()


@kept(most=256)
def too_inexact(step: Problem, setting: Setting) -> Candidate | None:
    """What would be chosen for a step if digits did not count; ``None`` if they made no choice."""
    if setting.asked or not _is_open(step, setting) or trimmed(step) is None:
        return None
    parts, _ = _parts(step)
    found = _fast(step, "toom-cook", parts, setting, careful=False)
    sooner = found is not None and found.seconds < choose(step, setting).chosen.seconds
    return found if sooner else None


def _candidates(step: Problem, parts: tuple[Problem, ...], setting: Setting) -> Iterator[Candidate]:
    yield _candidate(step, "direct", tuple(map(Piece, parts)), setting)
    if _is_open(step, setting):
        made = (_fast(step, name, parts, setting, not setting.asked) for name in FAST)
        yield from (candidate for candidate in made if candidate is not None)


def _is_open(step: Problem, setting: Setting) -> bool:
    """Whether anything but the definition comes into question."""
    products = REDUCTIONS[step.reduce].linear and len(step.operands) == 2
    if setting.algorithm == "direct" or not products or not setting.rounds:
        return False
    return setting.algorithm != "auto" or step.points >= FEW


def _fast(
    step: Problem, algorithm: str, parts: tuple[Problem, ...], setting: Setting, careful: bool
) -> Candidate | None:
    """What becomes of the leaves of a step by an algorithm; ``None`` if it has no windows there."""
    pieces: list[Piece] = []
    for part in parts:
        pieces += _cheaper(Piece(part), decomposed(part, algorithm, setting, careful), setting)
    worked_on = any(piece.algorithm == algorithm for piece in pieces)
    return _candidate(step, algorithm, tuple(pieces), setting) if worked_on else None


def _cheaper(plain: Piece, made: list[Piece], setting: Setting) -> list[Piece]:
    """Of one leaf: what was made of it, unless that is slower and nobody asked for it."""
    may_be_slower = len(made) > 1 and not setting.asked
    if may_be_slower and _seconds(made, setting) > seconds_of(plain, setting):
        return [plain]
    return made or [plain]


def _seconds(pieces: Sequence[Piece], setting: Setting) -> float:
    """What pieces take: those of one algorithm go together, and only the first takes a call."""
    seconds, begun = 0.0, set[str]()
    for piece in pieces:
        seconds += seconds_of(piece, setting.together if piece.algorithm in begun else setting)
        begun.add(piece.algorithm)
    return seconds


def _candidate(
    step: Problem, algorithm: str, pieces: tuple[Piece, ...], setting: Setting
) -> Candidate:
    seconds = _seconds(pieces, setting)
    if not setting.rounds:
        return Candidate(algorithm, pieces, seconds, 0.0, 0.0)
    errors, bounds = (
        max((error_of(piece, setting, bound) for piece in pieces), default=None)
        for bound in (False, True)
    )
    # Pieces that add up round once more each; of pieces that are not listed all that is known is
    # how many products there are.
    roundings = EPSILON[setting.real] * (len(pieces) - 1 if pieces else step.points)
    added = roundings / max(1 - roundings, EPSILON[setting.real])
    return Candidate(
        algorithm, pieces, seconds, added if errors is None else errors, (bounds or 0.0) + added
    )
