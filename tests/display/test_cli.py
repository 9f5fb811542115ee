"""The command ``contractconv explain``: text, JSON and pages, and what it says of mistakes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from browser import assert_closed, assert_self_contained

import contractconv as cc
from contractconv import Reduction
from contractconv.cli import main
from contractconv.notation.spec import REDUCTIONS
from contractconv.playground import server
from contractconv.playground.examples import address

CONV = "b (2*i+k-1) c, k c o -> b i o"
SHAPES = [(8, 28, 3), (3, 3, 16)]
LAYER = """def layer(x: "b i", W: "i o", bias: "o"):
    z = contract("b i, i o -> b o", x, W)
    y = contract("b o ->", relu(z + bias))
    return y
"""

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, a proof does not take long enough to be reported."""
    monkeypatch.setattr("contractconv.cli._PATIENCE", 1e9)


def said(capsys: Capture, *arguments: str) -> str:
    """What ``contractconv explain`` prints when all is well."""
    assert main(["explain", *arguments]) == 0
    printed, errors = capsys.readouterr()
    assert errors == ""
    return printed


def refused(capsys: Capture, *arguments: str) -> str:
    """What ``contractconv explain`` says of a mistake."""
    assert main(["explain", *arguments]) == 2
    printed, errors = capsys.readouterr()
    assert printed == ""
    assert errors.startswith("contractconv: ")
    return errors.removeprefix("contractconv: ")


