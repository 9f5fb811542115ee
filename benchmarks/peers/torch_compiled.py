"""PyTorch's compiler, for steps and chains of convolutions; it needs a compiler of C++ itself."""

from __future__ import annotations

import os
import shutil
from functools import partial

from benchmarks.layers import Factorised, NetworkStep
from benchmarks.peers.factorised_torch import factorised
from benchmarks.peers.step_torch import step
from benchmarks.peers.torch_eager import start

if not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++"))):
    raise ImportError("torch.compile needs a compiler of C++")

__all__ = ["KINDS", "start"]

KINDS = {
    Factorised: partial(factorised, compiled=True),
    NetworkStep: partial(step, compiled=True),
}
