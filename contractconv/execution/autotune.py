"""Choosing an algorithm by trying: each candidate is timed on the very operands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from contractconv.errors import AlgorithmError
from contractconv.execution.calibration import least, machine, setting
from contractconv.execution.run import run
from contractconv.machine.threads import get_num_threads
from contractconv.notation.problem import Problem, shape_of
from contractconv.planning.plan import plan
from contractconv.planning.setting import Setting

_ROUNDS = 3
_found: dict[Any, Setting] = {}


def measured(problem: Problem, operands: Sequence[Any] | None, dtype: str) -> Setting:
    """The setting whose plan took the least time on these operands.

    What was found is remembered, for the same contraction in the same process.

    Args:
        problem: the contraction.
        operands: its operands; random numbers if there are none.
        dtype: in what they meet.
    """
    key = (problem, dtype, get_num_threads())
    if key not in _found:
        tried = _settings(problem, dtype)
        if operands is None:
            draw = np.random.default_rng(0).standard_normal
            operands = [draw(shape_of(term)).astype(dtype) for term in problem.operands]
        times = [_seconds(problem, operands, candidate) for candidate in tried]
        _found[key] = tried[times.index(min(times))]
    return _found[key]


def _seconds(problem: Problem, operands: Sequence[Any], candidate: Setting) -> float:
    """How long a contraction takes at least, its plan included."""
    return least(lambda: run(plan(problem, candidate), operands), _ROUNDS)


def _settings(problem: Problem, dtype: str) -> list[Setting]:
    """One setting for each algorithm that a step of the contraction can be carried out by."""
    plain = setting(problem.points, dtype, "direct")
    if not plain.rounds:
        return [plain]
    figures = machine(plain.machine.compiled)
    found = [replace(plain, measured=True, machine=figures)]
    for algorithm in ("toom-cook", "fft"):
        other = Setting(dtype, algorithm, figures, measured=True)
        try:
            steps = plan(problem, other).steps
        except AlgorithmError:
            continue
        if any(step.choice.chosen.algorithm == algorithm for step in steps):
            found.append(other)
    return found
