"""Batches of data: which rows are next, and where a run has got to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any

import numpy as np

from contractconv.engines.portable.libraries import is_foreign
from contractconv.errors import OperandError, ParameterError, ShapeError

Batch = tuple[Any, ...]
"""What comes in, and what is wanted: one array each."""
Augment = Callable[[Batch, np.random.Generator], Sequence[Any]]
"""A function of a batch and a generator that makes another batch."""


class Arrays:
    """Arrays of as many rows each, taken in another order in every epoch.

    Args:
        arrays: what comes in, and what is wanted.
        batch: how many rows are taken at once; the last batch of an epoch has what is left.
        shuffled: whether rows are taken in another order in every epoch.
        keeps: whether arrays of another library stay such; otherwise they become numpy's.

    Raises:
        ShapeError: the numbers of rows differ, or there are none.
        ParameterError: the batch has no rows.
    """

    def __init__(
        self, arrays: Sequence[Any], batch: int, shuffled: bool = True, keeps: bool = False
    ) -> None:
        self.arrays = [a if hasattr(a, "shape") else _as_array(a) for a in arrays]
        self.batch, self.shuffled, self._keeps = batch, shuffled, keeps
        if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
            raise ParameterError(f"batch={batch!r}: a positive number of rows is wanted")
        self.rows = _check_rows(self.arrays, "data")

    @property
    def steps(self) -> int:
        """How many batches an epoch has."""
        return -(-self.rows // self.batch)

    def epoch(self, rng: np.random.Generator, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from one on; the generator says the order of all of them."""
        order = rng.permutation(self.rows) if self.shuffled else np.arange(self.rows)
        for n in range(start * self.batch, self.rows, self.batch):
            rows = order[n : n + self.batch]
            yield tuple(_as_array(array[rows], self._keeps) for array in self.arrays)


class Stream:
    """Batches that somebody else makes.

    Args:
        source: what is gone through once an epoch; or a function of a generator that makes it.
        steps: how many batches an epoch has; by default as many as come.
        keeps: whether arrays of another library stay such.
    """

    def __init__(
        self,
        source: Iterable[Batch] | Callable[..., Any],
        steps: int | None,
        keeps: bool = False,
    ) -> None:
        there = len(source) if isinstance(source, Sized) else None
        known = [number for number in (steps, there) if number is not None]
        self._source, self.steps, self._keeps = source, min(known, default=None), keeps
        if not callable(source) and iter(source) is source:
            raise OperandError(
                "this can be gone through only once, and there may be several epochs: give a list, "
                "or a function of a generator that begins anew"
            )

    def epoch(self, rng: np.random.Generator, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from one on."""
        batches = self._source(rng) if callable(self._source) else self._source
        for batch in islice(batches, start, self.steps):
            yield checked(batch, "a batch", self._keeps)


Source = Arrays | Stream


def as_source(
    data: Any, batch: int, steps: int | None, shuffled: bool = True, keeps: bool = False
) -> Source:
    """What batches are taken from.

    Args:
        data: a tuple of arrays; or something that batches are taken from, or a function of a
            generator that makes such a thing.
        batch: how many rows are taken at once of arrays.
        steps: how many batches an epoch has, if data are no arrays.
        shuffled: whether rows of arrays are taken in another order in every epoch.
        keeps: whether arrays of another library stay such; otherwise they become numpy's.

    Raises:
        OperandError: it is none of these.
        ParameterError: it is said how many batches an epoch has, and data are arrays.
    """
    if isinstance(data, (tuple, list)) and not any(map(_is_batch, data)):
        return _as_arrays(data, batch, steps, shuffled, keeps)
    if callable(data) or hasattr(data, "__iter__"):
        return Stream(data, steps, keeps)
    raise OperandError(
        f"data are arrays, as in (x, labels), or batches of them; not a {type(data).__name__}"
    )


def _is_batch(given: Any) -> bool:
    """Whether it is some arrays together, and no numbers in lists."""
    return isinstance(given, (tuple, list)) and any(hasattr(one, "shape") for one in given)


def _as_arrays(
    data: Sequence[Any], batch: int, steps: int | None, shuffled: bool, keeps: bool
) -> Arrays:
    if len(data) < 2:
        raise OperandError("data are what comes in, then what is wanted: (x, labels)")
    if steps is not None:
        raise ParameterError(
            "steps_per_epoch= is for batches that somebody else makes; of arrays an epoch takes "
            "all rows, batch= of them in a step"
        )
    return Arrays(data, batch, shuffled, keeps)


def checked(batch: Any, what: str, keeps: bool = False) -> Batch:
    """The arrays of a batch; those of another library stay such, if they are kept.

    Raises:
        OperandError: it is none.
        ShapeError: its arrays have not as many rows each, or none.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise OperandError(
            f"{what} is a tuple, what comes in, then what is wanted; not a {type(batch).__name__}"
        )
    arrays = tuple(_as_array(array, keeps) for array in batch)
    _check_rows(arrays, what)
    return arrays


def augmented(augment: Augment, batch: Batch, rng: np.random.Generator) -> Batch:
    """Another batch that a caller makes of one.

    Raises:
        OperandError: it is none.
        ShapeError: its arrays have not as many rows each.
    """
    return checked(augment(batch, rng), "what augment= makes")


def _as_array(given: Any, keeps: bool = False) -> Any:
    if keeps and is_foreign(type(given)):
        return given
    try:
        return np.asarray(given)
    except ValueError as error:
        raise OperandError(f"this is no array: {error}") from None


def _check_rows(arrays: Sequence[Any], what: str) -> int:
    counts = [array.shape[0] if array.ndim else 0 for array in arrays]
    if len(set(counts)) != 1 or not counts[0]:
        shapes = ", ".join(str(tuple(array.shape)) for array in arrays)
        raise ShapeError(f"arrays of {what} have as many rows each, and some: theirs are {shapes}")
    return int(counts[0])
