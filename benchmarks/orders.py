"""Orders of operands: against every order there is, and against opt_einsum's best search.

    python benchmarks/orders.py [--windows 200] [--plain 3] [--seed 0] [--optimize auto-hq]

Networks with windows are drawn at random, with two to seven operands; of each every order is
counted, and how many of ours are the best by predicted time, by operations and by bytes. Plain
networks are those of opt_einsum's generator, with up to 40 operands: operations, elements of the
largest intermediate result, and the time of planning, from the string to the path, over those of
its search ``auto-hq``. The status is 1 if one of ours costs more.
"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from math import exp, log
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import opt_einsum
from every_order import costs_of_path, drawn, least_costs
from opt_einsum.testing import rand_equation

import contractconv as cc
from benchmarks.machine import machine
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.planning.path import MINIMIZED, Order, Search
from contractconv.planning.plan import order_of

COUNTS = ((3, 5), (6, 8), (9, 12), (13, 16), (17, 24), (25, 40))
REGULARITIES = (2, 3, 4)
# Costs are sums in different orders, which round differently.
SAME = 1 + 1e-9
# Planning is timed so many times, of which the least counts.
TIMES = 3


class Compared(NamedTuple):
    """Ours over opt_einsum's, of one network."""

    operations: float
    largest: float
    ours: float
    theirs: float


def windows(count: int, seed: int) -> Iterator[str]:
    """Lines on networks with windows; the last word of each says whether all is well."""
    draw = Random(seed)
    problems = [drawn(draw, draw.randint(2, 7)).problem for _ in range(count)]
    least = [least_costs(problem) for problem in problems]
    for by in MINIMIZED:
        paths = [order_of(problem, Search("auto", by)).pairs for problem in problems]
        ours = [costs_of_path(*pair)[by] for pair in zip(problems, paths, strict=True)]
        best = sum(cost <= all_[by] * SAME for cost, all_ in zip(ours, least, strict=True))
        yield f"by {by}: {best} of {count} are the best of all orders"


def compared(spec: str, shapes: Sequence[tuple[int, ...]], optimize: str) -> Compared:
    """One plain network."""

    def theirs() -> Any:
        return opt_einsum.contract_path(spec, *shapes, shapes=True, optimize="auto-hq")[1]

    def ours() -> Order:
        return order_of(resolve(parse(spec), shapes, {}), Search(optimize, "operations"))

    info, order = theirs(), ours()
    seconds = _seconds(ours), _seconds(theirs)
    plan = cc.Contraction(spec).plan(*shapes, path=order.pairs)
    return Compared(
        plan.flops / float(info.opt_cost),
        plan.largest_intermediate / max(1, float(info.largest_intermediate)),
        *seconds,
    )


def _seconds(work: Callable[[], object]) -> float:
    found = []
    for _ in range(TIMES):
        cc.clear_caches()
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def plain(many: int, seed: int, optimize: str) -> Iterator[tuple[str, list[Compared]]]:
    """Networks of opt_einsum's generator, by their number of operands."""
    draw = Random(seed)
    for least, most in COUNTS:
        found = []
        for regularity in REGULARITIES:
            for _ in range(many):
                count, kept = draw.randint(least, most), draw.randint(0, 2)
                few, number = min(regularity, count - 1), draw.randrange(10**6)
                spec, shapes = rand_equation(count, few, n_out=kept, seed=number)[:2]
                found.append(compared(spec, shapes, optimize))
        yield f"{least} to {most}", found


def _mean(ratios: Sequence[float]) -> float:
    return exp(sum(map(log, ratios)) / len(ratios))


def row(name: str, found: Sequence[Compared]) -> str:
    """A row of the table."""
    operations = [c.operations for c in found]
    largest = _mean([max(c.largest, 1e-9) for c in found])
    ours, theirs = (1e3 * sum(times) / len(found) for times in list(zip(*found, strict=True))[2:])
    return (
        f"| {name} | {len(found)} | {_mean(operations):.2f} | {max(operations):.3f} "
        f"| {largest:.2f} | {ours:.1f} ms | {theirs:.1f} ms | {ours / theirs:.2f} |"
    )


def _options() -> Namespace:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=200, help="networks with windows")
    parser.add_argument("--plain", type=int, default=3, help="plain ones of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--optimize", default="auto-hq", choices=("auto", "auto-hq"))
    return parser.parse_args()


def main() -> int:
    """Measure and report."""
    args = _options()
    print(machine(1), end="\n\n")
    worse = False
    for line in windows(args.windows, args.seed) if args.windows else ():
        print(line, flush=True)
        worse |= f" {args.windows} of" not in line
    if args.plain:
        print("\n| operands | networks | operations | worst | largest | ours | auto-hq | time |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for name, found in plain(args.plain, args.seed, args.optimize):
            print(row(name, found), flush=True)
            worse |= any(c.operations > SAME for c in found)
    return int(worse)


if __name__ == "__main__":
    sys.exit(main())
