"""Reductions by name: values and both derivatives, dtypes, nothing to reduce."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch_oracle import agree, integers, numbers, run

from contractconv import functions as F
from contractconv.api.tensor import tensor
from contractconv.errors import ParameterError, ShapeError, SpecError

torch: Any = pytest.importorskip("torch")

REDUCTIONS: list[tuple[Any, Any]] = [
    (F.sum, torch.sum),
    (F.mean, torch.mean),
    (F.max, torch.amax),
    (F.min, torch.amin),
    (F.logsumexp, torch.logsumexp),
]
CORRECTED: list[tuple[Any, Any]] = [
    (F.variance, torch.var),
    (F.standard_deviation, torch.std),
]


@pytest.mark.parametrize("axes", ["c", "t b"])
@pytest.mark.parametrize(("ours", "theirs"), REDUCTIONS, ids=lambda f: f.__name__)
def test_reductions_are_torchs(ours: Any, theirs: Any, axes: str) -> None:
    places = tuple("bct".index(axis) for axis in axes.split())
    given = {"x": numbers("b c t")}
    agree(lambda x: ours(x, axes), lambda x: theirs(x, places), given)


@pytest.mark.parametrize("correction", [0, 1, 2])
@pytest.mark.parametrize(("ours", "theirs"), CORRECTED, ids=lambda f: f.__name__)
def test_variances_are_torchs(ours: Any, theirs: Any, correction: int) -> None:
    given = {"x": numbers("b c t")}
    agree(
        lambda x: ours(x, "b t", correction),
        lambda x: theirs(x, (0, 2), correction=correction),
        given,
    )


def test_a_variance_does_not_cancel() -> None:
    x = 1e8 + np.arange(5.0)
    assert run(F.variance, {"x": ("i", x)})[0] == 2


@pytest.mark.parametrize("function", [*(ours for ours, _ in REDUCTIONS), F.variance])
def test_all_axes_or_none(function: Any) -> None:
    axes, x = numbers("b c")
    whole = run(function, {"x": (axes, x)})[0]
    by_name = run(lambda x: function(x, "c b"), {"x": (axes, x)})[0]
    assert whole == by_name
    assert whole.shape == ()
    if function is not F.variance:
        np.testing.assert_array_equal(run(lambda x: function(x, ""), {"x": (axes, x)})[0], x)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numbers_keep_their_width(dtype: Any) -> None:
    axes, x = numbers("b c")
    for function in (*(ours for ours, _ in REDUCTIONS), F.variance, F.standard_deviation):
        made = run(lambda x: function(x, "c"), {"x": (axes, x.astype(dtype))}, "x")  # noqa: B023
        assert [array.dtype for array in made] == [dtype, dtype]


def test_integers_are_added_exactly() -> None:
    axes, x = integers("b c", 10)
    made = run(lambda x: F.sum(x, "c"), {"x": (axes, x)})[0]
    assert made.dtype == np.int64
    assert made.tolist() == x.sum(1).tolist()
    assert run(lambda x: F.mean(x, "c"), {"x": (axes, x)})[0].dtype == np.float64


def test_of_nothing() -> None:
    empty = {"x": ("b c", np.zeros((3, 0)))}
    wanted = [0, 0, -np.inf, np.inf, -np.inf]
    for (function, _), value in zip(REDUCTIONS, wanted, strict=True):
        y, dx = run(lambda x: function(x, "c"), empty, "x")  # noqa: B023
        np.testing.assert_array_equal(y, np.full(3, value))
        assert dx.shape == (3, 0)


def test_mistakes_are_pointed_at() -> None:
    x = tensor("x", "b h w")
    with pytest.raises(ShapeError, match="none called 'z', 'q'\n  z h q\n  \\^   \\^"):
        F.sum(x, "z h q")
    with pytest.raises(SpecError, match="two axes are called 'h'"):
        F.sum(x, "h h")
    with pytest.raises(ParameterError, match=r"correction=0\.5 is no integer"):
        F.variance(x, "h", 0.5)  # type: ignore[arg-type]
