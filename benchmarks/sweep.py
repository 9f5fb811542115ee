"""How fast are layers that nobody tuned for? Drawn at random, in alternating rounds.

    python benchmarks/sweep.py [--layers 300] [--families grouped,depthwise] [--seed N]

Each run draws others, unless it is given a seed. The slowest are measured again with each algorithm
forced; with --forced all are, which tells how often the choice was right.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np

# These scripts are a package, too: the peers' processes import parts of it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.commandline import add_effort, effort, listed, parser, show, table_of_peers
from benchmarks.drawn import FAMILIES, draw
from benchmarks.layers import Drawn, Measurement, Product, measurements
from benchmarks.machine import machine
from benchmarks.peers import OURS, Peer
from benchmarks.report import (
    complaints,
    geometric_mean,
    heading,
    known,
    milliseconds,
    share,
    table,
    times_faster,
)
from benchmarks.results import FASTER_TORCH, TORCH, Record, Results
from benchmarks.session import Session

ALGORITHMS = ("direct", "toom-cook", "fft")
WORST = 20
# A choice is right if nothing else was faster by more than this.
RIGHT = 1.05


def forced(algorithm: str) -> str:
    """The name of ours with an algorithm that it did not choose."""
    return f"{OURS} {algorithm}"


@dataclass(frozen=True)
class Planned:
    """What the plan of a measurement says.

    Attributes:
        seconds: that are predicted.
        algorithm: of its dearest step.
        lowering: how that step is carried out.
    """

    seconds: float
    algorithm: str
    lowering: str


@cache
def planned(measurement: Measurement) -> Planned | None:
    """What is planned; nothing for a pooling, whose gradient has no steps."""
    from benchmarks.peers.drawn_contraction import plan  # noqa: PLC0415 - after threads are set

    if not isinstance(measurement.case, Drawn | Product):
        return None
    steps = plan(measurement.case, measurement.direction).steps
    dearest = max(steps, key=lambda step: step.choice.chosen.seconds)
    return Planned(
        sum(step.choice.chosen.seconds for step in steps),
        dearest.choice.chosen.algorithm,
        dearest.lowering,
    )


# --- measuring ---------------------------------------------------------------------------------


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    options = parser(__doc__, [OURS, *TORCH])
    add_effort(options)
    options.set_defaults(rounds=3, repeat_seconds=0.1)
    options.add_argument("--layers", type=int, default=300)
    options.add_argument(
        "--families",
        type=listed("family", FAMILIES),
        default=[],
        metavar="A,B",
        help=", ".join(FAMILIES),
    )
    options.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    options.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    options.add_argument("--forced", action="store_true", help="force each algorithm everywhere")
    options.add_argument("--results", type=Path, metavar="FILE", help="report on these of --json")
    return options.parse_args(given)


def drawn(args: argparse.Namespace) -> list[Measurement]:
    """All directions of so many layers."""
    rng = Random(args.seed)
    return measurements(draw(rng, args.families, args.dtype) for _ in range(args.layers))


def measured(args: argparse.Namespace) -> Results:
    """Measure all, then those that fell behind once more, each algorithm forced."""
    peers = table_of_peers(args)
    options = peers[OURS]
    for name in ALGORITHMS:
        peers[forced(name)] = Peer(options.module, {"algorithm": name})
    results = Results(machine(args.threads) | {"seed": args.seed})
    wanted = drawn(args)
    names = [*args.peers, *map(forced, ALGORITHMS)] if args.forced else args.peers
    with Session(peers, args.threads) as session:
        results.peaks = session.peaks(effort(args))
        for n, measurement in enumerate(wanted, 1):
            results.records.append(session.measured(measurement, names, effort(args)))
            _tell(f"{n}/{len(wanted)}", results.records[-1])
            if args.json and n % 30 == 0:
                results.save(args.json)
        for record in [] if args.forced else worst(results.records):
            again = session.measured(record.measurement, map(forced, ALGORITHMS), effort(args))
            record.rounds |= again.rounds
        results.versions = {n: v for n, v in session.versions.items() if n in args.peers}
        results.missing = session.missing
    for record in results.records:
        # What has nothing to work on, or rounds too much, was no choice.
        record.failures = {n: why for n, why in record.failures.items() if n in args.peers}
    return results


def _tell(count: str, record: Record) -> None:
    faster = times_faster(record.ratio(FASTER_TORCH, OURS))
    ours = milliseconds(record.seconds(OURS))
    print(f"{count} {faster} {record.measurement}: {ours} ms", file=sys.stderr, flush=True)


# --- reporting ---------------------------------------------------------------------------------


def ratios(records: Sequence[Record]) -> list[float]:
    """PyTorch's time, of its faster layout, divided by ours."""
    return known(record.ratio(FASTER_TORCH, OURS) for record in records)


