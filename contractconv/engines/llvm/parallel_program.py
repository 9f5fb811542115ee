"""Programs on all threads: helpers stay awake for a moment after their work, and then sleep.

Each helper looks, in machine code and without Python's lock, for programs in a row of a table;
after a while without any it sleeps, until it is woken.
"""

from __future__ import annotations

from functools import partial

from contractconv.engines.llvm.kernels import dispatch as kernel
from contractconv.engines.llvm.kernels import foreign_calls
from contractconv.engines.llvm.kernels.native import Native
from contractconv.machine import blas
from contractconv.machine.memory import Table, code_of
from contractconv.machine.threads import Helpers, team

# How often a helper looks before it sleeps: about a millisecond.
_PATIENCE = 20_000


def carry_out(heads: Table, alone: bool = False) -> None:
    """Carry out a program, in as many threads as it has heads if helpers are free.

    Args:
        heads: the program as each thread sees it, a row for each; see
            :mod:`contractconv.engines.llvm.kernels.dispatch`.
        alone: whether matrix products shall take one thread each meanwhile.
    """
    lenders = team()
    helpers = lenders.take() if len(heads.numbers) > 1 else None
    if helpers is None:
        _call(kernel.perform(), heads, alone)
        return
    try:
        if helpers.kept is None:
            helpers.kept = _Crew(helpers)
        helpers.kept.run(helpers, heads, alone)
    finally:
        lenders.give(helpers)


def _call(function: Native, table: Table, alone: bool) -> None:
    gate = blas.gate() if alone else None
    if gate is None:
        function(table.address)
        return
    relayed = Table((foreign_calls.GATE + 1,))
    relayed.numbers[foreign_calls.FUNCTION] = code_of(function)
    relayed.numbers[foreign_calls.TABLE] = table.address
    relayed.numbers[foreign_calls.GATE] = gate.address
    foreign_calls.alone()(relayed.address)


class _Crew:
    """What helpers and whoever leads them read."""

    def __init__(self, helpers: Helpers) -> None:
        self._rows = Table((len(helpers), kernel.WORDS))
        self._rows.numbers[:, kernel.PATIENCE] = _PATIENCE
        self._leader = Table((kernel.LEADER,))
        self._leader.point(kernel.TABLES, self._rows)
        self._lead, serve = kernel.lead(), kernel.serve()
        self._calls = [partial(_watch, serve, self._rows, n) for n in range(len(helpers))]

    def run(self, helpers: Helpers, heads: Table, alone: bool) -> None:
        """Carry out a program in this thread and those of helpers."""
        count = min(len(helpers), len(heads.numbers) - 1)
        for n in range(count):
            # One that falls asleep in between misses the program: then others do its work.
            if not self._rows.numbers[n, kernel.AWAKE] and helpers.inboxes[n].empty():
                helpers.inboxes[n].put(self._calls[n])
        self._leader.write(kernel.HELPERS, (count, heads.row_bytes))
        self._leader.lend(kernel.HEADS, (heads,))
        _call(self._lead, self._leader, alone)
        self._leader.let_go()


def _watch(serve: Native, rows: Table, n: int) -> None:
    serve(rows.address + n * rows.row_bytes)
