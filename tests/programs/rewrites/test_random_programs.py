"""Random programs, and their gradients, as they are and rewritten: the same results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symbolic import both, contract

from contractconv.api.symbolic import grad
from contractconv.api.tensor import Tensor, applied, index, tensor
from contractconv.functions.codes import one_hot

SIZES = {"a": 2, "b": 3, "c": 4}
MAPS = ("add", "subtract", "multiply", "max", "less", "where", "negative", "square", "cast")


def arrays_of(seed: int, sizes: dict[str, int]) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    made: dict[str, Any] = {
        "".join(axes): random.integers(-3, 4, [sizes[name] for name in axes])
        for axes in ("a", "b", "ab", "ba", "bc", "ca", "abc")
    }
    return made | {"n": random.integers(-1, 5, [sizes["a"], sizes["b"]])}


class Drawn:
    """A program that is drawn node by node."""

    def __init__(self, chance: np.random.Generator, dtype: str | None) -> None:
        self._chance = chance
        self.inputs = [
            tensor(axes, " ".join(axes), dtype) for axes in ("a", "b", "ab", "ba", "bc", "ca")
        ]
        self.labels = tensor("n", "a b", "int64")
        self.values = [*self.inputs]

    def one(self) -> Tensor:
        """A value."""
        return self.values[self._chance.integers(len(self.values))]

    def step(self) -> None:
        """Make one more value."""
        rules: Sequence[Callable[[], Tensor]] = (
            self.mapped, self.mapped, self.moved, self.contracted, self.chosen, self.number,
        )  # fmt: skip
        made = rules[int(self._chance.integers(len(rules)))]()
        if len(made.axes) <= 3:
            self.values.append(made)

    def mapped(self) -> Tensor:
        """A map of values."""
        function = ("add", "subtract", "multiply", "max", "negative")[self._chance.integers(5)]
        if function == "negative":
            return -self.one()
        return applied(function, self.one(), self.one())

    def number(self) -> Tensor:
        """A map of a value and a number."""
        value = (0, 1, -1, 2)[self._chance.integers(4)]
        function = ("add", "subtract", "multiply")[self._chance.integers(3)]
        pair = (self.one(), value)
        return applied(function, *(pair if self._chance.integers(2) else pair[::-1]))

    def moved(self) -> Tensor:
        """A value, moved, or repeated."""
        x = self.one()
        axes = [x.axes[n] for n in self._chance.permutation(len(x.axes))]
        free = [name for name in SIZES if name not in axes]
        if free and self._chance.integers(2):
            axes.insert(0, free[0])
            return contract(
                f"{' '.join(x.axes)} -> {' '.join(axes)}", x, **{free[0]: self._size(free[0])}
            )
        return contract(f"{' '.join(x.axes)} -> {' '.join(axes)}", x)

    def _size(self, name: str) -> Any:
        from contractconv.api.tensor import size

        held = {"a": self.inputs[0], "b": self.inputs[1], "c": self.inputs[4]}
        return size(held[name], name)

    def contracted(self) -> Tensor:
        """A contraction of two values."""
        x, y = self.one(), self.one()
        names = list(dict.fromkeys((*x.axes, *y.axes)))
        kept = [name for name in names if self._chance.integers(2)]
        return contract(f"{' '.join(x.axes)}, {' '.join(y.axes)} -> {' '.join(kept)}", x, y)

    def chosen(self) -> Tensor:
        """A value, masked, or contracted with a code."""
        if self._chance.integers(2):
            mask = index("a", self._size("a")) >= index("b", self._size("b"))
            return applied("where", mask, self.one(), 0)
        code = one_hot(self.labels, "c", self._size("c"))
        x = self.one()
        names = list(dict.fromkeys((*code.axes, *x.axes)))
        kept = [name for name in names if self._chance.integers(2)]
        return contract(f"a b c, {' '.join(x.axes)} -> {' '.join(kept)}", code, x)


def drawn_program(seed: int, dtype: str | None) -> Drawn:
    made = Drawn(np.random.default_rng(seed), dtype)
    for _ in range(12):
        made.step()
    return made


def check(seed: int, sizes: dict[str, int]) -> None:
    whole = drawn_program(seed, "int64")
    for plain, new in both(whole.values[-4:], arrays_of(seed, sizes)):
        assert plain.dtype == new.dtype
        np.testing.assert_array_equal(plain, new)


def check_gradients(seed: int, sizes: dict[str, int], dtype: str = "float64") -> None:
    whole = drawn_program(seed, None)
    y = whole.values[-1]
    loss = contract(f"{' '.join(y.axes)} ->", y * y)
    outputs = [loss, *grad(loss, whole.inputs)]
    for plain, new in both(outputs, arrays_of(seed, sizes), dtype):
        assert plain.dtype == new.dtype
        scale = max(1.0, float(np.abs(plain).max(initial=0)))
        if np.isfinite(scale):
            np.testing.assert_allclose(plain / scale, new / scale, rtol=0, atol=_NEAR[dtype])


# A program is large, so there are fewer of them than of other things.
_OFTEN = settings().max_examples // 6

_NEAR = {"float64": 1e-12, "float32": 1e-5, "complex128": 1e-12}


@settings(max_examples=_OFTEN)
@given(st.integers(0, 2**32))
def test_integers_stay_exactly_the_same(seed: int) -> None:
    check(seed, SIZES)


@settings(max_examples=_OFTEN)
@given(st.integers(0, 2**32))
def test_gradients_stay_the_same(seed: int) -> None:
    check_gradients(seed, SIZES)


@pytest.mark.parametrize("empty", ["a", "b", "c"])
@pytest.mark.parametrize("seed", range(4))
def test_empty_axes(empty: str, seed: int) -> None:
    check(seed, SIZES | {empty: 0})
    check_gradients(seed, SIZES | {empty: 0})


@pytest.mark.parametrize("one", ["a", "b", "c"])
def test_axes_of_one_element(one: str) -> None:
    for seed in range(4):
        check(seed, SIZES | {one: 1})


@pytest.mark.parametrize("dtype", ["float32"])
def test_other_dtypes(dtype: str) -> None:
    for seed in range(6):
        check_gradients(seed, SIZES, dtype)
