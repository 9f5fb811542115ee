"""Maps carried out in both ways: by kernels, and by numpy.

What one can do:

- ``by_kernels(outputs, **arrays)``: what a program of maps makes, which only kernels may carry out;
- ``by_numpy(outputs, **arrays)``: the same without kernels;
- ``assert_alike(found, wanted, most)``: equal but for so many units in the last place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.arrays.run_trace import traced
from contractconv.execution.programs.fused_maps import BLOCKS, COMPILED

Array = np.ndarray[Any, Any]


def by_kernels(outputs: Sequence[cc.Tensor], **arrays: Array) -> list[Array]:
    """What a program of maps makes; only kernels may carry it out."""
    return _made(outputs, arrays, COMPILED)


def by_numpy(outputs: Sequence[cc.Tensor], **arrays: Array) -> list[Array]:
    """The same without kernels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTRACTCONV_KERNELS", "numpy")
        return _made(outputs, arrays, BLOCKS)


def _made(outputs: Sequence[cc.Tensor], arrays: dict[str, Array], way: str) -> list[Array]:
    program = cc.compile({f"y{n}": output for n, output in enumerate(outputs)})
    with traced() as ran:
        made = program(**arrays)
    assert {one.way for one in ran} <= {way}
    return list(made) if isinstance(made, tuple) else [made]


def assert_alike(found: Array, wanted: Array, most: float) -> None:
    """Of the same dtype and shape, and equal but for so many units in the last place."""
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    if found.dtype.kind != "f":
        assert np.array_equal(found, wanted)
        return
    assert np.array_equal(np.isnan(found), np.isnan(wanted))
    with np.errstate(all="ignore"):
        apart = np.abs(found.astype("float64") - wanted.astype("float64"))
        near = apart <= most * np.spacing(np.abs(wanted)).astype("float64")
    fine = near | (found == wanted) | np.isnan(found)
    assert fine.all(), (found[~fine][:5], wanted[~fine][:5])
