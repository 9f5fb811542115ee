"""The command ``contractconv`` on files that hold programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import contractconv as cc
from contractconv.cli import main

TEXT = """def layer(x: "b i", W: "i o", bias: "o"):
    z = contract("b i, i o -> b o", x, W)
    a = relu(z + bias)
    loss = contract("b o ->", a)
    return loss, a
"""
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in a file, arrays beside it."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, shape in {"x": (2, 3), "W": (3, 4), "bias": (4,)}.items():
        np.save(f"{name}.npy", rng.standard_normal(shape))
    path = Path("layer.py")
    path.write_text(TEXT)
    return path


INPUTS = [f"--input={name}={name}.npy" for name in ("x", "W", "bias")]


def said(capsys: Capture, *arguments: str, status: int = 0) -> str:
    """What the command prints, to whom it matters."""
    assert main(arguments) == status
    printed, errors = capsys.readouterr()
    assert bool(errors) == bool(status)
    return errors if status else printed


def test_explain_prints_formulas(file: Path, capsys: Capture) -> None:
    assert said(capsys, "explain", str(file)) == f"{cc.read(TEXT).explain()}\n"


def test_explain_takes_shapes_and_what_to_differentiate_by(file: Path, capsys: Capture) -> None:
    shapes = {"x": (2, 3), "W": (3, 4), "bias": (4,)}
    given = [f"--shape={name}={'x'.join(map(str, shape))}" for name, shape in shapes.items()]
    found = said(capsys, "explain", str(file), "--wrt", "W", "--wrt", "bias", *given)
    assert found == f"{cc.read(TEXT).explain(wrt=['W', 'bias'], **shapes)}\n"
    assert "of which input" in said(capsys, "explain", str(file), "--shape", "2x3", status=2)


def test_explain_writes_a_page_of_a_program(file: Path, capsys: Capture) -> None:
    assert said(capsys, "explain", str(file), "--html", "layer.html") == "wrote layer.html\n"
    assert Path("layer.html").read_text(encoding="utf-8") == cc.read(TEXT).explain().html()


def test_explain_still_takes_strings(capsys: Capture) -> None:
    assert "Σ" in said(capsys, "explain", "i, i ->", "--no-proof")


def test_a_file_may_be_called_anything(file: Path, capsys: Capture) -> None:
    Path("layer").write_text(TEXT)
    assert said(capsys, "explain", "layer").startswith("layer(x, W, bias) -> loss, a\n")
    missing = said(capsys, "explain", "missing.py", status=2)
    assert missing == "contractconv: cannot read missing.py: No such file or directory\n"


def test_grad_prints_a_program(file: Path, capsys: Capture) -> None:
    text = said(capsys, "grad", str(file), "--wrt", "W", "--wrt", "bias", "--output", "loss")
    assert text == str(cc.read(TEXT).grad("loss", wrt=["W", "bias"]))
    assert list(cc.read(text).outputs) == ["loss", "d_W", "d_bias"]
    whole = said(capsys, "grad", str(file), "--output", "loss")
    assert list(cc.read(whole).outputs) == ["loss", "d_x", "d_W", "d_bias"]
    assert "which output of layer" in said(capsys, "grad", str(file), status=2)


def test_check_says_where_files_are_wrong(file: Path, capsys: Capture) -> None:
    assert said(capsys, "check", str(file)) == (
        "layer.py: <program layer(x, W, bias) -> loss, a>\n"
    )
    Path("wrong.py").write_text(TEXT.replace("relu(z", "rellu(z"))
    assert main(["check", "wrong.py", str(file)]) == 2
    printed, errors = capsys.readouterr()
    assert printed.startswith("layer.py: <program")
    assert errors.splitlines() == [
        "wrong.py:3:9: line 3: there is no map called 'rellu'",
        "      a = rellu(z + bias)",
        "          ^^^^^",
        "did you mean 'relu'?",
    ]


def test_what_is_no_text(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "bytes.py"
    path.write_bytes(b"\xff\xfe")
    assert "this is no text in UTF-8" in said(capsys, "check", str(path), status=2)
    assert "cannot read" in said(capsys, "check", str(tmp_path), status=2)


def test_run_writes_an_array(file: Path, capsys: Capture) -> None:
    assert said(capsys, "run", str(file), *INPUTS, "--output", "a=a.npy") == ""
    x, W, bias = (np.load(f"{name}.npy") for name in ("x", "W", "bias"))
    np.testing.assert_allclose(np.load("a.npy"), np.maximum(x @ W + bias, 0))


def test_run_says_what_shapes_there_are(file: Path, capsys: Capture) -> None:
    assert said(capsys, "run", str(file), *INPUTS) == "loss: float64[]\na: float64[2, 4]\n"


def test_the_only_output_needs_no_name(file: Path, capsys: Capture) -> None:
    file.write_text(TEXT.replace("return loss, a", "return loss"))
    assert said(capsys, "run", str(file), *INPUTS, "--output", "loss.npy") == ""
    assert np.load("loss.npy").shape == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (INPUTS[:1], "without W, bias"),
        ([*INPUTS, "--output=loss.npy"], "--output loss.npy: of which name?"),
        ([*INPUTS, "--output=y=y.npy"], "layer has no output 'y'; it has: loss, a"),
        (["--input=x.npy"], "--input x.npy: of which name?"),
        (["--input=x=layer.py"], "layer.py is no array of numbers that numpy has saved"),
        (["--input=x=none.npy"], "cannot read none.npy"),
        (["--input=x=pickled.npy"], "pickled.npy is no array of numbers"),
    ],
)
def test_what_cannot_be_run(
    file: Path, arguments: list[str], message: str, capsys: Capture
) -> None:
    np.save("pickled.npy", np.array([{}], dtype=object))
    assert message in said(capsys, "run", str(file), *arguments, status=2)
    assert not Path("y.npy").exists()


def test_an_output_that_cannot_be_written(file: Path, capsys: Capture) -> None:
    assert main(["run", str(file), *INPUTS, "--output", "a=none/a.npy"]) == 1
    assert "cannot write none/a.npy" in capsys.readouterr().err


SEVERAL = f"""{TEXT}
def score(a: "b o"):
    best = contract("b o -> b", a, reduce="max")
    return best

