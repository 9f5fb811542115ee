"""Networks of many small tensors, as strings and shapes: circuits, states and chains."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

Shapes = tuple[tuple[int, ...], ...]
Names = Sequence[str]


def _network(
    terms: Sequence[Names], extents: dict[str, int], output: Names = ()
) -> tuple[str, Shapes]:
    """A string of single letters, and the shapes of the operands."""
    letters: dict[str, str] = {}

    def spelled(names: Iterable[str]) -> str:
        return "".join(letters.setdefault(n, _letter(len(letters))) for n in names)

    spec = ",".join(map(spelled, terms)) + "->" + spelled(output)
    return spec, tuple(tuple(extents.get(n[0], 2) for n in term) for term in terms)


def _letter(number: int) -> str:
    """Letters of the alphabet, and then others."""
    plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return plain[number] if number < len(plain) else chr(number + 140)


def circuit(qubits: int, gates: int, kept: int = 0) -> tuple[str, Shapes]:
    """An amplitude of a circuit of gates on neighbours, or the state of its first qubits."""
    drawn = random.Random(0)
    wires = [f"{n}" for n in range(qubits)]
    terms: list[Names] = [(wire,) for wire in wires]
    for gate in range(gates):
        n = drawn.randrange(qubits - 1)
        before, wires[n : n + 2] = wires[n : n + 2], [f"g{gate}", f"h{gate}"]
        terms.append((*wires[n : n + 2], *before))
    terms += [(wire,) for wire in wires[kept:]]
    return _network(terms, {}, wires[:kept])


def state(qubits: int, gates: int) -> tuple[str, Shapes]:
    """A state to which gates on one or two qubits are applied."""
    drawn = random.Random(0)
    wires = [f"{n}" for n in range(qubits)]
    terms: list[Names] = [tuple(wires)]
    for gate in range(gates):
        n, size = drawn.randrange(qubits - 1), drawn.randint(1, 2)
        before, after = wires[n : n + size], [f"g{gate}", f"h{gate}"][:size]
        wires[n : n + size] = after
        terms.append((*after, *before))
    return _network(terms, {}, wires)


def overlap(sites: int, bond: int) -> tuple[str, Shapes]:
    """The scalar product of two matrix product states."""
    terms = [
        (*((f"{side}{n}",) * (n > 0)), f"p{n}", *((f"{side}{n + 1}",) * (n < sites - 1)))
        for side in "ab"
        for n in range(sites)
    ]
    return _network(terms, {"a": bond, "b": bond})


def chain(count: int, size: int) -> tuple[str, Shapes]:
    """A product of square matrices."""
    terms = [(f"i{n}", f"i{n + 1}") for n in range(count)]
    return _network(terms, {"i": size}, ("i0", f"i{count}"))


NETWORKS: dict[str, tuple[str, Shapes]] = {
    "circuit of 20 gates": circuit(6, 20),
    "circuit of 60 gates": circuit(10, 60),
    "circuit of 100 gates": circuit(10, 100),
    "circuit of 40 gates, state": circuit(8, 40, 8),
    "10 gates on 10 qubits": state(10, 10),
    "30 gates on 12 qubits": state(12, 30),
    "20 gates on 16 qubits": state(16, 20),
    "10 gates on 18 qubits": state(18, 10),
    "overlap of 8 sites, bond 16": overlap(8, 16),
    "overlap of 30 sites, bond 8": overlap(30, 8),
    "overlap of 20 sites, bond 64": overlap(20, 64),
    "chain of 10, 8 x 8": chain(10, 8),
    "chain of 30, 32 x 32": chain(30, 32),
}  # fmt: skip
