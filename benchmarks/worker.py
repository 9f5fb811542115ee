"""The process of one peer: it waits for a question, answers it, and waits again.

    python -m benchmarks.worker MODULE THREADS OPTIONS

Questions and answers are lines of JSON on standard input and output. While a peer waits it is
blocked on the pipe, so that it does not disturb the others.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.layers import Measurement, from_json
from benchmarks.peers import Prepared
from benchmarks.probes import peak_growth, timed

Answer = dict[str, Any]
Prepare = Callable[..., Prepared | None]


class Worker:
    """A peer that has been started; it keeps what was prepared for the last measurement."""

    def __init__(self, prepare: Callable[[Measurement], Prepared | None]) -> None:
        self._prepare = prepare
        # What was prepared, and where its first result was asked for.
        self._current: tuple[str, Prepared | None] | None = None

    def answer(self, question: dict[str, Any]) -> Answer:
        """Do what the question asks for; an error is an answer too."""
        measurement = from_json(question["measurement"])
        try:
            if question["ask"] == "memory":
                return self.memory(measurement, from_json(question["tiny"]))
            return self.time(measurement, question["seconds"], question["save"])
        except Exception as error:  # whatever a library raises, the others go on
            return {"error": f"{type(error).__name__}: {error}"}

    def time(self, measurement: Measurement, seconds: float, save: str) -> Answer:
        """Time a measurement; the first result is saved in a file of its own, to be compared."""
        if self._current is None or self._current[0] != save:
            self._current = None  # frees the memory of the last one
            prepared = self._prepare(measurement)
            if prepared is not None:
                np.save(save, prepared.array(prepared.run()))
            self._current = (save, prepared)
        prepared = self._current[1]
        return {} if prepared is None else timed(prepared.run, seconds)

    def memory(self, measurement: Measurement, tiny: Measurement) -> Answer:
        """Peaks of the first and the second call, after a tiny layer has loaded the code."""
        warm = self._prepare(tiny)
        if warm is None:
            return {}
        for _ in range(2):
            warm.run()
        prepared = self._prepare(measurement)
        assert prepared is not None  # the tiny layer is of the same kind
        return {"bytes": [peak_growth(prepared) for _ in range(2)]}


def start(module: str, threads: int, options: dict[str, str]) -> tuple[Answer, Worker | None]:
    """Import a peer; what cannot be imported is missing."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    try:
        peer = importlib.import_module(module)
    except ImportError as error:
        return {"missing": str(error)}, None
    version = peer.start(threads)

    def prepare(measurement: Measurement) -> Prepared | None:
        case = measurement.case
        function: Prepare | None = peer.KINDS.get(type(case))
        return None if function is None else function(case, measurement.direction, **options)

    return {"version": version}, Worker(prepare)


def main() -> None:
    """Answer until the pipe is closed."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is not an answer
    module, threads, options = sys.argv[1:]
    hello, worker = start(module, int(threads), json.loads(options))
    print(json.dumps(hello), file=answers)
    if worker is not None:
        for line in sys.stdin:
            print(json.dumps(worker.answer(json.loads(line))), file=answers)


if __name__ == "__main__":
    main()
