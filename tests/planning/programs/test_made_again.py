"""What is made again by its readers, and never kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from program_parts import ready

import contractconv as cc
from contractconv.engines.llvm.kernels import native
from contractconv.planning.programs.steps import MapStep


def groups(outputs: dict[str, cc.Tensor], **arrays: Any) -> list[Any]:
    steps = ready(outputs, **arrays).steps
    return [step.group for step in steps if isinstance(step, MapStep)]


def made(outputs: dict[str, cc.Tensor], **arrays: Any) -> Any:
    return cc.compile(outputs)(**arrays)


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


def normalized(x: cc.Tensor) -> cc.Tensor:
    """A convolution's result without its mean, over its deviation."""
    centered = x - cc.contract("b c -> c", x, reduce="mean")
    variance = cc.contract("b c, b c -> c", centered, centered, reduce="mean")
    made: cc.Tensor = centered * cc.rsqrt(variance + 1e-5)
    return made


def test_the_difference_from_a_mean_is_never_kept() -> None:
    x, w = cc.tensor("x", "b i"), cc.tensor("w", "i c")
    y = normalized(cc.contract("b i, i c -> b c", x, w))
    loss = cc.contract("b c ->", cc.relu(y) * y)
    outputs = {"loss": loss, "d_w": cc.grad(loss, w)}
    arrays = {"x": numbers(400, 5), "w": numbers(5, 16, seed=1)}
    kept = [n for group in groups(outputs, **arrays) for n in group.outputs if len(n.axes) == 2]
    assert not [n for n in kept if getattr(n, "function", "") == "subtract"]


@pytest.mark.parametrize("compiled", [True, False])
def test_batch_normalization_and_its_gradients(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    if not compiled:
        monkeypatch.setenv("CONTRACTCONV_KERNELS", "numpy")
    elif not native.available():
        pytest.skip("there are no kernels")
    x, w, s = cc.tensor("x", "b i"), cc.tensor("w", "i c"), cc.tensor("s", "c")
    y = cc.relu6(normalized(cc.contract("b i, i c -> b c", x, w)) * s + 1.0)
    loss = cc.contract("b c, b c ->", y, y)
    outputs = {"loss": loss, **{f"d{n}": cc.grad(loss, t) for n, t in enumerate((x, w, s))}}
    arrays = {"x": numbers(3000, 5), "w": numbers(5, 24, seed=1), "s": numbers(24, seed=2)}
    found = made(outputs, **arrays)
    given = {name: torch.tensor(array, requires_grad=True) for name, array in arrays.items()}
    z = given["x"] @ given["w"]
    z = (z - z.mean(0)) / torch.sqrt(z.var(0, unbiased=False) + 1e-5)
    wanted = (torch.nn.functional.relu6(z * given["s"] + 1.0) ** 2).sum()
    wanted.backward()
    np.testing.assert_allclose(found[0], wanted.item(), rtol=1e-12)
    for name, gradient in zip(("x", "w", "s"), found[1:], strict=True):
        right = given[name].grad.numpy()
        np.testing.assert_allclose(gradient, right, atol=1e-9 * np.abs(right).max())


@pytest.mark.parametrize("extra", ["wanted", "contracted", "named"])
def test_what_others_read_is_kept(extra: str) -> None:
    x, m = cc.tensor("x", "b c"), cc.tensor("m", "c")
    centered = x - m
    other = {
        "wanted": centered,
        "contracted": cc.contract("b c, d c -> b d", centered, cc.tensor("y", "d c")),
        "named": cc.contract("p c, p c -> p", centered.named("p c"), centered.named("p c")),
    }[extra]
    outputs = {"other": other, "sum": cc.contract("b c -> c", centered)}
    arrays = {"x": numbers(2000, 4), "m": numbers(4, seed=1), "y": numbers(3, 4, seed=2)}
    arrays = arrays if extra == "contracted" else {n: arrays[n] for n in "xm"}
    found = made(outputs, **arrays)
    difference = arrays["x"] - arrays["m"]
    wanted = {
        "wanted": difference,
        "contracted": difference @ arrays.get("y", difference).T,
        "named": (difference**2).sum(1),
    }[extra]
    np.testing.assert_allclose(found[0], wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found[1], difference.sum(0), rtol=1e-9, atol=1e-9)


def test_sums_of_one_array_read_it_once() -> None:
    x, y = cc.tensor("x", "b c"), cc.tensor("y", "b i")
    z = cc.contract("b i, i c -> b c", y, cc.tensor("w", "i c"))
    outputs = {
        "sums": cc.contract("b c -> c", z),
        "products": cc.contract("b c, b c -> c", z, x),
        "squares": cc.contract("b c, b c -> c", z, z),
    }
    arrays = {"x": numbers(9000, 8), "y": numbers(9000, 3), "w": numbers(3, 8, seed=3)}
    (group,) = groups(outputs, **arrays)
    assert len(group.sums) == 3
    assert not group.nodes
    found = made(outputs, **arrays)
    z_ = arrays["y"] @ arrays["w"]
    for one, wanted in zip(found, (z_, z_ * arrays["x"], z_ * z_), strict=True):
        np.testing.assert_allclose(one, wanted.sum(0), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("function", ["exp", "tanh", "sqrt"])
def test_what_takes_long_is_kept(function: str) -> None:
    x = cc.tensor("x", "b c")
    powers = getattr(cc, function)(cc.contract("b c -> b c", x * x))
    total = cc.contract("b c -> c", powers)
    outputs = {"shares": powers / total}
    kept = [n for g in groups(outputs, x=numbers(500, 4)) for n in g.outputs]
    assert function in [getattr(n, "function", "") for n in kept]


def test_long_chains_are_kept_in_between() -> None:
    x = cc.tensor("x", "b c")
    total = cc.contract("b c -> c", x)
    y = x
    for n in range(40):
        y = (y + total) * float(n + 1) / 40.0
    again = cc.contract("b c -> c", y)
    outputs = {"y": y * again}
    arrays = {"x": numbers(300, 4)}
    assert max(len(group.nodes) for group in groups(outputs, **arrays)) <= 2 * 3 * 40
    x_ = arrays["x"]
    for n in range(40):
        x_ = (x_ + arrays["x"].sum(0)) * (n + 1) / 40
    np.testing.assert_allclose(made(outputs, **arrays)[0], x_ * x_.sum(0), rtol=1e-9)
