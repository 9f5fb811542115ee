"""How fast is it? Every peer in its own process, in alternating rounds, medians over the rounds.

    python benchmarks/run.py --json results.json --markdown results.md --plot ratios.png

A figure counts only if the peers agree on the result. The status is 1 if one disagreed or failed.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

# These scripts are a package, too: the peers' processes import parts of it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.commandline import add_effort, effort, parser, show, table_of_peers
from benchmarks.layers import CASES, Measurement, measurements, smaller
from benchmarks.machine import machine
from benchmarks.peers import OURS, PEERS
from benchmarks.report import comparison, milliseconds, report
from benchmarks.results import Record, Results
from benchmarks.session import Session


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    options = parser(__doc__, list(PEERS))
    add_effort(options)
    options.add_argument("--cases", default="", metavar="REGEX", help="of case and direction")
    options.add_argument("--plot", type=Path, metavar="FILE")
    options.add_argument("--compare", type=Path, metavar="OLD.json", help="results of --json")
    options.add_argument(
        "--results", type=Path, metavar="FILE", help="report on these, measure nothing"
    )
    return options.parse_args(given)


def chosen(pattern: str, quick: bool) -> list[Measurement]:
    """The measurements whose case and direction match.

    >>> [str(m) for m in chosen("VGG.*weight", quick=True)]
    ['VGG 1x112x112x64-64 k3 p1, weight gradient']
    """
    cases = (smaller(case) if quick else case for case in CASES)
    return [m for m in measurements(cases) if re.search(pattern, str(m))]


def measured(args: argparse.Namespace) -> Results:
    """Measure, and say on standard error how far it is."""
    results = Results(machine(args.threads))
    wanted = chosen(args.cases, args.quick)
    with Session(table_of_peers(args), args.threads) as session:
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


def main() -> int:
    """Measure, or read results, and report."""
    args = arguments()
    results = Results.load(args.results) if args.results else measured(args)
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
