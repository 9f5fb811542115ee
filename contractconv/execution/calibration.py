"""How fast this machine is, and how fast algorithms are on the very operands.

For the machine two contractions are timed once, and kept for the next process: a matrix product
and a small convolution by tiles. What they take, by the same formulas that predict times later,
gives the figures of :class:`Machine`.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, replace
from functools import cache
from statistics import median
from types import MappingProxyType
from typing import Any

import numpy as np

from contractconv import disk_cache as disk
from contractconv.arrays.precision import ACCUMULATORS
from contractconv.arrays.workspace import Work
from contractconv.cache_register import Shelf
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.kernels.number_kinds import DTYPES
from contractconv.errors import AlgorithmError
from contractconv.execution.pieces import run_pieces
from contractconv.execution.run import run
from contractconv.machine import blas
from contractconv.machine.processor import kinds
from contractconv.machine.threads import get_num_threads, processors
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.notation.problem import Problem, shape_of
from contractconv.planning import predictions
from contractconv.planning.piece import Piece
from contractconv.planning.plan import plan
from contractconv.planning.scatter_phases import windows
from contractconv.planning.setting import COMMON, FAST, FEW, Machine, Setting
from contractconv.uninterrupted import undisturbed
from contractconv.version import VERSION

# A contraction, the dtype in which its operands meet, and the number of threads.
_Key = tuple[Problem, str, int]
_ROUNDS, _FEW_ROUNDS, _PAIRS = 30, 3, 10
# Figures beyond these are of a machine that was busy with something else, and are not kept.
_SLOWEST, _FASTEST = {"multiply": 4e9, "move": 2e8}, 1e13
# Before a step gets going other threads have to, and its tables come into cache: so many times as
# long as it takes alone, again and again.
_OF_A_RUN = 4
# So many times faster than its figures say a machine is not by chance.
_CLEARLY = 1.3
# The settings that took the least time.
_found = Shelf()
# Of the machine with kernels, and without: what was asked for here, and what was said instead.
_asked: dict[bool, Machine] = {}
_told: ContextVar[Mapping[bool, Machine]] = ContextVar("figures", default=MappingProxyType({}))


def setting(points: int, dtype: str, algorithm: str) -> Setting:
    """What algorithms are chosen by, for a contraction of so many points."""
    compiled = ACCUMULATORS.get(dtype, dtype) in DTYPES and native.available()
    common = _common(dtype, algorithm, processors(), compiled)
    # What is small, exact or settled already needs no figures.
    if algorithm == "direct" or points < FEW or not common.rounds:
        return common
    return Setting(dtype, algorithm, machine(compiled))


@cache
def _common(dtype: str, algorithm: str, threads: int, compiled: bool) -> Setting:
    machine = replace(COMMON, threads=threads, compiled=compiled, wide=_are_wide(compiled))
    return Setting(dtype, algorithm, replace(machine, vector=_vector(compiled)))


def machine(compiled: bool) -> Machine:
    """The figures of this machine, with compiled kernels or without.

    They are those of all its processors, however many threads there shall be: what is chosen, and
    rounded, is the same then.
    """
    told = _told.get().get(compiled)
    if told is not None:
        return told
    try:
        found = _machine(compiled)
    except native.UnfitError:
        found = _machine(False)
    asked = replace(found, threads=processors(), wide=_are_wide(found.compiled))
    _asked[compiled] = asked
    return asked


@cache
def _are_wide(compiled: bool) -> bool:
    """Whether kernels have wider vectors than the library that multiplies for numpy."""
    known = blas.vector_bytes()
    return compiled and known is not None and known < native.registers()[1]


def _vector(compiled: bool) -> int:
    """How many numbers vectors of kernels have, if there are any."""
    return native.number("float32").lanes if compiled else COMMON.vector


Figures = list[dict[str, Any]]
"""What there is to know of machines, in JSON."""


def figures() -> Figures:
    """By what algorithms were chosen here so far.

    Measured again, on the same machine, figures may come out otherwise, and so may a choice between
    algorithms that are about as fast, and round differently.
    """
    return [asdict(found) for found in {**_asked, **_told.get()}.values()]


@contextmanager
def chosen_by(told: Figures) -> Iterator[None]:
    """Choose algorithms as they were chosen elsewhere, as long as it lasts.

    Args:
        told: what :func:`figures` said there.
    """
    found = {machine.compiled: machine for machine in (Machine(**figures) for figures in told)}
    token = _told.set(found)
    try:
        yield
    finally:
        _told.reset(token)


def measured(problem: Problem, operands: Sequence[Any] | None, dtype: str) -> Setting:
    """The setting whose plan took the least time on some operands.

    What was found is kept, for the same contraction in this process and in the next ones on this
    machine.

    Args:
        problem: the contraction.
        operands: its operands; random numbers if there are none.
        dtype: in what they meet.
    """
    key = (problem, dtype, get_num_threads())
    found: Setting | None = _found.get(key)
    if found is None:
        tried = _settings(problem, dtype)
        found = _known(key, tried) or _fastest(key, tried, operands)
        _found.put(key, found, 0)
    return found


def _known(key: _Key, tried: Sequence[Setting]) -> Setting | None:
    """The one of some settings that was found to be the fastest before."""
    if len(tried) == 1:
        return tried[0]
    name = disk.kept(_name_of(key, tried))
    return next((one for one in tried if name == one.algorithm.encode()), None)


def _fastest(key: _Key, tried: Sequence[Setting], operands: Sequence[Any] | None) -> Setting:
    """The one of some settings that is the fastest now."""
    problem, dtype, _ = key
    if operands is None:
        draw = np.random.default_rng(0).standard_normal
        operands = [draw(shape_of(term)).astype(dtype) for term in problem.operands]
    given = operands
    found = min(tried, key=lambda one: least(lambda: run(plan(problem, one), given), _FEW_ROUNDS))
    disk.keep(_name_of(key, tried), found.algorithm.encode())
    return found


def _name_of(key: _Key, tried: Sequence[Setting]) -> str:
    """Under which name the fastest of some settings is kept."""
    machine = _fingerprint(tried[0].machine.compiled)
    return f"fastest-{machine}-{_digits(key, [s.algorithm for s in tried], VERSION)}.txt"


def _settings(problem: Problem, dtype: str) -> list[Setting]:
    """One setting for each algorithm that a step of the contraction can be carried out by."""
    plain = setting(problem.points, dtype, "direct")
    if not plain.rounds:
        return [plain]
    figures = machine(plain.machine.compiled)
    found = [replace(plain, measured=True, machine=figures)]
    for algorithm in FAST:
        other = Setting(dtype, algorithm, figures, measured=True)
        with suppress(AlgorithmError):
            steps = plan(problem, other).steps
            if any(step.choice.chosen.algorithm == algorithm for step in steps):
                found.append(other)
    return found


@cache
def _machine(compiled: bool) -> Machine:
    name = f"machine-{_fingerprint(compiled)}.json"
    known = _read(disk.kept(name), compiled)
    if known is not None and not undisturbed(lambda: _is_outdone(known, compiled)):
        return known
    # A thread of our own has no helpers, and is not interrupted.
    found = undisturbed(lambda: _measured(compiled))
    if not _plausible(found):
        return replace(COMMON, compiled=compiled, threads=1)
    disk.keep(name, json.dumps([found.multiply, found.move, found.call]).encode())
    return found


def _is_outdone(known: Machine, compiled: bool) -> bool:
    """Whether the machine is clearly faster than it was when its figures were measured.

    Then it was busy with something else; that it is slower now may be because it is busy now.
    """
    multiply, call = _speed(compiled, _FEW_ROUNDS)
    return multiply > _CLEARLY * known.multiply or call * _CLEARLY < known.call


def _plausible(found: Machine) -> bool:
    figures = {"multiply": found.multiply, "move": found.move}
    inside = all(_SLOWEST[name] <= figure <= _FASTEST for name, figure in figures.items())
    return inside and 0 < found.call < 0.01


def _fingerprint(compiled: bool) -> str:
    """What is another one as soon as figures do not hold any more."""
    # They mean something to these formulas alone. Kernels are measured in one thread, and so is
    # numpy if it can be told.
    way = native.registers() if compiled else (blas.core(), processors())
    formulas = disk.code_of([predictions.__name__, __name__])
    return _digits(platform.node(), kinds(), np.__version__, VERSION, compiled, way, formulas)


def _digits(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _read(content: bytes | None, compiled: bool) -> Machine | None:
    try:
        multiply, move, call = map(float, json.loads(content or b"[]"))
    except (ValueError, TypeError, OverflowError):
        return None
    known = Machine(1, compiled, multiply, move, call, vector=_vector(compiled))
    return known if _plausible(known) else None


def _measured(compiled: bool) -> Machine:
    multiply, call = _speed(compiled, _ROUNDS)
    guess = Machine(1, compiled, multiply, COMMON.move, call, vector=_vector(compiled))
    # What a layer takes beyond its multiplications goes into moving numbers.
    layer = _problem("b (i+k) (j+l) c, k l c o -> b i j o", (4, 58, 58, 64), (3, 3, 64, 64))
    tiles = Piece(layer, "toom-cook", windows(layer), (4, 4))
    took = _times_as_long(tiles, compiled) * _product().problem.points / multiply
    still = predictions.seconds_of_tiles(tiles, _of(replace(guess, move=1e30)))
    moving = predictions.seconds_of_tiles(tiles, _of(replace(guess, move=1.0))) - still
    return replace(guess, move=moving / max(took - still, took / 4))


def _times_as_long(tiles: Piece, compiled: bool) -> float:
    """How many times as long as a product some tiles take.

    Whoever shares the machine comes and goes: measured one after the other, the two would find
    different machines. Neighbours in time find the same one.
    """
    every = (
        [_seconds(p, compiled, _FEW_ROUNDS) for p in (tiles, _product())] for _ in range(_PAIRS)
    )
    return median(one / other for one, other in every)


def _speed(compiled: bool, rounds: int) -> tuple[float, float]:
    """Multiplications a second on one thread, and the seconds of a call."""
    small = Piece(_problem("i k, k j -> i j", (16, 16), (16, 16)))
    ready = _seconds(small, compiled, rounds)
    took = max(_seconds(_product(), compiled, rounds) - ready, 1e-9)
    call = _OF_A_RUN * _seconds_of_run(rounds) if compiled else ready
    # A library that nobody knows multiplies on all threads by itself.
    threads = 1 if compiled or blas.available() else processors()
    return _product().problem.points / took / threads, call


def _of(machine: Machine) -> Setting:
    return Setting("float32", "toom-cook", machine)


def _problem(spec: str, *shapes: tuple[int, ...]) -> Problem:
    return resolve(parse(spec), shapes, {})


@cache
def _product() -> Piece:
    """The matrix product that the machine is told by."""
    return Piece(_problem("i k, k j -> i j", (384, 512), (512, 384)))


def _seconds(piece: Piece, compiled: bool, rounds: int) -> float:
    """The least time that a piece takes, in one thread: what else runs disturbs it less."""
    asked = Setting("float32", piece.algorithm, replace(COMMON, compiled=compiled))
    shapes = [tuple(a.size for a in term) for term in piece.problem.operands]
    arrays = tuple(np.ones(shape, np.float32) for shape in shapes)
    out = np.empty(piece.problem.output_sizes, np.float32)
    with blas.single():
        return least(lambda: run_pieces([piece], Work(arrays, out, False, asked)), rounds)


def _seconds_of_run(rounds: int) -> float:
    """The least time that kernels take whose work is next to nothing, in one thread."""
    layer = _problem("b (i+k) c, k c o -> b i o", (1, 8, 16), (3, 16, 16))
    made = plan(layer, Setting("float32", "direct", replace(COMMON, compiled=True)))
    arrays = [np.ones(shape_of(term), np.float32) for term in layer.operands]
    return least(lambda: run(made, arrays), rounds)


def least(work: Callable[[], object], rounds: int) -> float:
    """The least time that some work takes, in seconds; once it is done for warming up."""
    work()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return max(min(times), 1e-9)
