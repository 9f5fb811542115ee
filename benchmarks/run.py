"""How fast is it? Every peer in its own process, in alternating rounds, medians over the rounds.

    python benchmarks/run.py --json results.json --markdown results.md --plot ratios.png

A figure counts only if the peers agree on the result. The status is 1 if one disagreed or failed.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

# These scripts are a package, too: the peers' processes import parts of it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.commandline import add_cases, add_effort, effort, parser, show, table_of_peers
from benchmarks.layers import CASES, Batched, Measurement, measurements, smaller
from benchmarks.machine import machine
from benchmarks.peers import OURS, PEERS
from benchmarks.report import comparison, milliseconds, report
from benchmarks.results import Record, Results
from benchmarks.session import Session

Part = Callable[[Results], str]
"""A part of a report."""


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    options = parser(__doc__, list(PEERS))
    add_effort(options)
    add_cases(options)
    options.add_argument("--plot", type=Path, metavar="FILE")
    options.add_argument("--compare", type=Path, metavar="OLD.json", help="results of --json")
    options.add_argument(
        "--results", type=Path, metavar="FILE", help="report on these, measure nothing"
    )
    return options.parse_args(given)


def chosen(cases: Iterable[Batched], args: argparse.Namespace) -> list[Measurement]:
    """The measurements whose case and direction match.

    >>> [str(m) for m in chosen(CASES, arguments(["--quick", "--cases", "VGG.*weight"]))]
    ['VGG 1x112x112x64-64 k3 p1, weight gradient']
    """
    sized = (smaller(case) if args.quick else case for case in cases)
    return [m for m in measurements(sized) if re.search(args.cases, str(m))]


def measured(
    wanted: Sequence[Measurement], args: argparse.Namespace, peaks: bool = False
) -> Results:
    """Measure, and say on standard error how far it is; before, what the machine can do."""
    results = Results(machine(args.threads))
    with Session(table_of_peers(args), args.threads) as session:
        if peaks:
            results.peaks = session.peaks(effort(args))
        for n, measurement in enumerate(wanted, 1):
            results.records.append(session.measured(measurement, args.peers, effort(args)))
            print(f"{n}/{len(wanted)} {progress(results.records[-1])}", file=sys.stderr, flush=True)
        results.versions, results.missing = session.versions, session.missing
    return results


def progress(record: Record) -> str:
    """One line on a measurement."""
    times = (f"{peer} {milliseconds(record.seconds(peer))}" for peer in record.rounds)
    return f"{record.measurement}: {', '.join([*times, *record.failures.values()])}"


def finished(results: Results, parts: Iterable[Part], args: argparse.Namespace) -> int:
    """Keep and report what was measured; the status is 1 if somebody failed."""
    if args.json:
        results.save(args.json)
    show("\n\n".join(filter(None, (part(results) for part in parts))) + "\n", args)
    return int(any(record.failures for record in results.records))


def main() -> int:
    """Measure, or read results, and report."""
    args = arguments()
    results = (
        Results.load(args.results)
        if args.results
        else measured(chosen(CASES, args), args, peaks=True)
    )
    if args.json:
        results.save(args.json)
    ours = next((name for name in results.peers if name.startswith(OURS)), OURS)
    text = report(results, ours)
    if args.compare:
        text += "\n" + comparison(Results.load(args.compare), results, ours) + "\n"
    show(text, args)
    if args.plot:
        from benchmarks.plot import plot  # noqa: PLC0415 - who wants no picture needs no matplotlib

        plot(results, args.plot, ours)
    return int(any(record.failures for record in results.records))


if __name__ == "__main__":
    sys.exit(main())
