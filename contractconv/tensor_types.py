"""PyTorch's tensors, known by their types without torch being imported."""

from __future__ import annotations

from collections.abc import Iterable

# The packages of the types of tensors. Other types that derive from them have rules for torch's own
# operations alone, and those are what such tensors are contracted by.
_TENSORS = frozenset(
    {
        "torch", "torch.nn.parameter", "torch._subclasses.fake_tensor",
        "torch._subclasses.functional_tensor",
    }
)  # fmt: skip


def are_of_torch(operands: Iterable[object], *options: object) -> bool:
    """Whether a call is one of PyTorch's operator: what comes in are tensors.

    It is asked before anything else, in few words: torch's compiler may be reading along.

    Args:
        operands: what comes in.
        options: those that the operator does not take; what is ``None`` has not been said.
    """
    for operand in operands:
        if type(operand).__module__ in _TENSORS:
            return all(option is None for option in options)
    return False
