"""Groups of maps that one call carries out, kernel by kernel, without Python between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from typing import Any

import numpy as np

from contractconv.arrays.views import Array
from contractconv.cache_register import Shelf
from contractconv.engines.llvm.kernels import foreign_calls, native
from contractconv.engines.llvm.maps.compiled_groups import (
    WORTH_SHARING,
    CompiledMaps,
    Loop,
    OpenTable,
    fits,
)
from contractconv.engines.llvm.maps.long_rows import LongRows
from contractconv.engines.llvm.maps.map_loops import ARRAYS
from contractconv.engines.llvm.program import Calls, Place, Prepared, Program
from contractconv.lazy import remembered
from contractconv.machine.memory import Table, code_of
from contractconv.machine.threads import get_num_threads


class JoinedGroups:
    """Groups without sums, none of which reads what another one makes.

    Args:
        groups: the groups and their kernels.
    """

    def __init__(self, groups: Sequence[CompiledMaps]) -> None:
        self._groups = groups
        self._dtypes = [dtype for group in groups for dtype in group.dtypes]
        self._shared = sum(group.work for group in groups) >= WORTH_SHARING
        self._ready = Shelf()

    def run(self, leaves: Sequence[Array], results: Sequence[Array]) -> bool:
        """Fill the results of all groups from their leaves, one group behind the other.

        Returns:
            Whether that was possible; see :meth:`CompiledMaps.run`.
        """
        ready = self.joined_loops(leaves)
        if ready is None:
            return False
        ready.run([*leaves, *results])
        return True

    def joined_loops(self, leaves: Sequence[Array]) -> JoinedLoops | None:
        """The kernels for leaves that lie in one way; ``None`` if nothing could be done."""
        if not all(map(fits, leaves, self._dtypes)):
            return None
        key = (get_num_threads(), *[leaf.strides for leaf in leaves])
        ready: JoinedLoops | None = self._ready.get(key)
        if ready is None:
            try:
                ready = self._prepared(leaves)
            except native.UnfitError:
                return None
            self._ready.put(key, ready, ready.size)
        return ready

    def _prepared(self, leaves: Sequence[Array]) -> JoinedLoops:
        """What carries out all kernels for leaves that lie in one way."""
        given = iter(leaves)
        loops = [one.loop(list(islice(given, len(one.dtypes))), 1) for one in self._groups]
        begins = list(accumulate((loop.table.numbers.size for loop in loops), initial=0))
        table = Table((begins[-1],))
        table.numbers[...] = np.concatenate([loop.table.numbers.reshape(-1) for loop in loops])
        calls = [_call(loop, begin) for loop, begin in zip(loops, begins, strict=False)]
        program = Program([calls if self._shared else [_in_turn(calls)]])
        return JoinedLoops(program, table, self._places(begins), self._repeated(loops))

    def _places(self, begins: Sequence[int]) -> Array:
        """Where in the table of all loops, which begin somewhere, each array stands."""
        columns = [ARRAYS + begin + np.arange(g.arrays) for g, begin in self._with(begins)]
        read = [own[: len(g.dtypes)] for g, own in self._with(columns)]
        made = [own[len(g.dtypes) :] for g, own in self._with(columns)]
        return np.concatenate([*read, *made])

    def _repeated(self, loops: Sequence[Loop]) -> list[tuple[int, LongRows]]:
        """The numbers of the leaves that are repeated."""
        firsts = accumulate((len(group.dtypes) for group in self._groups), initial=0)
        pairs = zip(firsts, loops, strict=False)
        return [(first + n, loop.rows) for first, loop in pairs for n in loop.rows.repeated]

    def _with(self, others: Sequence[Any]) -> Iterator[tuple[CompiledMaps, Any]]:
        return zip(self._groups, others, strict=False)


class JoinedLoops:
    """Kernels for arrays that lie in one way.

    Args:
        program: the calls, on a region ``"out"``: a table.
        table: it but for the arrays.
        places: where each array stands in it.
        repeated: the arrays that are laid out anew before, and how.

    Attributes:
        program: the same.
        repeats: the numbers of the leaves that are repeated before they are read, and how.
    """

    def __init__(
        self, program: Program, table: Table, places: Array, repeated: list[tuple[int, LongRows]]
    ) -> None:
        self.program, self._table, self._places = program, table, places
        self.repeats = {n: rows.repeat for n, rows in repeated}
        self._idle: list[Table] = []

    @remembered
    def _prepared(self) -> Prepared:
        return Prepared(self.program)

    @property
    def size(self) -> int:
        """Bytes that it keeps."""
        return self._table.numbers.nbytes

    @property
    def open_table(self) -> OpenTable:
        """The table, in which leaves come before results."""
        return OpenTable(self._table.numbers, self._places[None])

    def run(self, arrays: list[Array]) -> None:
        """Carry them out."""
        for n, repeat in self.repeats.items():
            arrays[n] = repeat(arrays[n])
        try:
            own = self._idle.pop()  # that of an earlier run, unless another run is using it
        except IndexError:
            own = self._table.copy()
        own.scatter(self._places, arrays)
        self._prepared.run({}, own.numbers)
        own.let_go()
        self._idle.append(own)


def _call(loop: Loop, begin: int) -> Calls:
    """The call of a kernel whose table begins somewhere in that of all."""
    calls = Calls()
    place = Place("out", begin * 8)
    relayed = {foreign_calls.FUNCTION: code_of(loop.work), foreign_calls.TABLE: place}
    calls.call(foreign_calls.relay(), relayed)
    return calls


def _in_turn(calls: Sequence[Calls]) -> Calls:
    whole = Calls()
    for one in calls:
        whole = whole.then(one)
    return whole
