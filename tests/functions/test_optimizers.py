"""Steps of optimisers against torch's, several in a row, and derivatives through them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from torch_oracle import agree, numbers

from contractconv import functions as F
from contractconv.api.compiling import compile
from contractconv.api.tensor import tensor

torch: Any = pytest.importorskip("torch")

W, G = tensor("w", "i o"), tensor("g", "i o")
FIRST, SECOND, STEP = tensor("m", "i o"), tensor("s", "i o"), tensor("step", "", "int64")


def steps(program: Any, states: int, counted: bool, dtype: Any = np.float64) -> list[Any]:
    """A parameter after each of some steps with random gradients."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal((3, 4)).astype(dtype)
    state = [np.zeros_like(w)] * states
    found = [w]
    for n in range(1, 6):
        g = rng.standard_normal((3, 4)).astype(dtype)
        made = program(found[-1], g, *state, *([np.int64(n)] if counted else []))
        w, *state = made if states else [made]
        found.append(w)
    return found


def torchs(optimizer: Callable[..., Any]) -> list[Any]:
    rng = np.random.default_rng(0)
    w = torch.tensor(rng.standard_normal((3, 4)), requires_grad=True)
    stepper = optimizer([w])
    found = [w.detach().numpy().copy()]
    for _ in range(5):
        w.grad = torch.tensor(rng.standard_normal((3, 4)))
        stepper.step()
        found.append(w.detach().numpy().copy())
    return found


def close(ours: list[Any], theirs: list[Any]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_sgd(decay: float) -> None:
    program = compile(F.sgd(W, G, 0.1, decay), inputs=[W, G])
    close(steps(program, 0, False), torchs(lambda w: torch.optim.SGD(w, 0.1, weight_decay=decay)))


@pytest.mark.parametrize("nesterov", [True, False])
def test_momentum(nesterov: bool) -> None:
    made = F.momentum(W, G, FIRST, 0.1, 0.8, 0.05, nesterov)
    theirs = torchs(lambda w: torch.optim.SGD(w, 0.1, 0.8, weight_decay=0.05, nesterov=nesterov))
    close(steps(compile(made, inputs=[W, G, FIRST]), 1, False), theirs)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam(decay: float) -> None:
    made = F.adam(W, G, FIRST, SECOND, STEP, 0.01, (0.8, 0.95), 1e-6, decay)
    program = compile(made, inputs=[W, G, FIRST, SECOND, STEP])
    theirs = torchs(lambda w: torch.optim.AdamW(w, 0.01, (0.8, 0.95), 1e-6, weight_decay=decay))
    close(steps(program, 2, True), theirs)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_rmsprop(decay: float) -> None:
    made = F.rmsprop(W, G, SECOND, 0.01, 0.8, 1e-6, decay)
    theirs = torchs(lambda w: torch.optim.RMSprop(w, 0.01, 0.8, 1e-6, weight_decay=decay))
    close(steps(compile(made, inputs=[W, G, SECOND]), 1, False), theirs)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_lion_is_its_algorithm(decay: float) -> None:
    """Algorithm 2 of Chen et al. (2023), line by line: ``c``, ``theta``, ``m``."""

    def algorithm(theta: Any, g: Any, m: Any) -> tuple[Any, Any]:
        c = 0.8 * m + (1 - 0.8) * g
        return theta - 0.01 * (np.sign(c) + decay * theta), 0.95 * m + (1 - 0.95) * g

    made = F.lion(W, G, FIRST, 0.01, (0.8, 0.95), decay)
    close(steps(compile(made, inputs=[W, G, FIRST]), 1, False), steps(algorithm, 1, False))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_numbers_keep_their_width(dtype: Any) -> None:
    made = F.adam(W, G, FIRST, SECOND, STEP)
    program = compile(made, inputs=[W, G, FIRST, SECOND, STEP])
    assert {w.dtype for w in steps(program, 2, True, dtype)} == {np.dtype(dtype)}


def test_a_step_is_differentiated() -> None:
    def theirs(w: Any, g: Any, m: Any, s: Any) -> Any:
        m, s = 0.9 * m + 0.1 * g, 0.99 * s + 0.01 * g * g
        unbiased = m / (1 - 0.9**3), s / (1 - 0.99**3)
        return w - 0.1 * unbiased[0] / (unbiased[1].sqrt() + 1e-8), m, s

    squares = np.abs(numbers("i o", 3)[1]) + 0.1
    agree(
        lambda w, g, m, s: F.adam(w, g, m, s, 3, 0.1, (0.9, 0.99)),
        theirs,
        {
            "w": numbers("i o"),
            "g": numbers("i o", 1),
            "m": numbers("i o", 2),
            "s": ("i o", squares),
        },
    )
