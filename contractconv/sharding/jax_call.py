"""A program over devices as a function of whole jax arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax import shard_map
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from contractconv.engines.portable.libraries import library_of
from contractconv.errors import OperandError
from contractconv.execution.foreign.programs import Evaluator
from contractconv.notation.problem import Shape
from contractconv.programs.nodes import Input
from contractconv.sharding.jax_programs import evaluated
from contractconv.sharding.layouts import Layout, padded_shape
from contractconv.sharding.programs import ShardedProgram


def compiled(plan: ShardedProgram, mesh: Mesh) -> Callable[..., tuple[Any, ...]]:
    """A function of whole arrays, the inputs in order, that jax compiles when it is called.

    Args:
        plan: what each device does.
        mesh: the devices.
    """
    read = [node for node in plan.nodes if isinstance(node, Input)]
    if not any(prod(plan.program.shapes[node]) for node in read):
        return _alone(plan)
    names = [name for name, _, _ in plan.inputs]
    given = [layout for _, _, layout in plan.inputs]
    made = [layout for _, _, layout in plan.outputs]
    shapes = [shape for _, shape, _ in plan.outputs]

    def device(*blocks: Any) -> tuple[Any, ...]:
        return tuple(evaluated(plan, dict(zip(names, blocks, strict=True))))

    over_devices = shard_map(
        device, mesh=mesh, in_specs=tuple(map(_spec, given)), out_specs=tuple(map(_spec, made))
    )

    def whole(*arrays: Any) -> tuple[Any, ...]:
        blocks = [_padded(array, layout) for array, layout in zip(arrays, given, strict=True)]
        results = over_devices(*blocks)
        return tuple(_cut(array, shape) for array, shape in zip(results, shapes, strict=True))

    compiled_by_jax: Callable[..., tuple[Any, ...]] = jax.jit(whole)
    return compiled_by_jax


def _alone(plan: ShardedProgram) -> Callable[..., tuple[Any, ...]]:
    """The same on one device, where no array has elements: XLA fails over several then."""
    library, _ = library_of([jnp.zeros(())])
    evaluate = Evaluator(plan.program, library)
    names = [name for name, _, _ in plan.inputs]
    return lambda *arrays: tuple(evaluate(dict(zip(names, arrays, strict=True))))


def sharding(mesh: Mesh, shape: Shape, layout: Layout) -> NamedSharding:
    """How a whole array lies that needs no padding; axes that would need it are not divided."""
    even = (None if s is None or s.pads(n) else s for n, s in zip(shape, layout, strict=True))
    return NamedSharding(mesh, _spec(tuple(even)))


def plain_mesh(mesh: Any) -> Mesh | AbstractMesh:
    """The same devices, without types of arrays that follow from how they lie.

    Raises:
        OperandError: it is no mesh.
    """
    if isinstance(mesh, AbstractMesh):
        return mesh
    if not isinstance(mesh, Mesh):
        raise OperandError(f"a mesh is a jax.sharding.Mesh, and no {type(mesh).__name__}")
    return Mesh(mesh.devices, mesh.axis_names)


def refuse_abstract(mesh: Any) -> None:
    """Raise an error for a mesh that is there to plan with."""
    if isinstance(mesh, AbstractMesh):
        raise OperandError("an abstract mesh has no devices: plans are made for it, and no arrays")


def _spec(layout: Layout) -> PartitionSpec:
    return PartitionSpec(*(split and split.along for split in layout))


def _padded(array: Any, layout: Layout) -> Any:
    shape: Shape = array.shape
    wanted = padded_shape(shape, layout) if layout else shape
    if wanted == shape:
        return array
    return jnp.pad(array, [(0, w - n) for n, w in zip(shape, wanted, strict=True)])


def _cut(array: Any, shape: Sequence[int]) -> Any:
    return array if array.shape == tuple(shape) else array[tuple(map(slice, shape))]
