"""A training in processes of its own, which are killed at any moment and begun again.

``python killed_training.py CHECKPOINT RESULT KILLS`` kills so many of them, and writes what came of
the last one to RESULT. Each process is forked of one that has imported everything and done nothing.
"""

from __future__ import annotations

import os
import pickle
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import contractconv as cc
from contractconv.networks.fitting.fit import Fit

L, T = cc.layers, cc.training

# Long enough to be killed so often; the same in each of the processes.
EPOCHS, EVERY = 16 if os.environ.get("HYPOTHESIS_PROFILE") == "deep" else 5, 3

# Where a process says that a step begins.
_told: list[int] = []


def network() -> cc.Network:
    """Chance, running statistics, windows and products."""
    return cc.Network(
        [
            L.Conv(4, 3, padding=1), L.BatchNorm(), "relu", L.MaxPool(2), L.Dropout(0.3),
            L.Dense(6, over="h w c", map="tanh"), L.Dropout(0.2), L.Dense(3),
        ]
    )  # fmt: skip


def data() -> tuple[Any, Any]:
    """Rows for seven batches, of which the last one is smaller."""
    rng = np.random.default_rng(5)
    return rng.standard_normal((50, 6, 6, 2)).astype("float32"), rng.integers(0, 3, 50)


def shifted(batch: Any, rng: np.random.Generator) -> Any:
    """A batch with noise."""
    x, labels = batch
    for place in _told:
        os.write(place, b".")
    return x + rng.normal(0, 0.1, x.shape).astype(x.dtype), labels


def options() -> dict[str, Any]:
    """Everything that a training has to remember."""
    x, labels = data()
    return {
        "optimizer": T.Adam(T.WarmUp(T.Cosine(0.02), over=4)), "epochs": EPOCHS, "batch": 8,
        "seed": 3, "augment": shifted, "average": 0.9, "patience": EPOCHS - 1, "clip": 2.0,
        "validation": (x[:20], labels[:20]), "every": EVERY,
    }  # fmt: skip


def outcome(fit: Fit) -> dict[str, Any]:
    """All that came of it but the time that it took."""
    rows = [{n: v for n, v in row.items() if n != "seconds"} for row in fit.rows]
    return {
        "params": fit.params, "average": fit.average, "rows": rows, "steps": fit.steps,
        "stopped": fit.stopped,
    }  # fmt: skip


def same(one: Any, other: Any) -> None:
    """Bit by bit."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        for name in one:
            same(one[name], other[name])
    elif isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.tobytes() == other.tobytes()
    else:
        assert one == other


def trained(checkpoint: str | Path | None, **changed: Any) -> Fit:
    """Train, or go on."""
    return network().fit(data(), checkpoint=checkpoint, **(options() | changed))


def killed(checkpoint: str, steps: int, seconds: float) -> bool:
    """Train in a process of its own and kill it behind some steps; say whether it was killed."""
    heard, told = os.pipe()
    process = os.fork()
    if not process:
        _told.append(told)
        trained(checkpoint)
        os._exit(0)
    os.close(told)
    done = sum(len(os.read(heard, 1)) for _ in range(steps))
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    os.close(heard)
    return os.waitpid(process, 0)[1] == signal.SIGKILL and done == steps


def main(checkpoint: str, result: str, kills: int) -> None:
    """Kill some trainings; the last one is left alone."""
    chance, done = random.Random(Path(checkpoint).name), 0
    for _ in range(kills):
        # A little more than between two checkpoints: it gets on, and is killed in one now and then.
        done += killed(checkpoint, chance.randint(1, 2 * EVERY), chance.uniform(0, 0.005))
    Path(result).write_bytes(pickle.dumps((done, outcome(trained(checkpoint)))))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
