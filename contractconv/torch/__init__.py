"""Layers and networks as modules of PyTorch.

>>> import torch
>>> from contractconv.torch import Layer
>>> conv = Layer("b (i+k-1) (j+l-1) c, k l c o -> b i j o", k=3, l=3, c=3, o=8, bias="o")
>>> conv(torch.ones(2, 28, 28, 3)).shape
torch.Size([2, 28, 28, 8])
>>> list(conv.state_dict())
['W', 'bias']
"""

from contractconv.errors import OperandError

try:
    import torch as _torch  # noqa: F401 - nothing here is without it
except ImportError as error:
    raise OperandError(f"torch is missing: pip install 'contractconv[torch]' ({error})") from error

from contractconv.torch.layer import Layer
from contractconv.torch.module import Module
from contractconv.torch.sharded import Sharded

__all__ = ["Layer", "Module", "Sharded"]
