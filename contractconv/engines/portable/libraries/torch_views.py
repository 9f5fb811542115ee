"""Tensors whose memory numpy's arrays share, and whether anybody would notice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from contractconv.arrays.views import Array

# The dtypes that kernels have; others are torch's.
OURS = frozenset(
    {
        torch.bool, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8,
        torch.float16, torch.float32, torch.float64, torch.complex64, torch.complex128,
    }
)  # fmt: skip
_KINDS = (torch.Tensor, torch.nn.Parameter)


def views(tensors: Sequence[Any]) -> list[Array] | None:
    """Tensors as arrays, where torch need not know what is done with them; ``None`` if it must.

    Example:
        >>> views([torch.ones(2)])
        [array([1., 1.], dtype=float32)]
        >>> views([torch.ones(2, requires_grad=True)])
    """
    if is_watched() or (torch.is_grad_enabled() and any(t.requires_grad for t in tensors)):
        return None
    return [as_array(tensor) for tensor in tensors] if are_ours(tensors) else None


def are_ours(tensors: Sequence[Any]) -> bool:
    """Whether our kernels read some tensors where they lie."""
    for tensor in tensors:
        if type(tensor) not in _KINDS or tensor.dtype not in OURS:
            return False
        if tensor.device.type != "cpu" or tensor.layout is not torch.strided:
            return False
    return True


def as_array(tensor: Any) -> Array:
    """The memory of a tensor as an array."""
    plain = tensor.detach() if tensor.requires_grad else tensor
    if plain.is_conj() or plain.is_neg():
        plain = plain.resolve_conj().resolve_neg()
    array: Array = plain.numpy()
    return array


def as_tensor(array: Any) -> Any:
    """An array of ours as a tensor, which lies in order."""
    made = np.asarray(array)
    if not (made.flags.c_contiguous and made.flags.writeable):
        made = made.copy()
    return torch.from_numpy(made)


def is_watched() -> bool:
    """Whether there is something to be known of calls beside what they make."""
    return is_traced() or is_transformed()


def is_traced() -> bool:
    """Whether tensors may stand for others, as a graph of operators is made."""
    return bool(
        torch.compiler.is_compiling()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._get_tracing_state() is not None
    )


def is_transformed() -> bool:
    """Whether a function is being differentiated forwards, or one of torch.func's is at work."""
    stack = torch._C._functorch.peek_interpreter_stack()
    return stack is not None or torch.autograd.forward_ad._current_level >= 0
