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
from contractconv.execution.torch.texts import DerivedText
from contractconv.programs.derived_programs import Taken

Tensor = torch.Tensor


@torch.library.custom_op("contractconv::run", mutates_args=())
def operator(inputs: list[Tensor], text: str) -> list[Tensor]:
    """Carry out a program.

    Args:
        inputs: a tensor for each of its inputs; those that do not say their dtype have one.
        text: the program.

    Returns:
        Its results, which lie in order, in memory of their own.
    """
    return kernel_of(text)(inputs)


@operator.register_fake
def _fake(inputs: Sequence[Tensor], text: str) -> list[Tensor]:
    return kernel_of(text).fake(inputs)


class Run(torch.autograd.Function):
    """The same as a function that torch differentiates without its dispatcher."""

    @staticmethod
    def forward(text: str, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Carry out a program."""
        return tuple(kernel_of(text)(inputs))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep what derivatives read."""
        text, *tensors = inputs
        _keep(ctx, text, tensors, output, ctx.needs_input_grad[1:])

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        """What comes back to the inputs."""
        return None, *_backward(ctx, cotangents, ctx.needs_input_grad[1:])

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: Tensor | None) -> tuple[Tensor | None, ...]:
        """How the results change."""
        return tuple(_forward_derivative(ctx, tangents))

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], text: str, *inputs: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int | None, ...]]:
        """The program with one more axis."""
        made, dims = _for_many(in_dims[1:], inputs, text)
        return tuple(made), tuple(dims)


def run(inputs: Sequence[Tensor], text: str) -> list[Tensor]:
    """Carry out a program on tensors, such that torch knows its derivatives.

    Args:
        inputs: a tensor for each of its inputs; those that do not say their dtype have one.
        text: the program.

    Returns:
        Its results; beside them there may be others that its gradients read.
    """
    if torch.is_grad_enabled():
        able = texts.changing_inputs(text)
        wrt = tuple(t.requires_grad and a for t, a in zip(inputs, able, strict=True))
        if any(wrt):
            text = texts.saving(text, wrt)
    if is_traced():
        return operator(list(inputs), text)
    return list(Run.apply(text, *inputs))


def is_traced() -> bool:
    """Whether tensors may stand for others, and a graph of operators is made."""
    return bool(
        torch.compiler.is_compiling()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._get_tracing_state() is not None
    )


# -- what is kept, and what is derived of it -----------------------------------------------------


def _keep(
    ctx: Any, text: str, inputs: Sequence[Tensor], results: Sequence[Tensor], wrt: Sequence[bool]
) -> None:
    ctx.set_materialize_grads(False)
    ctx.text = text
    if torch.autograd.forward_ad._current_level >= 0:
        ctx.takes = _everything(inputs, results)
        whole = [*inputs, *results]
        ctx.save_for_forward(*whole)
    else:
        able = texts.changing_inputs(text)
        wanted = tuple(w and a for w, a in zip(wrt, able, strict=True))
        takes = texts.pullback(text, wanted, texts.changing_results(text)).takes
        ctx.takes = tuple(taken for taken in takes if taken.what != "change")
        whole = [_read(taken, inputs, results) for taken in ctx.takes]
    ctx.save_for_backward(*whole)


def _everything(inputs: Sequence[Tensor], results: Sequence[Tensor]) -> tuple[Taken, ...]:
    given = [Taken("input", n, read=True) for n in range(len(inputs))]
    return *given, *(Taken("result", n, read=True) for n in range(len(results)))


def _read(taken: Taken, inputs: Sequence[Tensor], results: Sequence[Tensor]) -> Tensor:
    """What is kept; of sizes alone nothing that takes memory."""
    tensor = (inputs if taken.what == "input" else results)[taken.number]
    return tensor if taken.read else tensor.new_zeros(()).expand(tensor.shape)


def _backward(
    ctx: Any, cotangents: Sequence[Tensor | None], wrt: Sequence[bool]
) -> list[Tensor | None]:
    """What comes back to the inputs; torch's cotangents of complex numbers are conjugates."""
    able, ends = texts.changing_inputs(ctx.text), texts.changing_results(ctx.text)
    wanted = tuple(w and a for w, a in zip(wrt, able, strict=True))
    given = tuple(c is not None and e for c, e in zip(cotangents, ends, strict=True))
    derived = texts.pullback(ctx.text, wanted, given)
    made = _derived(ctx, derived, [_conjugate(c) for c in cotangents])
    found: list[Tensor | None] = [None] * len(wanted)
    for n, cotangent in made.items():
        found[n] = _conjugate(cotangent)
    return found


def _forward_derivative(ctx: Any, tangents: Sequence[Tensor | None]) -> list[Tensor | None]:
    able = texts.changing_inputs(ctx.text)
    moving = tuple(t is not None and a for t, a in zip(tangents, able, strict=True))
    made = _derived(ctx, texts.pushforward(ctx.text, moving), tangents)
    return [made.get(n) for n in range(len(texts.changing_results(ctx.text)))]


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


def _conjugate(tensor: Tensor | None) -> Tensor | None:
    return tensor.conj() if tensor is not None and tensor.is_complex() else tensor


def _for_many(
    dims: Sequence[int | None], inputs: Sequence[Tensor], text: str
) -> tuple[list[Tensor], list[int | None]]:
    pairs = zip(inputs, dims, strict=True)
    moved = [tensor if dim is None else tensor.movedim(dim, 0) for tensor, dim in pairs]
    whole, has = texts.for_many(text, texts.flags(dims))
    made = run(moved, whole)[: len(has)]
    return made, [0 if found else None for found in has]


# -- the same for the operator -------------------------------------------------------------------


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Sequence[Tensor]) -> None:
    tensors, text = inputs
    _keep(ctx, text, tensors, output, [tensor.requires_grad for tensor in tensors])


def _operator_backward(ctx: Any, cotangents: Sequence[Tensor | None]) -> tuple[Any, None]:
    return _backward(ctx, cotangents, ctx.needs_input_grad[0]), None


def _operator_vmap(info: Any, in_dims: Any, inputs: Sequence[Tensor], text: str) -> Any:
    return _for_many(in_dims[0], inputs, text)


operator.register_autograd(_operator_backward, setup_context=_setup_context)
operator.register_vmap(_operator_vmap)
