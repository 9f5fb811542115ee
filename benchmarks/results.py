"""What was measured, as it is kept in a file."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.layers import Measurement, from_json, to_json

TORCH = ("torch channels-last", "torch channels-first")
FASTER_TORCH = "torch (faster)"


# Cores that other processes may keep busy during a turn.
DISTURBED = 0.2


class Turn(NamedTuple):
    """What a peer achieved in one round.

    Attributes:
        seconds: the median of a call.
        foreign: how many cores other processes kept busy meanwhile.
    """

    seconds: float
    foreign: float

    @property
    def disturbed(self) -> bool:
        """Whether the peer had to share the machine."""
        return self.foreign > DISTURBED


@dataclass
class Record:
    """The times of one measurement.

    Attributes:
        measurement: what was measured.
        rounds: the turns of each peer, one a round.
        failures: why a peer has no time.
    """

    measurement: Measurement
    rounds: dict[str, list[Turn]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def seconds(self, peer: str) -> float | None:
        """The median over the rounds without disturbance, or over all if there is none.

        Of torch, the layout that is faster here.

        >>> from benchmarks.layers import PEAK
        >>> turns = [Turn(3, 0), Turn(5, 0), Turn(4, 0), Turn(99, 1)]
        >>> record = Record(PEAK, {"torch channels-first": turns, "jax": [Turn(7, 1)]})
        >>> record.seconds("torch (faster)"), record.seconds("jax"), record.seconds("numpy")
        (4, 7, None)
        """
        if peer == FASTER_TORCH:
            both = (self.seconds(layout) for layout in TORCH)
            return min((time for time in both if time is not None), default=None)
        turns = self.rounds.get(peer)
        return statistics.median(t.seconds for t in calm(turns) or turns) if turns else None

    def disturbed(self, *peers: str) -> bool:
        """Whether one of these has a time, but none that was taken in peace.

        >>> from benchmarks.layers import PEAK
        >>> Record(PEAK, {"jax": [Turn(7, 1), Turn(8, 0)]}).disturbed("jax", "numpy")
        False
        >>> Record(PEAK, {"torch channels-last": [Turn(7, 1)]}).disturbed("torch (faster)")
        True
        """
        layouts = TORCH if FASTER_TORCH in peers else ()
        rounds = [self.rounds[peer] for peer in (*peers, *layouts) if peer in self.rounds]
        return not all(map(calm, rounds))

    def ratio(self, peer: str, ours: str) -> float | None:
        """How often our call fits into the peer's.

        >>> from benchmarks.layers import PEAK
        >>> Record(PEAK, {"jax": [Turn(3, 0)], "numpy": [Turn(6, 0)]}).ratio("numpy", "jax")
        2.0
        """
        theirs, own = self.seconds(peer), self.seconds(ours)
        return None if theirs is None or own is None else theirs / own


@dataclass
class Results:
    """All records, and where they come from.

    Attributes:
        machine: what it was measured on, and with which settings.
        versions: of each peer.
        missing: why a peer was left out.
        peaks: for each peer the floating point operations per second of a matrix product.
        records: the measurements.
    """

    machine: dict[str, Any]
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    peaks: dict[str, float] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)

    @property
    def peak(self) -> float | None:
        """The largest of the peaks."""
        return max(self.peaks.values(), default=None)

    @property
    def peers(self) -> list[str]:
        """Who has a time anywhere, in the order in which they first appear."""
        return unique(peer for record in self.records for peer in record.rounds)

    def save(self, path: Path) -> None:
        """Write a file of JSON."""
        records = [
            to_json(r.measurement) | {"rounds": r.rounds, "failures": r.failures}
            for r in self.records
        ]
        path.write_text(json.dumps(asdict(self) | {"records": records}, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what `save` has written."""
        data = json.loads(path.read_text())
        records = [
            Record(from_json(r), _turns(r["rounds"]), r["failures"]) for r in data.pop("records")
        ]
        return cls(**data, records=records)


def calm(turns: list[Turn]) -> list[Turn]:
    """The turns that were not disturbed."""
    return [turn for turn in turns if not turn.disturbed]


def _turns(rounds: dict[str, list[list[float]]]) -> dict[str, list[Turn]]:
    return {peer: [Turn(*turn) for turn in turns] for peer, turns in rounds.items()}


def unique(names: Iterable[str]) -> list[str]:
    """Each name once, in order.

    >>> unique("abca")
    ['a', 'b', 'c']
    """
    return list(dict.fromkeys(names))
