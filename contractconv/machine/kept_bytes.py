"""How many bytes is kept with a program."""

from __future__ import annotations

from typing import Any

# What a call takes, with a dictionary of its arguments; and a row of it in the tables.
_CALL, _ROW = 1536, 512


def weight(kept: Any) -> int:
    """The bytes of a program's tables and calls, or of what has one; nothing if there is none.

    Example:
        >>> import numpy as np
        >>> from contractconv.engines.llvm.program import Calls, Program
        >>> calls = Calls()
        >>> calls.call(None, {0: np.zeros(1000)})
        >>> weight(Program([[calls]])) // 1000, weight(None)
        (10, 0)
    """
    while hasattr(kept, "program"):
        kept = kept.program
    stages = getattr(kept, "stages", ())
    calls = [call for stage in stages for piece in stage for call in piece.listed]
    tables = {
        id(value): int(value.nbytes)
        for call in calls
        for value in call.arguments.values()
        if hasattr(value, "nbytes")
    }
    rows = sum(int(call.times) for call in calls)
    return _CALL * len(calls) + _ROW * rows + sum(tables.values())
