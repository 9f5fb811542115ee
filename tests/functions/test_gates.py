"""Gates, dropout and splitting of axes, against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch_oracle import agree, numbers, run, truths

from contractconv import functions as F
from contractconv.api.tensor import tensor
from contractconv.errors import ParameterError, ShapeError

torch: Any = pytest.importorskip("torch")
T: Any = torch.nn.functional

GATES: list[tuple[Any, Any]] = [
    (F.glu, lambda a, b: a * b.sigmoid()),
    (F.geglu, lambda a, b: a * T.gelu(b)),
    (F.swiglu, lambda a, b: a * T.silu(b)),
]


@pytest.mark.parametrize(("ours", "theirs"), GATES)
@pytest.mark.parametrize("axis", [0, 2])
def test_gates(ours: Any, theirs: Any, axis: int) -> None:
    axes = "d b t" if axis == 0 else "b t d"
    agree(lambda x: ours(x, "d"), lambda x: theirs(*x.chunk(2, axis)), {"x": numbers(axes)})


def test_glu_is_torchs() -> None:
    agree(lambda x: F.glu(x, "d"), lambda x: T.glu(x, 1), {"x": numbers("b d t")})


def test_an_axis_is_split_and_merged() -> None:
    x = numbers("b d t")
    agree(lambda x: F.split(x, "d", {"p": 2}), lambda x: x.unflatten(1, (2, 3)), {"x": x})
    agree(lambda x: F.merged(x, "b d", "n"), lambda x: x.flatten(0, 1), {"x": x})
    agree(lambda x: F.merged(x, "d b", "n"), lambda x: x.transpose(0, 1).flatten(0, 1), {"x": x})
    agree(lambda x: F.merged(x, "t", "n"), lambda x: 1 * x, {"x": x})
    (same,) = run(lambda x: F.merged(F.split(x, "d", {"u": 3, "v": 2}), "u v d", "d"), {"x": x})
    np.testing.assert_array_equal(same, x[1])


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


def test_mistakes_are_said() -> None:
    x = tensor("x", "b d")
    with pytest.raises(ShapeError, match="none called 'e'"):
        F.glu(x, "e")
    with pytest.raises(ShapeError, match="there is an axis 'b' already: 'b d'"):
        F.split(x, "d", {"b": 2})
    with pytest.raises(ParameterError, match="rate=1: a share of at least 0 and less than 1"):
        F.dropout(x, tensor("kept", "b d", "bool"), 1)
