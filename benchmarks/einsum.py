"""Plain einsum: products, sums, copies and networks, against numpy, opt_einsum and torch.

python benchmarks/einsum.py [--threads 2] [--seconds 0.2] [--rounds 2] [--only TEXT]

Each library has processes of its own, in turns; of its medians the least counts. What returns a
view of an operand copies it here: our results are arrays of their own. Ours runs twice, compiled
and as a call of `cc.contract`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from math import exp, log
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.networks import NETWORKS, Shapes

Work = Callable[[], object]

CASES: dict[str, Shapes] = {
    "ij,jk->ik": ((512, 512), (512, 512)),
    "ij,jl->il": ((64, 64), (64, 64)),
    "ij,kj->ik": ((400, 300), (500, 300)),
    "ij,ik->jk": ((4000, 60), (4000, 60)),
    "abcd,efcd->abef": ((16, 16, 16, 16), (16, 16, 16, 16)),
    "aijb,bcdi->ajcd": ((20, 20, 20, 20), (20, 20, 20, 20)),
    "bij,bjk->bik": ((64, 64, 64), (64, 64, 64)),
    "bqhd,bkhd->bhqk": ((4, 64, 8, 32), (4, 64, 8, 32)),
    "ij,j->i": ((2000, 1000), (1000,)),
    "bij,bj->bi": ((500, 60, 50), (500, 50)),
    "i,i->": ((1_000_000,), (1_000_000,)),
    "ij,ij->": ((1000, 1000), (1000, 1000)),
    "ij,ij->i": ((1000, 1000), (1000, 1000)),
    "ij,ij->j": ((1000, 1000), (1000, 1000)),
    "ijk,ijk->ij": ((100, 100, 100), (100, 100, 100)),
    "ijc,ic->jc": ((40, 300, 64), (40, 64)),
    "i,j->ij": ((2000,), (2000,)),
    "ij,ij->ij": ((1000, 1000), (1000, 1000)),
    "ij,i->ij": ((1000, 1000), (1000,)),
    "ij,->ij": ((1000, 1000), ()),
    "ij->ji": ((2000, 2000),),
    "ijk->kij": ((128, 128, 128),),
    "ii->i": ((1000, 1000),),
    "ij->i": ((1000, 1000),),
    "ij->j": ((1000, 1000),),
    "ijk->i": ((100, 100, 100),),
    "ij,jk,kl->il": ((200, 200), (200, 200), (200, 200)),
    "abcdefghijklmnopqrst,klmnopqrstABCDEFGHIJ->abcdefghijABCDEFGHIJ": ((2,) * 20, (2,) * 20),
    "abcdefghijklmnopqrst,kcAB->abAdefghijBlmnopqrst": ((2,) * 20, (2,) * 4),
}
OURS = ("compiled", "contract")
PEERS = (*OURS, "numpy", "opt_einsum", "torch")
OTHER_DTYPES = ("ij,jk->ik", "ij,ij->j", "ij,ij->ij", "ij->ji")


def peer(name: str, spec: str, given: list[Any]) -> Work:
    """What carries a contraction out, with a result of its own."""
    if name == "compiled":
        import contractconv as cc

        shapes = [array.shape for array in given]
        run = cc.Contraction(spec).compile(*shapes, dtype=given[0].dtype)
        return lambda: run(*given)
    if name == "contract":
        import contractconv as cc

        return lambda: cc.contract(spec, *given)
    if name == "torch":
        import torch

        tensors = [torch.from_numpy(array) for array in given]
        return copied(
            lambda: torch.einsum(spec, *tensors),
            given,
            lambda made: made.clone(memory_format=torch.contiguous_format),
        )
    import numpy as np

    def copy(made: Any) -> Any:
        return np.array(made, order="C")

    if name == "numpy":
        return copied(lambda: np.einsum(spec, *given, optimize=True), given, copy)
    import opt_einsum

    expression = opt_einsum.contract_expression(spec, *(array.shape for array in given))
    return copied(lambda: expression(*given), given, copy)


def copied(work: Callable[[], Any], given: list[Any], copy: Callable[[Any], Any]) -> Work:
    """The same work; what is a view of an operand is copied, as ours is."""
    import numpy as np

    made = np.asarray(work())
    views = any(np.may_share_memory(made, array) for array in given)
    return (lambda: copy(work())) if views else work


def median(work: Work, seconds: float) -> float:
    """The median time of some work, in milliseconds."""
    times: list[float] = []
    work()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


class Case(NamedTuple):
    """A contraction that is measured."""

    spec: str
    dtype: str
    shapes: Shapes
    name: str = ""

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        return f"{self.name or self.spec[:28]} {self.dtype} {self.shapes[0][:3]}"


def cases(only: str) -> Iterator[Case]:
    """The cases that have some text in their string or their name."""
    return (case for case in _every_case() if only in case.spec or only in case.name)


def _every_case() -> Iterator[Case]:
    for spec, shapes in CASES.items():
        for dtype in ("float64", "float32"):
            yield Case(spec, dtype, shapes)
    for spec in OTHER_DTYPES:
        for dtype in ("complex64", "int64", "float16"):
            yield Case(spec, dtype, ((300, 300),) * (1 + spec.count(",")))
    for dtype in ("float64", "float32", "complex64", "int64"):
        yield Case("ij,jk->ik", dtype, ((8, 8), (8, 8)))
    for name, (spec, shapes) in NETWORKS.items():
        yield Case(spec, "float64", shapes, name)


def times(name: str, only: str, seconds: float) -> Iterator[float | None]:
    """The times of one peer for all cases; ``None`` where it refuses."""
    import numpy as np

    for case in cases(only):
        rng = np.random.default_rng(0)
        given = [np.asarray(rng.integers(-9, 10, shape), case.dtype) for shape in case.shapes]
        try:
            yield median(peer(name, case.spec, given), seconds)
        except (RuntimeError, ValueError):  # numpy and torch know 52 letters
            yield None


def in_a_process(name: str, threads: int, options: list[str]) -> list[float | None]:
    """The same, in a process of its own: threads of one library do not wait beside another."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    command = [sys.executable, __file__, "--peer", name, *options]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: list[float | None] = json.loads(ran.stdout)
    return found


