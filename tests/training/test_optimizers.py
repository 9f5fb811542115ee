"""Optimisers against torch's over several steps, and against formulas in numpy."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.errors import OperandError, ParameterError, ProgramError
from contractconv.training import SGD, Adam, AdamW, Lion, Optimizer, RMSprop, WarmUp, averaged
from contractconv.training.schedules import Linear

Arrays = dict[str, Any]
SHAPES = {"W": (3, 4), "bias": (4,), "scale": ()}
SYMBOLS = {"W": cc.tensor("W", "i o"), "bias": cc.tensor("bias", "o"), "scale": cc.tensor("scale")}
STEPS = 7

OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": SGD(0.1),
    "decayed": SGD(0.1, decay=0.1),
    "momentum": SGD(0.1, momentum=0.8, decay=0.05),
    "nesterov": SGD(0.1, momentum=0.8, nesterov=True, decay=0.05),
    "rmsprop": RMSprop(0.01, friction=0.8, epsilon=1e-6, decay=0.1),
    "adam": Adam(0.01),
    "adam_decayed": Adam(0.01, frictions=(0.8, 0.95), epsilon=1e-6, decay=0.1),
    "adamw": AdamW(0.01, frictions=(0.8, 0.95), epsilon=1e-6, decay=0.1),
    "lion": Lion(0.01, frictions=(0.8, 0.95), decay=0.1),
}


def drawn(seed: int, dtype: Any = np.float64) -> Arrays:
    rng = np.random.default_rng(seed)
    made = {name: rng.standard_normal(shape) for name, shape in SHAPES.items()}
    if np.dtype(dtype).kind == "c":
        made = {name: a + 1j * rng.standard_normal(a.shape) for name, a in made.items()}
    return {name: np.asarray(a).astype(dtype) for name, a in made.items()}


def walked(optimizer: Optimizer, dtype: Any = np.float64, rate: Any = None) -> list[Arrays]:
    """The parameters after each of some steps with random gradients, by the program."""
    program = optimizer.program(SYMBOLS)
    now = drawn(0, dtype)
    slots = {f"{name}_{slot}": np.zeros_like(now[name]) for name in now for slot in optimizer.slots}
    found = []
    for step in range(1, STEPS + 1):
        given = {"step": step} if "step" in program.inputs else {}
        slopes = {f"d_{name}": g for name, g in drawn(step, dtype).items()}
        at = optimizer.rate_at(step, STEPS) if rate is None else rate
        made = program(**now, **slopes, **slots, **given, rate=at)._asdict()
        now = {name: made[f"next_{name}"] for name in now}
        slots = {name: made[f"next_{name}"] for name in slots}
        found.append(now)
    return found


def torchs(
    optimizer: Callable[..., Any], decays: Mapping[str, float], after: Callable[..., Any] | None
) -> list[Arrays]:
    """The same by torch, each parameter with its own decay."""
    import torch

    weights = {n: torch.tensor(a, requires_grad=True) for n, a in drawn(0).items()}
    stepper = optimizer([{"params": [w], "weight_decay": decays[n]} for n, w in weights.items()])
    schedule = after(stepper) if after else None
    found = []
    for step in range(1, STEPS + 1):
        for name, slope in drawn(step).items():
            weights[name].grad = torch.tensor(slope)
        stepper.step()
        if schedule:
            schedule.step()
        found.append({name: w.detach().numpy().copy() for name, w in weights.items()})
    return found


def close(ours: list[Arrays], theirs: list[Arrays], rtol: float = 1e-12) -> None:
    assert len(ours) == len(theirs) == STEPS
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.keys() == other.keys()
        for name in mine:
            np.testing.assert_allclose(mine[name], other[name], rtol=rtol, atol=rtol)


def theirs_of(name: str, optimizer: Any) -> Callable[..., Any]:
    optim = pytest.importorskip("torch").optim
    if isinstance(optimizer, SGD):
        options = {"momentum": optimizer.momentum, "nesterov": optimizer.nesterov}
        return lambda groups: optim.SGD(groups, 0.1, **options)
    if isinstance(optimizer, RMSprop):
        return lambda groups: optim.RMSprop(groups, 0.01, optimizer.friction, optimizer.epsilon)
    kind = optim.AdamW if isinstance(optimizer, AdamW) else optim.Adam
    return lambda groups: kind(groups, 0.01, optimizer.frictions, optimizer.epsilon)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "lion"])
@pytest.mark.parametrize("decayed", ["weights", "all", ("bias",)])
def test_torchs(name: str, decayed: Any) -> None:
    from dataclasses import replace

    optimizer: Any = replace(OPTIMIZERS[name], decayed=decayed)  # type: ignore[type-var]
    some = {"weights": {"W"}, "all": set(SHAPES)}.get(str(decayed), {"bias"})
    decays = {n: optimizer.decay if n in some else 0.0 for n in SHAPES}
    close(walked(optimizer), torchs(theirs_of(name, optimizer), decays, None))


def test_a_wrong_decay_would_be_noticed() -> None:
    everything = dict.fromkeys(SHAPES, 0.1)
    theirs = torchs(theirs_of("adamw", OPTIMIZERS["adamw"]), everything, None)
    with pytest.raises(AssertionError):
        close(walked(OPTIMIZERS["adamw"]), theirs)


def test_torchs_with_a_schedule() -> None:
    optim = pytest.importorskip("torch").optim
    theirs = torchs(
        lambda groups: optim.SGD(groups, 0.1, momentum=0.9),
        dict.fromkeys(SHAPES, 0.0),
        lambda stepper: optim.lr_scheduler.LinearLR(stepper, 1.0, 0.0, STEPS),
    )
    close(walked(SGD(Linear(0.1), momentum=0.9)), theirs)


# --- formulas in numpy, one step of one parameter at a time ---------------------------------------


def formula(name: str, w: Any, g: Any, s: dict[str, Any], t: int, decay: float) -> Any:
    """What papers say, of numbers of whatever kind; ``s`` is changed."""
    if name in ("sgd", "decayed"):
        return w - 0.1 * (g + decay * w)
    if name in ("momentum", "nesterov"):
        g = g + decay * w
        s["v"] = 0.8 * s.get("v", 0) + g
        return w - 0.1 * (g + 0.8 * s["v"] if name == "nesterov" else s["v"])
    if name == "rmsprop":
        g = g + decay * w
        s["s"] = 0.8 * s.get("s", 0) + (1 - 0.8) * g * g
        return w - 0.01 * g / (np.sqrt(s["s"]) + 1e-6)
    if name == "lion":
        c = 0.8 * s.get("m", 0) + (1 - 0.8) * g
        s["m"] = 0.95 * s.get("m", 0) + (1 - 0.95) * g
        return w - 0.01 * (np.sign(c) + decay * w)
    b1, b2, epsilon = (0.9, 0.999, 1e-8) if name == "adam" else (0.8, 0.95, 1e-6)
    if name == "adam_decayed":
        g, decay = g + decay * w, 0.0
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["s"] = b2 * s.get("s", 0) + (1 - b2) * g * g
    m, v = s["m"] / (1 - b1**t), s["s"] / (1 - b2**t)
    return w - 0.01 * (m / (np.sqrt(v) + epsilon) + decay * w)


def by_formula(name: str, dtype: Any) -> list[Arrays]:
    decay = OPTIMIZERS[name].decay
    now = drawn(0, dtype)
    states: dict[str, dict[str, Any]] = {n: {} for n in now}
    found = []
    for t in range(1, STEPS + 1):
        slopes = drawn(t, dtype)
        now = {
            n: formula(name, w, slopes[n], states[n], t, decay if w.ndim > 1 else 0.0)
            for n, w in now.items()
        }
        found.append(now)
    return found


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_formulas(name: str) -> None:
    close(walked(OPTIMIZERS[name]), by_formula(name, np.float64))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_narrow_numbers_stay_narrow(name: str, dtype: Any) -> None:
    # The rate is a float64 array: it widens nothing.
    rate: Any = OPTIMIZERS[name].rate
    ours = walked(OPTIMIZERS[name], dtype, np.float64(rate))
    assert {a.dtype for made in ours for a in made.values()} == {np.dtype(dtype)}
    rtol = 2e-4 if dtype is np.float32 else 0.05
    close(ours, by_formula(name, np.float64), rtol)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("name", ["sgd", "decayed", "momentum", "nesterov"])
def test_complex_numbers(name: str, dtype: Any) -> None:
    ours = walked(OPTIMIZERS[name], dtype)
    assert {a.dtype for made in ours for a in made.values()} == {np.dtype(dtype)}
    close(ours, by_formula(name, dtype), 1e-12 if dtype is np.complex128 else 1e-5)


@pytest.mark.parametrize("name", ["rmsprop", "adam", "adamw", "lion"])
def test_complex_numbers_are_not_weighed(name: str) -> None:
    with pytest.raises(OperandError, match="weighs real numbers"):
        OPTIMIZERS[name].program({"W": cc.tensor("W", "i", "complex64")})


# --- programs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_program_is_read_back(name: str) -> None:
    program = OPTIMIZERS[name].program(SYMBOLS)
    assert cc.read(str(program)) == program


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_dtypes_that_are_declared(name: str) -> None:
    program = OPTIMIZERS[name].program({"W": cc.tensor("W", "i", "float32")})
    given = {n: np.ones(3, np.float32) for n in program.inputs if n not in ("step", "rate")}
    counted = {"step": 1} if "step" in program.inputs else {}
    made = program(**given, **counted, rate=0.1)
    several = made if isinstance(made, tuple) else (made,)
    assert {array.dtype for array in several} == {np.dtype(np.float32)}


def test_names_that_meet_are_refused() -> None:
    clash = {"W": cc.tensor("W", "i"), "W_velocity": cc.tensor("W_velocity", "i")}
    with pytest.raises(ProgramError, match="'W_velocity'"):
        SGD(0.1, momentum=0.9).program(clash)


def test_empty_parameters() -> None:
    program = AdamW().program({"W": cc.tensor("W", "i o")})
    nothing = {n: np.zeros((0, 3)) for n in ("W", "d_W", "W_first", "W_second")}
    assert program(**nothing, step=1, rate=0.1).next_W.shape == (0, 3)


# --- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimisers_are_values(name: str) -> None:
    optimizer = OPTIMIZERS[name]
    assert pickle.loads(pickle.dumps(optimizer)) == optimizer
    assert hash(optimizer) == hash(pickle.loads(pickle.dumps(optimizer)))


def test_a_rate_is_a_number_or_a_schedule() -> None:
    assert [SGD(0.5).rate_at(step, 4) for step in (1, 4)] == [0.5, 0.5]
    rate = WarmUp(Linear(1.0), over=1)
    assert [SGD(rate).rate_at(step, 3) for step in (1, 2, 3)] == [0.5, 1.0, 0.5]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(-1.0), r"SGD\(rate=-1.0\): it is a number, or a schedule"),
        (lambda: SGD(float("nan")), "rate=nan"),
        (lambda: SGD(True), "rate=True"),
        (lambda: SGD(0.1, momentum=1.0), "without, one"),
        (lambda: SGD(0.1, nesterov=True), "give a momentum"),
        (lambda: Adam(frictions=0.9), "a pair of numbers"),  # type: ignore[arg-type]
        (lambda: Adam(frictions=(0.9, 1.0)), "a pair of numbers"),
        (lambda: RMSprop(friction=-0.1), "without, one"),
        (lambda: AdamW(epsilon=-1e-8), "zero or above"),
        (lambda: AdamW(decay=-0.1), "zero or above"),
        (lambda: Lion(decayed="some"), "'weights', 'all', or a tuple"),  # type: ignore[arg-type]
        (lambda: Lion(decayed=["W"]), "a tuple of names"),  # type: ignore[arg-type]
    ],
)
def test_what_can_be_no_optimiser(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


def test_an_average_that_is_missing() -> None:
    w = cc.tensor("w", "i")
    with pytest.raises(ParameterError, match="Adam keeps first, second: 'second' is missing"):
        Adam().update(w, w, {"first": w}, 1, 0.1)


# --- averages of parameters ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
def test_averages(dtype: str) -> None:
    a, w = drawn(0, dtype)["W"], drawn(1, dtype)["W"]
    symbols = [cc.tensor("a", "i o"), cc.tensor("w", "i o")]
    made = cc.compile(averaged(symbols[0], symbols[1], 0.9), inputs=symbols)(a, w)
    assert made.dtype == np.dtype(dtype)
    np.testing.assert_allclose(made, 0.9 * a + 0.1 * w, rtol=1e-2 if dtype == "float16" else 1e-5)
