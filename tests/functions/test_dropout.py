"""Dropout with a mask that is given."""

from __future__ import annotations

import numpy as np
import pytest
from torch_oracle import agree, numbers, run, truths

from contractconv import functions as F
from contractconv.api.tensor import tensor
from contractconv.errors import ParameterError


def test_dropout() -> None:
    agree(
        lambda x, kept: F.dropout(x, kept, 0.25),
        lambda x, kept: x * kept / 0.75,
        {"x": numbers("b d"), "kept": truths("b d")},
    )
    x = {"x": ("b", np.array([np.inf, np.nan, 3], np.float16)), "kept": ("b", np.arange(3) > 1)}
    y, dx = run(lambda x, kept: F.dropout(x, kept, 0.5), x, "x")
    assert y.tolist() == [0, 0, 6]
    assert dx.tolist() == [0, 0, 2]
    assert y.dtype == dx.dtype == np.float16


@pytest.mark.parametrize("rate", [1, -0.1, 2, float("nan")])
def test_a_rate_is_a_share(rate: float) -> None:
    with pytest.raises(ParameterError, match="a share of at least 0 and less than 1"):
        F.dropout(tensor("x", "b d"), tensor("kept", "b d", "bool"), rate)
