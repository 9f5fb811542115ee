"""Contractions and programs over the devices of a mesh, sharded by the names of indices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from contractconv.api.contraction import Contraction
from contractconv.api.derivation import Derivation
from contractconv.api.program import Program
from contractconv.cache_register import Shelf
from contractconv.errors import OperandError, ParameterError
from contractconv.notation.problem import Shape, as_shape
from contractconv.programs.dtypes import Typed
from contractconv.sharding.layouts import Layout
from contractconv.sharding.programs import ShardedProgram, sharded
from contractconv.sharding.subjects import Subject, subject_of

if TYPE_CHECKING:
    from contractconv.sharding.report import ShardingPlan


def shard(what: Contraction | Derivation | Program, mesh: Any, /, **names: str) -> Sharded:
    """Carry a contraction, a gradient or a program out on all devices of a mesh.

    Each device has a block of the indices that are named. What else it needs of an operand are
    halos, which its neighbours send; what several devices have made of an element is added up.
    Extents need not divide: blocks are of equal size, and padding never counts.

    Args:
        what: the contraction, the gradient ``contraction.grad(n)``, or the program.
        mesh: a ``jax.sharding.Mesh``; to plan with, an ``AbstractMesh`` will do.
        **names: for indices of strings, and for axes of a program's values, the axis of the mesh
            along which they lie. Whatever follows from that need not be said. Of two that meet
            along one axis of the mesh the first is split.

    Returns:
        A function of jax arrays, to be differentiated and compiled by jax as any other.

    Raises:
        ParameterError: the mesh has no axis of such a name, or nothing has an index of a name.
        OperandError: jax is not installed, or this is no mesh.

    Example:
        >>> import jax, contractconv as cc
        >>> mesh = jax.sharding.AbstractMesh((4,), ("space",))
        >>> conv = cc.Contraction("b (i+k-1) (j+l-1) c, k l c o -> b i j o")
        >>> print(cc.shard(conv, mesh, i="space").plan((8, 32, 32, 3), (3, 3, 3, 16)))
        space: 4 devices, 6.14 kB each a step: ppermute
          operand_0: . space . .
          operand_1: . . . .
          result: . space . .
            moved  along  collective       for     what
          6.14 kB  space  2 x ppermute     result  b (i+k-1) (j+l-1) c, k l c o -> b i j o
    """
    return Sharded(subject_of(what), mesh, names)


class Sharded:
    """A contraction, a gradient or a program on the devices of a mesh; see :func:`shard`."""

    def __init__(self, subject: Subject, mesh: Any, names: Mapping[str, str]) -> None:
        self._subject, self._mesh, self._names = subject, _checked(mesh), dict(names)
        self._ready = Shelf()
        for name, along in names.items():
            if along not in self._mesh.shape:
                known = ", ".join(self._mesh.shape)
                raise ParameterError(f"{name}={along!r}: the mesh has the axes {known}")
            if name not in subject.names:
                known = ", ".join(subject.names)
                raise ParameterError(f"nothing is called {name!r} in {subject}; there are: {known}")

    def __call__(self, *arrays: Any, **given: Any) -> Any:
        """Carry it out.

        Args:
            *arrays: whole jax arrays, or numpy's; wherever they lie. A gradient takes the
                cotangent first.
            **given: inputs of a program by name; extents of a contraction's indices.

        Returns:
            A whole array, in blocks on the devices; a tuple of them, if a program has several.

        Raises:
            OperandError: there are too many arrays, or too few.
            ShapeError: shapes do not fit.
        """
        taken, extents = self._subject.taken(arrays, given)
        shapes = tuple(tuple(array.shape) for array in taken)
        dtype = self._subject.dtype(taken)
        made = self._compiled(shapes, dtype, extents)(*taken)
        return self._subject.returned(made)

    def plan(self, *shapes: Sequence[int], dtype: Any = "float32", **given: Any) -> ShardingPlan:
        """What each device sends to others, and by which collective; ``print`` it.

        Args:
            *shapes: of the arrays that it is called with.
            dtype: of them.
            **given: shapes of inputs by name; extents of a contraction's indices.
        """
        from contractconv.sharding.report import report

        return report(self._planned(*self._told(shapes, given), str(dtype)), self._mesh.shape)

    def in_shardings(self, *shapes: Sequence[int], **given: Any) -> tuple[Any, ...]:
        """How arrays lie best when it is called: a ``NamedSharding`` for each.

        An axis that cannot be divided lies whole on every device; the call cuts it.

        Args:
            *shapes: of the arrays that it is called with.
            **given: shapes of inputs by name; extents of a contraction's indices.
        """
        plan = self._planned(*self._told(shapes, given), "float32")
        return self._shardings(plan.inputs)

    def out_shardings(self, *shapes: Sequence[int], **given: Any) -> tuple[Any, ...]:
        """How results lie; see :meth:`in_shardings`."""
        plan = self._planned(*self._told(shapes, given), "float32")
        return self._shardings(plan.outputs)

    def _shardings(self, arrays: Sequence[tuple[str, Shape, Layout]]) -> tuple[Any, ...]:
        from contractconv.sharding.jax_call import sharding

        return tuple(sharding(self._mesh, shape, layout) for _, shape, layout in arrays)

    def _told(self, shapes: Sequence[Any], given: Mapping[str, Any]) -> tuple[Any, Any]:
        taken, extents = self._subject.told(shapes, given)
        return tuple(map(as_shape, taken)), extents

    def _planned(
        self, shapes: tuple[Shape, ...], extents: Mapping[str, Any], dtype: str
    ) -> ShardedProgram:
        program: Typed = self._subject.typed(shapes, dtype, extents)
        return sharded(program, self._names, self._mesh.shape)

    def _compiled(
        self, shapes: tuple[Shape, ...], dtype: str, extents: Mapping[str, Any]
    ) -> Callable[..., Any]:
        key = (shapes, dtype, tuple(sorted(extents.items())))
        known: Callable[..., Any] | None = self._ready.get(key)
        if known is None:
            from contractconv.sharding.jax_call import compiled, refuse_abstract

            refuse_abstract(self._mesh)
            known = compiled(self._planned(shapes, extents, dtype), self._mesh)
            self._ready.put(key, known, 0)
        return known

    def __repr__(self) -> str:
        names = ", ".join(f"{name}={along!r}" for name, along in self._names.items())
        return f"<{self._subject} sharded by {names}>"


def _checked(mesh: Any) -> Any:
    """A mesh whose arrays are divided by whoever uses them, and not by their types."""
    try:
        from contractconv.sharding.jax_call import plain_mesh
    except ImportError as error:
        raise OperandError(
            f"sharding needs jax with jax.shard_map: pip install 'contractconv[jax]' ({error})"
        ) from None
    return plain_mesh(mesh)
