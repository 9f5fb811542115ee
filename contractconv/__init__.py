"""A symbolic tensor-contraction engine: every layer is an einsum string.

>>> import numpy as np, contractconv as cc
>>> conv = cc.Contraction("b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o")
>>> conv(np.ones((8, 28, 28, 3)), np.ones((3, 3, 3, 16))).shape
(8, 14, 14, 16)
>>> print(conv.grad(0).gather)
b ((h-k+1)/2) ((w-l+1)/2) o, k l c o -> b h w c
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

from contractconv.api.contract import contract
from contractconv.api.contraction import Contraction
from contractconv.api.curvature import Curvature
from contractconv.api.derivation import Derivation
from contractconv.api.fast_algorithms import toom_cook
from contractconv.cache_register import clear_caches
from contractconv.errors import (
    AlgorithmError,
    CertificateError,
    ContractionError,
    MapError,
    MemoryLimitError,
    OperandError,
    ParameterError,
    ReductionError,
    ShapeError,
    SpecError,
)
from contractconv.machine.threads import get_num_threads, set_num_threads
from contractconv.notation.spec import Reduction
from contractconv.planning.setting import Algorithm
from contractconv.version import VERSION as __version__

if TYPE_CHECKING:
    from contractconv.api.derivatives import Derived
    from contractconv.display.explanation import Explanation
    from contractconv.execution.compiled import Compiled
    from contractconv.planning.plan import Plan
    from contractconv.verification.certificate import Certificate

__all__ = [
    "Algorithm",
    "AlgorithmError",
    "Certificate",
    "CertificateError",
    "Compiled",
    "Contraction",
    "ContractionError",
    "Curvature",
    "Derivation",
    "Derived",
    "Explanation",
    "MapError",
    "MemoryLimitError",
    "OperandError",
    "ParameterError",
    "Plan",
    "Reduction",
    "ReductionError",
    "ShapeError",
    "SpecError",
    "__version__",
    "clear_caches",
    "contract",
    "get_num_threads",
    "set_num_threads",
    "toom_cook",
]

# What calls return; their rooms need numpy or sympy, and are entered when somebody asks for them.
_LATER = {
    "Certificate": "contractconv.verification.certificate",
    "Compiled": "contractconv.execution.compiled",
    "Derived": "contractconv.api.derivatives",
    "Explanation": "contractconv.display.explanation",
    "Plan": "contractconv.planning.plan",
}


def __getattr__(name: str) -> Any:
    if name == "testing":
        return _import_module("contractconv.testing")
    if name in _LATER:
        return getattr(_import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
