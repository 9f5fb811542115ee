"""Carrying out a contraction on one of several devices, inside of ``jax.shard_map``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from contractconv.arrays.precision import ACCUMULATORS, result_dtype
from contractconv.execution.foreign.contractions import contracted
from contractconv.notation.problem import Access, Problem, shape_of
from contractconv.notation.spec import SUM
from contractconv.planning.cost import is_direct
from contractconv.reductions.numbers import identity
from contractconv.sharding.contractions import ShardedContraction
from contractconv.sharding.jax_windows import block, cleared, land, positions, read
from contractconv.sharding.moves import COLLECTIVES

Known = dict[Any, Any]
"""Windows that have been read, by what they are of."""


def carried_out(
    plan: ShardedContraction, operands: Sequence[Any], keys: Sequence[Any], known: Known
) -> Any:
    """Carry out a contraction.

    Args:
        plan: what is done.
        operands: the blocks of this device, compositions split.
        keys: what each of them is.
        known: what has been read before; what is read now is kept there.

    Returns:
        The block of the result of this device, compositions split. Padding holds zeros.
    """
    common = np.dtype(jnp.result_type(*operands).name)
    summed = np.dtype(ACCUMULATORS.get(common.name, common))
    made = np.dtype(jax.dtypes.canonicalize_dtype(result_dtype(plan.problem.reduce, summed)))
    numbers = "int64" if made.name == "bool" else made.name
    work = _Work(plan, made, [_cast(operand, numbers) for operand in operands], keys, known)
    result = work.whole()
    if plan.record.averages:
        result = result / work.count()
    layout = tuple(p.split for p in plan.writes)
    shape = tuple(p.window.size for p in plan.writes)
    short = common.name if common.name in ACCUMULATORS or made.name == "bool" else made.name
    return cleared(_cast(result, short), layout, shape)


class _Work:
    """One contraction on one device."""

    def __init__(
        self,
        plan: ShardedContraction,
        dtype: Any,
        operands: Sequence[Any],
        keys: Sequence[Any],
        known: Known,
    ) -> None:
        self.plan, self.operands, self._keys, self._known = plan, operands, keys, known
        self.fill = identity(plan.record, dtype)
        self.numbers = operands[0].dtype

    def made(self) -> Any:
        """The part of the result that this device makes."""
        plan = self.plan
        if plan.by_points:
            return contracted(plan.landing, [self._points()])
        fill = self.fill if len(self.operands) == 1 else 0
        taken = [self._taken(n, fill) for n in range(len(self.operands))]
        if plan.record.linear:
            taken += [_counting(plan, name).astype(self.numbers) for name in plan.checked]
        return contracted(plan.local, taken)

    def _taken(self, n: int, fill: Any) -> Any:
        key = (self._keys[n], self.plan.reads[n], str(fill), self.numbers.name)
        if key not in self._known:
            self._known[key] = read(self.operands[n], self.plan.reads[n], fill)
        return self._known[key]

    def _points(self) -> Any:
        taken = [self._taken(n, 0) for n in range(len(self.operands))]
        return jnp.where(_valid(self.plan), contracted(self.plan.points, taken), self.fill)

    def combined(self, made: Any) -> Any:
        """The block of the result of this device, with what all others made of it."""
        combine = getattr(jnp, self.plan.record.combine)
        made = land(made, self.plan.writes, self.fill, combine)
        scattered = {split.along: (axis, split) for axis, split in self.plan.scattered}
        for along in self.plan.combined:
            if along in scattered and self.plan.record.combine == "add":
                axis, _ = scattered.pop(along)
                made = lax.psum_scatter(made, along, scatter_dimension=axis, tiled=True)
            else:
                made = over_devices(self.plan, made, along)
        for axis, split in scattered.values():
            made = block(made, axis, split)
        return made

    def count(self) -> Any:
        """How many points land on each element."""
        problem = self.plan.problem
        others = max(1, prod(problem.extents[name] for name in problem.reduced))
        if is_direct(problem):
            return others
        sizes = tuple(pair for pair in problem.sizes if pair[0] in problem.kept)
        splits = tuple(pair for pair in self.plan.splits if pair[0] in problem.kept)
        one = replace(problem, operands=((),), sizes=sizes, reduce=SUM)
        counting = replace(self.plan, problem=one, splits=splits, layouts=((),), reads=((),))
        ones = jnp.ones((), self.numbers)
        landed = _Work(counting, np.dtype(ones.dtype), [ones], ["ones"], {}).whole()
        return others * jnp.maximum(landed, 1)

    def whole(self) -> Any:
        """The result."""
        return self.combined(self.made())


def over_devices(plan: ShardedContraction, made: Any, along: str) -> Any:
    """Combine what all devices along an axis of the mesh have made."""
    collective = COLLECTIVES.get(plan.record.combine)
    if collective == "psum":
        return lax.psum(made, along)
    if collective is not None:
        return _extreme(made, along, collective)
    parts = lax.all_gather(made, along, to="invarying")
    return _reduced(plan, parts)


def _reduced(plan: ShardedContraction, parts: Any) -> Any:
    """The reduction over the first axis."""
    names = [f"n{axis}" for axis in range(parts.ndim)]
    term = tuple(Access.along(*pair) for pair in zip(names, parts.shape, strict=True))
    sizes = tuple(zip(names, parts.shape, strict=True))
    ordered = (*sizes[1:], sizes[0])
    problem = Problem((term,), term[1:], ordered, plan.problem.reduce, shape_of(term[1:]))
    return contracted(problem, [parts])


def _extreme(made: Any, along: str, collective: str) -> Any:
    """The greatest, or the least, of all devices; its derivative is at the first that has it."""

    def best(values: Any) -> Any:
        return getattr(lax, collective)(values, along)

    def change(given: Any, changes: Any) -> Any:
        (values,), (moved,) = given, changes
        found, device = told(values), lax.axis_index(along)
        first = lax.pmin(jnp.where(values == found, device, lax.axis_size(along)), along)
        return found, lax.psum(jnp.where(device == first, moved, 0), along)

    told = jax.custom_jvp(best)
    told.defjvp(change)
    return told(made)


# -- which points count ----------------------------------------------------------------------------


def _counting(plan: ShardedContraction, name: str) -> Any:
    """For each value of an index on this device whether it is one."""
    split, size = dict(plan.splits)[name], plan.problem.extents[name]
    return positions(split) < size


def _valid(plan: ShardedContraction) -> Any:
    """For each point of this device whether it is inside of all axes, and is one."""
    places = {name: _values(plan, n, name) for n, name in enumerate(plan.extents)}
    valid: Any = jnp.ones((1,) * len(places), bool)
    for access in (a for term in plan.problem.operands for a in term):
        at: Any = sum((c * places[name] for name, c in access.terms), start=access.offset)
        if access.divisor > 1:
            at, rest = at // access.divisor, at % access.divisor
            valid = valid & (rest == 0)
        valid = valid & (at >= 0) & (at < access.size)
    for name in plan.checked:
        valid = valid & (places[name] < plan.problem.extents[name])
    return valid


def _values(plan: ShardedContraction, axis: int, name: str) -> Any:
    """The values of an index on this device, along its own axis."""
    split = dict(plan.splits).get(name)
    values = jnp.arange(plan.extents[name]) if split is None else positions(split)
    return values.reshape([-1 if n == axis else 1 for n in range(len(plan.extents))])


def _cast(array: Any, name: str) -> Any:
    return array.astype(jax.dtypes.canonicalize_dtype(name))