def not_understood(capsys: Capture, *arguments: str) -> str:
    """What is said of arguments that are no such command."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    return capsys.readouterr().err


# --- text -------------------------------------------------------------------------------------


def test_without_options_everything_symbolic_is_printed(capsys: Capture) -> None:
    assert said(capsys, CONV) == f"{cc.Contraction(CONV).explain()}\n"


@pytest.mark.parametrize(
    "shapes",
    [
        ["8x28x3", "3x3x16"],
        ["8,28,3", "3,3,16"],
        ["8, 28, 3", "3 3 16"],
        [" 8x28,3 ", "3 x 3 x 16"],
    ],
)
def test_shapes_are_written_in_any_usual_way(capsys: Capture, shapes: list[str]) -> None:
    options = [part for shape in shapes for part in ("--shape", shape)]
    assert said(capsys, CONV, *options) == f"{cc.Contraction(CONV).explain(*SHAPES)}\n"


def test_an_empty_shape_is_a_scalar(capsys: Capture) -> None:
    expected = cc.Contraction(", i -> i").explain((), (3,))
    assert said(capsys, ", i -> i", "--shape", "", "--shape", "3") == f"{expected}\n"


@pytest.mark.parametrize("n", [0, 1])
def test_one_gradient_alone(capsys: Capture, n: int) -> None:
    text = said(capsys, CONV, "--wrt", str(n))
    assert text == f"{cc.Contraction(CONV).explain(wrt=n)}\n"
    assert text.count("gradient by") == 1


@pytest.mark.parametrize("letting", ["k=2", "k = 2", " k=2 "])
def test_an_extent_is_given_by_let(capsys: Capture, letting: str) -> None:
    spec = "b (2*i+k) c -> b i c"
    text = said(capsys, spec, "--reduce", "max", "--shape", "8x28x3", "--let", letting)
    assert text == f"{cc.Contraction(spec, 'max').explain((8, 28, 3), k=2)}\n"


def test_parameters_stay_symbols_or_become_numbers(capsys: Capture) -> None:
    spec = "(s*i+d*k-p), k -> i"
    conv = cc.Contraction(spec, parameters="s d p")
    assert said(capsys, spec, "--parameters", "s d p") == f"{conv.explain()}\n"
    lets = ["--let", "s=2", "--let", "d=1", "--let", "p=1"]
    text = said(capsys, spec, "--parameters", "s,d,p", *lets, "--shape", "9", "--shape", "3")
    assert text == f"{conv.explain((9,), (3,), s=2, d=1, p=1)}\n"
    assert text.startswith("(2*i+k-1), k -> i\n")


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_every_reduction(capsys: Capture, reduce: Reduction) -> None:
    text = said(capsys, "b i -> b", "--reduce", reduce)
    assert text == f"{cc.Contraction('b i -> b', reduce).explain()}\n"


def test_a_spec_may_start_like_an_option(capsys: Capture) -> None:
    assert said(capsys, "-> i r").startswith("-> i r\n")
    assert said(capsys, "--", "->").startswith("->\n")


# --- JSON -------------------------------------------------------------------------------------


def test_json_holds_the_same_as_the_dictionary(capsys: Capture) -> None:
    options = ["--shape", "8x28x3", "--shape", "3x3x16", "--json"]
    found = json.loads(said(capsys, CONV, *options))
    assert found == cc.Contraction(CONV).explain(*SHAPES).as_dict()
    assert found["plan"]["result_shape"] == [8, 14, 16]


def test_json_of_one_gradient(capsys: Capture) -> None:
    found = json.loads(said(capsys, CONV, "--json", "--wrt", "1"))
    (gradient,) = found["gradients"]
    assert gradient["operand"] == 1
    assert gradient["name"] == "W"
    assert found["plan"] is None


# --- a page -----------------------------------------------------------------------------------


def test_a_page_is_written_that_needs_nothing_else(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "conv.html"
    options = ["--shape", "8x28x3", "--shape", "3x3x16", "--html", str(path)]
    assert said(capsys, CONV, *options) == f"wrote {path}\n"
    page = path.read_text(encoding="utf-8")
    assert page == cc.Contraction(CONV).explain(*SHAPES).html()
    assert_self_contained(page)
    assert {"math", "svg", "title", "table"} <= set(assert_closed(page))
    assert re.search(r"<title>b \(2\*i\+k-1\) c, k c o -&gt; b i o</title>", page)


def test_a_page_and_json_together(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "conv.html"
    found = json.loads(said(capsys, CONV, "--json", "--html", str(path)))
    assert found["spec"] == CONV
    assert path.read_text(encoding="utf-8") == cc.Contraction(CONV).explain().html()


def test_a_page_replaces_what_was_there(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("x" * 1_000_000, encoding="utf-8")
    said(capsys, "i ->", "--html", str(path))
    assert path.read_text(encoding="utf-8") == cc.Contraction("i ->").explain().html()


@pytest.mark.parametrize("name", ["no-such-folder/page.html", "."])
def test_a_file_that_cannot_be_written(capsys: Capture, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert main(["explain", "i ->", "--html", str(path)]) == 1
    printed, errors = capsys.readouterr()
    assert printed == ""
    assert errors.startswith(f"contractconv: cannot write {path}: ")
    assert errors.count("\n") == 1


def test_after_a_mistake_no_page_is_written(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    refused(capsys, CONV, "--shape", "8x28x3", "--html", str(path))
    assert not path.exists()


# --- mistakes ---------------------------------------------------------------------------------


def test_a_wrong_string_is_pointed_at(capsys: Capture) -> None:
    assert refused(capsys, "b (2*i+k c -> b i") == str(_error("b (2*i+k c -> b i"))
    text = refused(capsys, "b [i+k] -> b i")
    first, string, carets, *_ = text.splitlines()
    assert first == "unknown character '['"
    assert string == "  b [i+k] -> b i"
    assert carets == "    ^"


def _error(spec: str) -> str:
    with pytest.raises(cc.SpecError) as caught:
        cc.Contraction(spec)
    return f"{caught.value}\n"


def test_a_wrong_shape_is_pointed_at(capsys: Capture) -> None:
    text = refused(capsys, "i j, j k -> i k", "--shape", "3x4", "--shape", "5x6")
    assert text == (
        "extents disagree: j is 4 on axis 1 of operand 0, but 5 on axis 0 of operand 1\n"
        "  i j, j k -> i k\n"
        "    ^  ^\n"
        "shapes: (3, 4), (5, 6)\n"
        "so far: i=3, j=4\n"
    )


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--shape", "8x28x3"], "2 terms but 1 operand"),
        (["--shape", "8x28", "--shape", "3x3x16"], "operand 0 has 2 axes"),
        (["--shape", "8x28xa", "--shape", "3x3x16"], "'8x28xa' is not a shape"),
        (["--shape", "8x28.5x3", "--shape", "3x3x16"], "'8x28.5x3' is not a shape"),
        (["--shape", "8x-28x3", "--shape", "3x3x16"], "negative size"),
        (["--let", "k"], "'k' gives no number: write --let k=3"),
        (["--let", "k="], "'k=' gives no number"),
        (["--let", "k=two"], "'k=two' gives no number"),
        (["--let", "k=2.0"], "'k=2.0' gives no number"),
        (["--let", "=2"], ""),
        (["--let", "z=2"], "no index or parameter called 'z'"),
        (["--let", "k=-1"], "k=-1: an extent is not negative"),
        (["--wrt", "2"], "there is no operand 2"),
        (["--wrt", "-1"], "there is no operand -1"),
        (["--wrt", "first"], "there is no operand 'first'"),
        (["--parameters", "2"], "parameter"),
    ],
)
def test_wrong_shapes_and_numbers_are_refused(
    capsys: Capture, options: list[str], part: str
) -> None:
    assert part in refused(capsys, CONV, *options)


def test_a_number_that_is_missing_is_asked_for(capsys: Capture) -> None:
    spec = "(s*i+k), k -> i"
    text = refused(capsys, spec, "--parameters", "s", "--shape", "9", "--shape", "3")
    assert "unbound: the parameter s" in text


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "required"),
        (["explain"], "SPEC"),
        (["explain", "i ->", "--reduce", "median"], "invalid choice: 'median'"),
        (["explain", "i ->", "--colour"], "unrecognized arguments: --colour"),
        (["explain", "i", "j"], "unrecognized arguments: j"),
        (["describe", "i ->"], "invalid choice: 'describe'"),
    ],
)
def test_what_is_no_command_is_refused(capsys: Capture, arguments: list[str], part: str) -> None:
    text = not_understood(capsys, *arguments)
    assert text.startswith("usage: contractconv")
    assert part in text


# --- help -------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["explain", "--help"]])
def test_help_shows_examples(capsys: Capture, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert text.count("  contractconv explain ") >= 4
    assert "--shape 8x28x3 --shape 3x3x16" in text


def test_the_examples_of_the_help_work(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    examples = re.findall(r"^  contractconv (.*)$", capsys.readouterr().out, re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    Path("layer.py").write_text(LAYER)
    for name, shape in {"x": (8, 3), "W": (3, 4), "bias": (4,)}.items():
        np.save(f"{name}.npy", np.ones(shape))
    served: list[str] = []
    monkeypatch.setattr(server, "play", lambda fragment, *_: served.append(fragment))
    for example in examples:
        # A shell takes the quotes away.
        arguments = [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', example)]
        assert main(arguments) == 0
    made = {path.name for path in tmp_path.iterdir()} - {"layer.py", "x.npy", "W.npy", "bias.npy"}
    assert made == {"pool.html", "y.npy"}
    assert len(served) == 2


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What stands behind the addresses at which the playground is opened."""
    found: list[str] = []
    monkeypatch.setattr(server, "play", lambda fragment, *_: found.append(fragment))
    return found


