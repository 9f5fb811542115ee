"""What contractions and programs need of an array library: one record for each, in one table."""

from contractconv.engines.portable.libraries.numpy_library import numpy_like
from contractconv.engines.portable.libraries.record import Axes, Library
from contractconv.engines.portable.libraries.table import (
    LIBRARIES,
    as_numpy,
    has_foreign,
    is_foreign,
    library_of,
    package_of,
    record_of,
)

__all__ = [
    "LIBRARIES", "Axes", "Library", "as_numpy", "has_foreign", "is_foreign", "library_of",
    "numpy_like", "package_of", "record_of",
]  # fmt: skip
