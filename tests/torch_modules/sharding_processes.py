"""A process among others, which makes its blocks and compares them with the whole."""

from __future__ import annotations

import sys
from typing import Any

import torch
import torch.distributed as dist

import contractconv as cc
from contractconv.torch import Sharded

# The string, how contributions combine, whole shapes, extents, and how rows are shared out.
CASES: list[tuple[str, Any, list[tuple[int, ...]], dict[str, int], list[int]]] = [
    ("b (2*i+k-1) (j+l-1) c, k l c o -> b i j o", "sum", [(2, 9, 5, 2), (3, 3, 2, 3)], {}, [5, 4]),
    ("b (i+2*k-2) c, k c o -> b i o", "sum", [(2, 8, 2), (3, 2, 3)], {}, [2, 6]),
    ("b (i+k-2) g c, k g c o -> b i g o", "sum", [(1, 6, 2, 2), (5, 2, 2, 1)], {}, [1, 5]),
    ("b i c, k c o -> b (2*i+k-1) o", "sum", [(2, 7, 2), (3, 2, 3)], {}, [3, 4]),
    ("b (2*i+k) c -> b i c", "max", [(2, 9, 2)], {"k": 3}, [6, 3]),
    ("b (2*i+k-1) c -> b i c", "mean", [(2, 9, 2)], {"k": 3}, [4, 5]),
    ("i j, j k -> i k", "sum", [(5, 3), (3, 4)], {}, [5, 0]),
]


def main(rank: int, count: int, store: str) -> None:
    """Take part in all cases."""
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=count)
    torch.set_num_threads(1)
    for case in CASES:
        compare(rank, *case)
    dist.destroy_process_group()
    print(f"{len(CASES)} cases are equal")


def compare(
    rank: int,
    spec: str,
    reduce: Any,
    shapes: list[tuple[int, ...]],
    extents: dict[str, int],
    rows: list[int],
) -> None:
    """A block of the result, and of all gradients, against those of the whole."""
    by = torch.Generator().manual_seed(0)
    whole = [torch.randint(-9, 9, shape, generator=by).double() for shape in shapes]
    contraction = cc.Contraction(spec, reduce)
    sharded = Sharded(contraction, "i")
    *axes, last = sharded.axes

    def block(tensor: Any, axis: int | None, rows: list[int]) -> Any:
        return tensor if axis is None else tensor.split(rows, axis)[rank]

    mine = [
        block(t, axis, rows).clone().requires_grad_() for t, axis in zip(whole, axes, strict=True)
    ]
    made = sharded(*mine, extents=extents)
    wanted: Any = contraction(*(t.requires_grad_() for t in whole), extents=extents)
    cotangent = torch.randint(-9, 9, wanted.shape, generator=by).double()
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, made.shape[last])
    check(made, block(wanted, last, found))
    slopes = torch.autograd.grad(made, mine, block(cotangent, last, found))
    rights = torch.autograd.grad(wanted, whole, cotangent)
    for slope, right, axis in zip(slopes, rights, axes, strict=True):
        check(slope, block(right, axis, rows))


def check(made: Any, wanted: Any) -> None:
    """Integers are equal; what was divided is rounded."""
    torch.testing.assert_close(made, wanted, rtol=1e-14, atol=0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
