"""The function :func:`contract`, for those who have the arrays at hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from contractconv.api.contraction import Contraction
from contractconv.caches import kept
from contractconv.errors import ContractionError, SpecError
from contractconv.notation.parser import as_reduction, parameter_names, parse
from contractconv.notation.spec import Reduction, Spec
from contractconv.notation.sublists import from_sublists
from contractconv.planning.setting import Algorithm

if TYPE_CHECKING:
    from contractconv.execution.views import Array


def contract(
    spec: str | Contraction,
    /,
    *operands: Any,
    reduce: Reduction = "sum",
    parameters: str | Iterable[str] | None = None,
    output_shape: Sequence[int] | None = None,
    memory_limit: int | None = None,
    algorithm: Algorithm = "auto",
    **extents: int,
) -> Array:
    """Contract arrays as a string says.

    Args:
        spec: the contraction, for example ``"b (2*i+k-1) c, k c o -> b i o"``. numpy's other
            form, operands alternating with lists of indices, is understood too.
        *operands: one array of numbers for each term. They are never modified.
        reduce: how contributions to one element combine: ``"sum"``, ``"max"``, ``"min"``,
            ``"prod"``, ``"mean"`` or ``"logsumexp"``.
        parameters: names in the string that are numbers, not indices: ``"s d p"``.
        output_shape: the shape of the result, where the rules should not choose it.
        memory_limit: bytes that temporary arrays may take beyond operands and result.
        algorithm: ``"auto"`` chooses by predicted time, and stays within 1e-4 of the result's
            scale in float32 (2e-13 in float64); ``"direct"`` sums products as the definition
            does, exactly so for integers; ``"toom-cook"`` and ``"fft"`` take fewer
            multiplications for windows, and round more; ``"measure"`` times all of them.
        **extents: extents of indices and values of parameters, by name.

    Returns:
        A new array.

    Raises:
        ContractionError: one of its kinds for each way in which the call can be wrong.

    Example:
        >>> import numpy as np
        >>> contract("(i+k), k -> i", np.array([1, 2, 3, 4]), np.array([1, 10]))
        array([21, 32, 43])
    """
    if not isinstance(spec, (str, Contraction)):
        if parameters is not None:
            raise SpecError("lists of indices have no parameters")
        read, operands = from_sublists((spec, *operands), reduce)
        contraction = Contraction._of(read)
    else:
        contraction = _contraction(spec, reduce, parameters)
    return contraction._run(operands, extents, output_shape, memory_limit, algorithm)


def _contraction(
    spec: str | Contraction, reduce: Reduction, parameters: str | Iterable[str] | None
) -> Contraction:
    if isinstance(spec, Contraction):
        if reduce != "sum" or parameters is not None:
            raise ContractionError("a Contraction has its own reduce and parameters")
        return spec
    as_reduction(reduce)
    return Contraction._of(_parsed(spec, reduce, parameter_names(parameters)))


@kept(most=4096)
def _parsed(spec: str, reduce: Reduction, parameters: tuple[str, ...]) -> Spec:
    return parse(spec, reduce, parameters)
