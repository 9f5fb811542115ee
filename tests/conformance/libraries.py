"""Array libraries as the tests ask them: how arrays get in, and out again.

- ``Peer``: one of them; ``peers()`` makes those that are installed;
- ``asked``: a case on its arrays: the result and all gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from conformance.cases import Array, Case

NAMES = ("torch", "jax", "dask")
WITHOUT_NUMPY = "bfloat16"


@dataclass(frozen=True)
class Peer:
    """An array library.

    Attributes:
        name: what it is called.
        kind: the type of its arrays.
        enter: makes its array of one of numpy's; dask's in blocks of two.
        leave: the reverse.
        cast: an array of its own in the dtype of a name.
        run: makes a function of its arrays faster, where each operation by itself would be slow.
    """

    name: str
    kind: Any
    enter: Callable[[Array], Any]
    leave: Callable[[Any], Array]
    cast: Callable[[Any, str], Any]
    run: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda function: function


def peer(name: str) -> Peer:
    """A library, if it is installed."""
    return {"torch": _torch, "jax": _jax, "dask": _dask}[name]()


def _torch() -> Peer:
    torch = pytest.importorskip("torch")
    return Peer(
        "torch", torch.Tensor, torch.tensor,
        lambda made: (made.float() if made.dtype == torch.bfloat16 else made).numpy(),
        lambda array, name: array.to(getattr(torch, name)),
    )  # fmt: skip


def _jax() -> Peer:
    jax = pytest.importorskip("jax")
    return Peer(
        "jax", jax.Array, jax.numpy.asarray, np.asarray,
        lambda array, name: array.astype(name), jax.jit,
    )  # fmt: skip


def _dask() -> Peer:
    dask = pytest.importorskip("dask.array")
    return Peer(
        "dask", dask.Array, lambda array: dask.from_array(array, chunks=2),
        lambda made: np.asarray(made.compute(scheduler="synchronous")),
        lambda array, name: array.astype(name),
    )  # fmt: skip


def asked(
    peer: Peer, case: Case, operands: Sequence[Array], cotangent: Array, dtype: str | None = None
) -> list[Array]:
    """The result of a case and the gradient by every operand, on arrays of a library.

    Args:
        peer: the library.
        case: what to compute.
        operands: numpy's arrays.
        cotangent: what comes back.
        dtype: what arrays are cast to first, if it is not their own.
    """
    given = case.contraction
    told: dict[str, Any] = {**case.extents, **case.values}

    def work(cotangent: Any, *arrays: Any) -> list[Any]:
        made = [given(*arrays, output_shape=case.output_shape, **told)]
        return made + [given.grad(n)(cotangent, *arrays, **told) for n in range(len(arrays))]

    entered = [peer.enter(array) for array in (cotangent, *operands)]
    if dtype is not None:
        entered = [peer.cast(array, dtype) for array in entered]
    found = peer.run(work)(*entered)
    assert all(isinstance(made, peer.kind) for made in found)
    assert dtype is None or all(dtype in str(made.dtype) for made in found)
    return [peer.leave(made) for made in found]
