"""Losses: torch's values and derivatives; logits of any size; masks; batches of nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mpmath import mp
from torch_oracle import agree, integers, numbers, run, truths

from contractconv import functions as F
from contractconv.api.tensor import tensor
from contractconv.errors import OperandError, ParameterError, ShapeError

torch: Any = pytest.importorskip("torch")
T: Any = torch.nn.functional

OVER: list[Any] = ["mean", "sum", None]


def over(reduce: str | None) -> str:
    """How torch calls what is done with the losses of a batch."""
    return reduce or "none"


@pytest.mark.parametrize("reduce", OVER)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_of_labels(reduce: Any, smoothing: float) -> None:
    agree(
        lambda x, labels: F.cross_entropy(x, labels, "c", smoothing, reduce=reduce),
        lambda x, labels: T.cross_entropy(
            x, labels, label_smoothing=smoothing, reduction=over(reduce)
        ),
        {"x": numbers("b c t"), "labels": integers("b t", 7)},
    )


@pytest.mark.parametrize("reduce", ["sum", None])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_probabilities(reduce: Any, smoothing: float) -> None:
    axes, p = numbers("b c t", seed=1)
    agree(
        lambda x, p: F.cross_entropy(x, p, "c", smoothing, reduce=reduce),
        lambda x, p: T.cross_entropy(x, p, label_smoothing=smoothing, reduction=over(reduce)),
        {"x": numbers("b c t"), "p": (axes, np.exp(p) / np.exp(p).sum(1, keepdims=True))},
    )


def test_cross_entropy_of_some() -> None:
    def theirs(x: Any, labels: Any, mask: Any) -> Any:
        return T.cross_entropy(x, labels.where(mask, -100))

    agree(
        lambda x, labels, mask: F.cross_entropy(x, labels, "c", mask=mask),
        theirs,
        {"x": numbers("b c t"), "labels": integers("b t", 7), "mask": truths("b t")},
    )


def test_a_mask_of_fewer_axes_counts_everything_along_the_others() -> None:
    axes, x = numbers("b c t")
    given = {"x": (axes, x), "labels": integers("b t", 7), "mask": ("b", np.array([1, 0, 1]) > 0)}
    some = run(lambda x, labels, m: F.cross_entropy(x, labels, "c", mask=m), given)[0]
    each = run(lambda x, labels, m: F.cross_entropy(x, labels, "c", mask=m, reduce=None), given)[0]
    assert each[1].tolist() == [0] * 5
    np.testing.assert_allclose(some, each[[0, 2]].mean(), rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_great_logits_have_exact_losses_and_gradients(dtype: Any) -> None:
    x = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4], [1e4, 1e4, 1e4]], dtype)
    given = {"x": ("b class", x), "labels": ("b", np.array([1, 2, 0]))}
    loss, dx = run(lambda x, labels: F.cross_entropy(x, labels, reduce=None), given, "x")
    assert loss.dtype == dx.dtype == dtype
    assert loss.tolist() == [dtype(2e4), np.log(dtype(2)), np.log(dtype(3))]
    third = dtype(1) / dtype(3)
    assert dx.tolist() == [[1, -1, 0], [0, 0.5, -0.5], [third - 1, third, third]]


def test_logits_of_1e30() -> None:
    x = np.array([[1e30, -1e30, 0]], np.float32)
    for label, wanted, slopes in [(0, 0, [0, 0, 0]), (2, 1e30, [1, 0, -1]), (1, 2e30, [1, -1, 0])]:
        given = {"x": ("b class", x), "labels": ("b", np.array([label]))}
        loss, dx = run(F.cross_entropy, given, "x")
        assert loss == np.float32(wanted)
        assert dx.tolist() == [slopes]


def test_a_class_that_is_impossible_does_no_harm() -> None:
    x = np.array([[1.0, -np.inf, 2.0]])
    given = {"x": ("b class", x), "labels": ("b", np.array([2]))}
    loss, dx = run(F.cross_entropy, given, "x")
    np.testing.assert_allclose(loss, np.log1p(np.exp(-1)), rtol=1e-15)
    assert dx[0, 1] == 0
    assert np.isfinite(dx).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_are_exact_to_the_last_digits(dtype: Any) -> None:
    x = (30 * numbers("b class", **{"class": 50})[1]).astype(dtype)
    labels = np.array([3, 14, 15])
    given = {"x": ("b class", x), "labels": ("b", labels)}
    loss = run(lambda x, labels: F.cross_entropy(x, labels, reduce=None), given)[0]
    for row, label, found in zip(x.tolist(), labels, loss, strict=True):
        wanted = mp.log(mp.fsum(mp.exp(value - row[label]) for value in row))
        assert abs(found - wanted) <= 8 * np.finfo(dtype).eps * max(abs(row[label]), 1)


def test_nan_stays_where_it_is() -> None:
    x = np.array([[1.0, np.nan], [1.0, 2.0]])
    given = {"x": ("b class", x), "labels": ("b", np.array([0, 1]))}
    loss, dx = run(lambda x, labels: F.cross_entropy(x, labels, reduce=None), given, "x")
    assert np.isnan(loss).tolist() == [True, False]
    assert np.isnan(dx).tolist() == [[True, True], [False, False]]


def test_one_class_costs_nothing() -> None:
    given = {"x": ("b class", np.array([[3.0], [4.0]])), "labels": ("b", np.array([0, 0]))}
    loss, dx = run(F.cross_entropy, given, "x")
    assert loss == 0
    assert dx.tolist() == [[0], [0]]


@pytest.mark.parametrize("reduce", OVER)
def test_a_batch_of_nothing(reduce: Any) -> None:
    given = {"x": ("b class", np.zeros((0, 3))), "labels": ("b", np.zeros(0, int))}
    loss, dx = run(lambda x, labels: F.cross_entropy(x, labels, reduce=reduce), given, "x")
    wanted = {"mean": 0, "sum": 0, None: np.zeros(0)}[reduce]
    np.testing.assert_array_equal(loss, wanted)
    assert dx.shape == (0, 3)


@pytest.mark.parametrize("reduce", OVER)
def test_nll(reduce: Any) -> None:
    agree(
        lambda x, labels: F.nll(x, labels, "c", reduce=reduce),
        lambda x, labels: T.nll_loss(x, labels, reduction=over(reduce)),
        {"x": numbers("b c t"), "labels": integers("b t", 7)},
    )


@pytest.mark.parametrize("reduce", OVER)
def test_mse_and_huber(reduce: Any) -> None:
    given = {"y": numbers("b o"), "target": numbers("b o", seed=1)}
    agree(
        lambda y, t: F.mse(y, t, reduce=reduce),
        lambda y, t: T.mse_loss(y, t, reduction=over(reduce)),
        given,
    )
    agree(
        lambda y, t: F.huber(y, t, 0.7, reduce=reduce),
        lambda y, t: T.huber_loss(y, t, delta=0.7, reduction=over(reduce)),
        given,
    )


def test_no_slope_of_huber_is_greater_than_delta() -> None:
    y = np.array([1e30, -1e30, np.inf, 1.0, -0.5, 0.0], np.float32)
    given = {"y": ("b", y), "target": ("b", np.zeros_like(y))}
    loss, dy = run(lambda y, t: F.huber(y, t, 2.0, reduce=None), given, "y")
    assert dy.tolist() == [2, -2, 2, 1, -0.5, 0]
    assert loss.tolist() == [np.float32(2e30), np.float32(2e30), np.inf, 0.5, 0.125, 0]


@pytest.mark.parametrize("reduce", OVER)
def test_binary_cross_entropy(reduce: Any) -> None:
    agree(
        lambda x, t: F.binary_cross_entropy(x, t, reduce=reduce),
        lambda x, t: T.binary_cross_entropy_with_logits(x, t, reduction=over(reduce)),
        {"x": numbers("b o"), "t": ("b o", np.random.default_rng(2).random((3, 4)))},
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_cross_entropy_keeps_what_is_small(dtype: Any) -> None:
    x = np.array([-1e4, -60, -10, -1, 0, 1, 10, 60, 1e4], dtype)
    for t in (0, 1):
        given = {"x": ("b", x), "t": ("b", np.full(9, bool(t)))}
        loss, dx = run(lambda x, t: F.binary_cross_entropy(x, t, reduce=None), given, "x")
        assert loss.dtype == dtype
        sign = 1 - 2 * t
        with np.errstate(over="ignore"):
            wanted = [float(mp.log1p(mp.exp(sign * mp.mpf(float(v))))) for v in x]
            slopes = [float(sign / (1 + mp.exp(-sign * mp.mpf(float(v))))) for v in x]
        np.testing.assert_allclose(loss, wanted, rtol=4 * float(np.finfo(dtype).eps), atol=1e-44)
        np.testing.assert_allclose(dx, slopes, rtol=8 * float(np.finfo(dtype).eps), atol=1e-44)


def test_mistakes_are_said() -> None:
    x, floats = tensor("x", "b class"), tensor("l", "b")
    with pytest.raises(OperandError, match="labels are integers: declare them so"):
        F.cross_entropy(x, floats)
    with pytest.raises(ShapeError, match="logits has the axes 'b class', and none called 'c'"):
        F.cross_entropy(x, tensor("l", "b", "int64"), "c")
    with pytest.raises(ShapeError, match=r"labels is along 'b t', logits 'b class'.*'t'\n  b t"):
        F.cross_entropy(x, tensor("l", "b t", "int64"))
    with pytest.raises(ParameterError, match="smoothing=2 is not between 0 and 1"):
        F.cross_entropy(x, tensor("l", "b", "int64"), smoothing=2)
    with pytest.raises(ParameterError, match="reduce='max' is neither"):
        F.mse(x, x, reduce="max")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="delta=0 is not positive"):
        F.huber(x, x, 0)
