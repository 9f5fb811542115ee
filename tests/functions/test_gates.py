"""Gates against torch."""

from __future__ import annotations

from typing import Any

import pytest
from torch_oracle import agree, numbers

from contractconv import functions as F
from contractconv.api.tensor import tensor
from contractconv.errors import ShapeError

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


def test_mistakes_are_said() -> None:
    with pytest.raises(ShapeError, match="none called 'e'"):
        F.glu(tensor("x", "b d"), "e")