def net(x: "b i", W: "i o", bias: "o"):
    loss, a = layer(x, W, bias)
    best = score(a)
    return best
"""


def test_a_function_of_a_file_may_be_chosen(file: Path, capsys: Capture) -> None:
    Path("net.py").write_text(SEVERAL)
    x, W, bias = (np.load(f"{name}.npy") for name in ("x", "W", "bias"))
    said(capsys, "run", "net.py", *INPUTS, "--output", "best.npy")
    a = np.maximum(x @ W + bias, 0)
    np.testing.assert_allclose(np.load("best.npy"), a.max(1))
    said(capsys, "run", "net.py", "--function", "layer", *INPUTS, "--output", "a=a.npy")
    np.testing.assert_allclose(np.load("a.npy"), a)
    np.save("b.npy", a)
    printed = said(capsys, "run", "net.py", "--function", "score", "--input=a=b.npy")
    assert printed == "best: float64[2]\n"
    printed = said(capsys, "grad", "net.py", "--function", "layer", "--output", "loss", "--wrt=W")
    assert printed == str(cc.read(TEXT).grad("loss", "W"))
    assert "<program net(x, W, bias) -> best>" in said(capsys, "check", "net.py")
    explained = said(capsys, "explain", "net.py", "--function", "score")
    assert explained == f"{cc.read(SEVERAL, name='score').explain()}\n"
    error = said(capsys, "run", "net.py", "--function", "nett", status=2)
    assert "net.py: there is no function 'nett': there are layer, score, net; did you" in error
