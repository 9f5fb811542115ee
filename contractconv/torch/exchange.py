"""Rows that processes of torch.distributed hand to each other, and what comes back of them.

Each process owns some rows of an axis, one process after the other, and wants some that others may
own. Handing rows out and adding up what comes back are each other's transposes; so gradients of any
order are made of these two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.distributed as dist

from contractconv.execution.torch.constants import Tensor

Rows = tuple[int, int]


class Exchange(NamedTuple):
    """Who owns which rows of an axis, and who wants which.

    Attributes:
        axis: the axis.
        owned: from where to where, for each process.
        wanted: likewise.
        group: the processes.
    """

    axis: int
    owned: tuple[Rows, ...]
    wanted: tuple[Rows, ...]
    group: Any

    @property
    def me(self) -> int:
        """Which of the processes this one is."""
        found: int = dist.get_rank(self.group)
        return found

    def rows(self, tensor: Tensor, rows: Rows, start: int) -> Tensor:
        """Some rows of a tensor that begins with one."""
        return tensor.narrow(self.axis, rows[0] - start, rows[1] - rows[0])

    def met(self, first: Sequence[Rows], second: Rows) -> Iterator[tuple[int, Rows]]:
        """The processes whose rows meet some, and where they do."""
        for rank, (start, stop) in enumerate(first):
            low, high = max(start, second[0]), min(stop, second[1])
            if low < high:
                yield rank, (low, high)


class HandedOut(torch.autograd.Function):
    """The rows that are wanted, of those that processes own."""

    @staticmethod
    def forward(ctx: Any, block: Tensor, exchange: Exchange) -> Tensor:
        """Send rows, and receive some."""
        ctx.exchange = exchange
        _, received = _traded(exchange, block, exchange.owned, exchange.wanted)
        if not received:
            return exchange.rows(block, (0, 0), 0).clone()
        return torch.cat([received[rank] for rank in sorted(received)], exchange.axis)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor, None]:
        """What comes back to rows is added up where they are owned."""
        return AddedUp.apply(cotangent, ctx.exchange), None


class AddedUp(torch.autograd.Function):
    """The rows that processes own, as the sums of what others have for them."""

    @staticmethod
    def forward(ctx: Any, block: Tensor, exchange: Exchange) -> Tensor:
        """Send what there is for rows of others, and add up what they have."""
        ctx.exchange = exchange
        owned = exchange.owned[exchange.me]
        parts, received = _traded(exchange, block, exchange.wanted, exchange.owned)
        made = _empty(block, exchange.axis, owned).zero_()
        for rank in sorted(received):
            exchange.rows(made, parts[rank], owned[0]).add_(received[rank])
        return made

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor, None]:
        """The rows, handed out."""
        return HandedOut.apply(cotangent, ctx.exchange), None


class Shared(torch.autograd.Function):
    """What all processes have alike; what comes back to it is the sum over all of them."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, group: Any) -> Tensor:
        """The same."""
        ctx.group = group
        return whole.view_as(whole)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor, None]:
        """Add it up."""
        return Summed.apply(cotangent, ctx.group), None


class Summed(torch.autograd.Function):
    """The sum of what processes have, which all of them get."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, group: Any) -> Tensor:
        """Add it up."""
        ctx.group = group
        made = part.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(made, group=group)
        return made

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor, None]:
        """A sum again: each part is in the sums that all have."""
        return Summed.apply(cotangent, ctx.group), None


def _traded(
    exchange: Exchange, block: Tensor, have: Sequence[Rows], want: Sequence[Rows]
) -> tuple[dict[int, Rows], dict[int, Tensor]]:
    """The rows that one wants of what each process has: which they are, and they themselves.

    Args:
        exchange: between whom.
        block: the rows that this process has.
        have: the rows of each process.
        want: those that each wants.
    """
    mine = have[exchange.me]
    sent = {rank: exchange.rows(block, rows, mine[0]) for rank, rows in exchange.met(want, mine)}
    parts = dict(exchange.met(have, want[exchange.me]))
    return parts, _passed(exchange, sent, parts, block)


def _passed(
    exchange: Exchange, sent: dict[int, Tensor], parts: dict[int, Rows], like: Tensor
) -> dict[int, Tensor]:
    """What others send, and what one has oneself.

    Args:
        exchange: between whom.
        sent: what each process gets.
        parts: from where to where are the rows that each sends.
        like: a tensor that has the other axes.
    """
    received = {rank: _empty(like, exchange.axis, rows) for rank, rows in parts.items()}
    works = [
        dist.P2POp(dist.isend, tensor.contiguous(), _global(exchange, rank), exchange.group)
        for rank, tensor in sent.items()
        if rank != exchange.me
    ]
    works += [
        dist.P2POp(dist.irecv, tensor, _global(exchange, rank), exchange.group)
        for rank, tensor in received.items()
        if rank != exchange.me
    ]
    for work in dist.batch_isend_irecv(works) if works else ():
        work.wait()
    if exchange.me in received:
        received[exchange.me] = sent[exchange.me]
    return received


def _empty(like: Tensor, axis: int, rows: Rows) -> Tensor:
    shape = [*like.shape]
    shape[axis] = rows[1] - rows[0]
    return like.new_empty(shape)


def _global(exchange: Exchange, rank: int) -> int:
    if exchange.group is None:
        return rank
    found: int = dist.get_global_rank(exchange.group, rank)
    return found
