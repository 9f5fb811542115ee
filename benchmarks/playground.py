"""How long does the playground take? Python in Chromium, from local files; medians.

    python benchmarks/playground.py [--loads 5] [--answers 20]

A load is a browser of its own, which has nothing kept: from the order to open the page until the
first formula stands there. Answers come one after the other in the last of them, to strings that
were never asked before: two-dimensional convolutions with other strides, dilations and paddings.
CPU is what all processes of the browser have used, whatever else the machine did.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import devtools

from contractconv.playground.build import build
from contractconv.playground.examples import EXAMPLES, address

STARTS = {
    "the example that the page opens with": address(EXAMPLES[0].spec, EXAMPLES[0].shapes),
    "a string that is no example": address("n (3*p+2*q-4) (5*r+s-2) u, q s u v -> n p r v"),
}
SPEC = "b ({}*i+{}*k-{}) ({}*j+l-{}) c, k l c o -> b i j o"
ASK = """(view) => new Promise((answered) => {
  const began = performance.now();
  conversation.anew(%s, (answer) => answered([performance.now() - began, answer.cards?.length]));
})"""


def strings(count: int) -> list[str]:
    """So many convolutions."""
    return [SPEC.format(2 + n % 3, 1 + n % 2, n % 4, 2 + n // 12, n % 5) for n in range(count)]


def cpu() -> float:
    """Seconds that all processes of the browser have used."""
    group, ticks = devtools._browser()._process.pid, 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[2]) == group:
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def clocked(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the wall, and of the browser's processes."""
    used, began = cpu(), time.perf_counter()
    work()
    return time.perf_counter() - began, cpu() - used


def shown(tab: devtools.Tab) -> None:
    """Wait for the first formula."""
    while not tab.run("(view) => Boolean(view.document.querySelector('.card math'))"):
        time.sleep(0.005)


def load(page: str) -> tuple[float, float]:
    """How long a load takes until the first formula."""
    devtools._browser().end()
    devtools._browser()
    time.sleep(1)  # until it has started
    with ExitStack() as stack:
        return clocked(lambda: shown(stack.enter_context(devtools.opened(page))))


def answers(page: str, count: int) -> list[tuple[float, float]]:
    """How long answers take, after the first one."""
    found = []
    with devtools.opened(page) as tab:
        shown(tab)
        for spec in strings(count):
            request = {"spec": spec, "reduce": "sum", "shapes": ["8x28x28x3", "3x3x3x16"]}
            used = cpu()
            ms, cards = tab.run(ASK % json.dumps(request))
            assert cards == 3, spec
            found.append((ms / 1e3, cpu() - used))
    return found


def line(what: str, found: list[tuple[float, float]]) -> str:
    """A row of a table: medians, and the longest."""
    wall, used = ([one[n] for one in found] for n in (0, 1))
    return (
        f"| {what} | {1e3 * median(wall):.0f} | {1e3 * max(wall):.0f} | "
        f"{1e3 * median(used):.0f} | {len(found)} |"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loads", type=int, default=5)
    parser.add_argument("--answers", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = build(folder).as_uri()
        print(f"{platform.processor() or platform.machine()}, load {os.getloadavg()[0]:.1f}\n")
        print("| what | wall, ms | longest | CPU, ms | times |\n| --- | --- | --- | --- | --- |")
        for what, fragment in STARTS.items():
            print(
                line(f"first formula: {what}", [load(page + fragment) for _ in range(asked.loads)]),
                flush=True,
            )
        first = STARTS["the example that the page opens with"]
        print(line("later answers", answers(page + first, asked.answers)))


if __name__ == "__main__":
    main()
