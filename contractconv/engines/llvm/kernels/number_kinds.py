"""The kinds of numbers that kernels compute with."""

from __future__ import annotations

from dataclasses import dataclass

DTYPES = ("float32", "float64")
# Bytes of the vectors of which processors write some lanes as fast as all of them.
_MASKED = 64


@dataclass(frozen=True, slots=True)
class Number:
    """One kind of numbers, and how this machine's registers hold them.

    Attributes:
        lanes: how many of them one vector register holds.
    """

    dtype: str
    lanes: int

    @property
    def size(self) -> int:
        """Bytes of one number."""
        return 4 if self.dtype == "float32" else 8

    @property
    def bytes(self) -> int:
        """Bytes of one vector."""
        return self.size * self.lanes

    @property
    def has_masks(self) -> bool:
        """Whether some lanes are written as fast as all of them; if not, it takes much longer."""
        return self.bytes >= _MASKED
