"""Optimisers and schedules through JSON and back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from contractconv import training
from contractconv.errors import ParameterError
from contractconv.training import facts
from contractconv.training.schedules import Schedule

THINGS: list[Any] = [
    training.Constant(0.1), training.Cosine(0.1), training.Linear(0.1, 0.01),
    training.Polynomial(0.1, 3), training.Exponential(0.1, 0.9), training.StepDecay(0.1, 0.25),
    training.Milestones(0.1, (3, 0.5)), training.OneCycle(0.1),
    training.WarmUp(training.WarmUp(training.Cosine(0.1), 1.0), 10, start=0.5),
    training.SGD(0.1, 0.9, nesterov=True, decayed=("W", "V")), training.RMSprop(),
    training.Adam(training.WarmUp(training.Cosine(1e-3), 0.1)), training.AdamW(decayed="all"),
    training.Lion(1e-4, (0.5, 0.6)), training.KFAC(training.Cosine(0.1), places="reduce"),
]  # fmt: skip


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: type(thing).__name__)
def test_through_json(thing: Any) -> None:
    described = json.loads(json.dumps(training.to_facts(thing)))
    assert training.from_facts(described) == thing
    assert described == training.to_facts(thing)


def test_everything_is_here() -> None:
    ours = {
        name for name, kind in facts.KINDS.items() if kind.__module__.startswith("contractconv")
    }
    assert {type(thing).__name__ for thing in THINGS} == ours


def test_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "KINDS", dict(facts.KINDS))

    @dataclass(frozen=True)
    class Saw(Schedule):
        rate: float
        teeth: int

        def _at(self, step: int, steps: int) -> float:
            return self.rate * (step % self.teeth)

    optimizer = training.SGD(Saw(0.5, 3))
    with pytest.raises(ParameterError, match="tell contractconv"):
        training.to_facts(optimizer)
    assert training.register(Saw) is Saw
    assert training.from_facts(training.to_facts(optimizer)) == optimizer
    assert optimizer.rate_at(3, 10) == 1.0


def test_names_are_not_given_twice() -> None:
    other: Any = dataclass(type("Adam", (), {}))
    with pytest.raises(ParameterError, match="a name of its own"):
        training.register(other)
    with pytest.raises(ParameterError, match="no dataclass"):
        training.register(int)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "Adm"}, "'Adm'.*Adam"),
        ({}, "no schedule None"),
        ({"kind": ["Adam"]}, "no schedule"),
        ({"kind": "Adam", "betas": [0.9, 0.999]}, "no fields of Adam"),
        ({"kind": "Cosine"}, "no fields of Cosine"),
        ({"kind": "Cosine", "rate": "fast"}, "rate='fast'"),
        ({"kind": "Adam", "rate": {"kind": "os.system"}}, "'os.system'"),
    ],
)
def test_what_facts_cannot_say(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        training.from_facts(given)


@pytest.mark.parametrize("thing", [3, "Adam", training.Adam, training.SGD(lambda a, b: 0.1)])  # type: ignore[arg-type]
def test_what_is_unknown(thing: Any) -> None:
    with pytest.raises(ParameterError, match="that is known"):
        training.to_facts(thing)
