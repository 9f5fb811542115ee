"""The operator ``contractconv::run``: the text of a program, carried out on tensors.

Its gradient is the same operator with the text of the derived program, and so is the gradient of
that; so is what torch maps over a batch, and the forward derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from contractconv.execution.torch import texts
from contractconv.execution.torch.kernels import kernel_of
from contractconv.execution.torch.texts import DerivedText, Flags
from contractconv.programs.derived_programs import Taken

Tensor = torch.Tensor
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
    return list(operator(list(inputs), text) if is_traced() else Run.apply(text, *inputs))


def is_traced() -> bool:
    """Whether tensors may stand for others, as a graph of operators is made."""
    return bool(
        torch.compiler.is_compiling()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._get_tracing_state() is not None
    )


@torch.compiler.assume_constant_result
def _saving(text: str, wrt: Flags) -> str:
    """The program, which also makes what its gradients read."""
    return texts.saving(text, _both(wrt, texts.changing_inputs(text)))


class Run(torch.autograd.Function):
    """The operator, as a function that torch differentiates."""

    @staticmethod
    def forward(text: str, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Carry out a program."""
        if not is_traced():
            return tuple(kernel_of(text)(inputs))
        with torch._C._AutoDispatchBelowAutograd():
            return tuple(operator(list(inputs), text))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep what derivatives read."""
        text, *tensors = inputs
        ctx.text = text
        ctx.set_materialize_grads(False)
        ctx.takes = _taken(text, tensors, output, ctx.needs_input_grad[1:])
        whole = [_kept(taken, tensors, output) for taken in ctx.takes]
        ctx.save_for_backward(*whole)
        ctx.save_for_forward(*whole)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        """What comes back to the inputs; torch's cotangents of complex numbers are conjugates."""
        wanted = _both(ctx.needs_input_grad[1:], texts.changing_inputs(ctx.text))
        given = _both(texts.flags(cotangents), texts.changing_results(ctx.text))
        derived = texts.pullback(ctx.text, wanted, given)
        made = _derived(ctx, derived, [_conjugate(c) for c in cotangents])
        return None, *(_conjugate(made.get(n)) for n in range(len(wanted)))

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: Tensor | None) -> tuple[Tensor | None, ...]:
        """How the results change."""
        able = texts.changing_results(ctx.text)
        moving = _both(texts.flags(tangents), texts.changing_inputs(ctx.text))
        made = _derived(ctx, texts.pushforward(ctx.text, moving), tangents)
        return tuple(made.get(n) for n in range(len(able)))

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], text: str, *inputs: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int | None, ...]]:
        """The program with one more axis."""
        moved, whole, dims = _for_many(in_dims[1:], inputs, text)
        return tuple(run(moved, whole)[: len(dims)]), tuple(dims)


# -- what is kept, and what is derived of it -----------------------------------------------------


def _taken(
    text: str, inputs: Sequence[Tensor], results: Sequence[Tensor], wrt: Sequence[bool]
) -> tuple[Taken, ...]:
    """What derivatives take of inputs and results."""
    if torch.autograd.forward_ad._current_level >= 0:
        given = [Taken("input", n, read=True) for n in range(len(inputs))]
        return *given, *(Taken("result", n, read=True) for n in range(len(results)))
    wanted = _both(wrt, texts.changing_inputs(text))
    takes = texts.pullback(text, wanted, texts.changing_results(text)).takes
    return tuple(taken for taken in takes if taken.what != "change")


def _kept(taken: Taken, inputs: Sequence[Tensor], results: Sequence[Tensor]) -> Tensor:
    """What is kept; of sizes alone nothing that takes memory."""
    tensor = (inputs if taken.what == "input" else results)[taken.number]
    return tensor if taken.read else tensor.new_zeros(()).expand(tensor.shape)


def _derived(
    ctx: Any, derived: DerivedText, changes: Sequence[Tensor | None]
) -> dict[int, Tensor]:
    """What a derived program makes, by what it is made for."""
    if not derived.makes:
        return {}
    kept = zip(ctx.takes, ctx.saved_tensors, strict=True)
    there = {(taken.what, taken.number): tensor for taken, tensor in kept}
    there |= {("change", n): c for n, c in enumerate(changes) if c is not None}
    taken = [there[t.what, t.number] for t in derived.takes]
    return dict(zip(derived.makes, run(taken, derived.text), strict=False))


def _both(first: Sequence[bool], second: Sequence[bool]) -> Flags:
    return tuple(a and b for a, b in zip(first, second, strict=True))


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
    transformed = torch._C._functorch.peek_interpreter_stack() is not None
    if transformed or torch.autograd.forward_ad._current_level >= 0:
        return kernel_of(text).by_torch(inputs)
    return list(Run.apply(text, *inputs))


def _mapped(info: Any, in_dims: Any, inputs: list[Tensor], text: str) -> Any:
    moved, whole, dims = _for_many(in_dims[0], inputs, text)
    return operator(moved, whole), dims


_library.impl("run", _computed, "CompositeExplicitAutograd")
_library.impl("run", _differentiable, "Autograd")
torch.library.register_fake(NAME, _fake, lib=_library)
torch.library.register_vmap(NAME, _mapped, lib=_library)
