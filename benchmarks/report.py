"""Results as tables in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from benchmarks.layers import Convolution, Factorised, NetworkStep
from benchmarks.peers import OURS
from benchmarks.results import FASTER_TORCH, TORCH, Record, Results

# What a measurement should reach against torch: any, and a 3x3 convolution of many channels.
LEAST, LEAST_WIDE, WIDE = 0.6, 1.3, 64


def report(results: Results, ours: str = OURS) -> str:
    """Everything there is to say, in Markdown."""
    parts = [
        heading(results),
        times(results, ours),
        means(results, ours),
        shortfalls(results.records, ours),
        complaints(results),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def heading(results: Results) -> str:
    """What it was measured on, and with what."""
    about = ", ".join(f"{key} {value}" for key, value in results.machine.items())
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    lines = [about, versions]
    if results.peak is not None:
        peaks = ", ".join(f"{n} {peak / 1e9:.0f}" for n, peak in results.peaks.items())
        lines.append(f"matrix product, GFLOP/s: {peaks}")
    return "  \n".join(lines)


def times(results: Results, ours: str = OURS) -> str:
    """A row a measurement: our time, its share of the peak, and ratios (above 1: we are faster)."""
    others = compared(results, ours)
    head = ["case", "direction", f"{ours}, ms", "of peak", *others]
    rows = [
        [
            str(record.measurement.case),
            record.measurement.direction,
            "~" * record.disturbed(ours) + milliseconds(record.seconds(ours)),
            share(record, ours, results.peak),
            *(ratio(record, peer, ours) for peer in others),
        ]
        for record in results.records
    ]
    return table(head, rows)


def ratio(record: Record, peer: str, ours: str) -> str:
    """A ratio, marked if it was not measured in peace."""
    reached = record.ratio(peer, ours)
    mark = "~" * (reached is not None and record.disturbed(peer, ours))
    return mark + times_faster(reached)


def means(results: Results, ours: str = OURS) -> str:
    """The geometric mean of the ratios over all convolutions that were measured in peace."""
    records = [r for r in results.records if isinstance(r.measurement.case, Convolution)]
    peers = compared(results, ours)
    found = {p: [r for r in records if not r.disturbed(p, ours)] for p in peers}
    return table_of_means("convolutions", "measurements", found, ours)


def means_of_steps(results: Results, ours: str = OURS) -> str:
    """The geometric mean of the ratios over all training steps; ~ if some were disturbed."""
    records = [r for r in results.records if isinstance(r.measurement.case, NetworkStep)]
    return _means_of_all("training steps", "networks", records, results, ours)


def means_of_factorised(results: Results, ours: str = OURS) -> str:
    """The same over factorised convolutions, for each direction."""
    records = [r for r in results.records if isinstance(r.measurement.case, Factorised)]
    tables = (
        _means_of_all(
            f"factorised convolutions, {direction},",
            "measurements",
            [r for r in records if r.measurement.direction == direction],
            results,
            ours,
        )
        for direction in Factorised.directions
    )
    return "\n\n".join(filter(None, tables))


def _means_of_all(
    what: str, counted: str, records: list[Record], results: Results, ours: str
) -> str:
    found = dict.fromkeys(compared(results, ours), records)
    return table_of_means(what, counted, found, ours)


def table_of_means(what: str, counted: str, found: Mapping[str, list[Record]], ours: str) -> str:
    """A row for each peer that has a ratio: their geometric mean, and how many there are."""
    rows = []
    for peer, records in found.items():
        ratios = known(r.ratio(peer, ours) for r in records)
        if ratios:
            mark = "~" * any(r.disturbed(peer, ours) for r in records)
            rows.append([peer, f"{mark}{geometric_mean(ratios):.2f}", str(len(ratios))])
    return table([f"{what} against", "geometric mean", counted], rows) if rows else ""


def shortfalls(records: Iterable[Record], ours: str = OURS) -> str:
    """What falls short of torch by more than it may, where both were measured in peace."""
    rows = [
        [str(record.measurement), times_faster(reached), f"{least(record):.1f}"]
        for record in records
        if not record.disturbed(FASTER_TORCH, ours)
        and (reached := record.ratio(FASTER_TORCH, ours)) is not None
        and reached < least(record)
    ]
    return table(["falls short", f"of {FASTER_TORCH}", "aim"], rows) if rows else ""


def least(record: Record) -> float:
    """The ratio to torch that a measurement should reach.

    >>> from benchmarks.layers import CONVOLUTIONS, Measurement
    >>> [least(Record(Measurement(case, "forward"))) for case in CONVOLUTIONS[:5]]
    [0.6, 0.6, 0.6, 0.6, 1.3]
    """
    case = record.measurement.case
    wide = (
        isinstance(case, Convolution)
        and (case.kernel, case.stride) == (3, 1)
        and case.channels >= WIDE
    )
    return LEAST_WIDE if wide else LEAST


def complaints(results: Results) -> str:
    """Who is missing, who failed or disagrees, and which times were taken in bad company."""
    lines = [f"- {name} is not installed: {reason}" for name, reason in results.missing.items()]
    lines += [
        f"- {record.measurement}: {name} has no figure: {reason}"
        for record in results.records
        for name, reason in record.failures.items()
    ]
    disturbed = sum(r.disturbed(name) for r in results.records for name in r.rounds)
    if disturbed:
        lines.append(f"- ~: other processes were busy in all rounds of {disturbed} figures")
    return "\n".join(lines)


def comparison(old: Results, new: Results, ours: str = OURS) -> str:
    """How much faster each measurement has become; torch shows what the machine contributes."""
    before = {record.measurement: record for record in old.records}
    rows = []
    for record in new.records:
        past = before.get(record.measurement)
        if past is None or not known([past.seconds(ours), record.seconds(ours)]):
            continue
        rows.append(
            [
                str(record.measurement),
                milliseconds(past.seconds(ours)),
                milliseconds(record.seconds(ours)),
                change(past, record, ours),
                change(past, record, FASTER_TORCH),
            ]
        )
    title = f"{old.machine.get('sources')} to {new.machine.get('sources')}"
    return table([title, "before, ms", "now, ms", "faster by", "torch by"], rows)


def change(old: Record, new: Record, peer: str) -> str:
    """By which factor a peer has become faster, marked like a ratio."""
    before, now = old.seconds(peer), new.seconds(peer)
    if before is None or now is None:
        return ""
    return "~" * (old.disturbed(peer) or new.disturbed(peer)) + times_faster(before / now)


def compared(results: Results, ours: str) -> list[str]:
    """Who stands beside us in the tables: the better of torch's layouts first."""
    others = [peer for peer in results.peers if peer != ours]
    return [FASTER_TORCH] * any(peer in TORCH for peer in others) + others


