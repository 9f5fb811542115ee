"""A training step of LeNet-5, written with strings, against torch.

python benchmarks/training.py [--batch 64]
"""

from __future__ import annotations

import sys
from pathlib import Path

# These scripts are a package, too: the peers' processes import parts of it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.commandline import add_effort, parser
from benchmarks.layers import Measurement, Training
from benchmarks.lenet import LAYERS
from benchmarks.peers import OURS
from benchmarks.report import complaints, heading, times
from benchmarks.results import TORCH
from benchmarks.run import finished, measured


def main() -> int:
    """Measure and report."""
    options = parser(__doc__, [OURS, *TORCH])
    add_effort(options)
    options.add_argument("--batch", type=int, default=64)
    args = options.parse_args()
    results = measured([Measurement(Training(args.batch), *Training.directions)], args)
    return finished(results, (heading, strings, times, complaints), args)


def strings(_: object) -> str:
    """The network, as code in Markdown."""
    return "\n".join(f"    {layer.string}" for layer in LAYERS)


if __name__ == "__main__":
    sys.exit(main())
