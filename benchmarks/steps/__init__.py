"""Networks of which whole training steps are measured: a file for each, and a table of them all."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.layers import NetworkStep
from benchmarks.steps.network import Network
from benchmarks.steps.transformer import transformer

NETWORKS: dict[str, Callable[[NetworkStep], Network]] = {
    "transformer": transformer,
}


def network(case: NetworkStep) -> Network:
    """The network of a case."""
    return NETWORKS[case.network](case)
