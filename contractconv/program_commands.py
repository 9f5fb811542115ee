"""What the command ``contractconv`` does with files that hold programs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import Any

from contractconv.api.program import Program, read
from contractconv.errors import OperandError, ProgramError
from contractconv.notation.problem import Shape
from contractconv.notices import write


def add_program_commands(commands: Any) -> None:
    """Add the commands to those of a parser of arguments."""
    check = _command(commands, "check", _check, "read a program, and say what is wrong with it")
    check.add_argument("more", metavar="FILE", nargs="*", help="more of them")
    grad = _command(commands, "grad", _grad, "print the program that makes an output's gradients")
    grad.add_argument(
        "--wrt", action="append", metavar="NAME",
        help="what it is differentiated by; every input of floating-point numbers, if none is said",
    )  # fmt: skip
    grad.add_argument("--output", metavar="NAME", help="what is differentiated, a number")
    run = _command(commands, "run", _run, "carry a program out on arrays in files of numpy")
    run.add_argument(
        "--input", action="append", default=[], metavar="NAME=FILE.npy", help="one of its inputs"
    )
    run.add_argument(
        "--output", action="append", default=[], metavar="[NAME=]FILE.npy",
        help="where one of its outputs is written; shapes are printed if none is said",
    )  # fmt: skip


def is_program(text: str) -> bool:
    """Whether an argument is the name of a file, not a contraction string."""
    return text.endswith(".py") or os.path.isfile(text)


def add_function(parser: argparse.ArgumentParser) -> None:
    """Let a parser of arguments ask which function of a file is meant."""
    parser.add_argument(
        "--function", metavar="NAME", help="which function of the file is the program; the last one"
    )


def explained(
    path: str, function: str | None, wrt: Sequence[str], shapes: Sequence[tuple[str, Shape]]
) -> Any:
    """The explanation of the program in a file.

    Args:
        path: the file.
        function: which of its functions is the program; the last one by default.
        wrt: names of what it is differentiated by.
        shapes: shapes of inputs, by name.
    """
    return _load(path, function).explain(wrt=wrt, **dict(shapes))


def _command(commands: Any, name: str, action: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(action=action)
    parser.add_argument("file", metavar="FILE", help="the text of a program")
    add_function(parser)
    return parser


def _check(asked: argparse.Namespace) -> int:
    return max(_checked(path, asked.function) for path in (asked.file, *asked.more))


def _checked(path: str, function: str | None) -> int:
    """Say of one file what it is, or where it is wrong, as editors understand it."""
    try:
        print(f"{path}: {_load(path, function)!r}", flush=True)
    except ProgramError as error:
        write(f"{error}\n")
        return 2
    return 0


def _grad(asked: argparse.Namespace) -> None:
    print(_load(asked.file, asked.function).grad(asked.output, asked.wrt), end="")


def _run(asked: argparse.Namespace) -> None:
    program = _load(asked.file, asked.function)
    paths = dict(_assigned(text, "--input", None) for text in asked.input)
    targets = dict(_assigned(text, "--output", _only(program)) for text in asked.output)
    for name in targets:
        program[name]
    results = _carried_out(program, {name: _array(path) for name, path in paths.items()})
    for name, array in results.items():
        if name in targets:
            _save(targets[name], array)
        elif not targets:
            print(f"{name}: {array.dtype}{list(array.shape)}")


def _carried_out(program: Program, arrays: Mapping[str, Any]) -> dict[str, Any]:
    made = program(**arrays)
    single = len(program.outputs) == 1
    return dict(zip(program.outputs, [made] if single else made, strict=True))


def _load(path: str, function: str | None) -> Program:
    """Read a program in a file; messages say where in it they point."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return read(file.read(), function)
    except ProgramError as error:
        place = f":{error.line}:{error.column}" if error.line else ""
        raise ProgramError(f"{path}{place}: {error}") from None
    except UnicodeDecodeError:
        raise ProgramError(f"{path}: this is no text in UTF-8") from None
    except OSError as error:
        raise ProgramError(f"cannot read {path}: {error.strerror}") from None


def _array(path: str) -> Any:
    import numpy as np

    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError):
        raise OperandError(f"{path} is no array of numbers that numpy has saved") from None
    except OSError as error:
        raise OperandError(f"cannot read {path}: {error.strerror}") from None


def _save(path: str, array: Any) -> None:
    import numpy as np

    with open(path, "wb") as file:
        np.save(file, array, allow_pickle=False)


def _assigned(text: str, option: str, only: str | None) -> tuple[str, str]:
    """The name and the file of an option."""
    name, equals, path = text.partition("=")
    if equals:
        return name, path
    if only is not None:
        return only, text
    raise ProgramError(f"{option} {text}: of which name? write {option} NAME={text}")


def _only(program: Program) -> str | None:
    """The output of a program that has but one."""
    names = list(program.outputs)
    return names[0] if len(names) == 1 else None
