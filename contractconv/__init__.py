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
    CheckpointError,
    ContractionError,
    MapError,
    MemoryLimitError,
    OperandError,
    ParameterError,
    ProgramError,
    ReductionError,
    ShapeError,
    SpecError,
    TrainingError,
    UnfinishedError,
    WeightsError,
)
from contractconv.machine.threads import get_num_threads, set_num_threads
from contractconv.notation.spec import Reduction
from contractconv.planning.setting import Algorithm
from contractconv.version import VERSION as __version__

if TYPE_CHECKING:
    from contractconv import functions as functions
    from contractconv import jax as jax
    from contractconv import layers as layers
    from contractconv import training as training
    from contractconv import weights as weights
    from contractconv.api.compiling import compile as compile
    from contractconv.api.derivatives import Derived
    from contractconv.api.equality import equal
    from contractconv.api.program import Program, program, read
    from contractconv.api.symbolic import concatenated as concat
    from contractconv.api.symbolic import gauss_newton, grad, hvp, jvp
    from contractconv.api.tensor import Tensor, index, size, tensor
    from contractconv.calculus.letters import letters
    from contractconv.display.explanation import Explanation
    from contractconv.display.programs.explanation import ProgramExplanation
    from contractconv.execution.compiled import Compiled
    from contractconv.execution.files.mark import Unfinished, unfinished
    from contractconv.execution.programs.compiled import CompiledProgram
    from contractconv.layers.layer import Layer
    from contractconv.networks.diagram import NetworkDiagram
    from contractconv.networks.explanation import NetworkExplanation
    from contractconv.networks.fitting.fit import Fit
    from contractconv.networks.network import Network
    from contractconv.networks.summary import Summary
    from contractconv.planning.plan import Plan
    from contractconv.sharding.sharded import shard
    from contractconv.verification.certificate import Certificate
    from contractconv.verification.programs.certificate import ProgramCertificate

__all__ = [
    "Algorithm",
    "AlgorithmError",
    "Certificate",
    "CertificateError",
    "CheckpointError",
    "Compiled",
    "CompiledProgram",
    "Contraction",
    "ContractionError",
    "Curvature",
    "Derivation",
    "Derived",
    "Explanation",
    "Fit",
    "Layer",
    "MapError",
    "MemoryLimitError",
    "Network",
    "NetworkDiagram",
    "NetworkExplanation",
    "OperandError",
    "ParameterError",
    "Plan",
    "Program",
    "ProgramCertificate",
    "ProgramError",
    "ProgramExplanation",
    "Reduction",
    "ReductionError",
    "ShapeError",
    "SpecError",
    "Summary",
    "Tensor",
    "TrainingError",
    "Unfinished",
    "UnfinishedError",
    "WeightsError",
    "__version__",
    "arctan",
    "ceil",
    "clear_caches",
    "concat",
    "conj",
    "contract",
    "cos",
    "cosh",
    "elu",
    "equal",
    "erf",
    "erfc",
    "exp",
    "expm1",
    "floor",
    "functions",
    "gauss_newton",
    "gelu",
    "gelu_tanh",
    "get_num_threads",
    "grad",
    "hvp",
    "index",
    "jax",
    "jvp",
    "layers",
    "leaky_relu",
    "letters",
    "log",
    "log1p",
    "log_sigmoid",
    "logaddexp",
    "program",
    "read",
    "real",
    "reciprocal",
    "relu",
    "relu6",
    "rsqrt",
    "set_num_threads",
    "shard",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "size",
    "softplus",
    "sqrt",
    "square",
    "stop_gradient",
    "tan",
    "tanh",
    "tensor",
    "toom_cook",
    "training",
    "unfinished",
    "weights",
    "where",
]

# What calls return, and what programs are written with; their rooms need numpy, sympy or the table
# of maps, and are entered when somebody asks for them.
_LATER = {
    "Certificate": "contractconv.verification.certificate",
    "Compiled": "contractconv.execution.compiled",
    "Derived": "contractconv.api.derivatives",
    "Explanation": "contractconv.display.explanation",
    "Fit": "contractconv.networks.fitting.fit",
    "Layer": "contractconv.layers.layer",
    "Network": "contractconv.networks.network",
    "NetworkDiagram": "contractconv.networks.diagram",
    "NetworkExplanation": "contractconv.networks.explanation",
    "Summary": "contractconv.networks.summary",
    "Plan": "contractconv.planning.plan",
    "CompiledProgram": "contractconv.execution.programs.compiled",
    "Program": "contractconv.api.program",
    "ProgramCertificate": "contractconv.verification.programs.certificate",
    "ProgramExplanation": "contractconv.display.programs.explanation",
    "Tensor": "contractconv.api.tensor",
    "Unfinished": "contractconv.execution.files.mark",
    "compile": "contractconv.api.compiling",
    "concat": "contractconv.api.symbolic:concatenated",
    "equal": "contractconv.api.equality",
    "gauss_newton": "contractconv.api.symbolic",
    "grad": "contractconv.api.symbolic",
    "hvp": "contractconv.api.symbolic",
    "index": "contractconv.api.tensor",
    "jvp": "contractconv.api.symbolic",
    "letters": "contractconv.calculus.letters",
    "program": "contractconv.api.program",
    "read": "contractconv.api.program",
    "shard": "contractconv.sharding.sharded",
    "size": "contractconv.api.tensor",
    "tensor": "contractconv.api.tensor",
    "unfinished": "contractconv.execution.files.mark",
}


_ROOMS = ("dask", "functions", "jax", "layers", "testing", "torch", "training", "weights")


def __getattr__(name: str) -> Any:
    if name in _LATER:
        module, _, called = _LATER[name].partition(":")
        return getattr(_import_module(module), called or name)
    if name in _ROOMS:
        return _import_module(f"contractconv.{name}")
    if not name.startswith("_"):
        from contractconv.api.maps import map_function

        found = map_function(name)
        if found is not None:
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
