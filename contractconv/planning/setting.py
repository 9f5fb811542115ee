"""What a choice of algorithms depends on, beside the contraction itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

Algorithm = Literal["auto", "direct", "toom-cook", "fft", "measure"]
"""How products are summed, or who chooses that."""

ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)


@dataclass(frozen=True, slots=True)
class Machine:
    """How fast a machine is, in float32; half as fast in float64.

    Attributes:
        threads: threads that share the work.
        compiled: whether kernels are compiled, or all is done by numpy.
        multiply: multiply-adds a second, of one thread, in matrix products.
        move: numbers a second that one thread loads, changes by a few operations and stores.
        call: seconds that pass before a step gets going.
        wide: whether vectors of kernels are wider than those of the library that multiplies for
            numpy, which may not know the processor.
        vector: numbers of a vector of kernels.
    """

    threads: int
    compiled: bool
    multiply: float
    move: float
    call: float
    wide: bool = False
    vector: int = 16

    @property
    def lanes(self) -> int:
        """Numbers that are worked on together."""
        return self.vector if self.compiled else 1

    @property
    def uncompiled(self) -> Machine:
        """What is left of it for pieces that no kernel can carry out."""
        slower = _BY_BLAS if self.wide else 1.0
        return replace(self, compiled=False, multiply=self.multiply * slower)


# Those that decompose windows, and round otherwise than the definition.
FAST: tuple[Algorithm, ...] = ("toom-cook", "fft")

# How fast a library multiplies whose vectors are half as wide as those of kernels.
_BY_BLAS = 0.5

# Contractions of fewer points are carried out directly: nothing else would be worth its while.
FEW = 1 << 18

# The share of a call that a piece takes which has none of its own.
_OF_A_CALL = 1 / 2

# How many times slower multiplications are than in float32.
_SLOWNESS = {"float32": 1.0, "float64": 2.0, "complex64": 4.0, "complex128": 8.0}

# A machine like many, for plans that no run depends on.
COMMON = Machine(threads=2, compiled=True, multiply=1e11, move=4e9, call=2e-5)


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known when algorithms are chosen.

    Attributes:
        dtype: the kind of numbers: ``"float32"``.
        algorithm: what the caller asked for, one of :data:`ALGORITHMS`.
        machine: on what it will run.
        measured: whether the algorithm was found by timing, not asked for.
        lenient: whether what the algorithm cannot carry out is done directly, not refused.
    """

    dtype: str
    algorithm: str
    machine: Machine
    measured: bool = False
    lenient: bool = False

    @property
    def asked(self) -> bool:
        """Whether the caller has decided."""
        return self.algorithm not in ("auto", "measure") and not self.measured

    @property
    def rounds(self) -> bool:
        """Whether numbers are rounded, so that other orders of summation are as good."""
        return self.dtype in ("float32", "float64", "complex64", "complex128")

    @property
    def real(self) -> str:
        """The kind of the numbers' parts, by which rounding errors are estimated."""
        return "float32" if self.dtype in ("float32", "complex64") else "float64"

    @property
    def together(self) -> Setting:
        """The same for a piece that kernels carry out in one go with others, without a call."""
        machine = self.machine
        if not machine.compiled:
            return self
        return replace(self, machine=replace(machine, call=_OF_A_CALL * machine.call))

    @property
    def slowness(self) -> float:
        """How many times slower than in float32 multiplications are."""
        return _SLOWNESS.get(self.dtype, 8.0)


DIRECT = Setting("float64", "direct", COMMON)
# By numpy alone, whose temporary arrays can be foreseen to the byte.
FRUGAL = Setting("float64", "direct", replace(COMMON, compiled=False))
