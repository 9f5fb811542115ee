"""Groups of maps that one call carries out, kernel by kernel, without Python between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
    fits,
)
from contractconv.engines.llvm.maps.long_rows import LongRows
from contractconv.engines.llvm.maps.map_loops import ARRAYS
from contractconv.engines.llvm.program import Calls, Place, Prepared, Program
from contractconv.machine.memory import Table, code_of
from contractconv.machine.threads import get_num_threads

Run = Callable[[list[Array]], None]


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
        if not all(map(fits, leaves, self._dtypes)):
            return False
        key = (get_num_threads(), *[leaf.strides for leaf in leaves])
        run: Run | None = self._ready.get(key)
        if run is None:
            try:
                run, size = self._prepared(leaves)
            except native.UnfitError:
                return False
            self._ready.put(key, run, size)
        run([*leaves, *results])
        return True

    def _prepared(self, leaves: Sequence[Array]) -> tuple[Run, int]:
        """What carries out all kernels for leaves that lie in one way, and the bytes it keeps."""
        given = iter(leaves)
        loops = [one.loop(list(islice(given, len(one.dtypes))), 1) for one in self._groups]
        begins = list(accumulate((loop.table.numbers.size for loop in loops), initial=0))
        table = Table((begins[-1],))
        table.numbers[...] = np.concatenate([loop.table.numbers.reshape(-1) for loop in loops])
        calls = [_call(loop, begin) for loop, begin in zip(loops, begins, strict=False)]
        program = Prepared(Program([calls if self._shared else [_in_turn(calls)]]))
        places, repeated = self._places(begins), self._repeated(loops)
        idle: list[Table] = []

        def run(arrays: list[Array]) -> None:
            for n, rows in repeated:
                arrays[n] = rows.repeat(arrays[n])
            try:
                own = idle.pop()  # that of an earlier run, unless another run is using it
            except IndexError:
                own = table.copy()
            own.scatter(places, arrays)
            program.run({}, own.numbers)
            own.let_go()
            idle.append(own)

        return run, table.numbers.nbytes

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
