"""Convolutions whose kernels are in factors, and all their gradients, against PyTorch and JAX.

    python benchmarks/factorised.py --cases CP --rounds 5 --json factorised.json

Ours is one string of all operands; with what comes back to each of them it is one program. The
others are chains of convolutions, one for each factor, through which they differentiate. A figure
counts only if the peers agree on the result and on every gradient. The status is 1 if one failed.
"""

from __future__ import annotations

import sys
from pathlib import Path

# These scripts are a package, too: the peers' processes import parts of it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.commandline import add_cases, add_effort, parser
from benchmarks.factors import FORMS, string
from benchmarks.layers import FACTORISED
from benchmarks.peers import OURS
from benchmarks.report import complaints, heading, means_of_factorised, times
from benchmarks.results import TORCH
from benchmarks.run import chosen, finished, measured


def main() -> int:
    """Measure and report."""
    options = parser(__doc__, [OURS, *TORCH, "torch compiled", "jax"])
    add_effort(options)
    add_cases(options)
    args = options.parse_args()
    results = measured(chosen(FACTORISED, args), args)
    return finished(results, (heading, strings, times, means_of_factorised, complaints), args)


def strings(_: object) -> str:
    """What ours computes, as code in Markdown."""
    return "\n".join(f"    {string(form)}" for form in FORMS)


if __name__ == "__main__":
    sys.exit(main())
