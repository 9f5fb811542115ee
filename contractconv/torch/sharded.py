"""A contraction over processes of torch.distributed: each makes a block of the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from contractconv.api.contraction import Contraction
from contractconv.errors import OperandError
from contractconv.execution.torch.calls import name_of
from contractconv.execution.torch.constants import Tensor
from contractconv.execution.torch.contraction_texts import problem_text
from contractconv.execution.torch.operator import run
from contractconv.notation.problem import Problem, shape_of
from contractconv.notation.shift import Part, result_block
from contractconv.notation.spec import Composition, Term
from contractconv.reductions.numbers import identity
from contractconv.reductions.table import REDUCTIONS
from contractconv.torch.exchange import Exchange, HandedOut, Rows, Shared


class Sharded:
    """A contraction of which each process makes a block of the result.

    The result is cut along one index, and so are the operands that have it; of these each process
    holds a block, of as many rows as it likes. Rows that it needs of its neighbours' blocks are
    those that the string says, for strides, dilations, transposed windows and pooling alike. Other
    operands are the same in all processes, and so are their gradients.

    Args:
        contraction: the string, or the contraction.
        index: the index along which the result is cut.
        group: the processes; all of them by default.

    Raises:
        OperandError: the result does not have the index, or a composition does.

    Example:
        >>> conv = Sharded("b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o", "i")
        >>> conv.axes  # where operands and result are cut
        (1, None, 1)
    """

    def __init__(self, contraction: str | Contraction, index: str, group: Any = None) -> None:
        given = contraction if isinstance(contraction, Contraction) else Contraction(contraction)
        if given._named.is_tied:
            raise OperandError(
                f"{given!r} is called with one array in several places, of which each process may "
                f"need other rows: leave names= out, and pass the array once for each place"
            )
        self.contraction, self.index, self.group = given, index, group
        self.axes = tuple(self._axis(term) for term in given._spec.terms)
        if self.axes[-1] is None:
            raise OperandError(f"the result of '{given}' has no axis with {index}")

    def __call__(
        self, *operands: Tensor, extents: Mapping[str, int] | None = None, **named: int
    ) -> Tensor:
        """Carry it out; all processes have to, together, and the gradient likewise.

        Args:
            *operands: this process's blocks of what is cut, and the others whole.
            extents: extents of indices and values of parameters.
            **named: the same by keyword.

        Returns:
            This process's block of the result.

        Raises:
            ShapeError: shapes do not fit, all blocks put together.
        """
        owned = self._owned(operands)
        pairs = zip(operands, self.axes, owned, strict=False)
        shapes = [_whole(operand, axis, rows) for operand, axis, rows in pairs]
        options = self.contraction._options("sharded", named, extents)
        problem = self.contraction._problem(shapes, options)
        parts = [result_block(problem, box) for box in self._boxes(problem, owned)]
        part = parts[dist.get_rank(self.group)]
        taken = [self._taken(n, x, owned[n], problem, parts) for n, x in enumerate(operands)]
        if part.contributes:
            made = run(taken, problem_text(part.problem, name_of(taken[0].dtype)))[0]
        else:
            made = _nothing(taken, part.problem)
        return made.reshape(self._result_shape(problem, part))

    def _axis(self, term: Term) -> int | None:
        """The axis that is cut of what a term stands for."""
        for place, axis in enumerate(term):
            if self.index in axis.names:
                if isinstance(axis, Composition):
                    raise OperandError(f"({' '.join(axis.names)}) is not cut along {self.index}")
                return place
        return None

    def _owned(self, operands: Sequence[Tensor]) -> list[tuple[Rows, ...]]:
        """Of each operand that is cut the rows that each process has."""
        if len(operands) != len(self.axes) - 1:
            raise OperandError(f"'{self.contraction}' takes {len(self.axes) - 1} operands")
        pairs = zip(operands, self.axes, strict=False)
        mine = [0 if axis is None else operand.shape[axis] for operand, axis in pairs]
        sizes = torch.tensor(mine, device=operands[0].device)
        all_sizes = [torch.empty_like(sizes) for _ in range(dist.get_world_size(self.group))]
        dist.all_gather(all_sizes, sizes, group=self.group)
        return [_rows([int(found[n]) for found in all_sizes]) for n in range(len(operands))]

    def _boxes(self, problem: Problem, owned: Sequence[tuple[Rows, ...]]) -> list[list[slice]]:
        """The block of the result that each process makes, as large as its part of what is cut."""
        sizes, place = problem.output_sizes, self._place(problem)
        alike = _rows([1] * dist.get_world_size(self.group))
        shares = next((rows for rows in owned if rows[-1][1]), alike)
        cuts = [end * sizes[place] // shares[-1][1] for _, end in shares]
        whole = [slice(0, size) for size in sizes]
        return [
            [*whole[:place], slice(start, stop), *whole[place + 1 :]]
            for start, stop in zip([0, *cuts], cuts, strict=False)
        ]

    def _place(self, problem: Problem) -> int:
        """The axis of the result that is cut, compositions split."""
        return next(n for n, a in enumerate(problem.output) if self.index in a.names)

    def _taken(
        self, n: int, operand: Tensor, owned: tuple[Rows, ...], problem: Problem, parts: list[Part]
    ) -> Tensor:
        """What this process reads of an operand."""
        places = parts[dist.get_rank(self.group)].places[n]
        shape, axis = list(shape_of(problem.operands[n])), self.axes[n]
        if axis is None:
            taken = Shared.apply(operand, self.group).reshape(shape)
            return taken[places]
        # Compositions are split, and the axis may be another one.
        place = next(m for m, a in enumerate(problem.operands[n]) if self.index in a.names)
        shape[place] = operand.shape[axis]
        wanted = tuple((p.places[n][place].start, p.places[n][place].stop) for p in parts)
        exchange = Exchange(place, owned, wanted, self.group)
        taken = HandedOut.apply(operand.reshape(shape), exchange)
        return taken[(*places[:place], slice(None), *places[place + 1 :])]

    def _result_shape(self, problem: Problem, part: Part) -> tuple[int, ...]:
        """The shape of a block, compositions joined."""
        axis = self.axes[-1]
        assert axis is not None
        at = part.places[-1][self._place(problem)]
        shape = list(problem.result_shape)
        shape[axis] = at.stop - at.start
        return tuple(shape)


def _rows(sizes: Sequence[int]) -> tuple[Rows, ...]:
    """From where to where each of some blocks is, one after the other."""
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    return tuple(zip([0, *ends], ends, strict=False))


def _whole(operand: Tensor, axis: int | None, owned: tuple[Rows, ...]) -> tuple[int, ...]:
    """The shape of an operand, all blocks put together."""
    shape = list(operand.shape)
    if axis is not None:
        shape[axis] = owned[-1][1]
    return tuple(shape)


def _nothing(taken: Sequence[Tensor], problem: Problem) -> Tensor:
    """A block on which nothing lands; its gradient is there, so that others do not wait for it."""
    dtype = np.dtype(name_of(taken[0].dtype))
    value = float(identity(REDUCTIONS[problem.reduce], dtype))
    made = taken[0].new_full(problem.output_sizes, value)
    return made + sum(0 * tensor.sum() for tensor in taken)