def row(title: str, found: dict[str, float]) -> float:
    """Print a line; how many times as fast as the fastest rival ours is."""
    best = min(taken for name, taken in found.items() if name not in OURS)
    ratio = best / found["compiled"]
    shown = "".join(f"{name} {taken:9.4f}  " for name, taken in found.items())
    print(f"{title:50} {ratio:5.2f}  {shown}", flush=True)
    return ratio


def main() -> None:
    """Measure and report."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--seconds", type=float, default=0.2)
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--only", default="")
    options.add_argument("--peer", choices=PEERS)
    args = options.parse_args()
    if args.peer:
        if args.peer in OURS:
            import contractconv as cc

            cc.set_num_threads(int(os.environ["OPENBLAS_NUM_THREADS"]))
        print(json.dumps(list(times(args.peer, args.only, args.seconds))))
        return
    passed = ["--only", args.only, "--seconds", str(args.seconds)]
    rounds = [
        {name: in_a_process(name, args.threads, passed) for name in PEERS}
        for _ in range(args.rounds)
    ]
    print("milliseconds; first the fastest rival's time over ours, compiled")
    ratios = []
    for number, case in enumerate(cases(args.only)):
        taken = {
            name: [found for one in rounds if (found := one[name][number]) is not None]
            for name in PEERS
        }
        best = {name: min(all_rounds) for name, all_rounds in taken.items() if all_rounds}
        ratios.append(row(case.title, best))
    print(f"geometric mean {exp(sum(map(log, ratios)) / len(ratios)):.2f}")


if __name__ == "__main__":
    main()
