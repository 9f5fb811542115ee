"""Outer products that no cheapest order has, where an order is judged by its operations."""

from __future__ import annotations

from collections.abc import Sequence

from contractconv.planning.orders.network import Network, islands


class OuterProducts:
    """What is known of products of terms that share no index.

    Nothing, where bytes or seconds are counted, or where there are windows.

    Args:
        network: the contraction.
        indices: those of each of the terms that meet.
        outside: the indices that are needed afterwards.

    Attributes:
        wide: the indices of more than one value.
        summed: those that two terms have, and nothing else: a step sums over them in which both
            are.
        islands: sets of terms that meet other ones only when they have become one, or a number.
        binding: the indices that bind those that have them to an island.
        open: indices of the output that no outer product inside an island has: whatever sums over
            one of its other indices would meet it too early, as it cannot have them all.
    """

    def __init__(self, network: Network, indices: Sequence[int], outside: int) -> None:
        self.wide = network.wide
        wide = [names & self.wide for names in indices]
        paired, more = _shared(wide)
        self.summed = paired & ~outside if network.counts_operations else 0
        # Where a step sums over whatever its terms share, terms of other islands make it dearer.
        apart = self.summed and self.summed == paired | more
        self.islands = islands(wide) if apart else [(1 << len(indices)) - 1]
        self.binding = self.wide if apart else -1
        self.open = self.wide & outside if apart else 0

    def is_early(self, factors: tuple[int, int] | None, other: int) -> bool:
        """Whether an outer product meets a term too early.

        Let a step sum over an index that the factor A and the term C have, and let the factor B
        have one that C has not. With V points, all indices of A, B and C together, it costs 2V,
        and the product before it something. If A and C meet first, that takes V at most, as it
        goes without what B alone has; and the step with B then V at most, without what is summed.

        Args:
            factors: the indices of both, if the last step was an outer product.
            other: those of the term.
        """
        if factors is None:
            return False
        one, two = factors
        lacking, shared = self.wide & ~other, self.summed & other
        return bool((one & shared and two & lacking) or (two & shared and one & lacking))

    def is_number(self, indices: int) -> bool:
        """Whether a term with these indices has one element."""
        return not indices & self.wide


def _shared(indices: Sequence[int]) -> tuple[int, int]:
    """What two of some terms have, and what more than two have.

    >>> list(map(bin, _shared([0b011, 0b110, 0b100, 0b100])))
    ['0b10', '0b100']
    """
    one = two = more = 0
    for names in indices:
        more |= two & names
        two |= one & names
        one |= names
    return two & ~more, more
