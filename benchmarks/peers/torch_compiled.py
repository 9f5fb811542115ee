"""PyTorch's compiler, for whole training steps; it needs a compiler of C++ itself."""

from __future__ import annotations

import os
import shutil
from functools import partial

from benchmarks.layers import NetworkStep
from benchmarks.peers.step_torch import step
from benchmarks.peers.torch_eager import start

if not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++"))):
    raise ImportError("torch.compile needs a compiler of C++")

__all__ = ["KINDS", "start"]

KINDS = {NetworkStep: partial(step, compiled=True)}
