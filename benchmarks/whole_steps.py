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

from benchmarks.commandline import add_effort, parser
from benchmarks.layers import NETWORK_STEPS, measurements, smaller
from benchmarks.peers import OURS
from benchmarks.report import complaints, heading, means_of_steps, times
from benchmarks.results import TORCH
from benchmarks.run import finished, measured


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
    steps = measurements(map(smaller, cases) if args.quick else cases)
    return finished(measured(steps, args), (heading, times, means_of_steps, complaints), args)


if __name__ == "__main__":
    sys.exit(main())
