"""One axis as several, and several as one."""

from __future__ import annotations

import numpy as np
import pytest
from torch_oracle import agree, numbers, run

from contractconv import functions as F
from contractconv.api.tensor import tensor
from contractconv.errors import ShapeError


def test_an_axis_is_split_and_merged() -> None:
    x = numbers("b d t")
    agree(lambda x: F.split(x, "d", {"p": 2}), lambda x: x.unflatten(1, (2, 3)), {"x": x})
    agree(lambda x: F.merged(x, "b d", "n"), lambda x: x.flatten(0, 1), {"x": x})
    agree(lambda x: F.merged(x, "d b", "n"), lambda x: x.transpose(0, 1).flatten(0, 1), {"x": x})
    agree(lambda x: F.merged(x, "t", "n"), lambda x: 1 * x, {"x": x})
    (same,) = run(lambda x: F.merged(F.split(x, "d", {"u": 3, "v": 2}), "u v d", "d"), {"x": x})
    np.testing.assert_array_equal(same, x[1])


def test_sizes_have_to_fit() -> None:
    with pytest.raises(ShapeError):
        run(lambda x: F.split(x, "d", {"p": 4}), {"x": numbers("b d")})


def test_mistakes_are_said() -> None:
    x = tensor("x", "b d")
    with pytest.raises(ShapeError, match="there is an axis 'b' already: 'b d'"):
        F.split(x, "d", {"b": 2})
    with pytest.raises(ShapeError, match="none called 'e'\n  d e\n    \\^"):
        F.merged(x, "d e", "n")
