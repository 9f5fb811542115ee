"""The order of lines and the distances between them, along one row of a diagram.

Lines are ordered as in the layered drawing of Sugiyama, Tagawa and Toda (1981), here with one layer
to order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

_SWEEPS = 6


def fewest_crossings(ports: Mapping[str, Sequence[Sequence[float]]]) -> list[str]:
    """Order the indices between the ends of their lines.

    Args:
        ports: for each index where its lines end, above and below.

    Returns:
        The indices by the mean of their ends above, each then moved to where it crosses least.

    Example:
        >>> fewest_crossings({"i": [[0.0], [1.0]], "j": [[2.0], [3.0]], "k": [[1.0], [2.0]]})
        ['i', 'k', 'j']
    """
    centres = {name: mean(sides[0] or sides[1]) for name, sides in ports.items()}
    order = sorted(ports, key=centres.__getitem__)
    excess = {(a, b): _excess(ports[a], ports[b]) for a in order for b in order if a != b}
    for _ in range(_SWEEPS):
        before = list(order)
        for name in before:
            order = _sifted(name, order, excess)
        if order == before:
            break
    return order


def _excess(left: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> int:
    """How many crossings more two indices have in this order than in the other."""
    pairs = [(a, b) for one, other in zip(left, right, strict=True) for a in one for b in other]
    return sum((a > b) - (a < b) for a, b in pairs)


def _sifted(name: str, order: Sequence[str], excess: Mapping[tuple[str, str], int]) -> list[str]:
    home = order.index(name)
    others = [other for other in order if other != name]
    costs = list(accumulate((excess[other, name] for other in others), initial=0))
    best = min(range(len(order)), key=lambda place: (costs[place], abs(place - home)))
    return [*others[:best], name, *others[best:]]


def spread(wanted: Sequence[float], apart: Sequence[float]) -> list[float]:
    """Keep an order and its distances, and stay as near as possible to the wanted places.

    Args:
        wanted: where each would be by itself.
        apart: the least distance of each to its right neighbour; one fewer.

    Returns:
        The places with the least sum of squared distances to the wanted ones.

    Example:
        >>> spread([0.0, 0.0, 9.0], [2.0, 2.0])
        [-1.0, 1.0, 9.0]
    """
    shifts = list(accumulate(apart, initial=0.0))[: len(wanted)]
    pools: list[tuple[float, int]] = []
    for place, shift in zip(wanted, shifts, strict=True):
        centre, count = place - shift, 1
        # Whoever would come too close is placed together, as one.
        while pools and pools[-1][0] > centre:
            before, size = pools.pop()
            centre, count = (before * size + centre * count) / (size + count), size + count
        pools.append((centre, count))
    centres = [centre for centre, count in pools for _ in range(count)]
    return [centre + shift for centre, shift in zip(centres, shifts, strict=True)]


def filled(places: Sequence[float | None], apart: Sequence[float]) -> list[float]:
    """Put whoever has no place beside its neighbour at the left, or else at the right.

    Args:
        places: where each stands, or ``None``.
        apart: the distance of each to its right neighbour; one fewer.

    Example:
        >>> filled([None, 5.0, None], [2.0, 3.0])
        [3.0, 5.0, 8.0]
    """
    known = {n: place for n, place in enumerate(places) if place is not None} or {0: 0.0}
    steps = list(accumulate(apart, initial=0.0))
    anchors = [max((k for k in known if k <= n), default=min(known)) for n in range(len(places))]
    return [known[anchor] + steps[n] - steps[anchor] for n, anchor in enumerate(anchors)]


def mean(values: Sequence[float]) -> float:
    """The mean; that of nothing is zero."""
    return sum(values) / len(values) if values else 0.0
