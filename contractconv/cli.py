"""The command ``contractconv``: explanations without writing a program."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import unquote

from contractconv.api.contraction import Contraction
from contractconv.display.explanation import Explanation, explain
from contractconv.errors import ContractionError, ShapeError, SpecError
from contractconv.notation.carets import operand_position
from contractconv.notation.problem import as_shape
from contractconv.notation.spec import REDUCTIONS
from contractconv.notices import write
from contractconv.program_commands import (
    add_function,
    add_program_commands,
    explained,
    is_program,
)
from contractconv.version import VERSION

_EXAMPLES = """examples:
  contractconv explain "b (i+k) (j+l) c, k l c o -> b i j o"
  contractconv explain "b (2*i+k-1) c, k c o -> b i o" --shape 8x28x3 --shape 3x3x16 --wrt 0
  contractconv explain "b (2*i+k) c -> b i c" --reduce max --shape 8x28x3 --let k=2 --html pool.html
  contractconv explain "(s*i+d*k-p), k -> i" --parameters "s d p" --json
  contractconv explain "i, i j, j ->" --names "x A x" --wrt x
  contractconv explain layer.py --wrt W --shape x=8x3 --shape W=3x4 --shape bias=4
  contractconv grad layer.py --wrt W --wrt bias
  contractconv check layer.py
  contractconv play "b (i+k) (j+l) c, k l c o -> b i j o" --open 0.steps
  contractconv play "i, i j, j ->" --names "x A x" --shape 5 --shape 5x5
  contractconv run layer.py --input x=x.npy --input W=W.npy --input bias=bias.npy --output y.npy
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status, 2 for a mistake in what was asked."""
    asked = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without Greek gets question marks
    try:
        return int(asked.action(asked) or 0)
    except ContractionError as error:
        write(f"contractconv: {error}\n")
        return 2
    except BrokenPipeError:
        # Whoever reads has seen enough; Python would complain once more when it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        where = error.filename or "the output"
        write(f"contractconv: cannot write {where}: {error.strerror}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="contractconv", description="Contractions, explained.", epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"contractconv {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_explain(commands)
    add_program_commands(commands)
    _add_play(commands)
    return parser


def _add_explain(commands: Any) -> None:
    explain = commands.add_parser(
        "explain",
        help="print a contraction's formula, gradients, proofs and plans; or a program",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    explain.set_defaults(action=_explain)
    explain.add_argument("spec", metavar="SPEC", help="the contraction string, or a program's file")
    explain.add_argument(
        "--wrt", action="append", default=[], metavar="N",
        help="only the gradient by operand N, a position or a name; of a program, the gradients by "
        "values of these names",
    )  # fmt: skip
    _add_fields(explain, "; of a program, NAME=8x28x28x3 is that of an input")
    explain.add_argument(
        "--no-proof", action="store_true", help="do not verify the gradients, which takes longest"
    )
    add_function(explain)
    explain.add_argument("--html", type=Path, metavar="FILE", help="write a page")
    explain.add_argument("--json", action="store_true", help="print JSON instead of text")


def _add_fields(parser: argparse.ArgumentParser, of_programs: str = "") -> None:
    """Let a parser of arguments ask what else there is to say of a contraction."""
    parser.add_argument(
        "--shape", action="append", default=[], metavar="8x28x28x3",
        help="the shape of the next operand ('' for a scalar); with all of them, plans are shown"
        + of_programs,
    )  # fmt: skip
    parser.add_argument(
        "--output-shape", metavar="8x14x14x16",
        help="the shape of the result, where the rules should not choose it",
    )  # fmt: skip
    parser.add_argument(
        "--let", action="append", default=[], metavar="NAME=NUMBER",
        help="the extent of an index, or the value of a parameter",
    )  # fmt: skip
    parser.add_argument("--reduce", default="sum", choices=REDUCTIONS)
    parser.add_argument("--parameters", default="", metavar="'s d p'", help="names of numbers")
    parser.add_argument(
        "--names", metavar="'x A x'",
        help="what the operands are called; equal names are one array, which has one --shape",
    )  # fmt: skip


def _add_play(commands: Any) -> None:
    play = commands.add_parser(
        "play", help="open the playground: a page on which one types a string and reads formulas"
    )
    play.set_defaults(action=_play)
    play.add_argument("spec", metavar="SPEC", nargs="?", default="", help="the string")
    _add_fields(play)
    play.add_argument(
        "--open", action="append", default=[], metavar="0.steps",
        help="what is shown of a card: of the layer, layer.plan; of the gradient by operand 0, "
        "0.steps",
    )  # fmt: skip
    play.add_argument("--port", type=int, default=0, help="where to serve it; any free port")
    play.add_argument("--no-browser", action="store_true", help="only print the address")


def _play(asked: argparse.Namespace) -> None:
    from contractconv.playground.server import play

    play(_address(asked), asked.port, not asked.no_browser)


def _address(asked: argparse.Namespace) -> str:
    """What stands behind the playground's address: nothing, if no string is asked for."""
    from contractconv.playground import examples

    if is_program(asked.spec):
        raise SpecError(
            f"{asked.spec} is a file: the playground takes strings; contractconv explain takes both"
        )
    found = examples.address(
        asked.spec, asked.shape, reduce=asked.reduce, parameters=asked.parameters,
        names=asked.names or "", output_shape=asked.output_shape or "",
        values=" ".join(asked.let), panels=dict(map(_panel, asked.open)),
    )  # fmt: skip
    if not asked.spec and found != "#":
        raise SpecError(f"there is no SPEC that {unquote(found[1:])} could be said of")
    return found if asked.spec else ""


