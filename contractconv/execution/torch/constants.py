"""What torch's compiler takes as it is, and what it need not read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

Work = TypeVar("Work", bound=Callable[..., Any])

Tensor = Any
"""A tensor; torch's own types are so many that checkers do not read them."""


def constant(function: Work) -> Work:
    """A function whose results depend on nothing but its arguments, which are no tensors.

    The compiler calls it as it reads a program, and goes on with what it returned.
    """
    marked: Work = torch.compiler.assume_constant_result(function)
    return marked
