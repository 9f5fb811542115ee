"""The portable engine by itself, on the arrays of any library: no plan, no kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contractconv.engines.portable.interpreter import run
from contractconv.engines.portable.translation import lowered
from contractconv.notation.problem import Problem


def reference(problem: Problem, arrays: Sequence[Any]) -> Any:
    """Carry out a contraction of operands whose compositions are not split.

    What the library can differentiate, trace or run on a device, it can here.
    """
    return run(lowered(problem), problem, arrays)
