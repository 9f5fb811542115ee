"""Pooling along one, two and three axes, against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch_oracle import agree, numbers, run

from contractconv import functions as F
from contractconv.api.tensor import tensor
from contractconv.errors import ParameterError, ShapeError

torch: Any = pytest.importorskip("torch")
T: Any = torch.nn.functional

MAX: list[Any] = [T.max_pool1d, T.max_pool2d, T.max_pool3d]
AVG: list[Any] = [T.avg_pool1d, T.avg_pool2d, T.avg_pool3d]
SETTINGS = [(2, 2, 0), (3, 1, 1), (3, 2, 1), (2, 3, 0)]


@pytest.mark.parametrize("axes", ["t", "t c", "t c q"])
@pytest.mark.parametrize(("size", "stride", "padding"), SETTINGS)
def test_pooling_is_torchs(axes: str, size: int, stride: int, padding: int) -> None:
    names = axes.split()
    given = {"x": numbers(f"b n {axes}")}
    window = dict.fromkeys(names, size)
    for ours, theirs in [(F.max_pool, MAX), (F.avg_pool, AVG)]:
        agree(
            lambda x: ours(x, window, stride, padding),  # noqa: B023
            lambda x: theirs[len(names) - 1](x, size, stride, padding),  # noqa: B023
            given,
        )


def test_windows_differ_from_axis_to_axis() -> None:
    agree(
        lambda x: F.max_pool(x, {"c": 3, "t": 2}, {"t": 1, "c": 2}, dilation={"c": 2, "t": 1}),
        lambda x: T.max_pool2d(x, (2, 3), (1, 2), dilation=(1, 2)),
        {"x": numbers("b n t c")},
    )


def test_a_window_is_as_far_from_the_next_as_it_is_long() -> None:
    given = {"x": numbers("b c t")}
    agree(lambda x: F.avg_pool(x, {"c": 3}), lambda x: T.avg_pool2d(x, (3, 1)), given)


def test_equal_numbers_share_nothing() -> None:
    y, dx = run(lambda x: F.max_pool(x, {"t": 2}), {"x": ("t", np.zeros(5, np.float16))}, "x")
    assert y.dtype == dx.dtype == np.float16
    assert dx.tolist() == [1, 0, 1, 0, 0]


def test_integers_stay_so() -> None:
    (made,) = run(lambda x: F.max_pool(x, {"t": 2}), {"x": ("t", np.array([3, 1, 4, 1]))})
    assert made.tolist() == [3, 4]
    assert made.dtype == np.int64


def test_mistakes_are_said() -> None:
    x = tensor("x", "b h w")
    with pytest.raises(ShapeError, match="none called 'z'\n  h z\n    \\^"):
        F.max_pool(x, {"h": 2, "z": 2})
    with pytest.raises(ParameterError, match="stride=0: integers from 1 on"):
        F.max_pool(x, {"h": 2}, stride=0)
    with pytest.raises(ParameterError, match="is for other axes than window: h"):
        F.avg_pool(x, {"h": 2}, padding={"w": 1})
