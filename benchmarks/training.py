"""A training step of LeNet-5, written with strings, against torch.

python benchmarks/training.py [--batch 64]
"""

from __future__ import annotations

import sys
from pathlib import Path

# These scripts are a package, too: the peers' processes import parts of it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.commandline import add_effort, effort, parser, show, table_of_peers
from benchmarks.layers import Measurement, Training
from benchmarks.lenet import LAYERS
from benchmarks.machine import machine
from benchmarks.peers import OURS
from benchmarks.report import complaints, heading, times
from benchmarks.results import TORCH, Results
from benchmarks.session import Session


def main() -> int:
    """Measure and report."""
    options = parser(__doc__, [OURS, *TORCH])
    add_effort(options)
    options.add_argument("--batch", type=int, default=64)
    args = options.parse_args()
    results = Results(machine(args.threads))
    step = Measurement(Training(args.batch), *Training.directions)
    with Session(table_of_peers(args), args.threads) as session:
        results.records = [session.measured(step, args.peers, effort(args))]
        results.versions, results.missing = session.versions, session.missing
    if args.json:
        results.save(args.json)
    strings = "\n".join(f"    {layer.string}" for layer in LAYERS)
    parts = (heading(results), strings, times(results), complaints(results))
    show("\n\n".join(filter(None, parts)) + "\n", args)
    return int(bool(results.records[0].failures))


if __name__ == "__main__":
    sys.exit(main())
