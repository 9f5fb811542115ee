"""Who is measured: one module for each library, and a table of them all.

A peer's module has `start`, which sets the number of threads and returns the version, and a table
`KINDS` with a function for each kind of layer that the library has. The function gets the layer,
the direction and the peer's options, and returns what is to be timed, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from numpy.typing import NDArray


class Prepared(NamedTuple):
    """A measurement of one peer: its operands are in its own format already.

    Attributes:
        run: what is timed.
        array: turns what `run` returned into an array with channels last.
    """

    run: Callable[[], Any]
    array: Callable[[Any], NDArray[Any]]


@dataclass(frozen=True)
class Peer:
    """How a library is run.

    Attributes:
        module: the module that has its operations.
        options: what the functions of `KINDS` get besides the layer and the direction.
        environment: variables of its process.
    """

    module: str
    options: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


OURS = "contractconv"

PEERS = {
    OURS: Peer("benchmarks.peers.contraction"),
    f"{OURS} (numpy)": Peer(
        "benchmarks.peers.contraction", environment={"CONTRACTCONV_KERNELS": "numpy"}
    ),
    "torch channels-last": Peer("benchmarks.peers.torch_eager", {"layout": "channels_last"}),
    "torch channels-first": Peer("benchmarks.peers.torch_eager", {"layout": "contiguous_format"}),
    "jax": Peer("benchmarks.peers.jax_jit"),
    "torch compiled": Peer("benchmarks.peers.torch_compiled", {"layout": "channels_last"}),
    "einconv": Peer("benchmarks.peers.einconv_einsum"),
    "numpy": Peer("benchmarks.peers.plain_numpy"),
    "scipy": Peer("benchmarks.peers.scipy_filters"),
}


def with_algorithm(peers: Mapping[str, Peer], algorithm: str | None) -> dict[str, Peer]:
    """The same peers, where ours is told which algorithm to use.

    >>> with_algorithm(PEERS, "direct")["contractconv"].options
    {'algorithm': 'direct'}
    """
    options = {} if algorithm is None else {"algorithm": algorithm}
    return {
        name: Peer(peer.module, {**peer.options, **options}, peer.environment)
        if name.startswith(OURS)
        else peer
        for name, peer in peers.items()
    }
