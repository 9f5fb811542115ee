"""Steps of training: what they cost, and that threads may share a network."""

from __future__ import annotations

import gc
import threading
from typing import Any

import numpy as np
import pytest
from small_networks import classes, flat, network, perceptron

from contractconv.execution.programs import compiled
from contractconv.networks import traceable as module
from contractconv.networks.fitting import stepper

x, labels = np.ones((6, 3), "float32"), np.zeros(6, int)


def test_a_second_epoch_makes_nothing_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: dict[str, list[int]] = {}
    epoch = [0]

    def counting(where: Any, name: str) -> None:
        plain, calls[name] = getattr(where, name), []

        def counted(*given: Any, **named: Any) -> Any:
            calls[name].append(epoch[0])
            return plain(*given, **named)

        monkeypatch.setattr(where, name, counted)

    for where, name in (
        (module, "traced"), (module, "objective"), (module, "compile_program"),
        (stepper, "step_of"), (compiled, "_prepared"),
    ):  # fmt: skip
        counting(where, name)

    def data(rng: np.random.Generator) -> Any:
        epoch[0] += 1
        return [(x, labels), (x, labels), (x[:4], labels[:4])]

    epoch[0] = -1  # the first batch is looked at beforehand
    perceptron(0.5).fit(data, validation=(x, labels), epochs=3)
    assert epoch[0] == 3
    assert all(calls.values())
    assert {name for name, when in calls.items() if max(when) > 1} == set()


def test_two_threads_train_one_network() -> None:
    net, data = network(), classes()
    found: list[Any] = []

    def train() -> None:
        found.append(flat(net.fit(data, epochs=2, batch=8).params))

    threads = [threading.Thread(target=train) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert all(np.array_equal(one[n], found[0][n]) for one in found for n in one)


def test_nothing_is_left_of_earlier_steps() -> None:
    """States of steps that are over are let go, also where nothing collects garbage."""
    alive: list[int] = []

    def counting(batch: Any, rng: np.random.Generator) -> Any:
        arrays = [o for o in gc.get_objects() if type(o) is dict and "dense_1.W" in o]
        alive.append(len(arrays))
        return batch

    gc.disable()
    try:
        perceptron().fit((x, labels), epochs=8, augment=counting)
    finally:
        gc.enable()
    assert max(alive) <= alive[1] + 1
