"""The operator ``contractconv::run``: the text of a program, carried out on tensors.

Its gradient is the same operator with the text of the derived program, and so is the gradient of
that; so is what torch maps over a batch, and the forward derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from contractconv.engines.portable.libraries.torch_views import (
    is_traced,
    is_transformed,
    is_watched,
)
from contractconv.execution.torch import texts
from contractconv.execution.torch.constants import Tensor, constant
from contractconv.execution.torch.kernels import kernel_of
from contractconv.execution.torch.texts import DerivedText, Flags
from contractconv.programs.derived_programs import Taken

NAME = "contractconv::run"

_library = torch.library.Library("contractconv", "DEF")
# Not by torch.library.custom_op: what that registers has no forward derivative, and would lose
# tangents without a word; and torch.func differentiates none of it.
_library.define("run(Tensor[] inputs, str text) -> Tensor[]", tags=(torch.Tag.pt2_compliant_tag,))
operator = torch.ops.contractconv.run


def run(inputs: Sequence[Tensor], text: str) -> list[Tensor]:
    """Carry out a program on tensors, such that torch knows its derivatives.

    Args:
        inputs: a tensor for each of its inputs; those that do not say their dtype have one.
        text: the program.

    Returns:
        Its results; beside them there may be others that its gradients read.
    """
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
        text = _saving(text, tuple(tensor.requires_grad for tensor in inputs))
    elif not is_watched():
        return kernel_of(text)(inputs)
    if is_traced():
        return list(operator(list(inputs), text))
    return list((Transformed if is_transformed() else Run).apply(text, *inputs))


@constant
def _saving(text: str, wrt: Flags) -> str:
    """The program, which also makes what its gradients read."""
    return texts.saving(text, wrt)


class Run(torch.autograd.Function):
    """The operator, as a function that torch differentiates."""

    @staticmethod
    def forward(ctx: Any, text: str, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Carry out a program."""
        results = _carried_out(text, inputs)
        takes = texts.read_back(text, ctx.needs_input_grad[1:])
        ctx.save_for_backward(*_keep(ctx, text, takes, inputs, results))
        return results

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        """What comes back to the inputs; torch's cotangents of complex numbers are conjugates."""
        wanted = ctx.needs_input_grad[1:]
        derived = texts.pullback(ctx.text, wanted, texts.flags(cotangents))
        made = _derived(ctx, derived, [_conjugate(c) for c in cotangents])
        return None, *(_conjugate(made.get(n)) for n in range(len(wanted)))


class Transformed(torch.autograd.Function):
    """The same for transformations of functions, which keep everything."""

    @staticmethod
    def forward(text: str, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Carry out a program."""
        return _carried_out(text, inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep what derivatives read."""
        text, *tensors = inputs
        given = [Taken("input", n, read=True) for n in range(len(tensors))]
        takes = *given, *(Taken("result", n, read=True) for n in range(len(output)))
        whole = _keep(ctx, text, takes, tensors, output)
        ctx.save_for_backward(*whole)
        ctx.save_for_forward(*whole)

    backward = Run.backward

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: Tensor | None) -> tuple[Tensor | None, ...]:
        """How the results change."""
        made = _derived(ctx, texts.pushforward(ctx.text, texts.flags(tangents)), tangents)
        return tuple(made.get(n) for n in range(len(texts.changing_results(ctx.text))))

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], text: str, *inputs: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int | None, ...]]:
        """The program with one more axis."""
        moved, whole, dims = _for_many(in_dims[1:], inputs, text)
        return tuple(run(moved, whole)[: len(dims)]), tuple(dims)


def _carried_out(text: str, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Carry out a program, whose derivatives are taken care of."""
    if not is_traced():
        return tuple(kernel_of(text)(inputs))
    with torch._C._AutoDispatchBelowAutograd():
        return tuple(operator(list(inputs), text))


def _keep(
    ctx: Any,
    text: str,
    takes: tuple[Taken, ...],
    inputs: Sequence[Tensor],
    results: Sequence[Tensor],
) -> list[Tensor]:
    """What derivatives take of inputs and results; of sizes alone nothing that takes memory."""
    ctx.text, ctx.takes = text, takes
    ctx.set_materialize_grads(False)
    pairs = [(taken, inputs if taken.what == "input" else results) for taken in takes]
    return [_kept(tensors[taken.number], taken.read) for taken, tensors in pairs]


def _kept(tensor: Tensor, read: bool) -> Tensor:
    return tensor if read else tensor.new_empty(()).expand(tensor.shape)


def _derived(ctx: Any, derived: DerivedText, changes: Sequence[Tensor | None]) -> dict[int, Tensor]:
    """What a derived program makes, by what it is made for."""
    if not derived.makes:
        return {}
    kept = zip(ctx.takes, ctx.saved_tensors, strict=True)
    there = {(taken.what, taken.number): tensor for taken, tensor in kept}
    taken = [
        changes[number] if what == "change" else there[what, number]
        for what, number, _ in derived.takes
    ]
    return dict(zip(derived.makes, run(taken, derived.text), strict=False))


def _conjugate(tensor: Tensor | None) -> Tensor | None:
    return tensor.conj() if tensor is not None and tensor.is_complex() else tensor


def _for_many(
    dims: Sequence[int | None], inputs: Sequence[Tensor], text: str
) -> tuple[list[Tensor], str, list[int | None]]:
    """The program with one more axis: its inputs, its text, and where its results have the axis."""
    pairs = zip(inputs, dims, strict=True)
    moved = [tensor if dim is None else tensor.movedim(dim, 0) for tensor, dim in pairs]
    whole, has = texts.for_many(text, texts.flags(dims))
    return moved, whole, [0 if found else None for found in has]


# -- what torch knows of the operator --------------------------------------------------------------


def _computed(inputs: list[Tensor], text: str) -> list[Tensor]:
    return kernel_of(text)(inputs)


def _fake(inputs: Sequence[Tensor], text: str) -> list[Tensor]:
    return kernel_of(text).fake(inputs)


def _differentiable(inputs: list[Tensor], text: str) -> list[Tensor]:
    """Torch's own operations, where its transformations are under way: they know what to do."""
    if is_transformed():
        return kernel_of(text).by_torch(inputs)
    return list(Run.apply(text, *inputs))


def _mapped(info: Any, in_dims: Any, inputs: list[Tensor], text: str) -> Any:
    moved, whole, dims = _for_many(in_dims[0], inputs, text)
    return operator(moved, whole), dims


_library.impl("run", _computed, "CompositeExplicitAutograd")
_library.impl("run", _differentiable, "Autograd")
torch.library.register_fake(NAME, _fake, lib=_library)
torch.library.register_vmap(NAME, _mapped, lib=_library)