def share(record: Record, peer: str, peak: float | None) -> str:
    """How much of the machine's peak a peer has reached, for the operations of the definition.

    A fast algorithm has fewer of them, so it may pass 100%.
    """
    case, seconds = record.measurement.case, record.seconds(peer)
    if peak is None or seconds is None or not case.flops:
        return ""
    return f"{case.flops / seconds / peak:.0%}"


def geometric_mean(ratios: Sequence[float]) -> float:
    """The mean of factors: a factor of 2 and one of 1/2 are none.

    >>> geometric_mean([2, 0.5])
    1.0
    """
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def known(values: Iterable[float | None]) -> list[float]:
    """The values that are there."""
    return [value for value in values if value is not None]


def milliseconds(seconds: float | None) -> str:
    """Three digits of a time.

    >>> milliseconds(0.0012345), milliseconds(1.2345), milliseconds(None)
    ('1.23', '1234', '')
    """
    if seconds is None:
        return ""
    digits = max(0, 2 - math.floor(math.log10(1e3 * seconds)))
    return f"{1e3 * seconds:.{digits}f}"


def times_faster(ratio: float | None) -> str:
    """Two digits behind the point.

    >>> times_faster(1.236), times_faster(None)
    ('1.24', '')
    """
    return "" if ratio is None else f"{ratio:.2f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown whose columns are aligned in a terminal, too."""
    lines = [list(head), *map(list, rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(cell.ljust(w) for cell, w in zip(line, widths, strict=True))} |"
        for line in lines
    )
