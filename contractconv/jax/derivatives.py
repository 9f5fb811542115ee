"""Derived gradients as rules of JAX, in both modes and of any order.

A sum of products is linear in each operand: its change is the same sum with the change of one
operand, and what comes back to an operand is the derived contraction, which is a sum of products
again. So one primitive, whose derivatives are made of itself, is all that JAX needs to know; the
other reductions meet their local derivatives in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from contractconv.api.contraction import Contraction
from contractconv.calculus.backward import derive
from contractconv.calculus.derived_strings import jvp
from contractconv.calculus.letters import TANGENT
from contractconv.engines.portable.libraries import library_of
from contractconv.execution.foreign.contractions import contracted
from contractconv.execution.foreign.local_derivatives import local_derivative
from contractconv.execution.foreign.numbers import is_rounded, met
from contractconv.notation.affine import Affine
from contractconv.notation.problem import Access, Accesses, Problem
from contractconv.notation.spec import SUM, Spec, Term, operand_names
from contractconv.planning.derived_problems import backward_problem, recipe_problem
from contractconv.programs.build import unused
from contractconv.reductions.table import REDUCTIONS


def derived(contraction: Contraction) -> Callable[..., Any]:
    """A contraction on jax arrays whose derivatives are those that the calculus derives.

    Args:
        contraction: any reduction; parameters may be given in a call.

    Returns:
        A function of its operands, of ``output_shape=`` and of extents by keyword. JAX
        differentiates it in both modes, as often as one likes, compiles it and maps it.

    Example:
        >>> import contractconv as cc
        >>> conv = derived(cc.Contraction("(2*i+k), k -> i"))
        >>> x, w = jnp.arange(7.0), jnp.array([1.0, 2.0, 3.0])
        >>> jax.jacfwd(conv, 1)(x, w)
        Array([[0., 1., 2.],
               [2., 3., 4.],
               [4., 5., 6.]], dtype=float32)
    """

    def called(*operands: Any, output_shape: Sequence[int] | None = None, **extents: int) -> Any:
        arrays = [jnp.asarray(operand) for operand in contraction._spread(operands)]
        shapes = [tuple(array.shape) for array in arrays]
        options = contraction._options("derived", extents, None, output_shape=output_shape)
        problem = contraction._problem(shapes, options)
        spec = contraction._concrete(shapes, options, problem.result_shape)
        common = jnp.result_type(*arrays)
        return _reduced(spec, problem, [array.astype(common) for array in arrays])

    return called


def _reduced(spec: Spec, problem: Problem, operands: Sequence[Any]) -> Any:
    """Any contraction of arrays of one dtype."""
    if REDUCTIONS[problem.reduce].is_sum:
        return _sum.bind(*operands, spec=spec, problem=problem)

    forward = jax.custom_jvp(lambda *arrays: contracted(problem, arrays))

    def change(arrays: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
        made = forward(*arrays)
        if not is_rounded(made.dtype.name) or not is_rounded(arrays[0].dtype.name):
            return made, jnp.zeros(made.shape, jax.dtypes.float0)
        parts = [_changed(spec, problem, arrays, n, t) for n, t in enumerate(tangents)]
        return made, sum(parts[1:], start=parts[0]).astype(made.dtype)

    forward.defjvp(change)
    return forward(*operands)


def _changed(spec: Spec, problem: Problem, arrays: Sequence[Any], n: int, tangent: Any) -> Any:
    """How a result changes with one operand: its local derivative meets that, and the others."""
    recipe = jvp(spec, n)
    library, _ = library_of(arrays)
    dtype = met(library, arrays, problem.reduce)
    local = local_derivative(library, problem, arrays, dtype)
    named = dict(zip(operand_names(len(arrays)), arrays, strict=True)) | {TANGENT: tangent}
    given = [named.get(role, local) for role in recipe.roles]
    common = jnp.result_type(*given)
    taken = [array.astype(common) for array in given]
    shapes = [tuple(array.shape) for array in taken]
    whole = recipe_problem(recipe, problem, shapes, problem.result_shape)
    return _sum.bind(*taken, spec=recipe.spec, problem=whole)


# -- the primitive: a sum of products --------------------------------------------------------------

_sum = Primitive("contraction")


def _carried_out(*operands: Any, spec: Spec, problem: Problem) -> Any:
    return contracted(problem, operands)


def _abstract(*operands: Any, spec: Spec, problem: Problem) -> Any:
    made = jax.eval_shape(lambda *given: contracted(problem, given), *operands)
    return jax.core.ShapedArray(made.shape, made.dtype)


def _pushed(
    operands: Sequence[Any], tangents: Sequence[Any], *, spec: Spec, problem: Problem
) -> tuple[Any, Any]:
    """The change: of each operand by itself."""
    made = _sum.bind(*operands, spec=spec, problem=problem)
    parts = [
        _sum.bind(*operands[:n], tangent, *operands[n + 1 :], spec=spec, problem=problem)
        for n, tangent in enumerate(tangents)
        if not isinstance(tangent, ad.Zero)
    ]
    if not parts:
        return made, ad.Zero.from_primal_value(made)
    return made, sum(parts[1:], start=parts[0])


def _pulled(cotangent: Any, *operands: Any, spec: Spec, problem: Problem) -> list[Any]:
    """What comes back to the one operand that changes, by the string that is derived for it."""
    (n,) = (m for m, operand in enumerate(operands) if ad.is_undefined_primal(operand))
    if isinstance(cotangent, ad.Zero):
        return [ad.Zero(operands[n].aval) if m == n else None for m in range(len(operands))]
    formulas = derive(spec, n)
    shapes = [tuple(o.aval.shape if m == n else o.shape) for m, o in enumerate(operands)]
    back = backward_problem(formulas.scatter, formulas, problem, shapes)
    others = [operand for m, operand in enumerate(operands) if m != n]
    made = _sum.bind(cotangent, *others, spec=formulas.scatter, problem=back)
    return [made if m == n else None for m in range(len(operands))]


def _batched(
    operands: Sequence[Any], axes: Sequence[Any], *, spec: Spec, problem: Problem
) -> tuple[Any, int]:
    """Of many examples: the same string, with an index more in front."""
    mapped = [axis is not None for axis in axes]
    arrays = [
        jnp.moveaxis(array, axis, 0) if moved else array
        for array, axis, moved in zip(operands, axes, mapped, strict=True)
    ]
    count = next(a.shape[0] for a, moved in zip(arrays, mapped, strict=True) if moved)
    name = unused("example", spec.indices)
    made = _sum.bind(
        *arrays, spec=_with_index(spec, name, mapped),
        problem=_with_extent(problem, name, count, mapped),
    )  # fmt: skip
    return made, 0


def _with_index(spec: Spec, name: str, mapped: Sequence[bool]) -> Spec:
    first: Term = (Affine.index(name),)
    pairs = zip(spec.inputs, mapped, strict=True)
    inputs = tuple((*first, *term) if moved else term for term, moved in pairs)
    return Spec(inputs, (*first, *spec.output), SUM)


def _with_extent(problem: Problem, name: str, count: int, mapped: Sequence[bool]) -> Problem:
    first: Accesses = (Access.along(name, count),)
    pairs = zip(problem.operands, mapped, strict=True)
    operands = tuple((*first, *term) if moved else term for term, moved in pairs)
    return replace(
        problem, operands=operands, output=(*first, *problem.output),
        sizes=((name, count), *problem.sizes), result_shape=(count, *problem.result_shape),
    )  # fmt: skip


_sum.def_impl(_carried_out)
_sum.def_abstract_eval(_abstract)
ad.primitive_jvps[_sum] = _pushed
ad.primitive_transposes[_sum] = _pulled
batching.primitive_batchers[_sum] = _batched
mlir.register_lowering(_sum, mlir.lower_fun(_carried_out, multiple_results=False))
