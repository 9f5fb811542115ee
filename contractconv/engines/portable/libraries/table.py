"""The table of array libraries; each is imported when the first of its arrays comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from contractconv.cache_register import kept
from contractconv.engines.portable.libraries.numpy_library import numpy_itself
from contractconv.engines.portable.libraries.record import Library
from contractconv.errors import OperandError


def _torch() -> Library:
    from contractconv.engines.portable.libraries.torch_library import library

    return library()


def _jax() -> Library:
    from contractconv.engines.portable.libraries.jax_library import library

    return library()


def _cupy() -> Library:
    from contractconv.engines.portable.libraries.cupy_library import library

    return library()


def _dask() -> Library:
    from contractconv.engines.portable.libraries.dask_library import library

    return library()


LIBRARIES: dict[str, Callable[[], Library]] = {
    "numpy": numpy_itself,
    "torch": _torch,
    "jax": _jax,
    "jaxlib": _jax,
    "cupy": _cupy,
    "dask": _dask,
}
"""By the package that the type of an array is of: what makes the record of its library."""


def library_of(arrays: Sequence[Any]) -> tuple[Library, Any]:
    """The library of some arrays, and the first of its arrays; those of numpy join any other.

    Raises:
        OperandError: there are arrays of several libraries, or of one that is not in the table.
    """
    named = [(_package(array), array) for array in arrays]
    foreign = [(name, array) for name, array in named if name != "numpy"]
    name, like = (foreign or named)[0]
    made = LIBRARIES[name]
    if any(LIBRARIES[other] is not made for other, _ in foreign):
        names = " and ".join(dict.fromkeys(name for name, _ in foreign))
        raise OperandError(f"the operands are arrays of {names}: convert them to one library")
    return record_of(name), like


def record_of(package: str) -> Library:
    """The record of a library, by a package in the table."""
    return _record(LIBRARIES[package])


@cache
def _record(made: Callable[[], Library]) -> Library:
    return made()


def _package(array: Any) -> str:
    """The package in the table that an array's type, or a type that it derives from, is of."""
    name = package_of(type(array))
    if name is None:
        known = ", ".join(LIBRARIES)
        raise OperandError(f"no library of arrays for {type(array).__name__}: there are {known}")
    return name


def package_of(kind: type) -> str | None:
    """The package in the table that a type, or one that it derives from, is of, if there is one.

    Example:
        >>> import numpy as np
        >>> package_of(np.ndarray), package_of(list)
        ('numpy', None)
    """
    own = kind.__module__.partition(".")[0]
    return own if own in LIBRARIES else next(filter(LIBRARIES.__contains__, _packages(kind)), None)


def _packages(kind: type) -> Iterator[str]:
    return (base.__module__.partition(".")[0] for base in kind.__mro__)


@kept(most=256)
def is_foreign(kind: type) -> bool:
    """Whether a type is one of arrays of another library than numpy.

    Example:
        >>> import numpy as np
        >>> is_foreign(np.ndarray), is_foreign(float)
        (False, False)
    """
    return package_of(kind) not in (None, "numpy")


def as_numpy(array: Any) -> Any:
    """An array of any library as one of numpy's."""
    return library_of([array])[0].numpy(array)


def has_foreign(arrays: Iterable[Any]) -> bool:
    """Whether there is an array of another library than numpy among some.

    Example:
        >>> import numpy as np
        >>> has_foreign([np.ones(2), 3.0])
        False
    """
    kinds = set(map(type, arrays))
    return kinds != _NUMPY and any(map(is_foreign, kinds))


# Whoever has nothing but these has not to be asked any further.
_NUMPY = {np.ndarray}
