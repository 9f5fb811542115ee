"""Layers as strings on PyTorch's and JAX's arrays, against their own convolutions of the same ones.

    python benchmarks/frameworks.py --cases forward --rounds 5 --json frameworks.json

Ours is a string, or the gradient that is derived from it, called on tensors, or compiled by
`jax.jit`. Theirs is `conv2d` and its backward operator, or `conv_general_dilated` and `jax.vjp`,
on arrays that lie in memory in the same way. Above 1 ours is faster. A figure counts only if both
agree on the result. The status is 1 if one failed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

# These scripts are a package, too: the peers' processes import parts of it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.commandline import add_cases, add_effort, effort, parser
from benchmarks.layers import CONVOLUTIONS, Convolution
from benchmarks.machine import machine
from benchmarks.peers import PEERS, Peer
from benchmarks.report import complaints, geometric_mean, heading, known, milliseconds, table
from benchmarks.results import Record, Results
from benchmarks.run import chosen, finished, progress
from benchmarks.session import Session

PAIRS = {
    "torch channels-last": Peer("benchmarks.peers.strings_torch", {"layout": "channels_last"}),
    "torch channels-first": Peer("benchmarks.peers.strings_torch", {"layout": "contiguous_format"}),
    "jax": Peer("benchmarks.peers.strings_jax"),
}
"""What ours is, by the peer that it stands beside."""


def ours(peer: str) -> str:
    """What ours is called beside a peer.

    >>> ours("jax")
    'strings on jax'
    """
    return f"strings on {peer}"


def main() -> int:
    """Measure and report."""
    options = parser(__doc__, list(PAIRS))
    add_effort(options)
    add_cases(options)
    args = options.parse_args()
    names = [name for peer in args.peers for name in (peer, ours(peer))]
    table_of_peers = PEERS | {ours(peer): pair for peer, pair in PAIRS.items()}
    results = Results(machine(args.threads))
    with Session(table_of_peers, args.threads) as session:
        for measurement in chosen(CONVOLUTIONS, args):
            results.records.append(session.measured(measurement, names, effort(args)))
            print(progress(results.records[-1]), file=sys.stderr, flush=True)
        results.versions, results.missing = session.versions, session.missing
    return finished(results, (heading, _times, _means, complaints), args)


def _pairs(results: Results) -> list[str]:
    return [peer for peer in PAIRS if any(peer in record.rounds for record in results.records)]


def _times(results: Results) -> str:
    """A row a measurement: theirs, and how many times faster ours is."""
    pairs = _pairs(results)
    rows = [
        [
            str(record.measurement.case),
            record.measurement.direction,
            *(cell for peer in pairs for cell in _cells(record, peer)),
        ]
        for record in results.records
    ]
    head = [cell for peer in pairs for cell in (f"{peer}, ms", "ours")]
    return table(["case", "direction", *head], rows)


def _cells(record: Record, peer: str) -> tuple[str, str]:
    ratio = record.ratio(peer, ours(peer))
    mark = "~" * record.disturbed(peer, ours(peer))
    return milliseconds(record.seconds(peer)), "" if ratio is None else f"{mark}{ratio:.2f}"


def _means(results: Results) -> str:
    """The geometric means of the ratios, for each direction and for all."""
    pairs = _pairs(results)
    directions = (*Convolution.directions, "all")
    rows = [[d, *(_mean(results.records, d, peer) for peer in pairs)] for d in directions]
    return table(["geometric means", *pairs], rows)


def _mean(records: Sequence[Record], direction: str, peer: str) -> str:
    taken = [r for r in records if direction in (r.measurement.direction, "all")]
    ratios = known(r.ratio(peer, ours(peer)) for r in taken)
    return f"{geometric_mean(ratios):.2f}" if ratios else ""


if __name__ == "__main__":
    sys.exit(main())