def test_the_playground_is_opened_with_all_that_was_asked(opened: list[str]) -> None:
    fields = ["--reduce", "max", "--parameters", "s", "--names", "x -> y", "--shape", "9x2",
              "--output-shape", "7 2", "--let", "s=2", "--let", "k=3", "--open", "0.steps",
              "--open", "layer.plan"]  # fmt: skip
    assert main(["play", "(s*i+k) c -> i c", *fields]) == 0
    assert opened == [
        address("(s*i+k) c -> i c", ["9x2"], reduce="max", parameters="s", names="x -> y",
                output_shape="7 2", values="s=2 k=3", panels={0: "steps", "layer": "plan"})
    ]  # fmt: skip
    assert main(["play"]) == 0
    assert opened[1:] == [""]


def test_what_explains_and_what_plays_are_asked_alike(capsys: Capture) -> None:
    options: dict[str, set[str]] = {}
    for command in ("explain", "play"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        usage = capsys.readouterr().out.partition("\n\n")[0]
        options[command] = set(re.findall(r"--[a-z-]+", usage))
    of_text = {"--wrt", "--no-proof", "--html", "--json", "--function"}
    assert options["explain"] - options["play"] == of_text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--names", "x"], "there is no SPEC that names=x could be said of"),
        (["i ->", "--open", "steps"], "'steps' is no panel of a card"),
        (["layer.py"], "layer.py is a file: the playground takes strings"),
    ],
)
def test_what_the_playground_cannot_open_is_told(
    capsys: Capture, opened: list[str], arguments: list[str], message: str
) -> None:
    assert main(["play", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert opened == []


def test_the_shape_of_the_result_may_be_chosen(capsys: Capture) -> None:
    asked = ["i -> (2*i+1)", "--shape", "4", "--no-proof"]
    assert "(8,)" in said(capsys, *asked)
    assert "(9,)" in said(capsys, *asked, "--output-shape", "9")
    assert "'x9y' is not a shape" in refused(capsys, *asked, "--output-shape", "x9y")


# --- as a program -----------------------------------------------------------------------------


def run(
    *arguments: str, encoding: str = "utf-8", output: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in an interpreter of its own.

    Args:
        *arguments: what follows ``contractconv``.
        encoding: of the terminal.
        output: a file that is printed to.
    """
    command = [sys.executable, "-m", "contractconv", *arguments]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    with open(output, "w") if output else nullcontext(subprocess.PIPE) as printed:
        return subprocess.run(
            command,
            stdout=printed,
            stderr=subprocess.PIPE,
            text=True,
            encoding=encoding,
            env=environment,
            timeout=60,
            check=False,
        )


def test_the_command_runs_as_a_program() -> None:
    done = run("explain", CONV, "--wrt", "0")
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout == f"{cc.Contraction(CONV).explain(wrt=0)}\n"


def test_the_program_says_that_it_failed() -> None:
    done = run("explain", "i -> (")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "^" in done.stderr


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_a_terminal_without_greek_letters_is_no_reason_to_fail(form: list[str]) -> None:
    done = run("explain", "i j -> i", *form, encoding="ascii")
    assert "Traceback" not in done.stderr
    assert done.returncode == 0
    assert "i -> i j" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_what_cannot_be_printed_is_said_to_be_so() -> None:
    done = run("explain", "i ->", output=Path("/dev/full"))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "None" not in done.stderr


def test_a_reader_that_has_seen_enough_is_no_mistake() -> None:
    command = [sys.executable, "-m", "contractconv", "explain", CONV]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, errors = process.communicate(timeout=60)
    assert errors == b""
    assert process.returncode == 0


# --- proofs -----------------------------------------------------------------------------------


def test_a_proof_can_be_left_out(capsys: Capture) -> None:
    text = said(capsys, CONV, "--no-proof")
    assert text == f"{cc.Contraction(CONV).explain(proof=False)}\n"
    assert text.count("not verified") == 2


def test_a_long_proof_says_how_far_it_is(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contractconv.cli._PATIENCE", 0.0)
    assert main(["explain", "i j, j k -> i k"]) == 0
    printed, errors = capsys.readouterr()
    assert printed == f"{cc.Contraction('i j, j k -> i k').explain()}\n"
    lines = errors.splitlines()
    assert lines == [f"contractconv: verifying, {n} of 6 cases" for n in range(1, 7)]


def test_nobody_needs_to_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, text: str) -> int:
            raise OSError("full")

        def flush(self) -> None:
            raise OSError("full")

        def isatty(self) -> bool:
            return False

    monkeypatch.setattr("contractconv.cli._PATIENCE", 0.0)
    for stderr in (Full(), None):
        monkeypatch.setattr(sys, "stderr", stderr)
        assert main(["explain", "i j, j k -> i k", "--wrt", "0"]) == 0


def test_a_library_call_says_nothing(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contractconv.cli._PATIENCE", 0.0)
    cc.Contraction("i j, j k -> i k").explain()
    cc.Contraction("i j, j k -> i k").grad(0).verify()
    assert capsys.readouterr() == ("", "")
