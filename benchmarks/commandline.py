"""Options that the scripts have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from benchmarks.peers import PEERS, Peer, with_algorithm
from benchmarks.session import Effort

QUICK = Effort(rounds=2, seconds=0.02)


def parser(description: str | None, peers: Sequence[str]) -> argparse.ArgumentParser:
    """A parser with the options of every script.

    Args:
        description: the script's docstring.
        peers: who is measured unless `--peers` says otherwise.
    """
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--peers",
        type=listed("peer", PEERS),
        default=list(peers),
        metavar="A,B",
        help=f"some of: {', '.join(PEERS)}",
    )
    made.add_argument("--threads", type=int, default=2)
    made.add_argument("--algorithm", metavar="NAME", help="what ours compiles with")
    made.add_argument("--quick", action="store_true", help="single images and short turns")
    made.add_argument("--json", type=Path, metavar="FILE")
    made.add_argument("--markdown", type=Path, metavar="FILE")
    return made


def add_effort(made: argparse.ArgumentParser) -> None:
    """The options of scripts that take times."""
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--repeat-seconds", type=float, default=0.3, help="length of a turn")


def add_cases(made: argparse.ArgumentParser) -> None:
    """The option of scripts that measure some of many cases."""
    made.add_argument("--cases", default="", metavar="REGEX", help="of case and direction")


def effort(args: argparse.Namespace) -> Effort:
    """How long to look."""
    return QUICK if args.quick else Effort(args.rounds, args.repeat_seconds)


def table_of_peers(args: argparse.Namespace) -> dict[str, Peer]:
    """All peers, ours with the algorithm that was asked for."""
    return with_algorithm(PEERS, args.algorithm)


def show(text: str, args: argparse.Namespace) -> None:
    """Print a report, and write it to the file that was asked for."""
    print(text)
    if args.markdown:
        args.markdown.write_text(text)


def listed(kind: str, known: Collection[str]) -> Callable[[str], list[str]]:
    """What reads names of some kind, separated by commas."""

    def names(text: str) -> list[str]:
        found = [name.strip() for name in text.split(",")]
        unknown = [name for name in found if name not in known]
        if unknown:
            choices = ", ".join(known)
            raise argparse.ArgumentTypeError(f"no {kind} {unknown[0]!r}: choose of {choices}")
        return found

    return names
