"""Whole training steps of networks, each one program, against PyTorch and JAX.

    python benchmarks/whole_steps.py --networks transformer,AlexNet --rounds 5 --json steps.json

A step is the loss, all gradients, and w - rate * dw of all parameters, in float32. A figure counts
only if the peers agree on the loss and on every gradient. The status is 1 if one failed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# These scripts are a package, too: the peers' processes import parts of it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.commandline import add_effort, effort, parser, show, table_of_peers
from benchmarks.layers import NETWORK_STEPS, measurements, smaller
from benchmarks.machine import machine
from benchmarks.peers import OURS
from benchmarks.report import complaints, heading, means_of_steps, times
from benchmarks.results import TORCH, Results
from benchmarks.run import progress
from benchmarks.session import Session


def arguments() -> argparse.Namespace:
    """Read the command line."""
    options = parser(__doc__, [OURS, *TORCH, "torch compiled", "jax"])
    add_effort(options)
    names = [case.network for case in NETWORK_STEPS]
    options.add_argument("--networks", default=",".join(names), metavar="A,B", help="some of them")
    args = options.parse_args()
    args.networks = [name.strip() for name in args.networks.split(",")]
    for name in args.networks:
        if name not in names:
            options.error(f"no network {name!r}: choose of {', '.join(names)}")
    return args


def main() -> int:
    """Measure and report."""
    args = arguments()
    cases = [case for case in NETWORK_STEPS if case.network in args.networks]
    results = Results(machine(args.threads))
    with Session(table_of_peers(args), args.threads) as session:
        for step in measurements(map(smaller, cases) if args.quick else cases):
            results.records.append(session.measured(step, args.peers, effort(args)))
            print(progress(results.records[-1]), file=sys.stderr, flush=True)
        results.versions, results.missing = session.versions, session.missing
    if args.json:
        results.save(args.json)
    parts = (heading, times, means_of_steps, complaints)
    show("\n\n".join(filter(None, (part(results) for part in parts))) + "\n", args)
    return int(any(record.failures for record in results.records))


if __name__ == "__main__":
    sys.exit(main())
