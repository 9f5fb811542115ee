"""The engines that there are fill the table of ways, before something is planned."""

from __future__ import annotations

from importlib.util import find_spec

from contractconv.planning import lowerings
from contractconv.planning.unengined import UNENGINED
from contractconv.uninterrupted import enter


def enter_engines() -> None:
    """Enter the engines; without numpy there is none, and plans say what any of them would do."""
    if lowerings.table:
        return
    if find_spec("numpy") is None:
        lowerings.register(UNENGINED)
    else:
        enter("contractconv.execution.pieces")