def _panel(text: str) -> tuple[str, str]:
    card, dot, panel = text.partition(".")
    if not dot:
        raise SpecError(f"{text!r} is no panel of a card: write --open 0.steps, or layer.plan")
    return card, panel


def _explain(asked: argparse.Namespace) -> None:
    if is_program(asked.spec):
        shapes = [(name, as_shape(_shape(text))) for name, text in map(_named, asked.shape)]
        explanation: Any = explained(asked.spec, asked.function, asked.wrt, shapes)
    else:
        explanation = _explained_contraction(asked)
    if asked.html is not None:
        explanation.save(asked.html)
    if asked.json:
        print(json.dumps(explanation.as_dict(), indent=2, ensure_ascii=False))
    elif asked.html is None:
        print(explanation, flush=True)
    else:
        print(f"wrote {asked.html}")


def _explained_contraction(asked: argparse.Namespace) -> Explanation:
    contraction = Contraction(asked.spec, asked.reduce, asked.parameters, asked.names)
    shapes = [_shape(text) for text in asked.shape]
    extents = _extents(asked.let)
    result = None if asked.output_shape is None else as_shape(_shape(asked.output_shape))
    wrt = operand_position(contraction._named, _operand(asked.wrt)) if asked.wrt else None
    with _Progress() as report:
        return explain(
            contraction._named,
            list(map(as_shape, contraction._spread(shapes) if shapes else ())),
            extents,
            wrt,
            result,
            not asked.no_proof,
            report,
        )


class _Progress:
    """Says on stderr how far the proofs are, once they have taken a while.

    A bar of tqdm where that is installed and somebody looks, otherwise lines.
    """

    def __init__(self) -> None:
        self.due = monotonic() + _PATIENCE
        self.bar: Any = None

    def __enter__(self) -> Callable[[int, int], None]:
        return self._report

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def _report(self, done: int, total: int) -> None:
        if self.bar is not None:
            self.bar.update(done - self.bar.n)
        elif monotonic() >= self.due:
            self.bar = _bar(total)
            if self.bar is None:
                self.due = monotonic() + _PATIENCE
                write(f"contractconv: verifying, {done} of {total} cases\n")


# Seconds without a sign of life.
_PATIENCE = 3.0


def _bar(total: int) -> Any:
    """A bar for a terminal; ``None`` if there is none, or no tqdm."""
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=total, desc="contractconv: verifying", unit="case", leave=False)


def _shape(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(size) for size in text.replace("x", " ").replace(",", " ").split())
    except ValueError:
        raise ShapeError(f"{text!r} is not a shape: write sizes as in 8x28x28x3") from None


def _named(text: str) -> tuple[str, str]:
    name, equals, shape = text.partition("=")
    if not equals:
        raise ShapeError(f"of which input is {text} the shape? write --shape NAME={text}")
    return name.strip(), shape


def _operand(given: Sequence[str]) -> int | str:
    """An operand by its position, or by its name."""
    try:
        return int(given[-1])
    except ValueError:
        return given[-1]


def _extents(assignments: Sequence[str]) -> dict[str, int]:
    extents: dict[str, int] = {}
    for name, number in map(_assignment, assignments):
        if name in extents:
            raise ShapeError(f"{name} is given twice")
        extents[name] = number
    return extents


def _assignment(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    try:
        return name.strip(), int(number)
    except ValueError:
        raise ShapeError(f"{text!r} gives no number: write --let k=3") from None
