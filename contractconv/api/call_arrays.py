"""The arrays of a call, numpy's or another library's: taken, converted, and contracted back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contractconv.planning.options import Options

if TYPE_CHECKING:
    from contractconv.engines.portable.libraries import Library


def arrays_of(given: Sequence[Any], names: Sequence[str]) -> CallArrays:
    """Take what a caller passed.

    Args:
        given: the arrays; numpy's join another library's.
        names: what messages call each.

    Raises:
        OperandError: something is not an array of numbers, or arrays are of several libraries.
    """
    from contractconv.engines.portable.libraries import has_foreign

    if has_foreign(given):
        from contractconv.execution.foreign.operands import taken

        library, arrays = taken(given, names)
        return ForeignArrays(arrays, library)
    from contractconv.arrays.operands import as_operand

    return CallArrays([as_operand(a, name) for a, name in zip(given, names, strict=True)])


@dataclass(frozen=True, slots=True)
class CallArrays:
    """Arrays of numpy, and Python's numbers.

    Attributes:
        taken: an array for each that was passed.
    """

    taken: list[Any]

    @property
    def execution(self) -> Any:
        """The module whose ``gradient`` and ``run_recipe`` contract them back."""
        from contractconv.execution import gradient

        return gradient

    def conversion(self, options: Options, reduce: str, indices: Sequence[str]) -> Any:
        """What they and the result are converted to; ``None`` if that is nothing."""
        from contractconv.arrays.conversion import Conversion

        return Conversion.of(options, reduce, indices)

    def inside(self, options: Options, converted: Sequence[Any]) -> Options:
        """What is left of a memory limit beside what was converted."""
        from contractconv.arrays.conversion import copied

        return options.inside(copied(self.taken, converted), "what is converted")


@dataclass(frozen=True, slots=True)
class ForeignArrays(CallArrays):
    """Arrays of another library.

    Attributes:
        library: which one.
    """

    library: Library

    @property
    def execution(self) -> Any:
        """The module whose ``gradient`` and ``run_recipe`` contract them back."""
        from contractconv.execution.foreign import gradient

        return gradient

    def conversion(self, options: Options, reduce: str, indices: Sequence[str]) -> Any:
        """What they and the result are converted to; ``None`` if that is nothing."""
        from contractconv.execution.foreign.conversion import Conversion

        return Conversion.of(self.library, options, reduce, indices)

    def inside(self, options: Options, converted: Sequence[Any]) -> Options:
        """Their library has memory of its own: there is no limit, but for each block of many."""
        limit = None if self.library.contraction is None else options.memory_limit
        return Options(optimize=options.optimize, minimize=options.minimize, memory_limit=limit)
