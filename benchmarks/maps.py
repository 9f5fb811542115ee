"""Maps of many numbers, on one thread, against torch.

python benchmarks/maps.py [--only gelu,exp] [--dtypes float32] [--count 1000000] [--rounds 5]

Each library has a process of its own, and they take turns at every map; of its medians the least
counts. A backward map is what comes back through one, from its argument and a cotangent.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial, reduce
from math import exp, log
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.einsum import Work, median
from benchmarks.process import pools
from contractconv.maps.table import MAPS

OURS, TORCH = "contractconv", "torch"
BACKWARD = " backward"
# What torch has under another name, or with another word.
IN_TORCH: dict[str, Callable[[Any], Callable[..., Any]]] = {
    "softplus": lambda torch: torch.nn.functional.softplus,
    "gelu_tanh": lambda torch: partial(torch.nn.functional.gelu, approximate="tanh"),
    "leaky_relu": lambda torch: lambda a, b: torch.where(a > 0, a, a * b),
    "stop_gradient": lambda torch: torch.clone,
    "conj": lambda torch: torch.clone,
    "real": lambda torch: torch.clone,
    f"gelu{BACKWARD}": lambda torch: torch.ops.aten.gelu_backward,
    f"gelu_tanh{BACKWARD}": lambda torch: partial(torch.ops.aten.gelu_backward, approximate="tanh"),
    f"silu{BACKWARD}": lambda torch: torch.ops.aten.silu_backward,
}
POWERS = (3, 1.5, -0.75, 0.1)
POSITIVE = {"log", "sqrt", "rsqrt", "power"}
TRUTH = {"logical_and", "logical_or", "logical_not"}


class Case(NamedTuple):
    """What is measured: a map of the table, a power by a number, or what comes back through one."""

    name: str
    dtype: str

    @property
    def function(self) -> str:
        """The map."""
        return "power" if self.name.startswith("power") else self.name.removesuffix(BACKWARD)

    @property
    def exponent(self) -> float | None:
        """The number by which powers are taken."""
        return float(self.name.split()[1]) if self.name.startswith("power ") else None


def cases(only: str, dtypes: str) -> list[Case]:
    """Those of some names, separated by commas, or all."""
    names = [*MAPS, *(f"power {n}" for n in POWERS), *(n for n in IN_TORCH if BACKWARD in n)]
    chosen = [name for name in names if not only or name in only.split(",")]
    return [Case(name, dtype) for dtype in dtypes.split(",") for name in chosen]


def operands(case: Case, count: int) -> list[Any]:
    """Normal numbers; where a map has none for negative ones, their magnitudes."""
    import numpy as np

    random, record = np.random.default_rng(0), MAPS[case.function]
    arity = 2 if case.name.endswith(BACKWARD) else 1 if case.exponent else record.arity
    given = [random.normal(size=count).astype(case.dtype) * 2 for _ in range(arity)]
    if case.function in POSITIVE:
        given[0] = abs(given[0])
    if case.function == "log1p":
        given[0] = abs(given[0]) - 0.5
    truths = arity if case.function in TRUTH else record.conditions
    return [array > 0 if n < truths else array for n, array in enumerate(given)]


def of_torch(case: Case, given: list[Any]) -> Work:
    """What torch does."""
    import torch

    torch.set_num_threads(1)
    tensors = [torch.from_numpy(array) for array in given]
    if case.exponent is not None:
        return partial(torch.pow, tensors[0], case.exponent)
    if case.name in IN_TORCH:
        function = IN_TORCH[case.name](torch)
    else:
        function = reduce(getattr, MAPS[case.name].torch.split("."), torch)
    return partial(function, *tensors)


def of_ours(case: Case, given: list[Any]) -> Work:
    """What a program of the one map does."""
    import contractconv as cc
    from contractconv.api.tensor import applied

    cc.set_num_threads(1)
    named = dict(zip("abc", given, strict=False))
    tensors = [cc.tensor(name, "i", str(array.dtype)) for name, array in named.items()]
    if case.exponent is not None:
        made = tensors[0] ** case.exponent
    elif case.name.endswith(BACKWARD):
        through = applied(case.function, tensors[1])
        made = cc.grad(cc.contract("i, i ->", tensors[0], through), tensors[1])
    else:
        made = applied(case.name, *tensors)
    return partial(cc.compile({"y": made}), **named)


WORKS = {OURS: of_ours, TORCH: of_torch}


def answer(peer: str, chosen: list[Case], count: int, seconds: float) -> None:
    """Measure a case for each number that comes in, a peer's process."""
    ready: tuple[int, Work] = (-1, int)
    for line in sys.stdin:
        number = int(line)
        if ready[0] != number:
            case = chosen[number]
            ready = (number, WORKS[peer](case, operands(case, count)))
        print(1e3 * median(ready[1], seconds), flush=True)


def started(peer: str, given: list[str]) -> subprocess.Popen[str]:
    """A peer's process, on one thread."""
    return subprocess.Popen(
        [sys.executable, __file__, "--peer", peer, *given],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | pools(1),
    )  # fmt: skip


def asked(process: subprocess.Popen[str], number: int) -> float:
    """Microseconds of a case."""
    assert process.stdin is not None
    assert process.stdout is not None
    print(number, file=process.stdin, flush=True)
    return float(process.stdout.readline())


def measured(chosen: list[Case], rounds: int, given: list[str]) -> Iterator[dict[str, float]]:
    """The times of both for one case after the other."""
    processes = {peer: started(peer, given) for peer in WORKS}
    for number, _ in enumerate(chosen):
        turns = [
            {p: asked(process, number) for p, process in processes.items()} for _ in range(rounds)
        ]
        yield {peer: min(turn[peer] for turn in turns) for peer in WORKS}
    for process in processes.values():
        process.communicate()


def main() -> None:
    """Measure and report."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--only", default="", metavar="A,B", help="maps")
    options.add_argument("--dtypes", default="float32,float64", metavar="A,B")
    options.add_argument("--count", type=int, default=1_000_000)
    options.add_argument("--seconds", type=float, default=0.05)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--peer", choices=list(WORKS))
    args = options.parse_args()
    chosen = cases(args.only, args.dtypes)
    if args.peer:
        answer(args.peer, chosen, args.count, args.seconds)
        return
    print(f"{'map':20} {'dtype':8} {OURS:>12} {TORCH:>12} {'ratio':>6}   (microseconds)")
    given = ["--only", args.only, "--dtypes", args.dtypes]
    given += ["--count", str(args.count), "--seconds", str(args.seconds)]
    ratios = []
    for case, found in zip(chosen, measured(chosen, args.rounds, given), strict=True):
        ratios.append(found[TORCH] / found[OURS])
        times = f"{found[OURS]:12.0f} {found[TORCH]:12.0f}"
        print(f"{case.name:20} {case.dtype:8} {times} {ratios[-1]:6.2f}", flush=True)
    print(f"geometric mean {exp(sum(map(log, ratios)) / len(ratios)):.2f}")


if __name__ == "__main__":
    main()
