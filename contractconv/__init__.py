"""A symbolic tensor-contraction engine: every layer is an einsum string.

>>> import numpy as np, contractconv as cc
>>> conv = cc.Contraction("b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o")
>>> conv(np.ones((8, 28, 28, 3)), np.ones((3, 3, 3, 16))).shape
(8, 14, 14, 16)
>>> print(conv.grad(0).gather)
b ((h-k+1)/2) ((w-l+1)/2) o, k l c o -> b h w c
"""

from contractconv.api.contract import contract
from contractconv.api.contraction import Contraction
from contractconv.api.curvature import Curvature
from contractconv.api.derivation import Derivation
from contractconv.api.tiles import toom_cook
from contractconv.errors import (
    AlgorithmError,
    CertificateError,
    ContractionError,
    MemoryLimitError,
    OperandError,
    ParameterError,
    ReductionError,
    ShapeError,
    SpecError,
)
from contractconv.execution.threads import get_num_threads, set_num_threads

__all__ = [
    "AlgorithmError",
    "CertificateError",
    "Contraction",
    "ContractionError",
    "Curvature",
    "Derivation",
    "MemoryLimitError",
    "OperandError",
    "ParameterError",
    "ReductionError",
    "ShapeError",
    "SpecError",
    "contract",
    "get_num_threads",
    "set_num_threads",
    "toom_cook",
]
