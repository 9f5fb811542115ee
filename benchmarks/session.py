"""Alternating rounds: every peer in its own process, one after the other, again and again."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from benchmarks.agreement import disagreements
from benchmarks.layers import PEAK, Measurement
from benchmarks.peers import Peer
from benchmarks.process import MissingPeerError, PeerProcess
from benchmarks.results import Record, Turn

# Threads that spin when their work is done have gone to sleep after this many seconds.
PAUSE = 0.05
# How often a turn that was disturbed is taken again.
RETAKES = 2
# Whose matrix products tell what the machine can do: numpy's BLAS alone may miss half of it.
PRODUCTS = ("numpy", "torch channels-last", "jax")


@dataclass(frozen=True)
class Effort:
    """How long to look.

    Attributes:
        rounds: how often each peer's turn comes.
        seconds: how long a turn is.
    """

    rounds: int
    seconds: float


class Session:
    """Processes of peers, started when they are first asked and kept until the end.

    Attributes:
        versions: of the libraries that were started.
        missing: why a library could not be.
    """

    def __init__(self, peers: Mapping[str, Peer], threads: int) -> None:
        self._peers, self._threads = peers, threads
        self._processes: dict[str, PeerProcess] = {}
        self.versions: dict[str, str] = {}
        self.missing: dict[str, str] = {}

    def measured(self, measurement: Measurement, names: Iterable[str], effort: Effort) -> Record:
        """Time a measurement in rounds; who disagrees with the others after the first is out."""
        record = Record(measurement)
        with tempfile.TemporaryDirectory() as folder:
            self._round(record, names, effort.seconds, Path(folder))
            for name, reason in _compared(record.rounds, Path(folder)).items():
                _fail(record, name, reason)
            for _ in range(effort.rounds - 1):
                self._round(record, list(record.rounds), effort.seconds, Path(folder))
        return record

    def peaks(self, effort: Effort) -> dict[str, float]:
        """Floating point operations per second of a matrix product, the best of all rounds."""
        record = self.measured(PEAK, PRODUCTS, effort)
        return {
            name: PEAK.case.flops / min(turn.seconds for turn in turns)
            for name, turns in record.rounds.items()
        }

    def _round(self, record: Record, names: Iterable[str], seconds: float, folder: Path) -> None:
        for name in names:
            process = self._process(name)
            if process is None:
                continue
            answer = _undisturbed(process, record.measurement, seconds, folder / f"{name}.npy")
            if "error" in answer:
                _fail(record, name, answer["error"])
            elif answer:
                record.rounds.setdefault(name, []).append(_turn(answer))

    def _process(self, name: str) -> PeerProcess | None:
        """The peer's process, a new one if there is none or the old one has died."""
        if name in self.missing:
            return None
        running = self._processes.get(name)
        if running is not None and running.alive:
            return running
        if running is not None:
            running.close()
        return self._started(name)

    def _started(self, name: str) -> PeerProcess | None:
        try:
            process = PeerProcess(self._peers[name], self._threads)
        except MissingPeerError as error:
            self.missing[name] = str(error)
            return None
        self._processes[name], self.versions[name] = process, process.version
        return process

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes.values():
            process.close()


def _turn(answer: Mapping[str, Any]) -> Turn:
    return Turn(answer["seconds"], answer["foreign"])


def _undisturbed(
    process: PeerProcess, measurement: Measurement, seconds: float, save: Path
) -> dict[str, Any]:
    """Take a timing, and take it again while others use the machine."""
    for _ in range(RETAKES + 1):
        time.sleep(PAUSE)
        answer = process.time(measurement, seconds, save)
        if not answer or "error" in answer or not _turn(answer).disturbed:
            break
    return answer


def _compared(names: Iterable[str], folder: Path) -> dict[str, str]:
    return disagreements({name: np.load(folder / f"{name}.npy") for name in names})


def _fail(record: Record, name: str, reason: str) -> None:
    """A figure that cannot be believed is not kept."""
    record.failures[name] = reason
    record.rounds.pop(name, None)
