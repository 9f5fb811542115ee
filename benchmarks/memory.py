"""How much memory does a layer take beyond its operands and its result?

    python benchmarks/memory.py [--cases REGEX]

Each figure comes from a fresh process in which a tiny layer of the same kind has run before. It is
the growth of the process during the first call or the second, whichever is more: code that is
loaded or made for the shape counts, and so does what a library keeps for later. What is compiled
once for a machine and kept on disk has been compiled by an earlier process. In parentheses: the
second call alone. What im2col takes is computed.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# These scripts are a package, too: the peers' processes import parts of it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.commandline import add_cases, parser, show, table_of_peers
from benchmarks.layers import (
    CONVOLUTIONS,
    FLOAT,
    POOLINGS,
    Convolution,
    Measurement,
    Pooling,
    from_json,
    smaller,
    to_json,
)
from benchmarks.machine import machine
from benchmarks.peers import OURS, Peer
from benchmarks.process import MissingPeerError, PeerProcess
from benchmarks.report import table
from benchmarks.results import TORCH

# Large blocks are given back to the system when they are freed, instead of being kept for later.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
Layer = Convolution | Pooling
LAYERS: tuple[Layer, ...] = (*CONVOLUTIONS, *POOLINGS)


def tiny(layer: Layer) -> Layer:
    """The same layer for one image that is hardly larger than the window, or than a few of them.

    What is pooled must be large enough to be worth a kernel, so that code is loaded.

    >>> print(tiny(CONVOLUTIONS[3]))
    AlexNet conv1 1x15x15x3-96 k11 s4
    """
    reach = 4 * (layer.kernel + layer.stride)
    if isinstance(layer, Convolution):
        reach = layer.dilation * (layer.kernel - 1) + 1 + layer.stride
    return replace(layer, batch=1, height=reach, width=reach)


def im2col(layer: Layer) -> int:
    """Bytes of the matrix of all windows, the same in every direction."""
    return FLOAT * layer.windows


def measured(layer: Layer, direction: str, peers: dict[str, Peer], threads: int) -> dict[str, Any]:
    """What each peer takes, as JSON can hold it."""
    asked = Measurement(layer, direction), Measurement(tiny(layer), direction)
    answers = {name: _ask(peer, threads, *asked) for name, peer in peers.items()}
    return {**to_json(asked[0]), "im2col": im2col(layer), "peers": answers}


def _ask(peer: Peer, threads: int, asked: Measurement, first: Measurement) -> dict[str, Any]:
    """Ask a fresh process, and before it one that fills the cache on disk."""
    answer: dict[str, Any] = {}
    with TemporaryDirectory() as cache:
        for _ in range(2):
            environment = {**ALLOCATOR, "CONTRACTCONV_CACHE": cache}
            try:
                with PeerProcess(peer, threads, environment) as process:
                    answer = process.memory(asked, first)
            except MissingPeerError as error:
                return {"error": str(error)}
    return answer


def megabytes(answer: dict[str, Any]) -> str:
    """The larger of the two calls, and the second.

    >>> megabytes({"bytes": [2_500_000, 1_000_000]}), megabytes({})
    ('2.5 (1.0)', '')
    """
    if "bytes" not in answer:
        return str(answer.get("error", ""))
    return f"{max(answer['bytes']) / 1e6:.1f} ({answer['bytes'][1] / 1e6:.1f})"


def row(record: dict[str, Any]) -> list[str]:
    """A line of the table."""
    answers = map(megabytes, record["peers"].values())
    return [str(from_json(record)), f"{record['im2col'] / 1e6:.1f}", *answers]


def main() -> int:
    """Measure and report."""
    options = parser(__doc__, [OURS, *TORCH])
    add_cases(options)
    args = options.parse_args()
    peers = {name: table_of_peers(args)[name] for name in args.peers}
    found = [
        measured(layer, direction, peers, args.threads)
        for layer in (smaller(layer) if args.quick else layer for layer in LAYERS)
        for direction in layer.directions
        if re.search(args.cases, f"{layer}, {direction}")
    ]
    if args.json:
        content = {"machine": machine(args.threads), "records": found}
        args.json.write_text(json.dumps(content, indent=1) + "\n")
    head = ["beyond operands and result, MB", "im2col", *peers]
    show(table(head, map(row, found)) + "\n", args)
    return int(any("error" in answer for r in found for answer in r["peers"].values()))


if __name__ == "__main__":
    sys.exit(main())
