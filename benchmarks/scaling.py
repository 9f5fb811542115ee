"""How does the time of a 3x3 convolution grow with batch, channels, resolution and threads?

python benchmarks/scaling.py [--direction "weight gradient"]
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

# These scripts are a package, too: the peers' processes import parts of it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.commandline import add_effort, effort, parser, show, table_of_peers
from benchmarks.layers import FORWARD, Convolution, Measurement
from benchmarks.machine import machine
from benchmarks.peers import OURS
from benchmarks.report import complaints, heading, milliseconds, ratio, table
from benchmarks.results import FASTER_TORCH, TORCH, Record, Results
from benchmarks.session import Session

LAYER = Convolution(8, 28, 28, 64, 64, 3, padding=1)
SERIES = {
    "batch": {n: replace(LAYER, batch=n) for n in (1, 2, 4, 8, 16, 32)},
    "channels": {n: replace(LAYER, channels=n, outputs=n) for n in (8, 16, 32, 64, 128, 256)},
    "resolution": {n: replace(LAYER, height=n, width=n) for n in (7, 14, 28, 56, 112)},
}
Growth = dict[str, dict[int, Record]]


def measured(args: argparse.Namespace) -> tuple[Growth, Results]:
    """A record for each value of what grows; all of them as results, too."""
    growth: Growth = {}
    with _session(args, args.threads) as session:
        for name, layers in SERIES.items():
            growth[name] = {n: _record(session, layer, args) for n, layer in layers.items()}
    growth["threads"] = {}
    for threads in range(1, args.threads + 1):
        with _session(args, threads) as fewer:
            growth["threads"][threads] = _record(fewer, LAYER, args)
    records = [record for series in growth.values() for record in series.values()]
    about = machine(args.threads)
    return growth, Results(about, session.versions, session.missing, records=records)


def _session(args: argparse.Namespace, threads: int) -> Session:
    return Session(table_of_peers(args), threads)


def _record(session: Session, layer: Convolution, args: argparse.Namespace) -> Record:
    return session.measured(Measurement(layer, args.direction), args.peers, effort(args))


def series(name: str, records: dict[int, Record], ours: str = OURS) -> str:
    """A table: what grows, both times, and their ratio."""
    head = [name, f"{ours}, ms", f"{FASTER_TORCH}, ms", f"{FASTER_TORCH} / {ours}"]
    rows = [
        [
            str(n),
            milliseconds(record.seconds(ours)),
            milliseconds(record.seconds(FASTER_TORCH)),
            ratio(record, FASTER_TORCH, ours),
        ]
        for n, record in records.items()
    ]
    return table(head, rows)


def as_json(growth: Growth) -> dict[str, dict[int, dict[str, float | None]]]:
    """The medians alone."""
    return {
        name: {n: {peer: r.seconds(peer) for peer in r.rounds} for n, r in records.items()}
        for name, records in growth.items()
    }


def main() -> int:
    """Measure and report."""
    options = parser(__doc__, [OURS, *TORCH])
    add_effort(options)
    options.add_argument("--direction", choices=LAYER.directions, default=FORWARD)
    args = options.parse_args()
    growth, results = measured(args)
    if args.json:
        args.json.write_text(json.dumps(as_json(growth), indent=1) + "\n")
    tables = [series(name, records) for name, records in growth.items()]
    parts = [heading(results), f"{LAYER}, {args.direction}", *tables, complaints(results)]
    show("\n\n".join(filter(None, parts)) + "\n", args)
    return int(any(record.failures for record in results.records))


if __name__ == "__main__":
    sys.exit(main())
