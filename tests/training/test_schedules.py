"""Rates of steps against torch's, and against what papers say."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contractconv.errors import ParameterError
from contractconv.training import (
    Constant,
    Cosine,
    Exponential,
    Linear,
    Milestones,
    OneCycle,
    Polynomial,
    Schedule,
    StepDecay,
    WarmUp,
)

STEPS = 23
SCHEDULES: dict[str, Schedule] = {
    "constant": Constant(0.3),
    "cosine": Cosine(0.3, 0.01),
    "linear": Linear(0.3, 0.06),
    "polynomial": Polynomial(0.3, power=3),
    "exponential": Exponential(0.3, 0.9),
    "step_decay": StepDecay(0.3, every=5, factor=0.2),
    "milestones": Milestones(0.3, at=(4, 9, 20), factor=0.2),
    "one_cycle": OneCycle(0.3, rise=0.4),
    "one_cycle_by_default": OneCycle(0.3),
    "warm_up": WarmUp(Cosine(0.3, 0.01), over=6, start=0.1),
    "warm_up_evenly": WarmUp(Linear(0.3), over=6),
}


def theirs(name: str, stepper: Any) -> Any:
    schedulers = pytest.importorskip("torch").optim.lr_scheduler

    def warm(start: float, then: Any) -> Any:
        up = schedulers.LinearLR(stepper, start, 1.0, 6)
        return schedulers.SequentialLR(stepper, [up, then(stepper)], [6])

    made: dict[str, Callable[[Any], Any]] = {
        "constant": lambda s: schedulers.ConstantLR(s, 1.0),
        "cosine": lambda s: schedulers.CosineAnnealingLR(s, STEPS, 0.01),
        "linear": lambda s: schedulers.LinearLR(s, 1.0, 0.2, STEPS),
        "polynomial": lambda s: schedulers.PolynomialLR(s, STEPS, 3),
        "exponential": lambda s: schedulers.ExponentialLR(s, 0.9),
        "step_decay": lambda s: schedulers.StepLR(s, 5, 0.2),
        "milestones": lambda s: schedulers.MultiStepLR(s, [4, 9, 20], 0.2),
        "one_cycle": lambda s: schedulers.OneCycleLR(s, 0.3, STEPS, pct_start=0.4),
        "one_cycle_by_default": lambda s: schedulers.OneCycleLR(s, 0.3, STEPS),
        "warm_up": lambda s: warm(
            0.1, lambda s: schedulers.CosineAnnealingLR(s, STEPS - 6, 0.01)
        ),
        "warm_up_evenly": lambda s: warm(
            1 / 7, lambda s: schedulers.LinearLR(s, 1.0, 0.0, STEPS - 6)
        ),
    }  # fmt: skip
    return made[name](stepper)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")
def test_torchs(name: str) -> None:
    torch: Any = pytest.importorskip("torch")
    weight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    stepper = torch.optim.SGD([weight], 0.3)
    schedule = theirs(name, stepper)
    rates = []
    for _ in range(STEPS):
        rates.append(float(stepper.param_groups[0]["lr"]))
        stepper.step()
        schedule.step()
    ours = [SCHEDULES[name](step, STEPS) for step in range(STEPS)]
    np.testing.assert_allclose(ours, rates, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("name", SCHEDULES)
def test_behind_the_end_nothing_changes(name: str) -> None:
    schedule = SCHEDULES[name]
    last = schedule(STEPS, STEPS)
    assert [schedule(STEPS + more, STEPS) for more in (1, 5, 1000)] == [last] * 3
    assert type(last) is float


def test_where_schedules_come_to() -> None:
    ends = {"cosine": 0.01, "linear": 0.06, "polynomial": 0.0, "one_cycle": 0.3 * 4e-6}
    for name, end in ends.items():
        assert SCHEDULES[name](STEPS, STEPS) == pytest.approx(end, rel=1e-13, abs=1e-18)


@pytest.mark.parametrize("name", SCHEDULES)
@given(steps=st.integers(1, 60), step=st.integers(0, 80))
def test_rates_are_between_zero_and_the_greatest(name: str, steps: int, step: int) -> None:
    rate = SCHEDULES[name](step, steps)
    assert math.isfinite(rate)
    assert 0 <= rate <= 0.3 * (1 + 1e-12)


@given(steps=st.integers(1, 40), over=st.integers(0, 50))
def test_warm_ups_never_stand_still(steps: int, over: int) -> None:
    rates = [WarmUp(Constant(1.0), over)(step, steps) for step in range(min(steps, over))]
    assert rates == pytest.approx([(n + 1) / (over + 1) for n in range(len(rates))])
    assert all(rate > 0 for rate in rates)


def test_shares_of_all_steps() -> None:
    for step in range(40):
        assert WarmUp(Cosine(1.0), 0.25)(step, 40) == WarmUp(Cosine(1.0), 10)(step, 40)
        assert StepDecay(1.0, 0.5)(step, 40) == StepDecay(1.0, 20)(step, 40)
        assert Milestones(1.0, (0.5, 30))(step, 40) == Milestones(1.0, (20, 30))(step, 40)
    assert StepDecay(1.0, 0.01)(1, 3) == 0.1  # less than a step is a step
    assert WarmUp(Constant(1.0), 1.0)(9, 10) == pytest.approx(10 / 11)
    assert WarmUp(Constant(1.0), 1)(1, 10) == 1.0


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_values(name: str) -> None:
    schedule = SCHEDULES[name]
    again = pickle.loads(pickle.dumps(schedule))
    assert again == schedule
    assert hash(again) == hash(schedule)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(-0.1), r"Constant\(rate=-0.1\)"),
        (lambda: Constant(float("inf")), "rate=inf"),
        (lambda: Constant(Constant(0.1)), "rate=Constant"),  # type: ignore[arg-type]
        (lambda: Cosine(0.1, last=-1), "zero or above"),
        (lambda: Exponential(0.1, 0), "above zero"),
        (lambda: Polynomial(0.1, power=-1), "above zero"),
        (lambda: StepDecay(0.1, every=0), "not zero"),
        (lambda: StepDecay(0.1, every=1.5), "a share of all of them"),
        (lambda: Milestones(0.1, at=[3]), "a tuple"),  # type: ignore[arg-type]
        (lambda: Milestones(0.1, at=(-3,)), "a tuple"),
        (lambda: OneCycle(0.1, rise=1.0), "below one"),
        (lambda: WarmUp(0.1, 3), "a schedule"),  # type: ignore[arg-type]
        (lambda: WarmUp(Constant(0.1), True), "a number of steps"),
        (lambda: Constant(0.1)(-1, 10), "no step -1 of 10"),
        (lambda: Constant(0.1)(0, 0), "no step 0 of 0"),
    ],
)
def test_what_can_be_no_schedule(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()
