"""Positions as waves and as turns, against their formulas in numpy and torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch_oracle import agree, integers, numbers, run

from contractconv import functions as F
from contractconv.api.tensor import tensor
from contractconv.errors import OperandError, ParameterError

torch: Any = pytest.importorskip("torch")


def angles(count: int, features: int, base: float = 10000.0) -> Any:
    return np.arange(count)[:, None] / base ** (np.arange(0, features, 2) / features)


def turned(x: Any, angle: Any, neighbours: bool) -> Any:
    """Pairs as complex numbers, times a phase; the sequence is the second axis."""
    halves = x.unflatten(-1, (-1, 2) if neighbours else (2, -1))
    axis = -1 if neighbours else -2
    pairs = torch.complex(halves.select(axis, 0), halves.select(axis, 1))
    made = pairs * torch.polar(torch.ones_like(angle), angle)
    return torch.stack([made.real, made.imag], axis).flatten(-2)


@pytest.mark.parametrize("features", [6, 7])
def test_waves(features: int) -> None:
    x = np.zeros((2, 9, features))
    (made,) = run(lambda x: F.sinusoidal(x, "t", "d"), {"x": ("b t d", x)})
    wanted = np.empty((9, features))
    wanted[:, 0::2] = np.sin(angles(9, features))
    wanted[:, 1::2] = np.cos(angles(9, features))[:, : features // 2]
    np.testing.assert_allclose(made, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("neighbours", [True, False])
def test_turns(neighbours: bool) -> None:
    pairs: Any = "neighbours" if neighbours else "halves"
    angle = torch.tensor(angles(5, 6, 100.0))
    agree(
        lambda x: F.rope(x, "t", "d", 100.0, pairs),
        lambda x: turned(x, angle[:, None], neighbours),
        {"x": numbers("b t h d")},
    )


def test_other_positions() -> None:
    def theirs(x: Any, positions: Any) -> Any:
        angle = positions[..., None] / 10000.0 ** (torch.arange(0, 6, 2).double() / 6)
        return turned(x, angle[:, :, None], False)

    agree(
        lambda x, at: F.rope(x, "t", "d", positions=at),
        theirs,
        {"x": numbers("b t h d"), "at": integers("b t", 1000)},
    )


def test_what_is_as_far_apart_is_as_similar() -> None:
    q, k = (np.tile(numbers("d", seed)[1], (8, 1)) for seed in (1, 2))
    (a,), (b,) = (run(lambda x: F.rope(x, "t", "d"), {"x": ("t d", x)}) for x in (q, k))
    similar = a @ b.T
    for distance in range(-7, 8):
        along = np.diag(similar, distance)
        np.testing.assert_allclose(along, along[0], rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_late_positions_are_exact_in_narrow_numbers(dtype: Any) -> None:
    x = np.zeros((3001, 4), dtype)
    x[:, 0] = 1
    made = run(lambda x: F.rope(x, "t", "d"), {"x": ("t d", x)})[0]
    assert made.dtype == dtype
    np.testing.assert_allclose(made[:, 0], np.cos(np.arange(3001)), atol=float(np.finfo(dtype).eps))
    (waves,) = run(lambda x: F.sinusoidal(x, "t", "d"), {"x": ("t d", x)})
    assert waves.dtype == dtype
    np.testing.assert_allclose(
        waves[:, 0], np.sin(np.arange(3001)), atol=float(np.finfo(dtype).eps)
    )


def test_mistakes_are_said() -> None:
    x = tensor("x", "t d")
    with pytest.raises(ParameterError, match="pairs='both' is neither"):
        F.rope(x, "t", "d", pairs="both")  # type: ignore[arg-type]
    with pytest.raises(OperandError, match="positions are integers"):
        F.rope(x, "t", "d", positions=tensor("at", "t"))
