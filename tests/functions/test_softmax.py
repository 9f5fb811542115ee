"""Softmax and its logarithm: values, both derivatives, what is masked, sizes beyond reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch_oracle import agree, numbers, run, truths

from contractconv import functions as F
from contractconv.api.tensor import applied, tensor
from contractconv.errors import ShapeError

torch: Any = pytest.importorskip("torch")


def test_softmax_is_torchs() -> None:
    given = {"x": numbers("b c t")}
    agree(lambda x: F.softmax(x, "c"), lambda x: torch.softmax(x, 1), given)
    agree(lambda x: F.log_softmax(x, "c"), lambda x: torch.log_softmax(x, 1), given)


def test_softmax_over_several_axes() -> None:
    def theirs(x: Any) -> Any:
        return torch.softmax(x.transpose(0, 1).flatten(1), 1).unflatten(1, (3, 5)).transpose(0, 1)

    agree(lambda x: F.softmax(x, "b t"), theirs, {"x": numbers("b c t")})


def test_masked_softmax() -> None:
    def theirs(x: Any, mask: Any) -> Any:
        whole = torch.softmax(x.masked_fill(~mask[:, :, None], -torch.inf), 1)
        return whole.where(mask.any(1)[:, None, None], 0.0)

    axes, mask = truths("b c")
    mask[0] = True
    agree(lambda x, m: F.softmax(x, "c", m), theirs, {"x": numbers("b c t"), "m": (axes, mask)})


def test_a_row_that_is_masked_as_a_whole_is_zero_and_so_is_its_gradient() -> None:
    x = np.array([[1.0, np.inf, np.nan], [4.0, 1e300, 6.0]])
    mask = np.array([[False] * 3, [True, False, True]])
    given = {"x": ("b c", x), "m": ("b c", mask)}
    y, dx = run(lambda x, m: applied("square", F.softmax(x, "c", m)), given, "x")
    y = np.sqrt(y)
    assert y.tolist()[0] == [0, 0, 0]
    assert dx.tolist()[0] == [0, 0, 0]
    assert y[1, 1] == dx[1, 1] == 0
    np.testing.assert_allclose(y[1, [0, 2]], torch.tensor([4.0, 6.0]).double().softmax(0))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("height", [1e4, 6e4, 1e30])
def test_great_numbers_are_exact(dtype: Any, height: float) -> None:
    if height > float(np.finfo(dtype).max):
        pytest.skip("such numbers do not exist")
    x = np.array([[height, height, -height], [0, -height, 0]], dtype)
    y, dx = run(lambda x: F.softmax(x, "c"), {"x": ("b c", x)}, "x")
    assert y.dtype == dx.dtype == dtype
    assert y.tolist() == [[0.5, 0.5, 0], [0.5, 0, 0.5]]
    assert dx.tolist() == [[0, 0, 0], [0, 0, 0]]
    logs, _ = run(lambda x: F.log_softmax(x, "c"), {"x": ("b c", x)}, "x")
    half = np.log(dtype(2))
    assert logs[0, 0] == logs[1, 2] == -half
    assert logs[1, 1] == dtype(-height) - half
    assert np.isfinite(logs[0, 2]) == (2 * height < float(np.finfo(dtype).max))


def test_nan_stays_and_one_class_is_certain() -> None:
    x = np.array([[1.0, np.nan], [1.0, 2.0]])
    y, _ = run(lambda x: F.softmax(x, "c"), {"x": ("b c", x)}, "x")
    assert np.isnan(y[0]).all()
    assert not np.isnan(y[1]).any()
    one, done = run(lambda x: F.softmax(x, "c"), {"x": ("b c", x[1:, :1])}, "x")
    assert one.tolist() == [[1.0]]
    assert done.tolist() == [[0.0]]


def test_nothing_is_no_mistake() -> None:
    for shape in [(0, 3), (3, 0)]:
        empty = {"x": ("b c", np.zeros(shape))}
        for function in (F.softmax, F.log_softmax):
            y, dx = run(lambda x: function(x, "c"), empty, "x")  # noqa: B023
            assert y.shape == dx.shape == shape


def test_a_wrong_axis_is_pointed_at() -> None:
    with pytest.raises(ShapeError) as raised:
        F.softmax(tensor("x", "b h w"), "h z")
    assert str(raised.value) == (
        "the tensor has the axes 'b h w', and none called 'z'\n  h z\n    ^"
    )
