"""Operands that lie in a file as they are: tasks read what they need of it, halos included.

Of what is loaded block by block a task needs parts of the neighbours, which are kept until their
own tasks have run. A file without blocks of its own gives each task the rows that it asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from dask.array import Array
from dask.array.core import getter, getter_inline, getter_nofancy

from contractconv.notation.shift import Ranges

Source = Callable[[Ranges], tuple[Any, ...]]
"""Makes the task that reads a part of an array from where it lies."""
_GETTERS = (getter, getter_inline, getter_nofancy)


def first_block(array: Array) -> Any:
    """The first block of an array, or the task that makes it; ``None`` if that is not told."""
    return array.dask.layers[array.name].get((array.name, *(0 for _ in array.shape)))


def source_of(array: Array) -> Source | None:
    """Where an array lies, if parts of it can be read; what is computed lies nowhere.

    What is stored in blocks of its own, which are unpacked whole, is read by these.
    """
    task = first_block(array)
    if getattr(task, "func", None) not in _GETTERS or task is None:
        return None
    stored = getattr(task.args[0], "key", None)
    lies = array.dask.get(stored)
    lies = getattr(lies, "value", lies)
    if getattr(lies, "shape", None) != array.shape or getattr(lies, "chunks", None) is not None:
        return None
    read = partial(task.func, **task.kwargs)
    return lambda place: (read, stored, place)
