"""Values and gradients of functions of symbolic tensors, compared with torch's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from contractconv.api.compiling import compile
from contractconv.api.symbolic import grad
from contractconv.api.tensor import Tensor, tensor

torch: Any = pytest.importorskip("torch")

Array = NDArray[Any]
Given = tuple[str, Array]
"""The axes of an array, and the array."""

SIZES = dict(
    zip("bcdeghiknoqrstuvw", [3, 7, 6, 5, 2, 4, 5, 3, 2, 4, 5, 4, 7, 5, 3, 9, 6], strict=True)
)


def numbers(axes: str, seed: int = 0, **sizes: int) -> Given:
    """Random numbers along axes of odd sizes."""
    shape = tuple((SIZES | sizes)[axis] for axis in axes.split())
    return axes, np.random.default_rng(len(axes) + seed).standard_normal(shape)


def integers(axes: str, below: int, seed: int = 0) -> Given:
    """Random integers."""
    shape = tuple(SIZES[axis] for axis in axes.split())
    return axes, np.random.default_rng(seed).integers(below, size=shape)


def truths(axes: str, share: float = 0.6, seed: int = 0) -> Given:
    """Random truth values."""
    shape = tuple(SIZES[axis] for axis in axes.split())
    return axes, np.random.default_rng(seed).random(shape) < share


def agree(
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    given: Mapping[str, Given],
    tolerance: float = 1e-9,
    second: bool = True,
) -> None:
    """Compare values, gradients, and derivatives of gradients along a direction.

    Args:
        ours: makes a tensor, or several, of symbolic tensors.
        theirs: makes the same of torch's.
        given: the arguments, by name.
        tolerance: relative to the greatest number in a result.
        second: whether second derivatives are compared.
    """
    symbols = {name: _symbol(name, axes, array) for name, (axes, array) in given.items()}
    moving = [name for name, (_, array) in given.items() if array.dtype.kind == "f"]
    arrays = {name: array for name, (_, array) in given.items()}
    outputs = _several(ours(*symbols.values()))
    found = _ours(outputs, symbols, moving, arrays, second)
    wanted = _theirs(theirs, moving, arrays, second)
    assert len(found) == len(wanted)
    for n, (a, b) in enumerate(zip(found, wanted, strict=True)):
        assert a.shape == b.shape, (n, a.shape, b.shape)
        np.testing.assert_allclose(
            a, b, rtol=tolerance, atol=tolerance * (1 + np.abs(b).max(initial=0)), err_msg=str(n)
        )


def run(ours: Callable[..., Any], given: Mapping[str, Given], wrt: str = "") -> list[Array]:
    """Values, and the gradients of the first one's sum by some inputs."""
    symbols = {name: _symbol(name, axes, array) for name, (axes, array) in given.items()}
    outputs = _several(ours(*symbols.values()))
    one = tensor("one", outputs[0].axes)
    slopes = [grad(outputs[0], symbols[name], one) for name in wrt.split()]
    arrays = {name: array for name, (_, array) in given.items()}
    values = compile(outputs)(**arrays)
    first = values if isinstance(values, np.ndarray) else values[0]
    made = compile([*outputs, *slopes], inputs=[*symbols.values(), one])(
        *arrays.values(), np.ones_like(first)
    )
    return [made] if isinstance(made, np.ndarray) else list(made)


def _symbol(name: str, axes: str, array: Array) -> Tensor:
    return tensor(name, axes, None if array.dtype.kind == "f" else array.dtype.name)


def _several(made: Any) -> list[Any]:
    return list(made) if isinstance(made, (tuple, list)) else [made]


def _cotangent(n: int, shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(100 + n).standard_normal(shape)


def _ours(
    outputs: list[Tensor],
    symbols: Mapping[str, Tensor],
    moving: list[str],
    arrays: Mapping[str, Array],
    second: bool,
) -> list[Array]:
    backs = [tensor(f"back_{n}", output.axes) for n, output in enumerate(outputs)]
    along = [tensor(f"along_{name}", symbols[name].axes) for name in moving]
    wrt = [symbols[name] for name in moving]
    slopes = _added([grad(o, wrt, back) for o, back in zip(outputs, backs, strict=True)])
    wanted = [*outputs, *slopes]
    if second:
        curves = [grad(slope, wrt, v) for slope, v in zip(slopes, along, strict=True)]
        wanted += _added(curves)
    values = _several(compile(outputs, inputs=list(symbols.values()))(*arrays.values()))
    made = compile(wanted, inputs=[*symbols.values(), *backs, *along])(
        *arrays.values(),
        *(_cotangent(n, np.shape(value)) for n, value in enumerate(values)),
        *(_cotangent(50 + n, arrays[name].shape) for n, name in enumerate(moving)),
    )
    return [np.asarray(array) for array in _several(made)]


def _added(lists: list[list[Tensor]]) -> list[Tensor]:
    whole = lists[0]
    for other in lists[1:]:
        whole = [a + b for a, b in zip(whole, other, strict=True)]
    return whole


def _theirs(
    theirs: Callable[..., Any], moving: list[str], arrays: Mapping[str, Array], second: bool
) -> list[Array]:
    taken = {name: torch.tensor(array) for name, array in arrays.items()}
    wrt = [taken[name].requires_grad_() for name in moving]
    outputs = _several(theirs(*taken.values()))
    backs = [torch.tensor(_cotangent(n, tuple(o.shape))) for n, o in enumerate(outputs)]
    slopes = _slopes(outputs, wrt, backs, create_graph=second)
    found = [*outputs, *slopes]
    if second:
        along = [torch.tensor(_cotangent(50 + n, tuple(w.shape))) for n, w in enumerate(wrt)]
        found += _slopes(list(slopes), wrt, along, create_graph=False)
    return [made.detach().numpy() for made in found]


def _slopes(outputs: Any, wrt: Any, backs: Any, create_graph: bool) -> list[Any]:
    linear = [(o, b) for o, b in zip(outputs, backs, strict=True) if o.requires_grad]
    if not linear:
        return [torch.zeros_like(w) for w in wrt]
    made = torch.autograd.grad(
        [o for o, _ in linear], wrt, [b for _, b in linear], create_graph=create_graph,
        allow_unused=True,
    )  # fmt: skip
    return [torch.zeros_like(w) if m is None else m for m, w in zip(made, wrt, strict=True)]
