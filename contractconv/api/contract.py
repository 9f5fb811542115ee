"""The function :func:`contract`, for those who have the arrays at hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from contractconv.api.call_checks import called
from contractconv.api.contraction import Contraction
from contractconv.cache_register import kept
from contractconv.errors import ContractionError, SpecError
from contractconv.notation.keywords import Casting, meant
from contractconv.notation.parser import as_reduction, parameter_names, parse
from contractconv.notation.spec import Reduction, Spec
from contractconv.notation.sublists import from_sublists
from contractconv.planning.options import Optimize
from contractconv.planning.path import Minimize
from contractconv.planning.setting import Algorithm
from contractconv.tensor_types import are_of_torch

if TYPE_CHECKING:
    from contractconv.api.tensor import Tensor
    from contractconv.arrays.views import Array


@overload
def contract(
    spec: str | Contraction, first: Tensor, /, *operands: Any, **options: Any
) -> Tensor: ...


@overload
def contract(
    spec: str | Contraction,
    /,
    *operands: Any,
    reduce: Reduction = "sum",
    parameters: str | Iterable[str] | None = None,
    output_shape: Sequence[int] | None = None,
    memory_limit: float | None = None,
    optimize: Optimize | None = None,
    path: Optimize | None = None,
    minimize: Minimize | None = None,
    algorithm: Algorithm = "auto",
    out: Array | None = None,
    dtype: Any = None,
    casting: Casting = "safe",
    bias: Any = None,
    activation: str | None = None,
    progress: bool = False,
    extents: Mapping[str, int] | None = None,
    **named: int,
) -> Array: ...


def contract(
    spec: str | Contraction,
    /,
    *operands: Any,
    reduce: Reduction = "sum",
    parameters: str | Iterable[str] | None = None,
    output_shape: Sequence[int] | None = None,
    memory_limit: float | None = None,
    optimize: Optimize | None = None,
    path: Optimize | None = None,
    minimize: Minimize | None = None,
    algorithm: Algorithm = "auto",
    out: Array | None = None,
    dtype: Any = None,
    casting: Casting = "safe",
    bias: Any = None,
    activation: str | None = None,
    progress: bool = False,
    extents: Mapping[str, int] | None = None,
    **named: int,
) -> Any:
    """Contract arrays as a string says.

    Args:
        spec: the contraction, for example ``"b (2*i+k-1) c, k c o -> b i o"``. numpy's other
            form, operands alternating with lists of indices, is understood too.
        *operands: one array of numbers for each term. They are never modified. Symbolic tensors,
            and numbers among them, make a symbolic tensor: see :func:`contractconv.tensor`. Of
            arrays of PyTorch, JAX, CuPy or Dask the result is one of that library, made by its own
            operations (by ours for tensors in memory of the processor), and differentiated and
            traced by it; numpy's arrays and numbers join them.
        reduce: how contributions to one element combine: ``"sum"``, ``"max"``, ``"min"``,
            ``"prod"``, ``"mean"`` or ``"logsumexp"``.
        parameters: names in the string that are numbers, not indices: ``"s d p"``.
        output_shape: the shape of the result, where the rules should not choose it.
        memory_limit: bytes that temporary arrays may take beyond operands and result; of arrays
            in files (:class:`numpy.memmap`) all that may be in memory at once. Other libraries
            have memory of their own: it is refused with their arrays, but for Dask's.
        optimize: who chooses the order in which more than two operands meet: ``"auto"`` compares
            every order of few operands, and improves a greedy one of many; ``"auto-hq"`` looks
            harder; other names are those of opt_einsum's searches; a path is a list of tuples of
            positions; or an optimizer of opt_einsum or cotengra. Of windows opt_einsum knows
            nothing: there every name means a search of this library.
        path: another name of ``optimize``.
        minimize: what the order makes small: predicted ``"seconds"``, the default,
            ``"operations"``, or ``"bytes"`` that are read and written.
        algorithm: ``"auto"`` chooses by predicted time, and stays within 1e-4 of the result's
            scale in float32 (2e-13 in float64); ``"direct"`` sums products as the definition
            does, exactly so for integers; ``"toom-cook"`` and ``"fft"`` take fewer
            multiplications for windows, and round more; ``"measure"`` times all of them.
            With other libraries' arrays, but Dask's, it is one of the first two.
        out: an array of exactly the result's shape, which is filled and returned. It may overlap
            the operands. One in a file is filled block by block if it is large, or there is a
            limit; stopped, the same call goes on: see :func:`contractconv.unfinished`. Tensors of
            PyTorch and CuPy's arrays are filled, too; those of JAX and Dask never change.
        dtype: what the operands are converted to; the result has it, too.
        casting: which conversions to ``dtype`` and to that of ``out`` are allowed, as in
            :func:`numpy.can_cast`.
        bias: an array that is added along the last axis of the result.
        activation: ``"relu"`` makes zero of what is negative then.
        progress: whether a bar on stderr shows how many blocks of the result are made.
        extents: extents of indices and values of parameters, by name.
        **named: the same by keyword.

    Returns:
        A new array, or ``out``.

    Raises:
        ContractionError: one of its kinds for each way in which the call can be wrong.

    Example:
        >>> import numpy as np
        >>> contract("(i+k), k -> i", np.array([1, 2, 3, 4]), np.array([1, 10]))
        array([21, 32, 43])
    """
    listed = not isinstance(spec, (str, Contraction))
    plain = algorithm == "auto" and not listed
    if plain and are_of_torch(operands, memory_limit, optimize, path, minimize, out, dtype):
        from contractconv.api.torch_calls import contracted

        said = {"output_shape": output_shape, "bias": bias, "activation": activation}
        return contracted(spec, operands, reduce, parameters, extents, named, said)
    if listed:
        if parameters is not None:
            raise SpecError("lists of indices have no parameters")
        read, operands = from_sublists((spec, *operands), reduce)
        contraction = Contraction._of(read)
    else:
        contraction = as_contraction(spec, reduce, parameters)
    return called(
        contraction, "contract", operands, named, extents, output_shape=output_shape,
        memory_limit=memory_limit, optimize=optimize, path=path, minimize=minimize,
        algorithm=algorithm, out=out, dtype=dtype, casting=casting, bias=bias,
        activation=activation, progress=progress,
    )  # fmt: skip


def as_contraction(
    spec: str | Contraction, reduce: Reduction, parameters: str | Iterable[str] | None
) -> Contraction:
    """What a string says, or a contraction that says it already."""
    if isinstance(spec, Contraction):
        if reduce != "sum" or parameters is not None:
            hint = _meant(spec.indices, reduce, parameters)
            raise ContractionError(f"a Contraction has its own reduce and parameters{hint}")
        return spec
    try:
        as_reduction(reduce)
        names = parameter_names(parameters)
    except ContractionError as error:
        hint = _meant(parse(spec).indices, reduce, parameters)
        raise type(error)(f"{error}{hint}") from None
    return Contraction._of(_parsed(spec, reduce, names))


def _meant(indices: Sequence[str], reduce: object, parameters: object) -> str:
    return meant("reduce", reduce, indices) + meant("parameters", parameters, indices)


@kept(most=4096)
def _parsed(spec: str, reduce: Reduction, parameters: tuple[str, ...]) -> Spec:
    return parse(spec, reduce, parameters)