def worst(records: Sequence[Record]) -> list[Record]:
    """Those that fell behind most."""
    compared = [record for record in records if ratios([record])]
    return sorted(compared, key=lambda record: ratios([record]))[:WORST]


def distribution(records: Sequence[Record]) -> str:
    """The ratios of all, of each direction and of each family."""
    rows = [["all", *_figures(records)]]
    for told in (_direction, _family):
        rows += [[name, *_figures(part)] for name, part in _parts(records, told)]
    head = [f"{FASTER_TORCH} / {OURS}", "measurements", "geometric mean", "5th percentile", "worst"]
    return table(head, rows)


def _direction(record: Record) -> str:
    return record.measurement.direction


def _family(record: Record) -> str:
    case: Any = record.measurement.case
    return getattr(case, "family", "pooling")


def _parts(
    records: Sequence[Record], told: Callable[[Record], str]
) -> Iterator[tuple[str, list[Record]]]:
    for name in dict.fromkeys(map(told, records)):
        part = [record for record in records if told(record) == name]
        if ratios(part):
            yield name, part


def _figures(records: Sequence[Record]) -> list[str]:
    found = ratios(records)
    figures = (geometric_mean(found), float(np.percentile(found, 5)), min(found))
    return [str(len(found)), *map(times_faster, figures)]


def slowest(results: Results) -> str:
    """What fell behind most: what was planned, and what would have been faster."""
    head = [
        "slowest", "ratio", f"{OURS}, ms", "of peak", "predicted, ms", "plan",
        *(f"{name}, ms" for name in ALGORITHMS),
    ]  # fmt: skip
    rows = []
    for record in worst(results.records):
        plan = planned(record.measurement)
        rows.append(
            [
                str(record.measurement),
                times_faster(record.ratio(FASTER_TORCH, OURS)),
                milliseconds(record.seconds(OURS)),
                share(record, OURS, results.peak),
                milliseconds(plan.seconds) if plan else "",
                plan.lowering if plan else "",
                *(milliseconds(record.seconds(forced(name))) for name in ALGORITHMS),
            ]
        )
    return table(head, rows)


class Regret(NamedTuple):
    """What another algorithm would have gained.

    Attributes:
        chosen: the algorithm of the plan.
        best: the fastest one.
        factor: by how much it is faster.
    """

    chosen: str
    best: str
    factor: float


def regret(record: Record) -> Regret | None:
    """The choice of a plan beside the best one; nothing if no algorithm but one was tried.

    The algorithm that was chosen is measured as the others are, by itself: how one and the same
    code varies from turn to turn is no matter of the choice.
    """
    times = {n: t for n in ALGORITHMS if (t := record.seconds(forced(n))) is not None}
    plan = planned(record.measurement) if len(times) > 1 else None
    if plan is None or plan.algorithm not in times:
        return None
    best = min(times, key=lambda name: times[name])
    return Regret(plan.algorithm, best, times[plan.algorithm] / times[best])


def choices(records: Sequence[Record]) -> str:
    """How often no other algorithm was faster, where several were tried; and the wrong ones."""
    tried = [(record, found) for record in records if (found := regret(record)) is not None]
    wrong = [(record, found) for record, found in tried if found.factor > RIGHT]
    if not tried:
        return ""
    right = f"{len(tried) - len(wrong)} of {len(tried)}"
    told = f"Nothing was faster than the choice by more than 5 % in {right} measurements."
    head = ["chosen wrongly", "algorithm", "faster", "by"]
    rows = [
        [str(record.measurement), found.chosen, found.best, times_faster(found.factor)]
        for record, found in wrong
    ]
    return "\n\n".join(filter(None, (told, table(head, rows) if rows else "")))


def predictions(records: Sequence[Record]) -> str:
    """How far predicted times are from measured ones."""
    found = []
    for record in records:
        seconds, plan = record.seconds(OURS), planned(record.measurement)
        if seconds is not None and plan is not None:
            found.append(plan.seconds / seconds)
    if not found:
        return ""
    low, middle, high = np.percentile(found, (5, 50, 95))
    return f"Predicted / measured: median {middle:.2f}, 5 to 95 %: {low:.2f} to {high:.2f}."


def main() -> int:
    """Measure, or read results, and report."""
    args = arguments()
    results = Results.load(args.results) if args.results else measured(args)
    if args.json:
        results.save(args.json)
    import contractconv as cc  # noqa: PLC0415 - what is planned depends on the threads

    cc.set_num_threads(args.threads)
    records = results.records
    parts = (
        heading(results),
        distribution(records),
        choices(records),
        predictions(records),
        slowest(results),
        complaints(results),
    )
    show("\n\n".join(filter(None, parts)) + "\n", args)
    return int(any(record.failures for record in records))


if __name__ == "__main__":
    sys.exit(main())
